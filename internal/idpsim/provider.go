package idpsim

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	codeLifetime = time.Minute
	maxForm      = 64 << 10
)

// Client is a relying party that may send people to sign in.
type Client struct {
	ID, Secret   string
	RedirectURIs []string // compared exactly
}

// provider is the OpenID Provider of an IdP.
type provider struct {
	idp  *IdP
	path paths

	mu      sync.Mutex // guards what follows
	clients map[string]Client
	codes   map[string]grant
	key     *jose.JSONWebKey // nil until it is needed
}

// paths are the addresses of a persona, below Options.URL.
type paths struct{ issuer, authorize, token, keys string }

// grant is what a code stands for.
type grant struct {
	person                  Person
	client, redirectURI     string
	nonce, challenge, scope string
	authenticated, expires  time.Time
}

func newProvider(idp *IdP) *provider {
	op := &provider{idp: idp, clients: map[string]Client{}, codes: map[string]grant{}}
	if idp.options.Persona == Entra {
		tenant := "/" + idp.directory.Tenant
		op.path = paths{tenant + "/v2.0", tenant + "/oauth2/v2.0/authorize", tenant + "/oauth2/v2.0/token", tenant + "/discovery/v2.0/keys"}
	} else {
		op.path = paths{"", "/oauth2/v1/authorize", "/oauth2/v1/token", "/oauth2/v1/keys"}
	}
	for _, client := range idp.options.Clients {
		op.clients[client.ID] = client
	}
	return op
}

// Issuer returns the issuer of this IdP's ID Tokens: as Entra with the tenant id in it.
func (idp *IdP) Issuer() string { return strings.TrimRight(idp.options.URL, "/") + idp.op.path.issuer }

// Register adds a relying party, or replaces the one with its id.
func (idp *IdP) Register(client Client) {
	idp.op.mu.Lock()
	defer idp.op.mu.Unlock()
	idp.op.clients[client.ID] = client
}

// RotateKey makes a new signing key and withdraws the old one.
func (idp *IdP) RotateKey() {
	idp.op.mu.Lock()
	defer idp.op.mu.Unlock()
	idp.op.key = nil
}

// Handler returns the OpenID Provider, with a page of the directory at its root.
func (idp *IdP) Handler() http.Handler {
	op := idp.op
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+op.path.issuer+"/.well-known/openid-configuration", op.discovery)
	mux.HandleFunc("GET "+op.path.authorize, op.authorize)
	mux.HandleFunc("POST "+op.path.authorize, op.authorize)
	mux.HandleFunc("POST "+op.path.token, op.token)
	mux.HandleFunc("GET "+op.path.keys, op.keys)
	mux.HandleFunc("GET /{$}", idp.home)
	mux.HandleFunc("POST /people/{nickname}/{action}", idp.act)
	return http.NewCrossOriginProtection().Handler(limitForm(mux))
}

func limitForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// Listen listens on a loopback address, "127.0.0.1:9101" or "localhost:0". Any other is an
// error: who reaches this IdP can sign in as anybody.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if err := checkLoopback(listener.Addr()); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

func checkLoopback(address net.Addr) error {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address: this identity provider lets anybody in", address)
	}
	return nil
}

// Serve serves Handler on the listener until ctx ends.
func (idp *IdP) Serve(ctx context.Context, listener net.Listener) error {
	if err := checkLoopback(listener.Addr()); err != nil {
		return err
	}
	server := &http.Server{Handler: idp.Handler(), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	err := server.Serve(listener)
	if stop() { // ctx did not end: serving failed
		return err
	}
	return <-stopped
}

func (op *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	base := strings.TrimRight(op.idp.options.URL, "/")
	document := map[string]any{
		"issuer":                                op.idp.Issuer(),
		"authorization_endpoint":                base + op.path.authorize,
		"token_endpoint":                        base + op.path.token,
		"jwks_uri":                              base + op.path.keys,
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"scopes_supported":                      []string{"openid", "profile", "email"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"code_challenge_methods_supported":      []string{"S256"},
		"subject_types_supported":               []string{map[bool]string{true: "pairwise", false: "public"}[op.idp.options.Persona == Entra]},
	}
	if op.idp.options.IssInResponse {
		document["authorization_response_iss_parameter_supported"] = true
	}
	writeJSON(w, http.StatusOK, document)
}

func (op *provider) keys(w http.ResponseWriter, _ *http.Request) {
	key, err := op.signingKey()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
}

// signingKey returns the key, making it if there is none.
func (op *provider) signingKey() (*jose.JSONWebKey, error) {
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.key != nil {
		return op.key, nil
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	op.key = &jose.JSONWebKey{Key: private, KeyID: rand.Text(), Use: "sig"}
	return op.key, nil
}

// authorize asks who signs in, or takes login_hint or the answer for it, and sends the
// browser back with a code (RFC 6749 §4.1).
func (op *provider) authorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	client, err := op.checkClient(r.Form)
	if err != nil { // never redirect to an address that nobody registered
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if code, err := checkRequest(r.Form); err != nil {
		op.answer(w, r, url.Values{"error": {code}, "error_description": {err.Error()}})
		return
	}
	who := r.Form.Get("person")
	if who == "" {
		who = r.Form.Get("login_hint")
	}
	person, err := op.idp.person(who)
	if err != nil {
		op.choose(w, r)
		return
	}
	op.answer(w, r, url.Values{"code": {op.grant(person, client, r.Form)}})
}

func (op *provider) checkClient(form url.Values) (Client, error) {
	op.mu.Lock()
	defer op.mu.Unlock()
	client, ok := op.clients[form.Get("client_id")]
	if !ok {
		return Client{}, fmt.Errorf("no application %q is registered here", form.Get("client_id"))
	}
	if !slices.Contains(client.RedirectURIs, form.Get("redirect_uri")) {
		return Client{}, fmt.Errorf("redirect_uri %q is not registered for %q", form.Get("redirect_uri"), client.ID)
	}
	return client, nil
}

// checkRequest returns the error code of an authorization request that is refused.
func checkRequest(form url.Values) (string, error) {
	switch {
	case form.Get("response_type") != "code":
		return "unsupported_response_type", errors.New("response_type must be code")
	case form.Get("response_mode") != "" && form.Get("response_mode") != "query":
		return "invalid_request", errors.New("response_mode must be query")
	case !slices.Contains(strings.Fields(form.Get("scope")), "openid"):
		return "invalid_scope", errors.New("scope must hold openid")
	case form.Get("code_challenge_method") != "S256" || len(form.Get("code_challenge")) != 43:
		return "invalid_request", errors.New("PKCE with S256 is required")
	}
	return "", nil
}

// answer sends the browser back to the relying party.
func (op *provider) answer(w http.ResponseWriter, r *http.Request, values url.Values) {
	target, err := url.Parse(r.Form.Get("redirect_uri"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	query := target.Query()
	for name, value := range values {
		query[name] = value
	}
	if state := r.Form.Get("state"); state != "" {
		query.Set("state", state)
	}
	if op.idp.options.IssInResponse {
		query.Set("iss", op.idp.Issuer())
	}
	target.RawQuery = query.Encode()
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, target.String(), http.StatusSeeOther)
}

// grant makes a code, and forgets those that nobody fetched.
func (op *provider) grant(person Person, client Client, form url.Values) string {
	now := op.idp.options.Now()
	code := rand.Text() + rand.Text()
	op.mu.Lock()
	defer op.mu.Unlock()
	for old, g := range op.codes {
		if now.After(g.expires) {
			delete(op.codes, old)
		}
	}
	op.codes[code] = grant{
		person: person, client: client.ID, redirectURI: form.Get("redirect_uri"),
		nonce: form.Get("nonce"), challenge: form.Get("code_challenge"), scope: form.Get("scope"),
		authenticated: now, expires: now.Add(codeLifetime),
	}
	return code
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
