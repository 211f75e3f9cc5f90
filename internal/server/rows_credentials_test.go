package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// credentialRows show what each kind of credential opens, and how an identity provider
// gets one by itself.
func credentialRows(t *testing.T, c *conforming) {
	c.Row(t, "F04 X11", func(trial *conformance.Trial) { rightsOfCredentials(t, c.world, trial) })
	c.Row(t, "R24", func(trial *conformance.Trial) { rightsOfOperations(t, c.world, trial) })
	c.Row(t, "F07", nothingForNobody)
	c.Row(t, "F09", func(trial *conformance.Trial) { wrongAssertions(t, c.world, trial) })
	c.Row(t, "F10", func(trial *conformance.Trial) { fetchedTokens(t, c.world, trial) })
	c.Row(t, "F11", func(trial *conformance.Trial) { replayedAndForged(t, c.world, trial) })
	slow := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) {
		c.Limits.Requests = server.Rate{PerSecond: 1, Burst: 5}
	})
	c.elsewhere(slow, func(c *conforming) { c.Row(t, "T09 Q13", bursts) })
}

const forbidden = `403
WWW-Authenticate: Bearer realm="SCIM", error="insufficient_scope"
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403","detail":"..."}`

// The answers to a request with a token that does not hold, and to one without a token.
const (
	unauthorized = `401
WWW-Authenticate: Bearer realm="SCIM", error="invalid_token"
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401","detail":"..."}`
	challenged = `401
WWW-Authenticate: Bearer realm="SCIM"
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401","detail":"..."}`
)

// rightsOfOperations has each operation of a bulk request judged by itself, as a request
// of its own is.
func rightsOfOperations(t *testing.T, w *world, trial *conformance.Trial) {
	people, _, err := w.vendor.CreateToken(t.Context(), tenantOf(trial), "connection", registry.NewToken{Name: "people", Writes: []string{"User"}})
	if err != nil {
		t.Fatal(err)
	}
	trial.Name("people", people)
	const group = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Guides"}`
	trial.Expect(trial.Send("POST /Groups\n"+group), `201
{"id":"{guides}","...":"..."}`)
	trial.Expect(trial.Send("POST /Bulk\nAuthorization: Bearer {people}\n\n"+`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
		{"method":"DELETE","path":"/Groups/{guides}"},
		{"method":"POST","path":"/Users","bulkId":"1","data":{"schemas":["`+userSchema+`"],"userName":"bulk"}},
		{"method":"PATCH","path":"/Groups/{guides}","data":{"schemas":["`+patchSchema+`"],"Operations":[{"op":"replace","path":"displayName","value":"x"}]}}]}`), `200
{"schemas":"...","Operations":[
	{"method":"DELETE","location":"...","status":"403","response":"..."},
	{"method":"POST","bulkId":"1","location":"...","version":"...","status":"201"},
	{"method":"PATCH","location":"...","status":"403","response":"..."}]}`)
	trial.Expect(trial.Send("DELETE /Groups/{guides}\nAuthorization: Bearer {people}"), forbidden)
	trial.Expect(trial.Send("POST /Groups\nAuthorization: Bearer {people}\n\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"More"}`), forbidden)
	trial.Expect(trial.Send("GET /Groups/{guides}\nAuthorization: Bearer {people}"), `200
{"displayName":"Guides","...":"..."}`)
}

// rightsOfCredentials asks everything with every kind of credential.
func rightsOfCredentials(t *testing.T, w *world, trial *conformance.Trial) {
	reader, _, err := w.vendor.CreateToken(t.Context(), tenantOf(trial), "connection", registry.NewToken{Name: "reader", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := w.vendor.CreateKey(t.Context(), tenantOf(trial), "reporting")
	if err != nil {
		t.Fatal(err)
	}
	trial.Name("reader", reader)
	trial.Name("key", key)
	trial.Expect(trial.Send("POST /Users\n"+`{"schemas":["`+userSchema+`"],"userName":"bjensen"}`), `201
{"id":"{babs}","...":"..."}`)
	const patch = `{"schemas":["` + patchSchema + `"],"Operations":[{"op":"replace","path":"title","value":"Guide"}]}`
	for _, c := range []struct{ request, body, full, reading string }{
		{"GET /Users", "", "200\n...", "200\n..."},
		{"GET /Users/{babs}", "", "200\n...", "200\n..."},
		{"GET /ServiceProviderConfig", "", "200\n...", "200\n..."},
		{"POST /Users", `{"schemas":["` + userSchema + `"],"userName":"jsmith"}`, "201\n...", forbidden},
		{"POST /Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Guides"}`, "201\n...", forbidden},
		{"PATCH /Users/{babs}", patch, "200\n...", forbidden},
		{"PUT /Users/{babs}", `{"schemas":["` + userSchema + `"],"userName":"bjensen"}`, "200\n...", forbidden},
		{"DELETE /Users/{babs}", "", "204", forbidden},
	} {
		ask := func(credential string) conformance.Answer {
			return trial.Send(c.request + "\nAuthorization: " + credential + "\n\n" + c.body)
		}
		for _, credential := range []string{"Bearer {key}", "Bearer {neighbourToken}"} {
			trial.Expect(ask(credential), unauthorized)
		}
		for _, credential := range []string{"", "Basic {token}"} {
			trial.Expect(ask(credential), challenged)
		}
		trial.Expect(ask("Bearer {reader}"), c.reading)
		trial.Expect(ask("Bearer {token}"), c.full)
	}
}

// nothingForNobody: a token is given to who proves to be somebody, and to nobody else.
func nothingForNobody(trial *conformance.Trial) {
	for _, form := range []string{
		"grant_type=client_credentials", "grant_type=client_credentials&client_id=" + uuid.NewString(),
		"grant_type=client_credentials&client_id=" + uuid.NewString() + "&client_secret=guess",
	} {
		trial.Expect(token(trial, form), `401
Content-Type: application/json
{"error":"invalid_client","...":"..."}`)
	}
	for _, form := range []string{"", "grant_type=anonymous", "grant_type=password&username=a&password=b", "grant_type=authorization_code&code=x"} {
		trial.Expect(token(trial, form), `400
{"error":"...","...":"..."}`)
	}
	trial.Expect(trial.Send("POST /Users\nAuthorization:\n\n"+`{"schemas":["`+userSchema+`"],"userName":"anonymous"}`), challenged)
}

// token asks the tenant's token endpoint.
func token(trial *conformance.Trial, form string) conformance.Answer {
	root := trial.Named("base")[:len(trial.Named("base"))-len("/scim/v2")]
	return trial.Send("POST " + root + "/oauth/token\nAuthorization:\nContent-Type: application/x-www-form-urlencoded\n\n" + form)
}

// An asserter signs assertions for clients that trust it (RFC 7523).
type asserter struct {
	t   *testing.T
	url string
	key *ecdsa.PrivateKey
}

func newAsserter(t *testing.T) *asserter {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(keys)
	}))
	t.Cleanup(server.Close)
	return &asserter{t: t, url: server.URL, key: key}
}

// client adds one to the connection that is played to, which this issuer proves.
func (a *asserter) client(w *world, trial *conformance.Trial, readOnly bool) (id string) {
	a.t.Helper()
	_, client, err := w.vendor.AddClient(a.t.Context(), tenantOf(trial), registry.Client{
		Connection: "connection", Name: "idp", ReadOnly: readOnly,
		Trust: registry.Trust{Issuer: a.url, Subject: "workload", JWKSURI: a.url + "/keys", Audiences: []string{"api://muster", "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"}},
	}, 0)
	if err != nil {
		a.t.Fatal(err)
	}
	return client.ID.String()
}

// claims are those of an assertion that holds, with changes.
func (a *asserter) claims(changes map[string]any) map[string]any {
	now := time.Now()
	all := map[string]any{"iss": a.url, "sub": "workload", "aud": "api://muster", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": uuid.NewString()}
	for name, value := range changes {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	return all
}

func (a *asserter) sign(key any, algorithm jose.SignatureAlgorithm, claims map[string]any) string {
	a.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		a.t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		a.t.Fatal(err)
	}
	return compact
}

// bring sends the assertion, with what Entra sends besides.
func (a *asserter) bring(trial *conformance.Trial, client, assertion string) conformance.Answer {
	return token(trial, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {client}, "scope": {".default"}, "baseAddress": {"x"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	}.Encode())
}

const (
	given = `200
Content-Type: application/json
Cache-Control: no-store
{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"...":"..."}`
	notGiven = `401
{"error":"invalid_client","...":"..."}`
)

// wrongAssertions: who made it, for whom, about whom and until when must all be right;
// so must the token that it earns.
func wrongAssertions(t *testing.T, w *world, trial *conformance.Trial) {
	a := newAsserter(t)
	id := a.client(w, trial, false)
	for _, changes := range []map[string]any{
		{"aud": "api://other"}, {"aud": []string{"api://muster", "api://other"}}, {"aud": nil}, {"iss": "https://other.example"}, {"iss": nil},
		{"sub": "somebody"}, {"sub": nil}, {"exp": time.Now().Add(-2 * time.Minute).Unix()}, {"exp": nil}, {"nbf": time.Now().Add(time.Hour).Unix()},
		{"jti": nil}, {"exp": time.Now().Add(48 * time.Hour).Unix()},
	} {
		trial.Expect(a.bring(trial, id, a.sign(a.key, jose.ES256, a.claims(changes))), notGiven)
	}
	trial.Expect(a.bring(trial, uuid.NewString(), a.sign(a.key, jose.ES256, a.claims(nil))), notGiven)
	trial.Expect(a.bring(trial, id, a.sign(a.key, jose.ES256, a.claims(nil))), given)
	trial.Expect(trial.Send("GET /Users\nAuthorization: Bearer {access}"), "200\n...")
	trial.Expect(trial.Send("GET {neighbour}/Users\nAuthorization: Bearer {access}"), unauthorized)
	trial.Expect(trial.Send("GET /Users\nAuthorization: Bearer {access}x"), unauthorized)
}

// fetchedTokens: a client has the rights that it was set up with, whatever it asks for,
// and either of its audiences will do.
func fetchedTokens(t *testing.T, w *world, trial *conformance.Trial) {
	a := newAsserter(t)
	full, reader := a.client(w, trial, false), a.client(w, trial, true)
	trial.Expect(a.bring(trial, full, a.sign(a.key, jose.ES256, a.claims(nil))), given)
	trial.Expect(trial.Send("POST /Users\nAuthorization: Bearer {access}\n\n"+`{"schemas":["`+userSchema+`"],"userName":"bjensen"}`), `201
{"id":"{babs}","...":"..."}`)
	trial.Expect(trial.Send("GET /Users/{babs}"), "200\n...")
	answer := a.bring(trial, reader, a.sign(a.key, jose.ES256, a.claims(map[string]any{"aud": "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"})))
	trial.Expect(answer, `200
{"access_token":"{reading}","scope":"scim.read","...":"..."}`)
	trial.Expect(trial.Send("GET /Users/{babs}\nAuthorization: Bearer {reading}"), "200\n...")
	trial.Expect(trial.Send("DELETE /Users/{babs}\nAuthorization: Bearer {reading}"), forbidden)
	trial.Expect(trial.Send("DELETE /Users/{babs}\nAuthorization: Bearer {access}"), "204")
}

// replayedAndForged: an assertion is good for one token, and only the issuer's own key
// makes one.
func replayedAndForged(t *testing.T, w *world, trial *conformance.Trial) {
	a := newAsserter(t)
	id := a.client(w, trial, false)
	once := a.sign(a.key, jose.ES256, a.claims(nil))
	trial.Expect(a.bring(trial, id, once), given)
	trial.Expect(a.bring(trial, id, once), notGiven)

	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claims, _ := json.Marshal(a.claims(nil))
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims) + "."
	public, _ := json.Marshal(jose.JSONWebKey{Key: a.key.Public()})
	for story, assertion := range map[string]string{
		"alg none":                        unsigned,
		"another key":                     a.sign(other, jose.ES256, a.claims(nil)),
		"the public key as a shared one":  a.sign(public, jose.HS256, a.claims(nil)),
		"a signature that was cut":        once[:len(once)-8],
		"another's claims, the signature": unsigned[:len(unsigned)-1] + once[len(once)-87:],
	} {
		answer := a.bring(trial, id, assertion)
		trial.Check(answer.Status == http.StatusUnauthorized, "%s: got %d: %s", story, answer.Status, answer.Body)
	}
	trial.Expect(a.bring(trial, id, a.sign(a.key, jose.ES256, a.claims(nil))), `200
{"token_type":"Bearer","...":"..."}`)
}

// bursts: who sends much more at once than a tenant may is told how many seconds to wait.
func bursts(trial *conformance.Trial) {
	answers := make([]conformance.Answer, 40)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = trial.Send("GET /Users?count=0") })
	}
	all.Wait()
	refused := slices.IndexFunc(answers, func(a conformance.Answer) bool { return a.Status != http.StatusOK })
	trial.Check(refused >= 0, "%d at once were all answered", len(answers))
	trial.Expect(answers[refused], `429
Content-Type: application/scim+json
Retry-After: ...
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"429","detail":"..."}`)
	seconds, err := strconv.Atoi(answers[refused].Header.Get("Retry-After"))
	trial.Check(err == nil && seconds > 0, "Retry-After is %q: %v", answers[refused].Header.Get("Retry-After"), err)
}
