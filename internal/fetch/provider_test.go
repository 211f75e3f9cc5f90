package fetch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when these tests take place.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// clock is a time that a test moves by hand.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(noon.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// provider is an OpenID Provider on loopback that does what a test tells it.
type provider struct {
	*httptest.Server
	discovery, keys, token http.HandlerFunc
	keyGets, requests      atomic.Int64
	mu                     sync.Mutex // guards the handlers
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	p.discovery = func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, p.metadata()) }
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	p.mu.Lock()
	discovery, keys, token := p.discovery, p.keys, p.token
	p.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		discovery(w, r)
	case "/keys":
		p.keyGets.Add(1)
		keys(w, r)
	case "/token":
		token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (p *provider) metadata() map[string]any {
	return map[string]any{
		"issuer":                 p.URL,
		"authorization_endpoint": p.URL + "/authorize",
		"token_endpoint":         p.URL + "/token",
		"jwks_uri":               p.URL + "/keys",
	}
}

// publish serves keys from now on.
func (p *provider) publish(keys ...jose.JSONWebKey) {
	for i := range keys {
		keys[i] = keys[i].Public()
	}
	document, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		panic(err)
	}
	p.publishText(string(document))
}

func (p *provider) publishText(document string) {
	p.serveKeys(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, document) })
}

func (p *provider) serveKeys(handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = handler
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// localClient is a Client that may reach loopback, with a clock of the test.
func localClient(t *testing.T, clock *clock) *Client {
	t.Helper()
	c := NewClient(Config{AllowLoopback: true, Now: clock.now})
	t.Cleanup(c.Close)
	return c
}

var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// rsaKey returns one of three keys under the given kid.
func rsaKey(kid string, n int) jose.JSONWebKey {
	return jose.JSONWebKey{Key: rsaKeys()[n], KeyID: kid, Algorithm: "RS256", Use: "sig"}
}

func ecKey(t *testing.T, kid string) jose.JSONWebKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: "ES256", Use: "sig"}
}

// sign returns payload in compact form with the extra header members.
func sign(t *testing.T, key jose.JSONWebKey, payload string, header map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// claims returns those of a good ID Token of p at noon with changes applied; a nil value
// removes the claim.
func (p *provider) claims(changes map[string]any) string {
	claims := map[string]any{
		"iss": p.URL, "sub": "alice", "aud": "muster", "nonce": "n-1",
		"iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// expect is what a sign-in at p waits for.
func (p *provider) expect() Expect {
	return Expect{Scope: "ringling/entra", Issuer: p.URL, JWKSURI: p.URL + "/keys", ClientID: "muster", Nonce: "n-1"}
}

// verify runs VerifyIDToken with the expectation of p.
func verify(t *testing.T, c *Client, p *provider, raw string) (Claims, error) {
	t.Helper()
	return c.VerifyIDToken(context.Background(), raw, p.expect())
}
