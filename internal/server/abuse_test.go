package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// strangers are credentials that open nothing: none, another scheme, garbage,
// and a token of the right form that nobody was given.
var strangers = []string{
	"", "Basic x", "Bearer", "Bearer garbage", "garbage",
	"Bearer " + registry.SCIMPrefix + strings.Repeat("A", registry.SecretLength),
}

// TestAbuse_T01: no route under the base answers without a credential, in
// whatever spelling, and no user or group is looked at on the way.
func TestAbuse_T01(t *testing.T) {
	touched := touches{tables: []string{"users", "groups", "memberships", "user_values", "assignments"}}
	w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer = &touched }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	w.create("/Users", token, `{"userName":"secret@ringling.example"}`)
	touched.count.Store(0)

	routes := scimRoutes(t, w.router)
	if len(routes) < 50 {
		t.Fatalf("only %d routes were found: %v", len(routes), routes)
	}
	for _, route := range routes {
		for _, path := range spellings(route.path) {
			for _, authorization := range strangers {
				a := w.send(route.method, w.url+path, authorization, "")
				what := fmt.Sprintf("%s %s with %q", route.method, path, authorization)
				if route.method == http.MethodHead {
					if a.status != http.StatusUnauthorized {
						t.Errorf("%s: got %d, want 401", what, a.status)
					}
					continue
				}
				a.refusal(t, what, http.StatusUnauthorized, "")
				if got := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
					t.Errorf("%s: WWW-Authenticate %q, want Bearer", what, got)
				}
			}
		}
	}
	if n := touched.count.Load(); n != 0 {
		t.Errorf("%d statements touched users or groups, want none", n)
	}
}

type methodPath struct{ method, path string }

// routes walks the router's own table, so that no route is forgotten that is wanted.
func routes(t *testing.T, router chi.Router, wanted func(pattern string) bool) (found []methodPath) {
	t.Helper()
	const nobody = "00000000-0000-7000-8000-000000000000"
	fill := strings.NewReplacer("{tenant}", "acme", "{id}", nobody, "{connection}", nobody, "/*", "")
	err := chi.Walk(router, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if wanted(pattern) && method != http.MethodConnect {
			found = append(found, methodPath{method, fill.Replace(pattern)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// scimRoutes are those under the base, and some that are not in the router's table.
func scimRoutes(t *testing.T, router chi.Router) []methodPath {
	t.Helper()
	found := routes(t, router, func(pattern string) bool { return strings.HasPrefix(pattern, "/t/{tenant}/scim/v2") })
	for _, path := range []string{"", "/", "/Nope", "/Users/a/b", "/Users/../Groups", "/%2e%2e/Users", "/Users/?/healthz"} {
		found = append(found, methodPath{http.MethodGet, "/t/acme/scim/v2" + path})
	}
	return append(found, methodPath{http.MethodGet, "/t/nobody/scim/v2/Users"})
}

// spellings are the ways of writing a path by which a guard may be missed.
func spellings(path string) []string {
	const base = "/t/acme/scim/v2"
	rest := strings.TrimPrefix(path, base)
	if rest == "" || rest == path {
		return []string{path}
	}
	return []string{
		path, path + "/", base + "/" + rest, base + strings.ReplaceAll(rest, "/", "//"),
		base + "/" + strings.ReplaceAll(rest[1:], "/", "%2f"), base + strings.ToUpper(rest), base + strings.ToLower(rest),
	}
}

// touches counts the statements that name one of the tables.
type touches struct {
	tables []string
	count  atomic.Int64
}

func (c *touches) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	c.see(q.SQL)
	return ctx
}
func (c *touches) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *touches) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (c *touches) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	c.see(q.SQL)
}
func (c *touches) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (c *touches) see(sql string) {
	for _, table := range c.tables {
		if strings.Contains(" "+sql+" ", " "+table+" ") {
			c.count.Add(1)
			return
		}
	}
}

// TestAbuse_T02: where no token exists, nothing passes for one.
func TestAbuse_T02(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	_, err := w.vendor.AddConnection(soon(t), "acme", registry.Connection{Name: "entra", Kind: "generic", Profile: "lenient", MatchClaim: "sub", MatchAttribute: "externalId"})
	if err != nil {
		t.Fatal(err)
	}
	for _, authorization := range []string{
		"", "Bearer", "Bearer ", "Bearer null", "Bearer undefined", "Bearer \"\"", "null", " ",
		"Bearer " + registry.SCIMPrefix, "Bearer a b", "Bearer " + strings.Repeat("a", 5000),
	} {
		a := w.send("GET", w.base("acme")+"/Users", authorization, "")
		a.refusal(t, fmt.Sprintf("Authorization: %.40q", authorization), http.StatusUnauthorized, "")
	}
}

// TestAbuse_T03: no other class of credential opens SCIM.
func TestAbuse_T03(t *testing.T) {
	w, _ := open(t)
	ctx := soon(t)
	key, _, err := w.vendor.CreateKey(ctx, "acme", "reporting")
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := w.vendor.AddApplication(ctx, registry.NewApplication{
		ClientID: "timesheet", Name: "Timesheet", RedirectURIs: []string{"https://timesheet.example/cb"}, Tenants: []string{"acme"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for what, credential := range map[string]string{
		"API key":                  key,
		"client secret":            secret,
		"API key's hidden part":    registry.SCIMPrefix + strings.TrimPrefix(key, registry.APIPrefix),
		"client's hidden part":     registry.SCIMPrefix + strings.TrimPrefix(secret, registry.ClientPrefix),
		"access token":             "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJ4IiwidGVuYW50IjoiYWNtZSJ9.c2ln",
		"Entra's own token":        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC94LyJ9.c2ln",
		"refresh token, opaque":    "muster_refresh_" + strings.Repeat("A", registry.SecretLength),
		"the hash of nothing":      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"the tenant's own address": "acme",
	} {
		for _, authorization := range []string{"Bearer " + credential, credential, "Basic " + credential} {
			a := w.send("GET", w.base("acme")+"/Users", authorization, "")
			a.refusal(t, what, http.StatusUnauthorized, "")
		}
	}
	request, err := http.NewRequest("GET", w.base("acme")+"/Users", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.AddCookie(&http.Cookie{Name: "__Host-muster", Value: key})
	w.do(request).refusal(t, "a session cookie", http.StatusUnauthorized, "")
}

// TestAbuse_T04: a SCIM token is nothing anywhere else. Every other route, whatever is
// added to them, answers it as it answers one that nobody was given.
func TestAbuse_T04(t *testing.T) {
	w, token := open(t)
	id := w.create("/Users", token, `{"userName":"alice@ringling.example","active":true}`)
	_, _, err := w.vendor.AddApplication(soon(t), registry.NewApplication{
		ClientID: "timesheet", Name: "Timesheet", RedirectURIs: []string{"https://timesheet.example/cb"}, Tenants: []string{"acme"},
	})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := routes(t, w.router, func(pattern string) bool { return !strings.HasPrefix(pattern, "/t/{tenant}/scim") })
	if len(elsewhere) < 10 {
		t.Fatalf("only %d routes were found: %v", len(elsewhere), elsewhere)
	}
	for _, brought := range []func(token string) (authorization string){
		func(token string) string { return "Bearer " + token },
		func(token string) string { return token },
		func(token string) string { return "Basic " + basic("timesheet", token) },
		func(token string) string { return "Basic " + basic(token, token) },
	} {
		authorization, stranger := brought(token), brought(registry.SCIMPrefix+strings.Repeat("A", registry.SecretLength))
		form := "grant_type=authorization_code&code=x&redirect_uri=https://timesheet.example/cb&code_verifier=" + strings.Repeat("v", 43)
		if a := w.form("/token", authorization, form); a.status != http.StatusUnauthorized {
			t.Errorf("POST /token with %.12q: got %d, want 401: %s", authorization, a.status, a.body)
		}
		if a := w.send("POST", w.url+"/t/acme/check", authorization, `{"user":"`+id+`"}`); a.status != http.StatusUnauthorized {
			t.Errorf("POST /t/acme/check with %.12q: got %d, want 401: %s", authorization, a.status, a.body)
		}
		for _, route := range elsewhere {
			got, want := w.send(route.method, w.url+route.path, authorization, ""), w.send(route.method, w.url+route.path, stranger, "")
			if got.same() != want.same() {
				t.Errorf("%s %s with %.12q: got\n%s\nwant what a stranger's token gets\n%s", route.method, route.path, authorization, got.same(), want.same())
			}
		}
	}
}

// TestAbuse_T06: a token sees its own connection only. To it, what another
// connection or tenant has is what nobody has, to the byte.
func TestAbuse_T06(t *testing.T) {
	w, first := open(t)
	second := w.connect("acme", "okta", "lenient")
	w.tenant("globex")
	foreign := w.connect("globex", "entra", "lenient")

	alice := w.create("/Users", first, `{"userName":"alice@ringling.example","externalId":"alice","active":true}`)
	group := w.create("/Groups", first, `{"displayName":"Riggers","members":[{"value":"`+alice+`"}]}`)
	carol := send(w, "globex", "POST", "/Users", foreign, `{"userName":"carol@globex.example"}`).field(t, "id")
	const nobody = "0193a5b0-0000-7000-8000-000000000000"

	patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"taken over"}]}`
	for _, endpoint := range []string{"/Users/", "/Groups/"} {
		for _, id := range []string{alice, group, carol} {
			if endpoint == "/Groups/" && id != group || endpoint == "/Users/" && id == group {
				continue
			}
			for _, try := range []struct{ method, body, match string }{
				{"GET", "", ""}, {"DELETE", "", ""}, {"PATCH", patch, ""}, {"PUT", `{"userName":"x","displayName":"x"}`, ""}, {"DELETE", "", "*"},
			} {
				got, want := w.try(try.method, endpoint+id, second, try.body, try.match), w.try(try.method, endpoint+nobody, second, try.body, try.match)
				if want.status != http.StatusNotFound || got.same() != want.same() {
					t.Errorf("%s %s%s: the answer differs from that for nobody:\n%s\n%s", try.method, endpoint, id, got.same(), want.same())
				}
			}
		}
	}

	for _, query := range []string{"", "?filter=userName pr", `?filter=userName eq "alice@ringling.example"`, `?filter=externalId eq "alice"`, `?filter=id eq "` + alice + `"`, `?filter=id ne "x"`} {
		if a := w.scim("GET", "/Users"+strings.NewReplacer(" ", "%20", `"`, "%22").Replace(query), second, ""); !strings.Contains(a.body, `"totalResults":0`) {
			t.Errorf("GET /Users%s: got %d %s, want an empty list", query, a.status, a.body)
		}
	}
	if a := w.scim("GET", "/Groups", second, ""); !strings.Contains(a.body, `"totalResults":0`) {
		t.Errorf("GET /Groups: got %s, want an empty list", a.body)
	}

	// Another connection's person is no member, and the name is free here.
	mine := w.create("/Groups", second, `{"displayName":"Riggers","members":[{"value":"`+alice+`"},{"value":"`+carol+`"}]}`)
	if a := w.scim("GET", "/Groups/"+mine, second, ""); !strings.Contains(a.body, `"members":[]`) {
		t.Errorf("a foreign member was accepted: %s", a.body)
	}
	w.create("/Users", second, `{"userName":"alice@ringling.example","externalId":"alice"}`)

	// A token at another tenant's address is no token.
	a, b := send(w, "globex", "GET", "/Users", first, ""), send(w, "nobody", "GET", "/Users", first, "")
	a.refusal(t, "a token at another tenant", http.StatusUnauthorized, "")
	if a.same() != b.same() {
		t.Errorf("a tenant that exists answers otherwise than one that does not:\n%s\n%s", a.same(), b.same())
	}

	if a := w.scim("GET", "/Users/"+alice, first, ""); a.status != http.StatusOK || strings.Contains(a.body, "taken over") {
		t.Errorf("alice was changed: %d %s", a.status, a.body)
	}
}

// TestAbuse_T08: a token that was revoked at one process is refused by another
// at once, although that one has just accepted it.
func TestAbuse_T08(t *testing.T) {
	_, url := storetest.Database(t)
	one, two := start(t, storetest.Open(t, url)), start(t, storetest.Open(t, url))
	one.tenant("acme")
	one.connect("acme", "entra", "lenient")
	ctx := soon(t)
	for i := range 1000 {
		token, credential, err := one.vendor.CreateToken(ctx, "acme", "entra", registry.NewToken{Name: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if a := two.scim("GET", "/Users?count=0", token, ""); a.status != http.StatusOK {
			t.Fatalf("token %d before it is revoked: got %d, want 200: %s", i, a.status, a.body)
		}
		if err := one.vendor.RevokeToken(ctx, "acme", credential.ID); err != nil {
			t.Fatal(err)
		}
		path := []string{"/Users?count=0", "/Users/x", "/Nope", "/Schemas", "/Users?filter=x", "/Me"}[i%6]
		if a := two.scim("GET", path, token, ""); a.status != http.StatusUnauthorized {
			t.Fatalf("GET %s with token %d after it was revoked: got %d, want 401: %s", path, i, a.status, a.body)
		}
	}
}

// A suspended tenant and a disabled connection shut their tokens out at once.
func TestAbuse_T10(t *testing.T) {
	w, token := open(t)
	ctx := soon(t)
	if err := w.store.Revoke(ctx, "test", store.Switch{Tenant: "acme", Off: true}); err != nil {
		t.Fatal(err)
	}
	w.scim("GET", "/Users", token, "").refusal(t, "a suspended tenant", http.StatusUnauthorized, "")
	w.scim("POST", "/Users", token, `{`).refusal(t, "a suspended tenant", http.StatusUnauthorized, "")
	if err := w.store.Revoke(ctx, "test", store.Switch{Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	if a := w.scim("GET", "/Users", token, ""); a.status != http.StatusOK {
		t.Errorf("a resumed tenant: got %d, want 200", a.status)
	}
	if err := w.store.Revoke(ctx, "test", store.Switch{Tenant: "acme", Connection: "entra", Off: true}); err != nil {
		t.Fatal(err)
	}
	w.scim("GET", "/Users", token, "").refusal(t, "a disabled connection", http.StatusUnauthorized, "")
}

// TestAbuse_T11: a token in the query is no token, and the log keeps no query.
func TestAbuse_T11(t *testing.T) {
	w, token := open(t)
	for _, name := range []string{"access_token", "token", "bearer", "Authorization"} {
		a := w.send("GET", w.base("acme")+"/Users?"+name+"="+token, "", "")
		a.refusal(t, name+" in the query", http.StatusUnauthorized, "")
	}
	w.scim("GET", "/Users?filter=userName%20eq%20%22alice-in-the-query%22", token, "")
	for _, secret := range []string{token, "alice-in-the-query", "filter"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %.12q:\n%s", secret, w.log.String())
		}
	}
	if !strings.Contains(w.log.String(), `"route":"/t/{tenant}/scim/v2/Users"`) {
		t.Errorf("the log names no route:\n%s", w.log.String())
	}
}

// TestAbuse_T15: neither a health check's name nor its user agent opens anything.
func TestAbuse_T15(t *testing.T) {
	w, _ := open(t)
	for _, path := range []string{"/Users?/healthz", "/Users;/healthz", "/healthz", "/Users/healthz"} {
		request, err := http.NewRequest("GET", w.base("acme")+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("User-Agent", "kube-probe/1.33")
		w.do(request).refusal(t, path, http.StatusUnauthorized, "")
	}
}

// try sends one request with If-Match, for whoever compares two answers.
func (w *world) try(method, path, token, body, ifMatch string) answer {
	w.t.Helper()
	request, err := http.NewRequest(method, w.base("acme")+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/scim+json")
	if ifMatch != "" {
		request.Header.Set("If-Match", ifMatch)
	}
	return w.do(request)
}

func send(w *world, tenant, method, path, token, body string) answer {
	w.t.Helper()
	return w.send(method, w.base(tenant)+path, "Bearer "+token, body)
}

// form posts a form.
func (w *world) form(path, authorization, form string) answer {
	w.t.Helper()
	request, err := http.NewRequest("POST", w.url+path, strings.NewReader(form))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", authorization)
	return w.do(request)
}

func basic(user, password string) string {
	request := http.Request{Header: http.Header{}}
	request.SetBasicAuth(user, password)
	return strings.TrimPrefix(request.Header.Get("Authorization"), "Basic ")
}
