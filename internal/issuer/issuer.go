package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// Config is what the door needs from the house.
type Config struct {
	Store *store.Store
	// PublicURL is the issuer, byte for byte: an https origin without a trailing
	// slash, or an http one on loopback.
	PublicURL string
	Log       *slog.Logger

	// RequestID returns the id that the server gave to a request.
	RequestID func(*http.Request) uuid.UUID
	// SignIn takes over a browser whose authorization request holds. It ends in a
	// redirect made by the func that [Respond] returns, or on a page. params are the
	// request's own parameters, each present once.
	SignIn func(w http.ResponseWriter, r *http.Request, application registry.Application, request store.SignInRequest, params url.Values)
	// Page shows why a request ends here: unknown_application, redirect_mismatch,
	// application_disabled, bad_request, too_many_requests, unavailable or internal.
	Page func(w http.ResponseWriter, r *http.Request, reason string)
	// Begins counts an authorization request, and says how long the browser has to
	// wait instead; nil: not at all.
	Begins func(*http.Request) (wait time.Duration)
	// Failed counts a request whose credentials or code do not hold, and says how
	// long the client has to wait before it is told so once more; nil: not at all.
	Failed func(*http.Request) (wait time.Duration)
	// Charge counts a request of a tenant's provisioning client; nil lets all pass.
	Charge Charge
	// Fetch reads the keys by which assertions of clients are verified.
	Fetch *fetch.Client
	// Refused counts an error answer by its OAuth error code; nil counts nothing.
	Refused func(reason string)
	// Now is the clock that keys age by; nil means time.Now.
	Now func() time.Time
}

// An Issuer serves the OpenID Provider's endpoints and the check.
type Issuer struct {
	config   Config
	store    *store.Store
	log      *slog.Logger
	respond  func(w http.ResponseWriter, redirectURI, state string, params url.Values)
	keys     *keyring
	metadata []byte
}

// New returns the Issuer, or an error where the public URL cannot be an issuer.
func New(config Config) (*Issuer, error) {
	if err := checkPublicURL(config.PublicURL); err != nil {
		return nil, err
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Refused == nil {
		config.Refused = func(string) {}
	}
	if config.Charge == nil {
		config.Charge = func(context.Context, string, int, int) (time.Duration, error) { return 0, nil }
	}
	for _, limit := range []*func(*http.Request) time.Duration{&config.Begins, &config.Failed} {
		if *limit == nil {
			*limit = func(*http.Request) time.Duration { return 0 }
		}
	}
	return &Issuer{
		config:   config,
		store:    config.Store,
		log:      config.Log,
		respond:  Respond(config.PublicURL),
		keys:     newKeyring(config.Store, config.Now),
		metadata: metadata(config.PublicURL),
	}, nil
}

// Routes puts the door's routes on r.
func (i *Issuer) Routes(r chi.Router) {
	r.Get("/authorize", i.page(i.authorize))
	r.Post("/authorize", i.page(i.authorize))
	r.Post("/token", i.serve(i.token))
	r.Get("/jwks", i.serve(i.jwks))
	r.Get("/.well-known/openid-configuration", i.serve(i.describe))
	r.Get("/.well-known/oauth-authorization-server", i.serve(i.describe))
	r.Post("/t/{tenant}/check", i.serve(i.check))
	r.Post("/t/{tenant}/oauth/token", i.serve(i.access))
}

// checkPublicURL accepts an origin: https, or http on this machine (RFC 9207 §2,
// OpenID Connect Discovery §3).
func checkPublicURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Scheme+"://"+u.Host != raw:
		return fmt.Errorf("public URL %q: use an origin without path or trailing slash, https://id.example.com", raw)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost"):
		return nil
	}
	return errors.New("the public URL must be https; http is for loopback only")
}
