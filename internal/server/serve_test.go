package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

func TestHealth(t *testing.T) {
	w, _ := open(t)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if a := w.send("GET", w.url+path, "", ""); a.status != http.StatusOK || a.body != want {
			t.Errorf("GET %s: got %d %q, want 200 %q", path, a.status, a.body, want)
		}
	}
}

// Without its database a server lives but is not ready, and says no more about
// it than that.
func TestWithoutADatabase(t *testing.T) {
	w, token := open(t)
	w.store.Close()
	if a := w.send("GET", w.url+"/healthz", "", ""); a.status != http.StatusOK {
		t.Errorf("GET /healthz: got %d, want 200", a.status)
	}
	if a := w.send("GET", w.url+"/readyz", "", ""); a.status != http.StatusServiceUnavailable || a.body != "not ready\n" {
		t.Errorf("GET /readyz: got %d %q, want 503", a.status, a.body)
	}
	for _, path := range []string{"/Users", "/Nope", "/Schemas", "/Users/x"} {
		a := w.scim("GET", path, token, "")
		a.refusal(t, path, http.StatusServiceUnavailable, "")
		if a.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q, want whole seconds", path, a.header.Get("Retry-After"))
		}
		for _, leak := range []string{"host=", "closed pool", "SQLSTATE", "pgx", "/tmp/"} {
			if strings.Contains(a.body, leak) {
				t.Errorf("%s: the answer holds %q: %s", path, leak, a.body)
			}
		}
		if id := a.header.Get("X-Request-Id"); !strings.Contains(a.body, id) || !strings.Contains(w.log.String(), id) {
			t.Errorf("%s: the reference %s is not in both the answer and the log: %s", path, id, a.body)
		}
	}
}

func TestMetrics(t *testing.T) {
	w, token := open(t)
	w.create("/Users", token, `{"userName":"alice@ringling.example","adreses":1}`)
	w.scim("POST", "/Users", token, `{"userName":"ALICE@ringling.example"}`)
	w.scim("GET", "/Users", "nonsense", "")
	w.scim("GET", "/a/b/c", token, "")
	w.send("BREW", w.url+"/somewhere", "", "")

	recorder := httptest.NewRecorder()
	w.metrics.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`muster_requests_total{method="POST",route="/t/{tenant}/scim/v2/Users",status="201"} 1`,
		`muster_requests_total{method="POST",route="/t/{tenant}/scim/v2/Users",status="409"} 1`,
		`muster_requests_total{method="other",route="none",status="405"} 1`,
		`muster_request_seconds_count{method="POST",route="/t/{tenant}/scim/v2/Users"} 2`,
		`muster_refusals_total{door="scim",reason="uniqueness"} 1`,
		`muster_refusals_total{door="scim",reason="401"} 1`,
		`muster_refusals_total{door="scim",reason="404"} 1`,
		`muster_pool_connections{state="max"} 4`,
		`muster_sequencer_lag_seconds 0`,
	} {
		if !strings.Contains(recorder.Body.String(), want+"\n") {
			t.Errorf("the metrics lack %s:\n%s", want, lines(recorder.Body.String(), "muster_"))
		}
	}
	if strings.Contains(recorder.Body.String(), "a/b/c") || strings.Contains(recorder.Body.String(), "acme") {
		t.Errorf("a label holds what a client chose:\n%s", lines(recorder.Body.String(), "muster_"))
	}
	if a := w.send("GET", w.url+"/metrics", "", ""); a.status != http.StatusNotFound {
		t.Errorf("the public listener answers /metrics with %d", a.status)
	}
}

// A 2xx hides nothing: what lenience ignored or repaired is counted by its
// quirk, in members as in attributes.
func TestIgnoredOperationsAreCounted(t *testing.T) {
	metrics := server.NewMetrics()
	w := serve(t, storetest.New(t, func(c *store.Config) { c.Metrics = metrics.Store() }), metrics)
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	const user, group = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
	patch := func(operations string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":` + operations + `}`
	}
	alice := w.create("/Users", token, `{`+user+`,"userName":"alice@ringling.example","externalId":"alice"}`)
	riggers := w.create("/Groups", token, `{`+group+`,"displayName":"Riggers","members":[{"value":"`+alice+`"}]}`)

	counted := map[string]int{}
	for _, step := range []struct {
		story, method, path, body string
		quirks                    []string // each counted once more
	}{
		{"a user's attribute", "PATCH", "/Users/" + alice, patch(`[{"op":"Replace","path":"active","value":"False"}]`), []string{"Q70", "Q72"}},
		{"a repair that comes to nothing", "PATCH", "/Users/" + alice, patch(`[{"op":"replace","path":"active","value":"False"}]`), []string{"Q72"}},
		{"a user created", "POST", "/Users", `{` + user + `,"userName":"bob@ringling.example","active":"True"}`, []string{"Q42"}},
		{"a user created again", "POST", "/Users", `{` + user + `,"userName":"alice@ringling.example","externalId":"alice","active":true}`, []string{"Q55"}},
		{"a group created", "POST", "/Groups", `{` + group + `,"displayName":"Grooms","colour":"red"}`, []string{"Q46"}},
		{"a group created with an unknown member", "POST", "/Groups", `{` + group + `,"displayName":"Clowns","members":[{"value":"nobody"}]}`, []string{"Q60"}},
		{"members removed by value, an unknown one added", "PATCH", "/Groups/" + riggers,
			patch(`[{"op":"remove","path":"members","value":[{"value":"` + alice + `"}]},{"op":"add","path":"members","value":[{"value":"nobody"}]}]`), []string{"Q60", "Q87"}},
		{"only an unknown member added", "PATCH", "/Groups/" + riggers, patch(`[{"op":"add","path":"members","value":[{"value":"nobody"}]}]`), []string{"Q60"}},
		{"members and attributes", "PATCH", "/Groups/" + riggers,
			patch(`[{"op":"Add","path":"members","value":[{"value":"` + alice + `"}]},{"op":"replace","path":"colour","value":"red"}]`), []string{"Q70", "Q99"}},
		{"a group replaced", "PUT", "/Groups/" + riggers, `{` + group + `,"displayName":"Riggers","colour":"red"}`, []string{"Q46"}},
	} {
		if a := w.scim(step.method, step.path, token, step.body); a.status >= 300 {
			t.Fatalf("%s: got %d: %s", step.story, a.status, a.body)
		}
		for _, quirk := range step.quirks {
			counted[quirk]++
		}
		if diff := cmp.Diff(counted, ignored(t, metrics)); diff != "" {
			t.Fatalf("%s: -want +got\n%s", step.story, diff)
		}
	}
}

// ignored reads how often each quirk has been counted.
func ignored(t *testing.T, metrics *server.Metrics) map[string]int {
	t.Helper()
	recorder := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	found := map[string]int{}
	for line := range strings.Lines(lines(recorder.Body.String(), "muster_ignored_operations_total")) {
		var quirk string
		var n int
		if _, err := fmt.Sscanf(line, "muster_ignored_operations_total{quirk=%q} %d", &quirk, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found[quirk] = n
	}
	return found
}

func lines(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) && !strings.Contains(line, "_bucket") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// A server that is told to stop finishes what it has begun.
func TestServeFinishesWhatItHasBegun(t *testing.T) {
	st := storetest.New(t)
	public, operators := listen(t), listen(t)
	url := "http://" + public.Addr().String()
	s, err := server.New(server.Config{Store: st, PublicURL: url, Login: login.Config{Fetch: fetch.NewClient(fetch.Config{AllowLoopback: true})}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: st, vendor: st.Vendor("test"), url: url}
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")

	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, public, operators) }()
	if a := w.send("GET", "http://"+operators.Addr().String()+"/metrics", "", ""); a.status != http.StatusOK {
		t.Errorf("GET /metrics: got %d, want 200", a.status)
	}

	body, slow := io.Pipe()
	request, err := http.NewRequest("POST", w.base("acme")+"/Users", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Expect", "100-continue")
	reading := make(chan struct{}) // closed when the door has asked for the body
	request = request.WithContext(httptrace.WithClientTrace(soon(t), &httptrace.ClientTrace{Got100Continue: func() { close(reading) }}))
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	answered := make(chan string, 1)
	go func() {
		response, err := transport.RoundTrip(request)
		if err != nil {
			answered <- err.Error()
			return
		}
		response.Body.Close()
		answered <- response.Status
	}()
	<-reading
	stop()
	fmt.Fprint(slow, `{"userName":"alice@ringling.example"}`)
	slow.Close()
	if got := <-answered; got != "201 Created" {
		t.Errorf("the request in flight: got %s, want 201", got)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := net.Dial("tcp", public.Addr().String()); err == nil {
		t.Error("the server still listens")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// A public URL that cannot be an issuer is refused at the start.
func TestPublicURL(t *testing.T) {
	st := storetest.New(t)
	for _, url := range []string{"", "muster.example", "http://muster.example", "https://muster.example/", "https://muster.example/x", "ftp://muster.example"} {
		if _, err := server.New(server.Config{Store: st, PublicURL: url}); err == nil {
			t.Errorf("the public URL %q was taken", url)
		}
	}
}
