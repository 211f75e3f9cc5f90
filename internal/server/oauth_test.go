package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/history"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// jwtBearer says that a client proves itself by an assertion (RFC 7523 §2.2).
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// client adds an OAuth client with a secret to a connection of acme's.
func (w *world) client(connection string, change ...func(*registry.Client)) (secret string, c registry.Client) {
	w.t.Helper()
	c = registry.Client{Connection: connection, Name: "provisioning"}
	for _, ch := range change {
		ch(&c)
	}
	secret, c, err := w.vendor.AddClient(soon(w.t), "acme", c, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret, c
}

// ask sends a token request of acme's. authorization is the whole header, "" for none.
func (w *world) ask(authorization string, form url.Values) answer {
	w.t.Helper()
	return w.form("/t/acme/oauth/token", authorization, form.Encode())
}

func post(c registry.Client, secret string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID.String()}, "client_secret": {secret}}
}

// token is the access token of an answer that gives one.
func (a answer) token(t *testing.T, what string) string {
	t.Helper()
	var body struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string `json:"scope"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: got %d %v: %s", what, a.status, err, a.body)
	}
	if body.TokenType != "Bearer" || body.ExpiresIn < 3600 || body.ExpiresIn > 21600 || body.Scope == "" {
		t.Errorf("%s: got %s", what, a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: headers %v, want JSON that no cache keeps", what, a.header)
	}
	return body.AccessToken
}

// Q9: a client fetches access tokens by the client credentials grant, whatever form
// fields come with it, and provisions with them (RFC 6749 §4.4, §2.3.1).
func TestQ9_AClientFetchesAccessTokens(t *testing.T) {
	w, _ := open(t)
	secret, c := w.client("entra", func(c *registry.Client) { c.Lifetime = 21600 })
	basicAuth := "Basic " + basic(url.QueryEscape(c.ID.String()), url.QueryEscape(secret))
	entra := post(c, secret)
	entra.Set("scope", "https://graph.example/.default")
	entra.Set("baseAddress", "https://id.example.com/scim")
	for what, a := range map[string]answer{
		"in the form":               w.ask("", post(c, secret)),
		"in HTTP Basic":             w.ask(basicAuth, url.Values{"grant_type": {"client_credentials"}}),
		"in both, the id only":      w.ask(basicAuth, url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID.String()}}),
		"with unknown form fields":  w.ask("", entra),
		"with parameters in no use": w.form("/t/acme/oauth/token?aadOptscim062020", "", post(c, secret).Encode()),
	} {
		token := a.token(t, what)
		if !strings.HasPrefix(token, registry.AccessPrefix) || !strings.Contains(a.body, `"expires_in":21600`) || !strings.Contains(a.body, `"scope":"scim"`) {
			t.Errorf("%s: got %s", what, a.body)
		}
		if a := w.scim("GET", "/Users", token, ""); a.status != http.StatusOK {
			t.Errorf("%s: the token got %d: %s", what, a.status, a.body)
		}
	}
	token := w.ask("", post(c, secret)).token(t, "once more")
	id := w.create("/Users", token, `{"userName":"alice@ringling.example"}`)
	if a := w.scim("GET", "/Users/"+id, token, ""); a.status != http.StatusOK {
		t.Errorf("what the client made: got %d: %s", a.status, a.body)
	}
	if log := w.log.String(); strings.Contains(log, secret) || strings.Contains(log, token) {
		t.Error("the log holds the secret or the token")
	}
}

// To whom does not prove itself, everything looks the same: 401, to the byte.
func TestATokenRequestRevealsNothing(t *testing.T) {
	w, token := open(t)
	secret, c := w.client("entra")
	ctx := soon(t)
	gone, removed := w.client("entra")
	if err := w.vendor.RemoveClient(ctx, "acme", removed.ID); err != nil {
		t.Fatal(err)
	}
	w.connect("acme", "off", "lenient")
	offSecret, off := w.client("off")
	if err := w.store.Revoke(ctx, "test", store.Switch{Tenant: "acme", Connection: "off", Off: true}); err != nil {
		t.Fatal(err)
	}
	w.tenant("globex")
	unknown := registry.Client{}
	want := w.ask("", post(unknown, "x"))
	if want.status != http.StatusUnauthorized || want.field(t, "error") != "invalid_client" || want.header.Get("WWW-Authenticate") == "" {
		t.Fatalf("an unknown client: got %s", want.same())
	}
	assertion := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID.String()}, "client_assertion_type": {jwtBearer}, "client_assertion": {"a.b.c"}}
	for what, a := range map[string]answer{
		"another secret":             w.ask("", post(c, registry.SecretPrefix+strings.Repeat("A", registry.SecretLength))),
		"no secret":                  w.ask("", url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID.String()}}),
		"nothing at all":             w.ask("", url.Values{"grant_type": {"client_credentials"}}),
		"another secret, in Basic":   w.ask("Basic "+basic(c.ID.String(), "x"), url.Values{"grant_type": {"client_credentials"}}),
		"a bearer token":             w.ask("Bearer "+token, url.Values{"grant_type": {"client_credentials"}}),
		"a SCIM token as the secret": w.ask("", post(c, token)),
		"a removed client":           w.ask("", post(removed, gone)),
		"a disabled connection":      w.ask("", post(off, offSecret)),
		"an assertion of nobody":     w.ask("", assertion),
		"at another tenant":          w.form("/t/globex/oauth/token", "", post(c, secret).Encode()),
		"at no tenant":               w.form("/t/nobody/oauth/token", "", post(c, secret).Encode()),
		"at no possible tenant":      w.form("/t/%00/oauth/token", "", post(c, secret).Encode()),
	} {
		if a.same() != want.same() {
			t.Errorf("%s: got\n%s\nwant\n%s", what, a.same(), want.same())
		}
	}
	w.ask("", post(c, secret)).token(t, "the client itself")
	for _, tenant := range []string{"nobody", "%00", "%ff", "a%2fb"} {
		w.send("GET", w.url+"/t/"+tenant+"/scim/v2/Users", "Bearer "+token, "").refusal(t, "SCIM at "+tenant, http.StatusUnauthorized, "")
	}
}

// What no client sends is refused before anybody is asked who it is (RFC 6749 §5.2).
func TestATokenRequestIsReadStrictly(t *testing.T) {
	w, _ := open(t)
	secret, c := w.client("entra")
	good := post(c, secret).Encode()
	for what, test := range map[string]struct{ authorization, form, want string }{
		"two grants":              {"", good + "&grant_type=client_credentials", "invalid_request"},
		"two secrets":             {"", good + "&client_secret=x", "invalid_request"},
		"an unknown field, twice": {"", good + "&a=1&a=2", "invalid_request"},
		"no grant":                {"", strings.Replace(good, "grant_type", "grant", 1), "invalid_request"},
		"another grant":           {"", strings.Replace(good, "client_credentials", "password", 1), "unsupported_grant_type"},
		"a code":                  {"", strings.Replace(good, "client_credentials", "authorization_code", 1), "unsupported_grant_type"},
		"no form":                 {"", "%zz", "invalid_request"},
		"a semicolon":             {"", strings.ReplaceAll(good, "&", ";"), "invalid_request"},
		"two proofs":              {"Basic " + basic(c.ID.String(), secret), good, "invalid_request"},
		"a secret and assertion":  {"", good + "&client_assertion=a.b.c&client_assertion_type=" + url.QueryEscape(jwtBearer), "invalid_request"},
		"another assertion":       {"", "grant_type=client_credentials&client_assertion=a.b.c&client_assertion_type=saml", "invalid_request"},
		"no kind of assertion":    {"", "grant_type=client_credentials&client_assertion=a.b.c", "invalid_request"},
		"no assertion":            {"", "grant_type=client_credentials&client_assertion_type=" + url.QueryEscape(jwtBearer), "invalid_request"},
		"too much":                {"", good + "&a=" + strings.Repeat("a", 70_000), "invalid_request"},
	} {
		a := w.form("/t/acme/oauth/token", test.authorization, test.form)
		if a.status != http.StatusBadRequest || a.field(t, "error") != test.want {
			t.Errorf("%s: got %d %s, want 400 %s", what, a.status, a.body, test.want)
		}
	}
	if a := w.send("POST", w.url+"/t/acme/oauth/token", "", `{"grant_type":"client_credentials"}`); a.status != http.StatusBadRequest {
		t.Errorf("JSON: got %d %s, want 400", a.status, a.body)
	}
	if a := w.send("GET", w.url+"/t/acme/oauth/token?"+good, "", ""); a.status != http.StatusMethodNotAllowed || strings.Contains(a.body, "access_token") {
		t.Errorf("GET: got %d %s, want 405", a.status, a.body)
	}
	if a := w.form("/t/acme/oauth/token?"+good, "", "grant_type=client_credentials"); a.status != http.StatusUnauthorized {
		t.Errorf("a secret in the address: got %d, want 401: parameters of the address are none", a.status)
	}
}

// A secret is followed by another without a gap, and ends with what was fetched with it.
func TestSecretsOfAClientOverlap(t *testing.T) {
	_, database := storetest.Database(t)
	one, two := start(t, storetest.Open(t, database)), start(t, storetest.Open(t, database))
	one.tenant("acme")
	one.connect("acme", "entra", "lenient")
	first, c := one.client("entra")
	second, _, err := one.vendor.AddClientSecret(soon(t), "acme", c.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	old, fresh := two.ask("", post(c, first)).token(t, "the first"), two.ask("", post(c, second)).token(t, "the second")
	for _, token := range []string{old, fresh} {
		if a := two.scim("GET", "/Users", token, ""); a.status != http.StatusOK {
			t.Errorf("before: got %d: %s", a.status, a.body)
		}
	}
	if err := one.vendor.RevokeClientSecret(soon(t), "acme", c.Secrets[0].ID); err != nil {
		t.Fatal(err)
	}
	two.scim("GET", "/Users", old, "").refusal(t, "a token of the revoked secret", http.StatusUnauthorized, "")
	if a := two.ask("", post(c, first)); a.status != http.StatusUnauthorized {
		t.Errorf("the revoked secret: got %d", a.status)
	}
	if a := two.scim("GET", "/Users", fresh, ""); a.status != http.StatusOK {
		t.Errorf("a token of the other secret: got %d: %s", a.status, a.body)
	}
}

// A tokenIssuer is who signs assertions: Entra, as far as a client's trust goes.
type tokenIssuer struct {
	*httptest.Server
	t      *testing.T
	key    *ecdsa.PrivateKey
	asked  atomic.Int64
	failed atomic.Bool
}

func newTokenIssuer(t *testing.T) *tokenIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &tokenIssuer{t: t, key: key}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Close)
	return i
}

func (i *tokenIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.asked.Add(1)
	if i.failed.Load() {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	var document any = map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/a", "token_endpoint": i.URL + "/t", "jwks_uri": i.URL + "/keys",
	}
	if r.URL.Path == "/keys" {
		document = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}}
	}
	json.NewEncoder(w).Encode(document)
}

// assertion is what Entra sends, with changes; a nil value removes the claim.
func (i *tokenIssuer) assertion(changes map[string]any) string {
	i.t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": i.URL, "sub": "sync", "aud": "api://muster", "iat": now.Add(-5 * time.Minute).Unix(), "nbf": now.Add(-5 * time.Minute).Unix(),
		"exp": now.Add(time.Hour).Unix(), "ver": "2.0", "oid": "sync",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "k"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		i.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func asserted(c registry.Client, assertion string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID.String()}, "client_assertion_type": {jwtBearer}, "client_assertion": {assertion}}
}

// federated starts a world whose acme has a connection of a kind, and a client of it
// that an issuer's assertions prove.
func federated(t *testing.T, kind string) (*world, *tokenIssuer, registry.Client) {
	t.Helper()
	w, i := start(t, storetest.New(t)), newTokenIssuer(t)
	w.tenant("acme")
	if _, err := w.vendor.AddConnection(soon(t), "acme", registry.Connection{Name: "idp", Kind: kind}); err != nil {
		t.Fatal(err)
	}
	_, c, err := w.vendor.AddClient(soon(t), "acme", registry.Client{Connection: "idp", Name: "WIF", Trust: registry.Trust{
		Issuer: i.URL, Subject: "sync", Audiences: []string{"api://muster", "muster", "api://muster/id.example.com"},
	}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return w, i, c
}

// Q9, Q10: Entra's workload identity federation proves the client by an assertion, for
// any of the audiences that were set up, each compared exactly (RFC 7523 §2.2, §3).
func TestQ10_AnAssertionProvesAClient(t *testing.T) {
	w, i, c := federated(t, "entra")
	for _, audience := range []string{"api://muster", "muster", "api://muster/id.example.com"} {
		form := asserted(c, i.assertion(map[string]any{"aud": audience}))
		form.Set("scope", "scim")
		token := w.ask("", form).token(t, audience)
		if a := w.scim("GET", "/Users", token, ""); a.status != http.StatusOK {
			t.Errorf("%s: the token got %d: %s", audience, a.status, a.body)
		}
	}
	same := i.assertion(nil)
	for range 2 { // Entra's has no jti and is kept by its sender for an hour
		w.ask("", asserted(c, same)).token(t, "the same assertion")
	}
	want := w.ask("", post(registry.Client{}, "x"))
	for what, claims := range map[string]map[string]any{
		"another audience": {"aud": "api://other"}, "a part of one": {"aud": "api://mus"}, "a longer one": {"aud": "api://muster/"},
		"another issuer": {"iss": "https://login.microsoftonline.com/other/v2.0"}, "another subject": {"sub": "somebody"},
		"expired": {"exp": time.Now().Add(-time.Hour).Unix()}, "not yet": {"nbf": time.Now().Add(time.Hour).Unix()},
		"for a week": {"exp": time.Now().Add(7 * 24 * time.Hour).Unix()}, "a person's ID Token": {"nonce": "n"},
	} {
		if a := w.ask("", asserted(c, i.assertion(claims))); a.same() != want.same() {
			t.Errorf("%s: got\n%s\nwant\n%s", what, a.same(), want.same())
		}
	}
	forged := newTokenIssuer(t)
	if a := w.ask("", asserted(c, forged.assertion(map[string]any{"iss": i.URL}))); a.same() != want.same() {
		t.Errorf("signed by another: got\n%s", a.same())
	}
	if got := i.asked.Load(); got > 4 {
		t.Errorf("the issuer was asked %d times, want its documents once and a key that was not there once more", got)
	}
	if log := w.log.String(); strings.Contains(log, same) || !strings.Contains(log, "client assertion refused") {
		t.Error("the log holds an assertion, or does not say why one was refused")
	}
}

// F11: where assertions have an id, each is accepted once, also by another process; and
// one without an id is refused.
func TestF11_AnAssertionIsNotReplayed(t *testing.T) {
	_, database := storetest.Database(t)
	one, two := start(t, storetest.Open(t, database)), start(t, storetest.Open(t, database))
	i := newTokenIssuer(t)
	one.tenant("acme")
	one.connect("acme", "idp", "lenient")
	_, c := one.client("idp", func(c *registry.Client) {
		c.Trust = registry.Trust{Issuer: i.URL, Subject: "sync", Audiences: []string{"api://muster"}}
	})
	once := asserted(c, i.assertion(map[string]any{"jti": "once"}))
	one.ask("", once).token(t, "the first time")
	for _, w := range []*world{one, two} {
		if a := w.ask("", once); a.status != http.StatusUnauthorized {
			t.Errorf("once more: got %d: %s", a.status, a.body)
		}
	}
	if a := one.ask("", asserted(c, i.assertion(nil))); a.status != http.StatusUnauthorized {
		t.Errorf("without a jti: got %d: %s", a.status, a.body)
	}
	two.ask("", asserted(c, i.assertion(map[string]any{"jti": "twice"}))).token(t, "another")
}

// A client that signs for itself is issuer and subject (RFC 7523 §3), and need not say
// who it is (RFC 7521 §4.2).
func TestAClientSignsForItself(t *testing.T) {
	w, _ := open(t)
	i := newTokenIssuer(t)
	_, c := w.client("entra", func(c *registry.Client) {
		c.Trust = registry.Trust{JWKSURI: i.URL + "/keys", Audiences: []string{w.url + "/t/acme/oauth/token"}}
	})
	own := map[string]any{"iss": c.ID, "sub": c.ID, "aud": w.url + "/t/acme/oauth/token"}
	for n, form := range []url.Values{
		asserted(c, i.assertion(with(own, "jti", "1"))),
		{"grant_type": {"client_credentials"}, "client_assertion_type": {jwtBearer}, "client_assertion": {i.assertion(with(own, "jti", "2"))}},
	} {
		w.ask("", form).token(t, fmt.Sprint(n))
	}
	for what, claims := range map[string]map[string]any{
		"another issuer": with(own, "iss", i.URL), "another subject": with(own, "sub", "sync"),
	} {
		if a := w.ask("", asserted(c, i.assertion(with(claims, "jti", what)))); a.status != http.StatusUnauthorized {
			t.Errorf("%s: got %d: %s", what, a.status, a.body)
		}
	}
}

func with(claims map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(claims)
	changed[name] = value
	return changed
}

// While the issuer's keys cannot be read, nobody can tell an assertion that holds from
// another: it is answered as one of an unknown client is, and the operator is told. Keys
// that are known are used meanwhile.
func TestKeysThatCannotBeRead(t *testing.T) {
	w, i, c := federated(t, "entra")
	i.failed.Store(true)
	a, want := w.ask("", asserted(c, i.assertion(nil))), w.ask("", asserted(registry.Client{}, i.assertion(nil)))
	if a.status != http.StatusUnauthorized || a.same() != want.same() {
		t.Fatalf("got\n%s\nwant the answer to an unknown client\n%s", a.same(), want.same())
	}
	if log := w.log.String(); !strings.Contains(log, `"level":"WARN","msg":"client assertion refused"`) || !strings.Contains(log, "cannot be read") {
		t.Errorf("the log does not say that the keys cannot be read:\n%s", log)
	}
	i.failed.Store(false)
	w.ask("", asserted(c, i.assertion(nil))).token(t, "the issuer is back")
	i.failed.Store(true)
	w.ask("", asserted(c, i.assertion(nil))).token(t, "the issuer is gone again")
}

// An access token is a SCIM token of its connection, and nothing anywhere else; a
// client's secret is none (T03, T04).
func TestAnAccessTokenOpensSCIMOnly(t *testing.T) {
	w, _ := open(t)
	other := w.connect("acme", "okta", "lenient")
	theirs := w.create("/Users", other, `{"userName":"robin@ringling.example"}`)
	secret, c := w.client("entra")
	token := w.ask("", post(c, secret)).token(t, "the client")
	for what, credential := range map[string]string{
		"the client's secret": secret, "its hidden part": registry.SCIMPrefix + strings.TrimPrefix(secret, registry.SecretPrefix),
		"as a token of the other kind": registry.SCIMPrefix + strings.TrimPrefix(token, registry.AccessPrefix),
		"nobody's":                     registry.AccessPrefix + strings.Repeat("A", registry.SecretLength),
	} {
		for _, authorization := range []string{"Bearer " + credential, credential, "Basic " + basic(c.ID.String(), credential)} {
			w.send("GET", w.base("acme")+"/Users", authorization, "").refusal(t, what, http.StatusUnauthorized, "")
		}
	}
	if a := w.send("GET", w.base("acme")+"/Users", token, ""); a.status != http.StatusOK {
		t.Errorf("without a scheme: got %d: %s", a.status, a.body)
	}
	w.scim("GET", "/Users/"+theirs, token, "").refusal(t, "another connection's", http.StatusNotFound, "")
	for _, authorization := range []string{"Bearer " + token, "Basic " + basic("timesheet", token)} {
		if a := w.form("/token", authorization, "grant_type=authorization_code&code=x&redirect_uri=y&code_verifier="+strings.Repeat("v", 43)); a.status != http.StatusUnauthorized {
			t.Errorf("POST /token: got %d: %s", a.status, a.body)
		}
		if a := w.send("POST", w.url+"/t/acme/check", authorization, `{"user":"x"}`); a.status != http.StatusUnauthorized {
			t.Errorf("POST /t/acme/check: got %d: %s", a.status, a.body)
		}
	}
}

// Guesses at a client's secret count as those at tokens do; the client is not shut out.
func TestGuessesAtAClientCount(t *testing.T) {
	w, _, _ := limited(t)
	secret, c := w.client("entra")
	for n := range 40 {
		a := w.by(guesser, "POST", "/t/acme/oauth/token", "", post(c, fmt.Sprint("guess", n)).Encode())
		want := http.StatusUnauthorized
		if n >= 20 {
			want = http.StatusTooManyRequests
			a.waits(t, "a guess")
		}
		if a.status != want {
			t.Fatalf("guess %d: got %d, want %d: %s", n, a.status, want, a.body)
		}
	}
	if a := w.by(guesser, "POST", "/t/acme/oauth/token", "", post(c, secret).Encode()); a.status != http.StatusOK {
		t.Errorf("the client, from that address: got %d: %s", a.status, a.body)
	}
}

// Guesses at a client's secret stand in the tenant's log while their address may make
// more, and no longer: whoever knows a client's id must not fill a log that is read to
// find out why the client is refused.
func TestGuessesBeyondTheLimitLeaveNothingInTheLog(t *testing.T) {
	w, _, _ := limited(t)
	_, c := w.client("entra")
	dir, err := w.store.Admin(t.Context(), "acme", "test", store.Request{})
	if err != nil {
		t.Fatal(err)
	}
	logged := func() int {
		t.Helper()
		if err := w.store.FlushRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := dir.History().Requests(t.Context(), history.Query{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for n := range 40 {
		w.by(guesser, "POST", "/t/acme/oauth/token", "", post(c, fmt.Sprint("guess", n)).Encode())
		if got, want := logged(), min(n+1, 20); got != want {
			t.Fatalf("guess %d: the log holds %d requests, want %d", n, got, want)
		}
	}
	w.by(other, "POST", "/t/acme/oauth/token", "", post(c, "expired").Encode())
	if got := logged(); got != 21 {
		t.Errorf("after a guess from another address the log holds %d requests, want 21", got)
	}
}

// Token requests count against the tenant like any other of its clients.
func TestTokenRequestsCountAgainstTheTenant(t *testing.T) {
	w := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) { c.Limits.Requests = server.Rate{PerSecond: 0.001, Burst: 5} })
	w.tenant("acme")
	w.connect("acme", "entra", "lenient")
	secret, c := w.client("entra")
	for range 10 {
		w.ask("", post(c, "guess")) // costs the tenant nothing
	}
	for range 5 {
		w.ask("", post(c, secret)).token(t, "within the limit")
	}
	a := w.ask("", post(c, secret))
	if a.status != http.StatusTooManyRequests || a.field(t, "error") != "temporarily_unavailable" {
		t.Errorf("one too many: got %d: %s", a.status, a.body)
	}
	a.waits(t, "one too many")
}

// Who gets no token is in the provisioning log, by name and with the reason that nobody
// else is told, as soon as it is known which client it means to be; what it brought is not.
func TestARefusedTokenRequestIsInTheLog(t *testing.T) {
	w, owner := hospital(t)
	p := admit(t, w, owner, "acme", complaint{kind: "generic"})
	i := newTokenIssuer(t)
	secret, c := w.client("connection", func(c *registry.Client) {
		c.Trust = registry.Trust{Issuer: i.URL, Subject: "sync", Audiences: []string{"api://muster"}}
	})
	brief, _, err := w.vendor.AddClientSecret(soon(t), "acme", c.ID, time.Microsecond)
	if err != nil {
		t.Fatal(err)
	}
	once := i.assertion(map[string]any{"jti": "once"})
	w.ask("", asserted(c, once)).token(t, "the first time")
	const canary = "Canary7f3aQ"
	refused := func(what string, form url.Values, detail string, diagnosis ...string) {
		t.Helper()
		a := w.form("/t/acme/oauth/token?client_secret="+canary, "", form.Encode())
		r := p.logged(a)
		if a.status != http.StatusUnauthorized || r.Status != a.status || r.Holder() != "client provisioning" || r.Connection != "connection" || r.Method != "POST" ||
			r.Path != "/t/acme/oauth/token" || r.Query != "" || r.Body != "" || r.ScimType != "invalid_client" || !strings.Contains(r.Detail, detail) || !slices.Equal(r.Diagnoses, diagnosis) {
			t.Errorf("%s: got %d, and the log says %+v", what, a.status, r)
		}
	}
	refused("another secret", post(c, canary), "no such secret", "client-not-proved")
	refused("an expired secret", post(c, brief), "the secret has expired", "client-secret-expired")
	refused("another audience", asserted(c, i.assertion(map[string]any{"jti": "1", "aud": "api://other"})), `aud names "api://other"`, "client-not-proved")
	refused("brought before", asserted(c, once), "brought before", "client-not-proved")
	if err := w.vendor.RevokeClientSecret(soon(t), "acme", c.Secrets[0].ID); err != nil {
		t.Fatal(err)
	}
	refused("a revoked secret", post(c, secret), "the secret was revoked", "client-not-proved")
	if err := w.vendor.RemoveClient(soon(t), "acme", c.ID); err != nil {
		t.Fatal(err)
	}
	refused("a removed client", post(c, secret), "the client was removed", "token-revoked")
	before := len(p.recorded())
	w.ask("", post(registry.Client{ID: uuid.New()}, secret))
	w.ask("", url.Values{"grant_type": {"password"}, "client_id": {c.ID.String()}})
	if n := len(p.recorded()); n != before {
		t.Errorf("the log holds %d requests of nobody that the tenant knows", n-before)
	}
	for _, hidden := range []string{canary, secret, brief, once} {
		if tables := tablesWith(t, owner, hidden); len(tables) > 0 {
			t.Errorf("%.20s… stands in %q", hidden, tables)
		}
		if strings.Contains(w.log.String(), hidden) {
			t.Errorf("%.20s… stands in the server's log", hidden)
		}
	}
}
