package conformance

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Of a discovery document of a service provider that is in use only what is expected is
// compared, whatever its order; what is expected is compared as ever.
func TestFurtherSchemasAreLeftOut(t *testing.T) {
	const list, user = "/ResourceTypes", "/ResourceTypes/User"
	for _, c := range []struct {
		target, pattern, body string
		differs               string // in the error; "" matches
	}{
		{list, `{"totalResults":1,"Resources":[{"id":"User"}]}`, `{"totalResults":2,"Resources":[{"id":"Room"},{"id":"User"}]}`, ""},
		{list, `{"totalResults":1,"Resources":[{"id":"User"}]}`, `{"totalResults":1,"Resources":[{"id":"Room"},{"id":"User"}]}`, "got 0, want 1"},
		{list, `{"Resources":[{"id":"User"},{"id":"Group"}]}`, `{"Resources":[{"id":"Group"},{"id":"User"}]}`, ""},
		{list, `{"Resources":[{"id":"User"},{"id":"Group"}]}`, `{"Resources":[{"id":"User"},{"id":"Room"}]}`, "got 1 elements, want 2"},
		{list, `{"Resources":[{"id":"User"},"..."]}`, `{"Resources":[{"id":"Room"},{"id":"User"}]}`, ""},
		{list, `{"Resources":[{"id":"User"}]}`, `{"Resources":[{"id":"User"},{"id":"User"}]}`, ""},
		{list, `{"Resources":[{"id":"User","name":"User"}]}`, `{"Resources":[{"id":"User","name":"Person"}]}`, "got \"Person\""},
		{list, `{"Resources":[{"id":"User"}]}`, `{"Resources":[{"id":"User","schemaExtensions":[{"schema":"urn:x"}]}]}`, ""},
		{list, `{"Resources":[{"id":"..."}]}`, `{"Resources":[{"id":"User"},{"id":"Room"}]}`, "got 2 elements, want 1"},
		{user, `{"schemaExtensions":[{"schema":"{e}","required":false}]}`, `{"schemaExtensions":[{"schema":"urn:x","required":true},{"schema":"urn:e","required":false}]}`, ""},
		{user, `{"schemaExtensions":[{"schema":"{e}","required":false}]}`, `{"schemaExtensions":[{"schema":"urn:e","required":true}]}`, "got true, want false"},
		{user, `{"schemaExtensions":[{"schema":"{e}"}]}`, `{"schemaExtensions":[{"schema":"urn:x"}]}`, "got 0 elements, want 1"},
		{user, `{"schemaExtensions":"..."}`, `{"schemaExtensions":[{"schema":"urn:x"}]}`, ""},
		{user, `{"status":"404"}`, `no JSON`, "not JSON"},
		{"/Users", `{"Resources":[{"id":"1"}]}`, `{"Resources":[{"id":"1"},{"id":"2"}]}`, "got 2 elements, want 1"},
	} {
		step := Step{Request: Request{Method: http.MethodGet, Target: c.target}, Want: Response{Body: c.pattern}}
		known := captures{"e": "urn:e"}
		err := known.matchBody(c.pattern, []byte(known.withoutFurther(step, Answer{Body: c.body}).Body))
		if (err == nil) != (c.differs == "") || err != nil && !strings.Contains(err.Error(), c.differs) {
			t.Errorf("%s: pattern %s, body %s: got %v, want %q", c.target, c.pattern, c.body, err, c.differs)
		}
	}
}

// Only a run on a service provider in use leaves them out: a transcript that is played
// by itself stays exact.
func TestPlayComparesFurtherTypes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"Resources":[{"id":"User"},{"id":"Room"}]}`)
	}))
	defer server.Close()
	transcript, err := Parse("x", []byte("A promise. RFC 7644 §4.\n-- request D25 --\nGET /ResourceTypes\n-- response --\n200\n"+`{"Resources":[{"id":"User"}]}`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := Play(t.Context(), Provider{Base: server.URL}, transcript); got.Outcome != Failed {
		t.Errorf("got %s, want it failed", got.Outcome)
	}
	if got := transcript.run(t.Context(), Provider{Base: server.URL, custody: newCustody("run-", false)}); got.Outcome != Passed {
		t.Errorf("got %s: %s, want it passed", got.Outcome, got.Error)
	}
}
