package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/storetest"
)

// The runner, on a service provider that is in use, makes its own, deletes it, and
// leaves what was there as it was.
func TestConformanceBesideOthers(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "connection", "lenient")
	w.create("/Users", token, `{"userName":"bjensen","externalId":"bjensen","active":true,"displayName":"Babs"}`)
	w.create("/Users", token, `{"userName":"alice","active":true}`)
	w.create("/Groups", token, `{"displayName":"Tour Guides"}`)
	w.passesAll(t, token, 60, false)
}

// passesAll runs everything there is to play on acme, which passes as passed says and is
// afterwards as it was before.
func (w *world) passesAll(t *testing.T, token string, least int, empty bool) {
	t.Helper()
	before := w.everything(t, "acme", token)

	summary, err := conformance.Run(t.Context(), conformance.Provider{Base: w.base("acme"), Token: token}, conformance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	passed(t, summary, least, empty)
	if after := w.everything(t, "acme", token); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
}

// passed fails where a play failed or left something behind, fewer than least passed, or
// the run found the service provider empty where it is not, or the other way round.
func passed(t *testing.T, summary conformance.Summary, least int, empty bool) {
	t.Helper()
	for _, r := range summary.Results {
		if r.Outcome == conformance.Failed {
			t.Errorf("%s: step %d: %s\n%s\n%s", r.Name, r.Step, r.Error, r.Request, r.Answer)
		}
		if len(r.Left) > 0 {
			t.Errorf("%s left %v", r.Name, r.Left)
		}
	}
	if n := summary.Count(conformance.Passed); n < least || summary.Empty != empty {
		t.Errorf("%d passed, empty %v", n, summary.Empty)
	}
}

// On a service provider that holds nobody, which is where most can be played, nothing
// fails, what is sent is what is shown, and nothing is left.
func TestConformanceOnAnEmptyTenant(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "connection", "lenient")
	w.passesAll(t, token, 160, true)
}

// What cannot be deleted is told, and from then on nothing is counted: the service
// provider is not empty any more.
func TestConformanceThatLeavesSomething(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "connection", "lenient")
	base := w.base("acme")
	target, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	keeper := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			http.Error(answer, "not here", http.StatusNotImplemented)
			return
		}
		forward.ServeHTTP(answer, r)
	}))
	defer keeper.Close()

	provider := conformance.Provider{Base: keeper.URL + strings.TrimPrefix(base, w.url), Token: token}
	summary, err := conformance.Run(t.Context(), provider, conformance.Options{Only: []string{"rfc7644/filters", "rfc7644/search"}})
	if err != nil || len(summary.Results) != 2 {
		t.Fatalf("%v: %+v", err, summary)
	}
	first, second := summary.Results[0], summary.Results[1]
	if first.Outcome != conformance.Passed || len(first.Left) == 0 {
		t.Errorf("got %+v, want it passed, and something left", first)
	}
	if second.Outcome != conformance.NotPlayed || !strings.HasPrefix(second.Why, "the service provider holds users or groups already") {
		t.Errorf("got %+v, want it not played", second)
	}
}

// everything is what a connection holds.
func (w *world) everything(t *testing.T, tenant, token string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/Users", "/Groups"} {
		got := w.send("GET", w.base(tenant)+path, "Bearer "+token, "")
		if got.status != 200 {
			t.Fatalf("GET %s: %+v", path, got)
		}
		fmt.Fprintf(&all, "%s\n", got.body)
	}
	return all.String()
}

// A service provider that acknowledges a change and does not make it is found out, and
// the report shows the request and the answer.
func TestConformanceFindsAnUnappliedChange(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "connection", "lenient")
	target, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	liar := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			io.Copy(io.Discard, r.Body) // what is not read yet cannot be taken from net/http
			r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
		}
		forward.ServeHTTP(answer, r)
	}))
	defer liar.Close()

	base := liar.URL + strings.TrimPrefix(w.base("acme"), w.url)
	summary, err := conformance.Run(t.Context(), conformance.Provider{Base: base, Token: token}, conformance.Options{Only: []string{"rfc7644/patch-user"}})
	if err != nil {
		t.Fatal(err)
	}
	if summary.Count(conformance.Failed) == 0 {
		t.Fatalf("nothing failed: %+v", summary)
	}
	var text, junit strings.Builder
	if err := errors.Join(summary.WriteText(&text), summary.WriteJUnit(&junit)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAILED rfc7644/patch-user, step ", "  > PATCH /Users/", "  < 200"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, text.String())
		}
	}
	for _, want := range []string{`<testsuite name="rfc7644"`, `<testcase classname="rfc7644" name="patch-user"`, `<failure message="`} {
		if !strings.Contains(junit.String(), want) {
			t.Errorf("the JUnit report lacks %q:\n%s", want, junit.String())
		}
	}
}
