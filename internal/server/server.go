// Package server puts the doors on one router and serves it.
//
// Around every request stand the same few things: an id, the security headers,
// a deadline, a last resort for panics, one line of access log and the
// counters. The doors ask it how often one address may begin sign-ins and fail
// to authenticate, and how many requests one tenant may send. Metrics and profiles have a listener of their own.
package server

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muster-id/muster/internal/issuer"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/scimhttp"
	"github.com/muster-id/muster/internal/store"
)

// Config is what a server is made of.
type Config struct {
	Store     *store.Store
	PublicURL string // origin of every link and the issuer, without a trailing slash: never the Host header
	Log       *slog.Logger
	Metrics   *Metrics // whose Store method the Store was opened with; nil: metrics of its own

	Limits Limits // of one address and one tenant; zero: the defaults

	// TrustedProxies are the networks of load balancers whose X-Forwarded-For is
	// believed; none: the peer is the other end of the socket.
	TrustedProxies []netip.Prefix

	// Without are SCIM endpoints that are not offered, and Sensitive the attributes that
	// none filters by in an address: see [scimhttp.Config].
	Without, Sensitive []string

	// Login needs its Fetch only; the rest of it is filled in here.
	Login login.Config
}

// Server is the deployment's HTTP interface. It keeps no state of its own
// besides whether it is about to stop, and what each address and tenant has left
// of its limits here: several servers let in as many times as much.
type Server struct {
	store   *store.Store
	log     *slog.Logger
	metrics *Metrics
	handler chi.Router
	drain   drain
	now     func() time.Time
}

// New returns the server of c, or an error where the public URL cannot be an
// issuer.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	s := &Server{store: c.Store, log: c.Log, metrics: c.Metrics, now: time.Now}
	s.metrics.watch(c.Store)
	doors, err := s.doors(c)
	if err != nil {
		return nil, err
	}
	s.handler = s.routes(c, doors)
	return s, nil
}

// Handler answers every request of the public listener.
func (s *Server) Handler() chi.Router { return s.handler }

// A door adds its routes to the router and guards them itself.
type door interface{ Routes(chi.Router) }

// doors makes the doors and hands each what it needs of another.
func (s *Server) doors(c Config) ([]door, error) {
	c.Login.Store, c.Login.PublicURL, c.Login.Log = c.Store, c.PublicURL, c.Log
	c.Login.RequestID = RequestID
	c.Login.Respond = issuer.Respond(c.PublicURL)
	c.Login.Refused = s.metrics.refusedAt("login")
	people := login.New(c.Login)

	limits := c.Limits.withDefaults()
	signIns, failures := newLimiter(limits.SignIns, s.now), newLimiter(limits.Failures, s.now)
	tenants := newThrottle(limits.Requests, s.now, s.metrics.throttled)

	applications, err := issuer.New(issuer.Config{
		Store: c.Store, PublicURL: c.PublicURL, Log: c.Log,
		RequestID: RequestID,
		SignIn:    people.Begin,
		Page:      people.Page,
		Begins:    signIns.wait,
		Failed:    failures.wait,
		Charge:    tenants.charge,
		Fetch:     c.Login.Fetch,
		Refused:   s.metrics.refusedAt("issuer"),
	})
	if err != nil {
		return nil, err
	}

	clients := scimhttp.New(scimhttp.Config{
		Store: c.Store, PublicURL: c.PublicURL, Log: c.Log,
		RequestID: RequestID,
		PersonToken: func(ctx context.Context, token string) (store.PersonToken, error) {
			return applications.AccessToken(ctx, token, scimhttp.Audience(c.PublicURL))
		},
		Failed:    failures.wait,
		Charge:    tenants.charge,
		Refused:   s.metrics.refusedAt("scim"),
		Without:   c.Without,
		Sensitive: c.Sensitive,
	})
	return []door{clients, people, applications}, nil
}

func (s *Server) routes(c Config, doors []door) chi.Router {
	r := chi.NewRouter()
	if len(c.TrustedProxies) > 0 {
		r.Use(believe(c.TrustedProxies))
	}
	r.Use(s.identify, s.observe, s.recover, limit)
	if secure(c.PublicURL) {
		r.Use(transportSecurity)
	}
	r.Get("/healthz", s.healthz)
	r.Get("/readyz", s.readyz)
	for _, door := range doors {
		door.Routes(r)
	}
	return r
}
