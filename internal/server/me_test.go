package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scimhttp"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

const (
	meIssuer   = "https://idp.ringling.example"
	meRedirect = "https://portal.example/callback"
)

// A portal is a world in which people of acme sign in to an application that may
// show them their own record, and to one that may not.
type portal struct {
	*world
	slug       string
	connection registry.Connection
	token      string // of the provisioning client
	jamie      string // id
}

func openPortal(t *testing.T) *portal {
	p := &portal{world: start(t, storetest.New(t)), slug: "acme"}
	p.tenant("acme")
	p.tenant("cirque")
	p.open("entra")
	for _, application := range []registry.NewApplication{
		{ClientID: "portal", Audience: scimhttp.Audience(p.url), Roles: []string{"reader"}},
		{ClientID: "timesheet"},
	} {
		application.RedirectURIs, application.Tenants = []string{meRedirect}, []string{"acme", "cirque"}
		application.Public, application.AllowNoRole = true, true
		_, _, err := p.vendor.AddApplication(soon(t), application)
		p.must(err)
	}
	_, _, err := p.admin().PublishRules(soon(t), []byte("version: 1\ngroupRoles:\n  - name: Readers\n    grant: [portal.reader]\nrules: []\n"))
	p.must(err)
	p.jamie = p.provision("jamie")
	return p
}

// open adds the connection by which people of the portal's tenant sign in.
func (p *portal) open(name string) {
	p.t.Helper()
	var err error
	p.connection, err = p.vendor.AddConnection(soon(p.t), p.slug, registry.Connection{Name: name, Kind: "entra", Issuer: meIssuer, ClientID: "muster"})
	p.must(err)
	p.token, _, err = p.vendor.CreateToken(soon(p.t), p.slug, name, registry.NewToken{Name: "test"})
	p.must(err)
}

// person signs somebody of a connection of their own in, for /Me.
func (w *world) person(tenant string) (access string) {
	w.t.Helper()
	p := &portal{world: w, slug: tenant}
	p.open("people")
	if _, err := w.vendor.Application(soon(w.t), "portal"); errors.Is(err, registry.ErrNotFound) {
		_, _, err := w.vendor.AddApplication(soon(w.t), registry.NewApplication{
			ClientID: "portal", Audience: scimhttp.Audience(w.url), RedirectURIs: []string{meRedirect}, Public: true, AllowNoRole: true,
		})
		p.must(err)
	}
	_, err := w.vendor.AllowTenant(soon(w.t), "portal", tenant)
	p.must(err)
	p.provision("jamie")
	access, _ = p.signIn("jamie", "portal")
	return access
}

func (p *portal) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *portal) admin() *store.Directory {
	p.t.Helper()
	dir, err := p.store.Admin(soon(p.t), "acme", "test", store.Request{ID: uuid.New()})
	p.must(err)
	return dir
}

func (p *portal) provision(name string) (id string) {
	p.t.Helper()
	a := p.send("POST", p.base(p.slug)+"/Users", "Bearer "+p.token, `{"userName":"`+name+`@ringling.example","externalId":"oid-`+name+`","active":true}`)
	if a.status != http.StatusCreated {
		p.t.Fatalf("POST /Users: got %d %s", a.status, a.body)
	}
	return a.field(p.t, "id")
}

// signIn is a person's sign-in to an application, from its end: the tokens.
func (p *portal) signIn(name, client string) (access, id string) {
	p.t.Helper()
	ctx := soon(p.t)
	const verifier = circusVerifier
	challenge := sha256.Sum256([]byte(verifier))
	away, err := p.store.BeginSignIn(ctx, store.SignInRequest{
		Tenant: p.slug, ConnectionID: p.connection.ID.String(), ClientID: client, RedirectURI: meRedirect, State: "s", Nonce: "n",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]), Scope: "openid",
	})
	p.must(err)
	back, err := p.store.ResumeSignIn(ctx, p.slug, p.connection.ID.String(), away.State, away.Browser)
	p.must(err)
	d, code, err := p.store.MintCode(ctx, back, store.Identity{Issuer: meIssuer, Subject: "pairwise-" + name, Match: "oid-" + name})
	p.must(err)
	if !d.Allowed {
		p.t.Fatalf("%s may not sign in to %s: %s", name, client, d.Reason)
	}
	a := p.form("/token", "", "grant_type=authorization_code&client_id="+client+"&code="+code+"&redirect_uri="+meRedirect+"&code_verifier="+verifier)
	if a.status != http.StatusOK {
		p.t.Fatalf("POST /token: got %d: %s", a.status, a.body)
	}
	return a.field(p.t, "access_token"), a.field(p.t, "id_token")
}

// A person who has signed in reads their own resource at /Me, with its permanent
// address in every answer (RFC 7644 §3.11), and changes nothing there.
func TestPeopleReadTheirOwnRecord(t *testing.T) {
	p := openPortal(t)
	p.create("/Groups", p.token, `{"displayName":"Readers","members":[{"value":"`+p.jamie+`"}]}`)
	access, _ := p.signIn("jamie", "portal")
	location := p.base("acme") + "/Users/" + p.jamie

	there, mine := p.scim("GET", "/Users/"+p.jamie, p.token, ""), p.scim("GET", "/Me", access, "")
	if mine.status != http.StatusOK || mine.body != there.body || !strings.Contains(mine.body, `"display":"Readers"`) {
		t.Errorf("GET /Me: got %d %s\nwant what the provisioning client sees: %s", mine.status, mine.body, there.body)
	}
	if mine.header.Get("Location") != location || mine.header.Get("ETag") != there.header.Get("ETag") {
		t.Errorf("GET /Me: Location %q, ETag %q; want %q, %q", mine.header.Get("Location"), mine.header.Get("ETag"), location, there.header.Get("ETag"))
	}
	if a := p.scim("GET", "/Me?attributes=userName", access, ""); a.status != http.StatusOK || strings.Contains(a.body, "groups") || !strings.Contains(a.body, "jamie@ringling.example") {
		t.Errorf("GET /Me?attributes=userName: got %d %s", a.status, a.body)
	}
	p.scim("GET", "/Me?attributes=userName&excludedAttributes=name", access, "").refusal(t, "attributes and excludedAttributes", http.StatusBadRequest, "invalidValue")
	p.ask("GET", access, "If-None-Match", mine.header.Get("ETag"), http.StatusNotModified)
	p.ask("GET", access, "If-Match", `W/"99"`, http.StatusPreconditionFailed)
	p.ask("HEAD", access, "X-Any", "", http.StatusOK)

	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		a := p.scim(method, "/Me", access, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
		a.refusal(t, method+" /Me", http.StatusForbidden, "")
		if got := a.header.Get("Location"); got != location {
			t.Errorf("%s /Me: Location %q, want %q", method, got, location)
		}
	}
	if after := p.scim("GET", "/Me", access, ""); after.same() != mine.same() {
		t.Errorf("after refused changes:\ngot  %s\nwant %s", after.same(), mine.same())
	}
	p.scim("GET", "/Me", p.token, "").refusal(t, "a provisioning client", http.StatusNotFound, "")
	p.scim("PATCH", "/Me", p.token, "{}").refusal(t, "a provisioning client", http.StatusNotFound, "")
}

// ask sends a conditional request for /Me.
func (p *portal) ask(method, access, name, value string, want int) {
	p.t.Helper()
	request, err := http.NewRequest(method, p.base("acme")+"/Me", nil)
	p.must(err)
	request.Header.Set("Authorization", "Bearer "+access)
	request.Header.Set(name, value)
	if a := p.do(request); a.status != want || a.header.Get("Location") != p.base("acme")+"/Users/"+p.jamie {
		p.t.Errorf("%s /Me with %s: %s: got %d, Location %q; want %d and the person's address", method, name, value, a.status, a.header.Get("Location"), want)
	}
}

// Whatever shuts a person out closes /Me in the same moment, for tokens that have
// not expired too, and what was closed once stays closed.
func TestMeIsClosedToWhoMayNotEnter(t *testing.T) {
	p := openPortal(t)
	ctx := soon(t)
	readers := p.create("/Groups", p.token, `{"displayName":"Readers"}`)
	id := uuid.MustParse(p.jamie)
	patch := func(path, operation string) {
		p.t.Helper()
		if a := p.scim("PATCH", path, p.token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+operation+`]}`); a.status/100 != 2 {
			t.Fatalf("PATCH %s: got %d %s", path, a.status, a.body)
		}
	}
	active := func(value string) { patch("/Users/"+p.jamie, `{"op":"replace","path":"active","value":`+value+`}`) }
	locked := func(locked bool) { _, _, err := p.admin().LockUser(ctx, id, locked); p.must(err) }
	revoke := func(w store.Switch, off bool) { w.Off = off; p.must(p.store.Revoke(ctx, "test", w)) }
	member := func(op string) {
		patch("/Groups/"+readers, `{"op":"`+op+`","path":"members","value":[{"value":"`+p.jamie+`"}]}`)
	}
	for _, c := range []struct {
		story     string
		shut, let func()
	}{
		{"inactive", func() { active("false") }, func() { active("true") }},
		{"locked", func() { locked(true) }, func() { locked(false) }},
		{"a role taken away", func() { member("remove") }, func() { member("add") }},
		{"the connection disabled", func() { revoke(store.Switch{Tenant: "acme", Connection: "entra"}, true) }, func() { revoke(store.Switch{Tenant: "acme", Connection: "entra"}, false) }},
		{"the tenant suspended", func() { revoke(store.Switch{Tenant: "acme"}, true) }, func() { revoke(store.Switch{Tenant: "acme"}, false) }},
		{"the application disabled", func() { revoke(store.Switch{Client: "portal"}, true) }, func() { revoke(store.Switch{Client: "portal"}, false) }},
	} {
		member("add")
		access, _ := p.signIn("jamie", "portal")
		if a := p.scim("GET", "/Me", access, ""); a.status != http.StatusOK {
			t.Fatalf("%s: before: got %d %s", c.story, a.status, a.body)
		}
		c.shut()
		p.scim("GET", "/Me", access, "").refusal(t, c.story, http.StatusUnauthorized, "")
		p.scim("PATCH", "/Me", access, "{}").refusal(t, c.story+", a change", http.StatusUnauthorized, "")
		p.scim("GET", "/Me?count=x&attributes=%zz", access, "").refusal(t, c.story+", a bad request", http.StatusUnauthorized, "")
		c.let()
		p.scim("GET", "/Me", access, "").refusal(t, c.story+", undone", http.StatusUnauthorized, "")
	}
	access, _ := p.signIn("jamie", "portal")
	if a := p.scim("DELETE", "/Users/"+p.jamie, p.token, ""); a.status != http.StatusNoContent {
		t.Fatalf("DELETE: got %d %s", a.status, a.body)
	}
	p.scim("GET", "/Me", access, "").refusal(t, "deleted", http.StatusUnauthorized, "")
}

// Nothing opens /Me but a person's own access token, made for it, by us, for this
// tenant, which has not expired; and it opens nothing else.
func TestOnlyAPersonsTokenOpensMe(t *testing.T) {
	p := openPortal(t)
	access, id := p.signIn("jamie", "portal")
	other, _ := p.signIn("jamie", "timesheet")
	header, payload, signature := parts(t, access)
	claim := func(name string, value any) map[string]any {
		changed := maps.Clone(payload)
		changed[name] = value
		if value == nil {
			delete(changed, name)
		}
		return changed
	}
	if a := p.scim("GET", "/Me", p.sign("at+jwt", payload), ""); a.status != http.StatusOK {
		t.Fatalf("signed again: got %d %s", a.status, a.body)
	}
	for what, token := range map[string]string{
		"an ID Token":                    id,
		"another application's token":    other,
		"typed as an ID Token":           p.sign("JWT", payload),
		"not typed":                      p.sign("", payload),
		"another audience":               p.sign("at+jwt", claim("aud", "timesheet")),
		"several audiences":              p.sign("at+jwt", claim("aud", []string{scimhttp.Audience(p.url), "timesheet"})),
		"no audience":                    p.sign("at+jwt", claim("aud", nil)),
		"another issuer":                 p.sign("at+jwt", claim("iss", p.url+"/")),
		"another tenant's":               p.sign("at+jwt", claim("tenant", "cirque")),
		"expired":                        p.sign("at+jwt", claim("exp", time.Now().Add(-time.Second).Unix())),
		"without an end":                 p.sign("at+jwt", claim("exp", nil)),
		"a number for a name":            p.sign("at+jwt", claim("sub", 7)),
		"of nobody":                      p.sign("at+jwt", claim("sub", uuid.NewString())),
		"of somebody else":               p.sign("at+jwt", claim("sub", p.provision("robin"))),
		"of no session":                  p.sign("at+jwt", claim("sid", uuid.NewString())),
		"of another application":         p.sign("at+jwt", claim("client_id", "timesheet")),
		"of roles long lost":             p.sign("at+jwt", claim("role_epoch", 0)),
		"of an application once off":     p.sign("at+jwt", claim("client_epoch", 0)),
		"not signed":                     encode(map[string]any{"alg": "none", "typ": "at+jwt"}) + "." + encode(payload) + ".",
		"signed by the public key":       p.signHMAC(header, payload),
		"signed by somebody":             forged(t, header, payload),
		"changed":                        strings.Split(access, ".")[0] + "." + encode(claim("roles", []string{"portal.reader"})) + "." + signature,
		"with a line end":                strings.Replace(access, ".", ".\n", 1),
		"without a signature":            access[:strings.LastIndex(access, ".")+1],
		"two dots":                       "..",
		"encrypted, in form":             access + ".." + ".",
		"long":                           access + strings.Repeat("A", 20<<10),
		"a SCIM token in another tenant": p.token,
	} {
		tenant := "acme"
		if token == p.token {
			tenant = "cirque"
		}
		a := p.send("GET", p.base(tenant)+"/Me", "Bearer "+strings.ReplaceAll(token, "\n", "%0a"), "")
		a.refusal(t, what, http.StatusUnauthorized, "")
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") || a.header.Get("Location") != "" {
			t.Errorf("%s: WWW-Authenticate %q, Location %q", what, a.header.Get("WWW-Authenticate"), a.header.Get("Location"))
		}
	}
	p.send("GET", p.base("cirque")+"/Me", "Bearer "+access, "").refusal(t, "at another tenant's address", http.StatusUnauthorized, "")
	p.send("GET", p.base("acme")+"/Me", access, "").refusal(t, "without a scheme", http.StatusUnauthorized, "")
	p.send("GET", p.base("acme")+"/Me", "", "").refusal(t, "without a token", http.StatusUnauthorized, "")
	for _, path := range []string{"/Users", "/Users/" + p.jamie, "/Groups", "/Schemas", "/ServiceProviderConfig", "/Bulk", "/.search", "/", "/Nope"} {
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			p.scim(method, path, access, "").refusal(t, "the person's token: "+method+" "+path, http.StatusUnauthorized, "")
		}
	}
}

// parts takes a token apart.
func parts(t *testing.T, token string) (header, payload map[string]any, signature string) {
	t.Helper()
	segments := strings.Split(token, ".")
	for i, into := range []*map[string]any{&header, &payload} {
		text, err := base64.RawURLEncoding.DecodeString(segments[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, payload, segments[2]
}

func encode(part map[string]any) string {
	text, err := json.Marshal(part)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// sign makes a token of these claims with the deployment's own key.
func (p *portal) sign(kind string, claims map[string]any) string {
	p.t.Helper()
	key, err := p.vendor.SigningKey(context.Background())
	p.must(err)
	return compact(p.t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key.Private, KeyID: key.KID}}, kind, claims)
}

// signHMAC signs with what everybody may read, as a verifier might that takes the
// algorithm from the token.
func (p *portal) signHMAC(header, claims map[string]any) string {
	p.t.Helper()
	keys, err := p.vendor.PublicKeys(context.Background())
	p.must(err)
	return compact(p.t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: []byte(keys[0].Public), KeyID: header["kid"].(string)}}, "at+jwt", claims)
}

// forged is signed by a key of somebody's own, under our key's name and with the key
// in its header.
func forged(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signing := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: header["kid"].(string)}}
	return compact(t, signing, "at+jwt", claims)
}

func compact(t *testing.T, key jose.SigningKey, kind string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(jose.ContentType(kind)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
