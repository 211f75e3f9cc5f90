package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A world is a running server on a database of its own.
type world struct {
	t       *testing.T
	store   *store.Store
	vendor  *registry.Vendor
	router  chi.Router
	metrics *server.Metrics
	url     string
	log     *lockedBuffer
}

// start serves st on loopback until the test ends.
func start(t *testing.T, st *store.Store) *world {
	t.Helper()
	return serve(t, st, server.NewMetrics())
}

// unlimited are the limits of tests about something else: all their requests are
// of one address.
func unlimited() server.Limits {
	return server.Limits{SignIns: server.Unlimited(), Failures: server.Unlimited(), Requests: server.Unlimited()}
}

func serve(t *testing.T, st *store.Store, metrics *server.Metrics, options ...func(*server.Config)) *world {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, store: st, vendor: st.Vendor("test"), log: &lockedBuffer{}, metrics: metrics,
		url: "http://" + listener.Addr().String(),
	}
	config := server.Config{
		Store: st, PublicURL: w.url, Metrics: w.metrics, Limits: unlimited(),
		Log:   slog.New(slog.NewJSONHandler(w.log, nil)),
		Login: login.Config{Fetch: fetch.NewClient(fetch.Config{AllowLoopback: true})},
	}
	for _, option := range options {
		option(&config)
	}
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	w.router = s.Handler()
	ts := &httptest.Server{Listener: listener, Config: &http.Server{Handler: w.router, MaxHeaderBytes: 256 << 10}}
	ts.Start()
	t.Cleanup(ts.Close)
	return w
}

// open starts a world with one tenant, acme, and its connection, entra.
func open(t *testing.T) (w *world, token string) {
	t.Helper()
	w = start(t, storetest.New(t))
	w.tenant("acme")
	return w, w.connect("acme", "entra", "lenient")
}

func (w *world) tenant(slug string) {
	w.t.Helper()
	if _, err := w.vendor.CreateTenant(context.Background(), registry.NewTenant{Slug: slug, Name: slug}); err != nil {
		w.t.Fatal(err)
	}
}

// connect adds a connection and returns a token of it.
func (w *world) connect(tenant, name, profile string) (token string) {
	w.t.Helper()
	_, err := w.vendor.AddConnection(context.Background(), tenant, registry.Connection{Name: name, Kind: "generic", Profile: profile, MatchClaim: "sub", MatchAttribute: "externalId"})
	if err != nil {
		w.t.Fatal(err)
	}
	token, _, err = w.vendor.CreateToken(context.Background(), tenant, name, registry.NewToken{Name: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// testResource gives a tenant the synthetic resource types of the checklist:
// /TestResources, and /ExtendedTestResources, which require their extension.
func (w *world) testResource(tenant string) {
	w.t.Helper()
	dir, err := w.store.Admin(context.Background(), tenant, "test", store.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, document := range conformance.TestSchemas() {
		if _, err := dir.DeclareSchema(context.Background(), document, ""); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, document := range conformance.TestTypes() {
		if _, err := dir.RegisterResourceType(context.Background(), document); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) base(tenant string) string { return w.url + "/t/" + tenant + "/scim/v2" }

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send makes one request. authorization is the whole header, "" for none.
func (w *world) send(method, url, authorization, body string) answer {
	w.t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/scim+json")
	}
	return w.do(request)
}

func (w *world) do(request *http.Request) answer {
	w.t.Helper()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		w.t.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", request.Method, request.URL, err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// scim sends a SCIM request of acme's with token.
func (w *world) scim(method, path, token, body string) answer {
	w.t.Helper()
	return w.send(method, w.base("acme")+path, "Bearer "+token, body)
}

// create posts a resource and returns its id.
func (w *world) create(path, token, body string) (id string) {
	w.t.Helper()
	a := w.scim("POST", path, token, body)
	if a.status != http.StatusCreated {
		w.t.Fatalf("POST %s: got %d, want 201: %s", path, a.status, a.body)
	}
	return a.field(w.t, "id")
}

func (a answer) field(t *testing.T, name string) string {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("the body is not JSON: %v: %s", err, a.body)
	}
	value, _ := body[name].(string)
	return value
}

// refusal checks that a is a SCIM Error message of that status and scimType.
func (a answer) refusal(t *testing.T, what string, status int, scimType string) {
	t.Helper()
	var body struct {
		Schemas                  []string
		Status, ScimType, Detail string
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Errorf("%s: got %d and no JSON: %v: %.200s", what, a.status, err, a.body)
		return
	}
	if a.status != status || body.Status != strconv.Itoa(status) || body.ScimType != scimType {
		t.Errorf("%s: got %d %q, want %d %q: %.300s", what, a.status, body.ScimType, status, scimType, a.body)
	}
	if len(body.Schemas) != 1 || body.Schemas[0] != "urn:ietf:params:scim:api:messages:2.0:Error" || body.Detail == "" {
		t.Errorf("%s: not an Error message with a detail: %.300s", what, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/scim+json" {
		t.Errorf("%s: Content-Type %q, want application/scim+json", what, got)
	}
}

// same are the headers and body of an answer, without what differs from request
// to request.
func (a answer) same() string {
	header := a.header.Clone()
	header.Del("Date")
	header.Del("X-Request-Id")
	var b bytes.Buffer
	header.Write(&b)
	return strconv.Itoa(a.status) + "\n" + b.String() + strings.ReplaceAll(a.body, a.header.Get("X-Request-Id"), "")
}

// lockedBuffer collects the log of handlers that run in parallel.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// soon returns a context that ends before the test binary does.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
