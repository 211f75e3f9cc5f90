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

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/store"
)

// jwtBearer is the only kind of client assertion (RFC 7523 §2.2).
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// What an access token is good for, as its scope says.
const (
	scopeAll  = "scim"
	scopeRead = "scim.read"
)

// A Charge counts requests of a tenant's provisioning clients: see scimhttp.
type Charge func(ctx context.Context, tenant string, perSecond, n int) (wait time.Duration, err error)

// access gives an identity provider's client an access token for SCIM (RFC 6749
// §4.4): POST /t/{tenant}/oauth/token. The client proves itself by a secret, in
// the form or in HTTP Basic, or by an assertion (RFC 7523 §2.2). Parameters that
// are not known are ignored, scope among them: the client has what was set up.
//
// An unknown tenant, an unknown client, a disabled connection, a secret that is
// wrong, expired or revoked, and an assertion that does not hold, was brought
// before or cannot be verified are one answer: invalid_client, 401 (RFC 6749 §5.2,
// RFC 7523 §3.2). So are keys that cannot be read: another answer, 503, would say, with
// nothing proved, that there is such a client. The time that it takes may say so: an
// assertion for a client that is set up for one waits for its issuer's keys, where they
// are not in memory. The reason is in the log, and where the client is known in its
// tenant's provisioning log: see [Issuer.judge].
func (i *Issuer) access(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	claimed, err := claimant(r, form)
	if err != nil {
		return err
	}
	c, err := i.store.Client(r.Context(), chi.URLParam(r, "tenant"), claimed.id)
	if err != nil {
		return err
	}
	token, err := i.grant(r, c, claimed)
	if err != nil {
		return &clientError{err, c}
	}
	writeJSON(w, http.StatusOK, newAccessAnswer(c, token))
	return nil
}

// grant gives the client a token once it has proved itself, which counts against its
// tenant.
func (i *Issuer) grant(r *http.Request, c *store.Client, claimed claim) (store.ClientToken, error) {
	if err := i.prove(r, c, claimed); err != nil {
		return store.ClientToken{}, err
	}
	wait, err := i.config.Charge(r.Context(), c.Tenant, c.Rate(), 1)
	if wait > 0 {
		err = tooManyRequests(wait)
	}
	if err != nil {
		return store.ClientToken{}, err
	}
	return c.Token(r.Context())
}

// came is how the provisioning log keeps a token request: neither its form nor its query,
// either of which may hold a secret.
func (i *Issuer) came(r *http.Request) store.Request {
	return store.Request{ID: i.config.RequestID(r), Method: r.Method, Path: r.URL.Path, Began: i.config.Now()}
}

// An accessAnswer is a successful answer (RFC 6749 §5.1).
type accessAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
}

func newAccessAnswer(c *store.Client, token store.ClientToken) accessAnswer {
	a := accessAnswer{AccessToken: token.Token, TokenType: "Bearer", ExpiresIn: int(token.Lifetime.Seconds()), Scope: scopeAll}
	if c.ReadOnly {
		a.Scope = scopeRead
	}
	return a
}

// A claim is who a client says it is, and by what it means to prove it.
type claim struct {
	client           // with a secret, or:
	assertion string // a JWT
}

// claimant reads an access token request. What cannot be right whoever sends it is
// refused before the database is asked.
func claimant(r *http.Request, form url.Values) (claim, error) {
	if !once(form) {
		return claim{}, badRequest("a parameter is given more than once")
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return claim{}, badRequest("grant_type is missing")
	default:
		return claim{}, &fault{status: http.StatusBadRequest, code: "unsupported_grant_type", description: "grant_type must be client_credentials"}
	}
	if form.Has("client_assertion") || form.Has("client_assertion_type") {
		return asserted(r, form)
	}
	c, err := clientOf(r, form)
	if err == nil && c.secret == "" {
		err = store.ErrUnauthenticated
	}
	return claim{client: c}, err
}

// asserted reads a client that brings an assertion, and no other proof (RFC 7521
// §4.2). It need not say who it is: the assertion's subject is its client id then.
func asserted(r *http.Request, form url.Values) (claim, error) {
	switch {
	case form.Get("client_assertion_type") != jwtBearer:
		return claim{}, badRequest("client_assertion_type must be %s", jwtBearer)
	case form.Get("client_assertion") == "":
		return claim{}, badRequest("client_assertion is missing")
	case form.Has("client_secret") || r.Header.Get("Authorization") != "":
		return claim{}, badRequest("use one way to authenticate the client")
	}
	c := claim{client: client{id: form.Get("client_id")}, assertion: form.Get("client_assertion")}
	if c.id == "" {
		c.id = fetch.AssertionSubject(c.assertion)
	}
	return c, c.check()
}

// prove holds what the client brings against what it was set up with.
func (i *Issuer) prove(r *http.Request, c *store.Client, claimed claim) error {
	if claimed.assertion == "" {
		return c.ProveSecret(claimed.secret)
	}
	if err := c.Shut(); err != nil {
		return err
	}
	assertion, err := i.verify(r.Context(), c, claimed.assertion)
	if err != nil {
		return i.refuseAssertion(r, claimed, err)
	}
	c.ProveAssertion(assertion.ID, assertion.Expires)
	return nil
}

// verify verifies an assertion by the keys of the issuer that the client was set
// up with. Entra's have no jti, and may be brought again until they expire.
func (i *Issuer) verify(ctx context.Context, c *store.Client, raw string) (fetch.Assertion, error) {
	if c.Trust.Issuer == "" {
		return fetch.Assertion{}, store.ErrUnauthenticated
	}
	scope := c.Tenant + "/" + c.Connection.String()
	keys := c.Trust.JWKSURI
	if keys == "" {
		metadata, err := i.config.Fetch.Metadata(ctx, scope, c.Trust.Issuer)
		if err != nil {
			return fetch.Assertion{}, err
		}
		keys = metadata.JWKSURI
	}
	return i.config.Fetch.VerifyAssertion(ctx, raw, fetch.ExpectAssertion{
		Scope: scope, Issuer: c.Trust.Issuer, JWKSURI: keys, Subject: c.Trust.Subject, Audiences: c.Trust.Audiences,
		TokenID: c.Kind != "entra",
	})
}

// refuseAssertion says in the log why an assertion proves nothing: that it does not hold,
// or that nobody can tell, which whoever runs this server has to see to.
func (i *Issuer) refuseAssertion(r *http.Request, claimed claim, err error) error {
	if ended := r.Context().Err(); ended != nil {
		return ended
	}
	level, detail := slog.LevelInfo, "the client is not set up to be proved by assertions"
	switch {
	case errors.Is(err, fetch.ErrRefused):
		detail = "the assertion does not hold: " + fetch.Detail(err)
	case !errors.Is(err, store.ErrUnauthenticated):
		level, detail = slog.LevelWarn, "the keys of the assertion's issuer cannot be read: "+fetch.Detail(err)
	}
	i.log.Log(r.Context(), level, "client assertion refused", "request", i.config.RequestID(r), "client", claimed.id, "detail", detail)
	return fmt.Errorf("%w: %s", store.ErrUnauthenticated, detail)
}
