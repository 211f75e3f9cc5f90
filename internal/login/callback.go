package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/store"
)

// callback is where an identity provider sends the browser back to.
func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	a := &attempt{tenant: chi.URLParam(r, "tenant"), connection: chi.URLParam(r, "connection")}
	if err := l.finish(w, r, a); err != nil {
		l.show(w, r, a, err)
	}
}

// finish ends a sign-in: the state is spent before the provider is asked, so
// that one callback makes one token request, however often it is sent.
func (l *Login) finish(w http.ResponseWriter, r *http.Request, a *attempt) error {
	response, err := parseResponse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	signIn, err := l.resume(w, r, a, response)
	if err != nil {
		return err
	}
	metadata, err := l.fetch.Metadata(r.Context(), scope(signIn.Tenant, signIn.Connection), signIn.Connection.Issuer)
	if err != nil {
		return refuse("idp_unreachable", fetch.Detail(err))
	}
	if err := response.check(metadata); err != nil {
		return err
	}
	identity, err := l.identify(r.Context(), signIn, metadata, response.code)
	if err != nil {
		return err
	}
	decision, code, err := l.store.MintCode(r.Context(), signIn, identity)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("sign_in_expired", "the application does not serve the tenant any more, or the sign-in was minted before")
	}
	if err != nil {
		return err
	}
	if !decision.Allowed {
		return decided(decision, signIn.Connection, identity)
	}
	l.respond(w, signIn.Request.RedirectURI, signIn.Request.State, url.Values{"code": {code}})
	return nil
}

// resume finds the sign-in that this browser began at this connection, and
// spends its state. Unknown, used, late, another browser's and another
// connection's are one answer.
func (l *Login) resume(w http.ResponseWriter, r *http.Request, a *attempt, response response) (store.SignIn, error) {
	browser := l.browser(r, response.state)
	if browser == "" || !isSlug(a.tenant) || !isConnection(a.connection) {
		return store.SignIn{}, refuse("sign_in_expired", "this browser has not begun it")
	}
	signIn, err := l.store.ResumeSignIn(r.Context(), a.tenant, a.connection, response.state, browser)
	if errors.Is(err, store.ErrNotFound) {
		return store.SignIn{}, refuse("sign_in_expired", "the state is unknown, used, late, or another browser's or connection's")
	}
	if err != nil {
		return store.SignIn{}, err
	}
	l.unbind(w, response.state)
	a.connection, a.client = signIn.Connection.Name, signIn.Request.ClientID
	return signIn, nil
}

// A response is what the identity provider put into the redirect (RFC 6749
// §4.1.2, RFC 9207 §2).
type response struct {
	state, code, issuer, fault string
	hasIssuer                  bool
}

// parseResponse refuses a response with a repeated parameter: which of the two
// was meant is not for us to say.
func parseResponse(query string) (response, error) {
	const most = 16 << 10
	params, err := url.ParseQuery(query)
	if err != nil || len(query) > most {
		return response{}, refuse("bad_response", "the query is too long or cannot be read")
	}
	for name, values := range params {
		if len(values) > 1 {
			return response{}, refuse("bad_response", "a parameter is repeated: "+clip(name))
		}
	}
	r := response{
		state: params.Get("state"), code: params.Get("code"), issuer: params.Get("iss"), fault: params.Get("error"),
		hasIssuer: params.Has("iss"),
	}
	if r.state == "" {
		return response{}, refuse("sign_in_expired", "the response has no state")
	}
	return r, nil
}

// check compares the issuer byte for byte before anything else of the response
// is believed (RFC 9207 §2.4, RFC 9700 §4.4).
func (r response) check(metadata fetch.Metadata) error {
	switch {
	case r.hasIssuer && r.issuer != metadata.Issuer:
		return refuse("issuer_mismatch", "iss of the response is "+clip(r.issuer)+", not "+metadata.Issuer)
	case !r.hasIssuer && metadata.IssInResponse:
		return refuse("issuer_mismatch", "the provider says that it sends iss, and this response has none")
	case r.fault == "access_denied":
		return refuse("idp_denied", "the identity provider answered access_denied")
	case r.fault != "":
		return refuse("idp_error", "the identity provider answered "+clip(r.fault))
	case r.code == "":
		return refuse("bad_response", "the response has neither code nor error")
	}
	return nil
}

// identify exchanges the code and verifies the ID Token. Tokens end here.
func (l *Login) identify(ctx context.Context, signIn store.SignIn, metadata fetch.Metadata, code string) (store.Identity, error) {
	connection := signIn.Connection
	tokens, err := l.fetch.Exchange(ctx, fetch.TokenRequest{
		Endpoint: metadata.TokenEndpoint, AuthMethod: metadata.TokenAuthMethod(),
		ClientID: connection.ClientID, ClientSecret: connection.Secret,
		Code: code, RedirectURI: l.redirectURI(signIn), Verifier: signIn.Verifier,
	})
	if err != nil {
		return store.Identity{}, refuseUpstream(err)
	}
	claims, err := l.fetch.VerifyIDToken(ctx, tokens.IDToken, fetch.Expect{
		Scope:  scope(signIn.Tenant, connection),
		Issuer: connection.Issuer, JWKSURI: metadata.JWKSURI, ClientID: connection.ClientID, Nonce: signIn.Nonce,
		Algorithms: metadata.Algorithms(), AccessToken: tokens.AccessToken, Code: code,
		MaxAge: maxAge(signIn.Request),
	})
	if err != nil {
		return store.Identity{}, refuseUpstream(err)
	}
	return identity(claims, connection.MatchClaim)
}

// maxAge is how long ago the person may have authenticated (OpenID Connect Core
// §3.1.2.1); 0 where the application does not mind. Asked for no time at all, that is
// the shortest there is: fetch adds what two clocks may differ by.
func maxAge(request store.SignInRequest) time.Duration {
	if request.MaxAge == nil {
		return 0
	}
	return max(time.Duration(*request.MaxAge)*time.Second, 1)
}

// identity takes from the claims what links a person. The claim that is to match
// may be absent: store decides what that means. Present, it must be a JSON string.
func identity(claims fetch.Claims, matchClaim string) (store.Identity, error) {
	match, ok := claims.String(matchClaim)
	if !ok && claims.Has(matchClaim) || !isText(match) {
		return store.Identity{}, refuse("claim_not_text", "the claim "+matchClaim+" of the ID Token is not a JSON string that names somebody")
	}
	authenticated, _ := claims.Time("auth_time")
	return store.Identity{
		Issuer: claims.Issuer, Subject: claims.Subject, Match: match, AuthTime: authenticated, Hint: hint(claims),
	}, nil
}

// hint is the name that the person signs in with. It diagnoses a mapping; nobody is
// found by it.
func hint(claims fetch.Claims) string {
	for _, name := range []string{"preferred_username", "upn", "email"} {
		if value, ok := claims.String(name); ok && isText(value) {
			return value
		}
	}
	return ""
}

// refuseUpstream tells a provider that cannot be used from one that said no.
func refuseUpstream(err error) error {
	if errors.Is(err, fetch.ErrRefused) {
		return refuse("idp_refused", fetch.Detail(err))
	}
	return refuse("idp_unreachable", fetch.Detail(err))
}

// clip bounds text of others that goes into the log.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
