package scimhttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
)

// Config is what the door needs from the house.
type Config struct {
	Store     *store.Store
	PublicURL string // origin of every link, without a trailing slash: "https://muster.example"
	Log       *slog.Logger

	// PersonToken verifies an access token that people of a tenant have for the
	// audience [Audience] names; an error says that it is none. nil: nobody has one.
	PersonToken func(ctx context.Context, token string) (store.PersonToken, error)
	// RequestID returns the id that the server gave to a request.
	RequestID func(*http.Request) uuid.UUID
	// Failed counts a request whose credential does not hold, and says how long the
	// client has to wait before it is told so once more; nil: not at all.
	Failed func(*http.Request) (wait time.Duration)
	// Charge counts requests of a tenant; nil lets all of them pass.
	Charge Charge
	// Refused counts a refusal by its reason: a scimType of RFC 7644 Table 9, or
	// the status. nil counts nothing.
	Refused func(reason string)

	// Without are endpoints that are not offered, "bulk" and "me": they answer 501.
	Without []string
	// Sensitive are attributes that no address may filter by, as filters name them:
	// "name.familyName", "urn:example:hr:badge". A search may, whose body no log of
	// addresses holds (RFC 7644 §7.5.2).
	Sensitive []string
}

// Door serves the SCIM endpoints of every tenant.
type Door struct {
	store     *store.Store
	verify    func(context.Context, string) (store.PersonToken, error)
	origin    string
	log       *slog.Logger
	requestID func(*http.Request) uuid.UUID
	failed    func(*http.Request) time.Duration
	charge    Charge
	refused   func(reason string)
	without   []string
	sensitive []string
	now       func() time.Time
	large     *places // for large bodies that are in hand
}

// New returns the door.
func New(config Config) *Door {
	d := &Door{
		store:     config.Store,
		verify:    config.PersonToken,
		origin:    strings.TrimSuffix(config.PublicURL, "/"),
		log:       config.Log,
		requestID: config.RequestID,
		failed:    config.Failed,
		charge:    config.Charge,
		refused:   config.Refused,
		without:   config.Without,
		sensitive: config.Sensitive,
		now:       time.Now,
		large:     newPlaces(largeBodies),
	}
	if d.failed == nil {
		d.failed = func(*http.Request) time.Duration { return 0 }
	}
	if d.charge == nil {
		d.charge = chargeNobody
	}
	if d.refused == nil {
		d.refused = func(string) {}
	}
	return d
}

// base is where a tenant's endpoints stand, and latest the same without the version
// (RFC 7644 §3.13): what is found there says that it is at base.
const (
	base   = "/t/{tenant}/scim/v2"
	latest = "/t/{tenant}/scim"
)

// methods says who answers which method of a path. GET answers HEAD too.
type methods map[string]handler

// A handler answers one authenticated call. Its error is translated and
// written by the door.
type handler func(*call) error

// routes is every path under the base.
func (d *Door) routes() map[string]methods {
	return map[string]methods{
		"/Users":                 {http.MethodGet: list(kindOf(users)), http.MethodPost: at(users)},
		"/Users/{id}":            one(users),
		"/Groups":                {http.MethodGet: list(kindOf(groups)), http.MethodPost: at(groups)},
		"/Groups/{id}":           one(groups),
		"/Schemas":               {http.MethodGet: listSchemas},
		"/Schemas/{id}":          {http.MethodGet: readSchema},
		"/ResourceTypes":         {http.MethodGet: listResourceTypes},
		"/ResourceTypes/{id}":    {http.MethodGet: readResourceType},
		"/ServiceProviderConfig": {http.MethodGet: readServiceProviderConfig},
		"/":                      {http.MethodGet: list(allKinds)},
		"/Bulk":                  {http.MethodPost: d.offered("bulk", bulk)},
		"/.search":               {http.MethodPost: search(allKinds)},
		"/Users/.search":         {http.MethodPost: search(kindOf(users))},
		"/Groups/.search":        {http.MethodPost: search(kindOf(groups))},
	}
}

// registeredRoutes are the paths of the resource types that a tenant has
// registered beside users and groups.
func registeredRoutes() map[string]methods {
	return map[string]methods{
		"/{endpoint}":         {http.MethodGet: list(kindOf(registered)), http.MethodPost: at(registered)},
		"/{endpoint}/{id}":    one(registered),
		"/{endpoint}/.search": {http.MethodPost: search(kindOf(registered))},
	}
}

// Routes puts the door's routes on r. Whatever else lies under the base is
// refused by the door too, so that no route can be forgotten outside its guard.
func (d *Door) Routes(r chi.Router) {
	r.Route(base, d.endpoints)
	r.Route(latest, func(r chi.Router) {
		d.endpoints(r)
		for _, path := range []string{otherVersion, otherVersion + "/*"} {
			r.HandleFunc(path, d.misplaced)
		}
	})
	for _, path := range []string{"/scim", "/scim/*"} {
		r.HandleFunc(path, d.misplaced)
	}
}

// otherVersion is a version that is not served.
const otherVersion = "/{version:[vV][0-9][0-9.]*}"

// endpoints puts the endpoints of a tenant on r.
func (d *Door) endpoints(r chi.Router) {
	r.Use(tidySlashes)
	for path, m := range d.routes() {
		r.Handle(path, d.serve(m.dispatch))
	}
	for path, m := range registeredRoutes() {
		r.Handle(path, d.serve(atRegistered(m)))
	}
	self := d.offered("me", me)
	r.Handle("/Me", d.guard((*call).authenticateSelf, methods{
		http.MethodGet: self, http.MethodPost: self, http.MethodPut: self, http.MethodPatch: self, http.MethodDelete: self,
	}.dispatch))
	nowhere := d.serve(func(*call) error { return errNoRoute })
	r.NotFound(nowhere)
	r.MethodNotAllowed(nowhere) // a method that chi does not know
}

// misplaced tells whoever set up a client with an address that lacks the tenant
// or has another version what the address should be. It asks nothing and needs no
// credential: the answer is the same for every tenant, also for one that is not.
// Whose token it was is found out later, for that tenant's own log.
func (d *Door) misplaced(w http.ResponseWriter, r *http.Request) {
	d.stray(r)
	answer := refusal{fault: errMisplaced}
	d.refused(answer.reason())
	answer.write(w)
}

// dispatch calls who answers the request's method.
func (m methods) dispatch(c *call) error {
	method := c.request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if handle := m[method]; handle != nil {
		return handle(c)
	}
	var allowed []string
	for name := range m {
		allowed = append(allowed, name)
	}
	if m[http.MethodGet] != nil {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	c.answer.Header().Set("Allow", strings.Join(allowed, ", "))
	return refuse(http.StatusMethodNotAllowed, "%s is not allowed here; allowed: %s", method, strings.Join(allowed, ", "))
}

// tidySlashes routes "//Users/" as "/Users" (Q2). It touches nothing else: a
// dot segment or an encoded slash stays what it is and matches no route.
func tidySlashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route := chi.RouteContext(r.Context())
		path := route.RoutePath
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
		if len(path) > 1 {
			path = strings.TrimSuffix(path, "/")
		}
		route.RoutePath = path
		next.ServeHTTP(w, r)
	})
}

// serve guards a handler: first the credential, then the handler, one
// translator for whatever comes back, and a line of the provisioning log.
func (d *Door) serve(handle handler) http.HandlerFunc {
	return d.guard((*call).authenticate, handle)
}

func (d *Door) guard(authenticate, handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answered := &witness{ResponseWriter: w}
		c := &call{door: d, answer: answered, request: r}
		if err := c.run(authenticate, handle); err != nil {
			d.refuse(c, err)
		}
		c.record(answered)
	}
}

// run authenticates and calls handle. A panic becomes an error like any other.
func (c *call) run(authenticate, handle handler) (err error) {
	defer c.leave()
	defer recovered(&err)
	if err := authenticate(c); err != nil {
		return err
	}
	if err := c.admit(); err != nil {
		return c.verified(err)
	}
	return c.current(func() error { return c.verified(handle(c)) })
}

// recovered is deferred to make a panic an error like any other.
func recovered(err *error) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}

// abandoned reports whether nothing failed but that the client has gone.
func (c *call) abandoned(err error) bool {
	return c.context().Err() == context.Canceled && errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrUnknownOutcome)
}

// refuse answers an error.
func (d *Door) refuse(c *call, err error) {
	if c.abandoned(err) {
		err = context.Canceled
	}
	answer := wireError(err, d.requestID(c.request))
	if answer.fault.Status == http.StatusUnauthorized {
		answer.brought = brought(c.request.Header) != ""
		if c.dir != nil {
			c.dir.Refused()
		}
		if wait := d.failed(c.request); wait > 0 {
			answer = tooManyFailures(wait)
		}
	}
	if answer.ours {
		d.log.ErrorContext(c.context(), "scim request failed", "request", d.requestID(c.request), "error", err)
	}
	d.refused(answer.reason())
	c.fault = answer.fault
	answer.write(c.answer)
}
