package login_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// The application of these tests, and the identifiers of a person at her provider.
const (
	clientID     = "timesheet"
	redirectURI  = "https://timesheet.example/callback"
	verifier     = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	jamieOID     = "6f1c2d3e-0000-4000-8000-00000000a001"
	jamieSubject = "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"
)

// jamie is who signs in unless a test says otherwise.
func jamie() map[string]any {
	return map[string]any{"sub": jamieSubject, "oid": jamieOID, "preferred_username": "jamie@ringling.example"}
}

// A house is everything a sign-in needs, running: a tenant and its provider, another
// that has none yet, an application, and the doors on a router.
type house struct {
	*testing.T
	store      *store.Store
	provider   *provider
	connection registry.Connection
	secret     string // of the application
	url        string
	serving    atomic.Pointer[http.Handler]
	log        *journal
	limits     server.Limits
}

func newHouse(t *testing.T) *house {
	h := &house{T: t, store: storetest.New(t), provider: newProvider(t), log: &journal{}}
	h.limits = server.Limits{SignIns: server.Unlimited(), Failures: server.Unlimited()} // all requests are of one address
	h.provider.person(jamie())
	h.tenant("ringling", "ringling.example")
	h.tenant("cirque", "cirque.example")
	h.connection = h.connect("ringling", "entra", h.provider)
	h.application()
	h.publish("ringling", everyone)
	listener := httptest.NewServer(h)
	t.Cleanup(listener.Close)
	h.url = listener.URL
	h.serve(h.url)
	return h
}

func (h *house) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*h.serving.Load()).ServeHTTP(w, r)
}

// serve puts the doors together as the program does, once more where they were
// before: a new server remembers nothing of a provider.
func (h *house) serve(publicURL string) {
	h.Helper()
	log := slog.New(slog.NewJSONHandler(h.log, nil))
	client := fetch.NewClient(fetch.Config{AllowLoopback: true})
	h.Cleanup(client.Close)
	made, err := server.New(server.Config{Store: h.store, PublicURL: publicURL, Log: log, Limits: h.limits, Login: login.Config{Fetch: client}})
	h.must(err)
	handler := http.Handler(made.Handler())
	h.serving.Store(&handler)
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) vendor() *registry.Vendor { return h.store.Vendor("test") }

func (h *house) tenant(slug string, domains ...string) {
	h.Helper()
	_, err := h.vendor().CreateTenant(h.Context(), registry.NewTenant{Slug: slug, Name: strings.ToUpper(slug[:1]) + slug[1:], Domains: domains})
	h.must(err)
}

// connect gives a tenant a connection whose people sign in at p.
func (h *house) connect(tenant, name string, p *provider) registry.Connection {
	h.Helper()
	c, err := h.vendor().AddConnection(h.Context(), tenant, registry.Connection{
		Name: name, Kind: "entra", Issuer: p.URL, ClientID: "muster-at-" + name, Secret: "upstream-secret",
	})
	h.must(err)
	return c
}

func (h *house) application() {
	h.Helper()
	tenants, err := h.vendor().Tenants(h.Context())
	h.must(err)
	var slugs []string
	for _, t := range tenants {
		slugs = append(slugs, t.Slug)
	}
	h.secret, _, err = h.vendor().AddApplication(h.Context(), registry.NewApplication{
		ClientID: clientID, Name: "Timesheet", RedirectURIs: []string{redirectURI}, Tenants: slugs, Roles: []string{"viewer", "approver"},
	})
	h.must(err)
}

func (h *house) publish(tenant, rules string) {
	h.Helper()
	_, _, err := h.admin(tenant).PublishRules(h.Context(), []byte(rules))
	h.must(err)
}

func (h *house) admin(tenant string) *store.Directory {
	h.Helper()
	dir, err := h.store.Admin(h.Context(), tenant, "test", store.Request{ID: uuid.Must(uuid.NewV7()), Method: "POST", Path: "/test"})
	h.must(err)
	return dir
}

// provision pushes a user into a tenant's connection, as its provider would.
func (h *house) provision(tenant, connection, body string) store.User {
	h.Helper()
	dir, err := h.admin(tenant).WithConnection(connection)
	h.must(err)
	doc, err := scim.Decode(scim.UserType(), []byte(body), scim.Lenient)
	h.must(err)
	user, _, err := dir.CreateUser(h.Context(), doc)
	h.must(err)
	return user
}

// provisionJamie pushes Jamie Morgan with the recommended mapping.
func (h *house) provisionJamie() store.User {
	h.Helper()
	return h.provision("ringling", "entra", `{"userName":"jamie@ringling.example","externalId":"`+jamieOID+`","active":true}`)
}

// patch changes a user as its provider would.
func (h *house) patch(id uuid.UUID, operations string) {
	h.Helper()
	patch, err := scim.ParsePatch(scim.UserType(),
		[]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":`+operations+`}`), scim.Lenient)
	h.must(err)
	dir, err := h.admin("ringling").WithConnection("entra")
	h.must(err)
	_, _, err = dir.UpdateUser(h.Context(), id.String(), "", func(r scim.Resource) (scim.Resource, []scim.Note, error) {
		return patch.Apply(scim.UserType(), r)
	})
	h.must(err)
}

// replace puts another user in the place of one, as PUT does.
func (h *house) replace(id uuid.UUID, body string) {
	h.Helper()
	doc, err := scim.Decode(scim.UserType(), []byte(body), scim.Lenient)
	h.must(err)
	dir, err := h.admin("ringling").WithConnection("entra")
	h.must(err)
	_, _, err = dir.UpdateUser(h.Context(), id.String(), "", func(scim.Resource) (scim.Resource, []scim.Note, error) {
		return doc.Resource, doc.Notes, nil
	})
	h.must(err)
}

// group pushes a group with its members.
func (h *house) group(name string, members ...uuid.UUID) store.Group {
	h.Helper()
	dir, err := h.admin("ringling").WithConnection("entra")
	h.must(err)
	doc, err := scim.Decode(scim.GroupType(), []byte(`{"displayName":"`+name+`"}`), scim.Lenient)
	h.must(err)
	for _, id := range members {
		doc.Members = append(doc.Members, scim.Member{Value: id.String()})
	}
	doc.HasMembers = true
	g, _, err := dir.CreateGroup(h.Context(), doc)
	h.must(err)
	return g
}

// members changes who is in a group.
func (h *house) members(g store.Group, operations string) {
	h.Helper()
	patch, err := scim.ParsePatch(scim.GroupType(),
		[]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":`+operations+`}`), scim.Lenient)
	h.must(err)
	dir, err := h.admin("ringling").WithConnection("entra")
	h.must(err)
	_, _, err = dir.UpdateGroup(h.Context(), g.ID.String(), "", store.GroupChange{Members: patch.Members()})
	h.must(err)
}

// revokeTokens takes every provisioning token away.
func (h *house) revokeTokens() {
	h.Helper()
	tokens, err := h.vendor().Tokens(h.Context(), "ringling")
	h.must(err)
	for _, token := range tokens {
		h.must(h.vendor().RevokeToken(h.Context(), "ringling", token.ID))
	}
}

// authorize is where the application sends the browser, with some parameters changed.
func (h *house) authorize(changes ...string) string {
	params := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {"application-state"},
		"nonce": {"application-nonce"}, "scope": {"openid"}, "code_challenge": {s256(verifier)}, "code_challenge_method": {"S256"},
		"tenant": {"ringling"},
	}
	for i := 0; i < len(changes); i += 2 {
		params.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			params.Del(changes[i])
		}
	}
	return h.url + "/authorize?" + params.Encode()
}

// A browser keeps cookies and follows a redirect only when told to.
type browser struct {
	*testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// An answer is what the browser shows or is sent on with.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) location() string { return a.header.Get("Location") }

// query is a parameter of where the browser is sent.
func (a answer) query(name string) string {
	u, err := url.Parse(a.location())
	if err != nil {
		return ""
	}
	return u.Query().Get(name)
}

var reasonOnPage = regexp.MustCompile(`Reason: ([a-z_]+)<`)

// reason is the one that the page gives, "" where there is none.
func (a answer) reason() string {
	if found := reasonOnPage.FindStringSubmatch(a.body); found != nil {
		return found[1]
	}
	return ""
}

func (b *browser) get(address string) answer {
	b.Helper()
	response, err := b.client.Get(address)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// begin goes to the application's request and on to the provider, and stops where
// the provider sends it back to.
func (b *browser) begin(address string) (callback string) {
	b.Helper()
	sent := b.get(address)
	if sent.status != http.StatusSeeOther {
		b.Fatalf("%s: got %d %s, want a redirect to the provider", address, sent.status, sent.reason())
	}
	return b.get(sent.location()).location()
}

// signIn goes all the way to the redirect to the application, or to a page.
func (b *browser) signIn(address string) answer {
	b.Helper()
	return b.get(b.begin(address))
}

// refused expects a page with the status and reason, and no code.
func (a answer) refused(t *testing.T, status int, reason string) {
	t.Helper()
	if a.status != status || a.reason() != reason || a.location() != "" {
		t.Errorf("got %d %q %s, want the page %d %q", a.status, a.reason(), a.location(), status, reason)
	}
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("Content-Security-Policy is %q", policy)
	}
}

// admitted expects the redirect to the application with a code.
func (a answer) admitted(t *testing.T) (code string) {
	t.Helper()
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.location(), redirectURI+"?") || a.query("code") == "" {
		t.Fatalf("got %d %q %s, want a redirect to the application with a code", a.status, a.reason(), a.location())
	}
	return a.query("code")
}

// A journal keeps the log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// line returns the lines with the message.
func (j *journal) lines(message string) []string {
	var found []string
	for line := range strings.Lines(j.String()) {
		if strings.Contains(line, `"msg":"`+message+`"`) {
			found = append(found, line)
		}
	}
	return found
}
