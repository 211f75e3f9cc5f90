package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// upstreamScope asks for the ID Token, and for profile because Entra puts oid
// only into the tokens of those who do.
const upstreamScope = "openid profile"

// Begin takes over a browser whose authorization request holds: it finds the
// organisation and sends the browser to its identity provider, or shows a page.
// params are the request's parameters: tenant, connection and login_hint say whose
// the person is; login_hint, prompt and max_age are passed on.
func (l *Login) Begin(w http.ResponseWriter, r *http.Request, application registry.Application, request store.SignInRequest, params url.Values) {
	a := &attempt{application: application, client: application.ClientID, params: params}
	if err := l.begin(w, r, a, request); err != nil {
		l.show(w, r, a, err)
	}
}

func (l *Login) begin(w http.ResponseWriter, r *http.Request, a *attempt, request store.SignInRequest) error {
	connection, err := l.home(r.Context(), a)
	if err != nil {
		return err
	}
	metadata, err := l.fetch.Metadata(r.Context(), scope(a.tenant, connection), connection.Issuer)
	if err != nil {
		return refuse("idp_unreachable", fetch.Detail(err))
	}
	request.Tenant, request.ConnectionID = a.tenant, connection.ID.String()
	signIn, err := l.store.BeginSignIn(r.Context(), request)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("connection_disabled", "while the sign-in began")
	}
	if err != nil {
		return err
	}
	target, err := l.upstream(metadata, signIn, a.params)
	if err != nil {
		return err
	}
	l.bind(w, r, signIn)
	redirect(w, target)
	return nil
}

// upstream is the authorization request to the identity provider (RFC 6749
// §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).
func (l *Login) upstream(metadata fetch.Metadata, signIn store.SignIn, params url.Values) (string, error) {
	target, err := url.Parse(metadata.AuthorizationEndpoint)
	if err != nil {
		return "", err // fetch has checked it
	}
	challenge := sha256.Sum256([]byte(signIn.Verifier))
	query := target.Query() // RFC 6749 §3.1: an endpoint's own query stays
	for name, value := range map[string]string{
		"response_type":         "code",
		"client_id":             signIn.Connection.ClientID,
		"redirect_uri":          l.redirectURI(signIn),
		"scope":                 upstreamScope,
		"state":                 signIn.State,
		"nonce":                 signIn.Nonce,
		"code_challenge":        base64.RawURLEncoding.EncodeToString(challenge[:]),
		"code_challenge_method": "S256",
	} {
		query.Set(name, value)
	}
	for _, name := range []string{"login_hint", "prompt", "max_age"} {
		if value := params.Get(name); value != "" {
			query.Set(name, value)
		}
	}
	target.RawQuery = query.Encode()
	return target.String(), nil
}

// scope keeps what fetch remembers of one connection apart from all others.
func scope(tenant string, connection registry.Connection) string {
	return tenant + "/" + connection.ID.String()
}

func (l *Login) redirectURI(signIn store.SignIn) string {
	return CallbackURL(l.publicURL, signIn.Tenant, signIn.Connection.ID.String())
}

// home finds the connection at which the person signs in. Where it cannot tell,
// the error is a page that asks.
func (l *Login) home(ctx context.Context, a *attempt) (registry.Connection, error) {
	slug, err := l.organisation(ctx, a)
	if err != nil {
		return registry.Connection{}, err
	}
	tenant, connections, err := l.connections(ctx, a, slug)
	if err != nil {
		return registry.Connection{}, err
	}
	a.tenant = tenant.Slug
	connection, err := choose(a, tenant, connections)
	a.connection = connection.Name
	return connection, err
}
