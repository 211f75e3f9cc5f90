package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A run that is interrupted while a user is being made waits for the answer, deletes
// what was made, and reports what was played and how much was not.
func TestConformanceThatIsInterrupted(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "connection", "lenient")
	before := w.everything(t, "acme", token)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var posts atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		got := w.pass(t, r)
		if r.Method == http.MethodPost && got.status == http.StatusCreated && posts.Add(1) == 5 {
			interrupt() // the user is made, and nobody has been told
			<-ctx.Done()
		}
		got.write(answer)
	}))
	defer proxy.Close()

	provider := conformance.Provider{Base: proxy.URL + strings.TrimPrefix(w.base("acme"), w.url), Token: token}
	summary, err := conformance.Run(ctx, provider, conformance.Options{Only: []string{"rfc7644/", "schemas/"}})
	if !errors.Is(err, conformance.ErrInterrupted) {
		t.Errorf("got error %v, want ErrInterrupted", err)
	}
	if after := w.everything(t, "acme", token); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
	if n := posts.Load(); n != 5 {
		t.Errorf("%d resources were made, want none after the interrupt", n)
	}
	passed, unplayed := summary.Count(conformance.Passed), summary.Count(conformance.NotPlayed)
	if passed == 0 || summary.Interrupted == 0 || summary.Interrupted > unplayed || passed+unplayed != len(summary.Results) {
		t.Errorf("%d of %d passed, %d were not played, %d for the interrupt", passed, len(summary.Results), unplayed, summary.Interrupted)
	}
	var text, junit strings.Builder
	if err := errors.Join(summary.WriteText(&text), summary.WriteJUnit(&junit)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "\ninterrupted: ") || !strings.Contains(junit.String(), `<skipped message="the run was interrupted`) {
		t.Errorf("the reports do not say that the run was interrupted:\n%s\n%s", text.String(), junit.String())
	}
}

// What a request has made that was never answered is not known, so the request is named.
func TestConformanceThatIsNotAnswered(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "connection", "lenient")
	proxy := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		got := w.pass(t, r)
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		got.write(answer)
	}))
	defer proxy.Close()

	provider := conformance.Provider{Base: proxy.URL + strings.TrimPrefix(w.base("acme"), w.url), Token: token}
	summary, err := conformance.Run(t.Context(), provider, conformance.Options{Only: []string{"rfc7644/create"}})
	if err != nil {
		t.Fatal(err)
	}
	var text, junit strings.Builder
	if err := errors.Join(summary.WriteText(&text), summary.WriteJUnit(&junit)); err != nil {
		t.Fatal(err)
	}
	for _, report := range []string{text.String(), junit.String()} {
		if !strings.Contains(report, "left behind by rfc7644/create, delete it: what POST /Users made, if it did, which was not answered: ") {
			t.Errorf("the report does not name the request:\n%s", report)
		}
	}
}

// pass sends a request on to the server, whether or not its sender waits. The answer
// names the address that was asked.
func (w *world) pass(t *testing.T, r *http.Request) answer {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	request, err := http.NewRequest(r.Method, w.url+r.RequestURI, strings.NewReader(string(body)))
	if err != nil {
		t.Error(err)
		return answer{}
	}
	request.Header = r.Header
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	own := func(s string) string { return strings.ReplaceAll(s, w.url, "http://"+r.Host) }
	response.Header.Del("Content-Length")
	for _, values := range response.Header {
		for i := range values {
			values[i] = own(values[i])
		}
	}
	return answer{status: response.StatusCode, header: response.Header, body: own(string(text))}
}

// write passes an answer back.
func (a answer) write(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}
