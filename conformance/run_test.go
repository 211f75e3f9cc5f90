package conformance

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// recorder is a service provider that makes whatever it is sent, and keeps what was sent.
func recorder(t *testing.T) (provider Provider, sent *[]string) {
	sent = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*sent = append(*sent, r.Method+" "+r.RequestURI+" "+string(body))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":"42","echo":%s}`, body)
	}))
	t.Cleanup(server.Close)
	return Provider{Base: server.URL, Token: "secret", custody: newCustody("run-", false)}, sent
}

// A failure shows the request as it was sent and the answer as it came, with the prefix
// and without a credential.
func TestFailureShowsWhatWasSent(t *testing.T) {
	transcript, err := Parse("x", []byte(`A promise. RFC 7644 §3.
-- request --
POST /Users?filter=userName eq "bo"
Authorization: bearer {token}
If-Match: W/"1"

{"userName":"bo"}
-- response --
201
{"id":"43","...":"..."}
`))
	if err != nil {
		t.Fatal(err)
	}
	provider, sent := recorder(t)
	got := transcript.run(t.Context(), provider)
	want := Result{Step: 1,
		Request: `POST /Users?filter=userName eq "run-bo"` + "\nAuthorization: …\nIf-Match: W/\"1\"\n\n" + `{"userName":"run-bo"}`,
		Answer:  "201\n" + `{"id":"42","echo":{"userName":"run-bo"}}`,
	}
	if got.Outcome != Failed || got.Step != want.Step || got.Request != want.Request || got.Answer != want.Answer {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if len(*sent) != 1 || !strings.HasSuffix((*sent)[0], `%22run-bo%22 {"userName":"run-bo"}`) {
		t.Errorf("sent: %q", *sent)
	}
}

// The failure of a check shows the request whose answer was not as expected, or else
// the last.
func TestFailureOfACheckShowsWhatWasSent(t *testing.T) {
	first, second := "POST /Users\n\n"+`{"userName":"run-bo"}`, "POST /Groups\n\n"+`{"displayName":"run-tours"}`
	for want, check := range map[string]func(*Trial, Answer){
		first:  func(t *Trial, got Answer) { t.Expect(got, "200\n...") },
		second: func(t *Trial, got Answer) { t.Check(got.Status == 200, "got %d", got.Status) },
	} {
		provider, _ := recorder(t)
		got := Check{Name: "x", Run: func(trial *Trial) {
			made := trial.Send("POST /Users\n" + `{"userName":"bo"}`)
			trial.Send("POST /Groups\n" + `{"displayName":"tours"}`)
			check(trial, made)
		}}.run(t.Context(), provider)
		if got.Outcome != Failed || got.Request != want || !strings.Contains(got.Answer, `"run-`) {
			t.Errorf("got\n%+v\nwant the request\n%s", got, want)
		}
	}
}

// Whatever a transcript or a check needs, a report says in plain words that it was lacking.
func TestWhatIsLackingIsSaidInPlainWords(t *testing.T) {
	plays, err := Options{}.plays()
	if err != nil {
		t.Fatal(err)
	}
	if len(plays) < 200 {
		t.Fatalf("%d plays", len(plays))
	}
	features := []string{"bulk", "cursor", "sort"}
	for _, play := range plays {
		got := play.run(t.Context(), Provider{Base: "http://127.0.0.1:1", custody: newCustody("run-", false)})
		said := why(got.Lacking)
		feature := strings.TrimPrefix(said, "the service provider says that it does not support ")
		if feature != said && slices.ContainsFunc(strings.Split(feature, " and "), func(name string) bool { return !slices.Contains(features, name) }) {
			t.Errorf("%s needs %v: %q is no feature of a service provider", play.name, got.Lacking, feature)
		}
		if (said == "") != (len(got.Lacking) == 0) {
			t.Errorf("%s needs %v: %q", play.name, got.Lacking, said)
		}
	}
	for _, c := range []struct{ lacking, want string }{
		{"empty", "holds users or groups"}, {"neighbour,empty", "take more than a URL"}, {"TestResource,empty", "no resource type TestResource"},
		{"doctor,strictToken", "doctor"}, {"empty,bulk,sort", "does not support bulk and sort"},
	} {
		if got := why(strings.Split(c.lacking, ",")); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.lacking, got, c.want)
		}
	}
}
