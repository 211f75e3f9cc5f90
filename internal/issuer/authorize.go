package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// An authorizationError goes back to the application (RFC 6749 §4.1.2.1,
// OpenID Connect Core §3.1.2.6).
type authorizationError struct{ code, description string }

func (e *authorizationError) Error() string { return e.code + ": " + e.description }

// authorize checks an authorization request and hands the browser to SignIn. It
// trusts the redirect URI only when it is, byte for byte, one of the
// application's; until then faults end on a page.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) error {
	if wait := i.config.Begins(r); wait > 0 {
		w.Header().Set("Retry-After", seconds(wait))
		return &pageError{reason: "too_many_requests"}
	}
	params, err := authorizationParams(w, r)
	if err != nil {
		return &pageError{reason: "bad_request"}
	}
	application, err := i.application(r.Context(), params)
	if err != nil {
		return err
	}
	request, err := authorizationRequest(params, application)
	if refused, ok := errors.AsType[*authorizationError](err); ok {
		i.config.Refused(refused.code)
		i.respond(w, params.Get("redirect_uri"), echo(params), url.Values{
			"error": {refused.code}, "error_description": {refused.description},
		})
		return nil
	}
	i.config.SignIn(w, r, application, request, params)
	return nil
}

// authorizationParams reads the query of a GET or the form of a POST (OpenID
// Connect Core §3.1.2.1). A query that does not parse is no request.
func authorizationParams(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost {
		return readForm(w, r)
	}
	return url.ParseQuery(r.URL.RawQuery)
}

// application finds who asks and holds the redirect URI against its registered ones.
func (i *Issuer) application(ctx context.Context, params url.Values) (registry.Application, error) {
	if len(params["client_id"]) != 1 || !isName(params.Get("client_id")) {
		return registry.Application{}, &pageError{reason: "unknown_application"}
	}
	application, err := i.store.Application(ctx, params.Get("client_id"))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return registry.Application{}, &pageError{reason: "unknown_application"}
	case err != nil:
		return registry.Application{}, err
	case len(params["redirect_uri"]) != 1 || !slices.Contains(application.RedirectURIs, params.Get("redirect_uri")):
		return registry.Application{}, &pageError{"redirect_mismatch", application.ClientID}
	case application.State != "active":
		return registry.Application{}, &pageError{string(store.ApplicationDisabled), application.ClientID}
	}
	return application, nil
}

// authorizationRequest checks what the application asks for. Parameters it does
// not know are ignored (RFC 6749 §3.1); those that would change the meaning of
// the request, and are not supported, refuse it.
func authorizationRequest(params url.Values, application registry.Application) (store.SignInRequest, error) {
	for _, check := range []func(url.Values) error{checkShape, checkUnsupported, checkFlow, checkPrompt} {
		if err := check(params); err != nil {
			return store.SignInRequest{}, err
		}
	}
	if resource := params.Get("resource"); resource != "" && resource != application.Audience {
		return store.SignInRequest{}, &authorizationError{"invalid_target", "resource is not this application's audience"}
	}
	age, err := maxAge(params)
	if err != nil {
		return store.SignInRequest{}, err
	}
	return store.SignInRequest{
		ClientID:      application.ClientID,
		RedirectURI:   params.Get("redirect_uri"),
		State:         params.Get("state"),
		Nonce:         params.Get("nonce"),
		CodeChallenge: params.Get("code_challenge"),
		Scope:         scope(params.Get("scope")),
		MaxAge:        age,
	}, nil
}

func checkShape(params url.Values) error {
	if !once(params) {
		return &authorizationError{"invalid_request", "a parameter is given more than once"}
	}
	for _, name := range []string{"state", "nonce", "scope", "login_hint", "tenant", "connection"} {
		if !isText(params.Get(name)) {
			return &authorizationError{"invalid_request", name + " is longer than 2 KiB or has characters that are not text"}
		}
	}
	return nil
}

// checkUnsupported refuses request objects, whose content would win over the
// parameters (OpenID Connect Core §6), and registration by request (§7.2.1).
func checkUnsupported(params url.Values) error {
	for _, name := range []string{"request", "request_uri", "registration"} {
		if params.Get(name) != "" {
			return &authorizationError{name + "_not_supported", name + " is not supported"}
		}
	}
	return nil
}

// checkFlow allows one flow: code, by query, with PKCE S256 (RFC 9700 §2.1.1).
func checkFlow(params url.Values) error {
	switch params.Get("response_type") {
	case "code":
	case "":
		return &authorizationError{"invalid_request", "response_type is missing"}
	default:
		return &authorizationError{"unsupported_response_type", "response_type must be code"}
	}
	if mode := params.Get("response_mode"); mode != "" && mode != "query" {
		return &authorizationError{"invalid_request", "response_mode must be query"}
	}
	if params.Get("code_challenge_method") != "S256" {
		return &authorizationError{"invalid_request", "PKCE is required: code_challenge_method must be S256"}
	}
	// S256 makes 32 bytes, 43 characters without padding (RFC 7636 §4.2).
	hash, err := base64.RawURLEncoding.Strict().DecodeString(params.Get("code_challenge"))
	if err != nil || len(hash) != 32 {
		return &authorizationError{"invalid_request", "PKCE is required: code_challenge must be 43 characters of base64url"}
	}
	return nil
}

// checkPrompt refuses what cannot be promised: no session is kept here, so
// nobody enters without a page of the identity provider (OpenID Connect Core
// §3.1.2.1, §3.1.2.6).
func checkPrompt(params url.Values) error {
	prompts := strings.Fields(params.Get("prompt"))
	for _, prompt := range prompts {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, prompt) {
			return &authorizationError{"invalid_request", "prompt must be none, login, consent or select_account"}
		}
	}
	if slices.Contains(prompts, "none") {
		if len(prompts) > 1 {
			return &authorizationError{"invalid_request", "prompt none stands alone"}
		}
		return &authorizationError{"login_required", "the person has to sign in at the identity provider"}
	}
	return nil
}

// maxAge reads how many seconds ago the person may have authenticated; nil where
// the application does not say (OpenID Connect Core §3.1.2.1).
func maxAge(params url.Values) (*int64, error) {
	const digits = 9 // some thirty years
	text := params.Get("max_age")
	if text == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(text) > digits || strings.Trim(text, "0123456789") != "" {
		return nil, &authorizationError{"invalid_request", "max_age must be a whole number of seconds, of at most 9 digits"}
	}
	return &seconds, nil
}

// scope keeps of the requested scopes those that mean something here; the
// answer of the token endpoint says which (RFC 6749 §3.3).
func scope(requested string) string {
	if slices.Contains(strings.Split(requested, " "), "openid") {
		return "openid"
	}
	return ""
}

// echo is the state to send back: none where it was repeated or is not text.
func echo(params url.Values) string {
	if state := params["state"]; len(state) == 1 && isText(state[0]) {
		return state[0]
	}
	return ""
}
