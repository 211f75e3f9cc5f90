package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A provider is an OpenID Provider that does what a test asks of it.
type provider struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu       sync.Mutex
	metadata map[string]any             // changes to the discovery document
	claims   map[string]any             // of whoever signs in next
	bend     func(token map[string]any) // the ID Token, before it is signed
	nonces   map[string]string          // code → nonce
	asked    []url.Values               // authorization requests
	redeemed []url.Values               // token requests, with what came in Basic
	canary   int                        // requests to /canary

	described int // requests for the discovery document
}

func newProvider(t *testing.T) *provider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, nonces: map[string]string{}, metadata: map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /jwks", p.jwks)
	mux.HandleFunc("/canary", func(http.ResponseWriter, *http.Request) { p.change(func() { p.canary++ }) })
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// change runs do while no request is looking.
func (p *provider) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

// person says who signs in from now on.
func (p *provider) person(claims map[string]any) { p.change(func() { p.claims = claims }) }

// tokenCalls is how often a code was brought.
func (p *provider) tokenCalls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.redeemed)
}

// lastAsked is the latest authorization request.
func (p *provider) lastAsked() url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[len(p.asked)-1]
}

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.described++
	document := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks",
		"id_token_signing_alg_values_supported": []string{"ES256"},
	}
	for name, value := range p.metadata {
		document[name] = value
	}
	json.NewEncoder(w).Encode(document)
}

// authorize signs in without asking.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	query := r.URL.Query()
	p.asked = append(p.asked, query)
	code := rand.Text()
	p.nonces[code] = query.Get("nonce")
	answer := url.Values{"code": {code}, "state": {query.Get("state")}}
	if p.metadata["authorization_response_iss_parameter_supported"] == true {
		answer.Set("iss", p.URL)
	}
	http.Redirect(w, r, query.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.ParseForm()
	id, secret, _ := r.BasicAuth()
	r.PostForm.Set("basic", id+":"+secret)
	p.redeemed = append(p.redeemed, r.PostForm)
	nonce, known := p.nonces[r.PostForm.Get("code")]
	if !known {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	delete(p.nonces, r.PostForm.Get("code"))
	json.NewEncoder(w).Encode(map[string]any{"access_token": "upstream", "token_type": "Bearer", "id_token": p.idToken(id, nonce)})
}

func (p *provider) idToken(audience, nonce string) string {
	now := time.Now()
	token := map[string]any{
		"iss": p.URL, "aud": audience, "nonce": nonce, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"auth_time": now.Add(-time.Minute).Unix(),
	}
	for name, value := range p.claims {
		token[name] = value
	}
	if p.bend != nil {
		p.bend(token)
	}
	return sign(p.key, token)
}

// sign makes a compact JWS with the kid "k".
func sign(key *ecdsa.PrivateKey, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		panic(err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		panic(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

func (p *provider) jwks(w http.ResponseWriter, _ *http.Request) {
	json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
}

// s256 is the challenge of a verifier (RFC 7636 §4.2).
func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
