package conformance

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTranscriptsAreWellFormed(t *testing.T) {
	all, err := Transcripts()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 40 {
		t.Errorf("got %d transcripts, want more", len(all))
	}
	for _, transcript := range all {
		shows := func(text string) bool { return strings.Contains(transcript.Promise, text) }
		if !shows("RFC 7644") && !shows("§") && !shows("\nDoctor: finds ") {
			t.Errorf("%s: the promise names no section, and nothing that the doctor finds: %q", transcript.Name, transcript.Promise)
		}
	}
}

// DIVERGENCES.md names transcripts that exist, and every transcript that shows
// a divergence is named in it.
func TestDivergencesAreShown(t *testing.T) {
	text, err := os.ReadFile("DIVERGENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	all, err := Transcripts()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`\b(`+strings.Join(folders(all), "|")+`)/[a-z0-9-]+`).FindAllString(string(text), -1) {
		named[name] = true
	}
	for _, transcript := range all {
		if strings.Contains(transcript.Promise, "DIVERGENCES") && !named[transcript.Name] {
			t.Errorf("%s shows a divergence that DIVERGENCES.md does not name", transcript.Name)
		}
		delete(named, transcript.Name)
	}
	for name := range named {
		t.Errorf("DIVERGENCES.md names %s, which is no transcript", name)
	}
}

// folders are those in which the transcripts are.
func folders(all []*Transcript) []string {
	var names []string
	for _, transcript := range all {
		folder, _, _ := strings.Cut(transcript.Name, "/")
		names = append(names, folder)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A divergence that no transcript can show is shown by a test, which exists.
func TestDivergencesNameTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("DIVERGENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := testSources(t)
	for _, name := range regexp.MustCompile(`\bTest\w+`).FindAllString(string(text), -1) {
		if !strings.Contains(sources, "\nfunc "+name+"(t *testing.T)") {
			t.Errorf("DIVERGENCES.md names %s, which is no test", name)
		}
	}
}

// testSources is the text of every test of the doors and of what is below them.
func testSources(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../internal/*/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests found: %v", err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "p\n-- request --\nGET /\n-- response --\n200\n", "p\n-- request --\nGET /\nA: b\n\n{}\n-- response --\n200\nA: {x}\n{\"a\":\"{x}\"}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		transcript, err := Parse("x", text)
		if err == nil && len(transcript.Steps) == 0 {
			t.Errorf("Parse(%q): a transcript without steps", text)
		}
	})
}

func TestMatchBody(t *testing.T) {
	for _, c := range []struct {
		pattern, body string
		differs       string // in the error; "" matches
	}{
		{`{"a":1}`, `{"a":1}`, ""},
		{`{"a":1}`, `{"a":1.0}`, "got 1.0, want 1"},
		{`{"a":1}`, `{"a":1,"b":2}`, ".b is not expected"},
		{`{"a":1,"...":"..."}`, `{"b":2,"a":1}`, ""},
		{`{"a":1,"...":"..."}`, `{"b":2}`, ".a is missing"},
		{`{"a":"..."}`, `{"a":[1,2]}`, ""},
		{`{"a":"..."}`, `{}`, ".a is missing"},
		{`[1,2]`, `[2,1]`, "[0]: got 2, want 1"},
		{`[1]`, `[1,2]`, "got 2 elements, want 1"},
		{`[1,"..."]`, `[1,2,3]`, ""},
		{`[1,"..."]`, `[]`, "got 0 elements, want 1"},
		{`{"a":true}`, `{"a":"true"}`, `got "true", want true`},
		{`{"a":"true"}`, `{"a":true}`, `got true, want "true"`},
		{`{"a":null}`, `{"a":null}`, ""},
		{`{"a":{}}`, `{"a":[]}`, "want an object"},
		{`{"a":"{x}","b":"{x}"}`, `{"a":"1","b":"1"}`, ""},
		{`{"a":"{x}","b":"{x}"}`, `{"a":"1","b":"2"}`, `.b: got "2", want "1"`},
		{`{"a":"{known}/{x}"}`, `{"a":"here/1"}`, ""},
		{`{"a":"{known}/{x}"}`, `{"a":"there/1"}`, "want"},
		{`...`, `not JSON`, ""},
		{``, ``, ""},
		{``, `{}`, "want none"},
		{`{}`, ``, "not JSON"},
	} {
		err := captures{"known": "here"}.matchBody(c.pattern, []byte(c.body))
		if (err == nil) != (c.differs == "") || err != nil && !strings.Contains(err.Error(), c.differs) {
			t.Errorf("pattern %s, body %s: got %v, want %q", c.pattern, c.body, err, c.differs)
		}
	}
}

func TestParseRefusesWhatIsNoTranscript(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "promise",
		"promise":                   "pairs",
		"p\n-- request --\nGET /\n": "pairs",
		"p\n-- request --\nGET /\n-- answer --\n200\n":                               "sections",
		"p\n-- request --\nGET\n-- response --\n200\n":                               "request line",
		"p\n-- request --\nGET /\n-- response --\nok\n":                              "response line",
		"p\n-- request --\nGET /\n-- response --\n200\n{\"a\":}\n":                   "not JSON",
		"p\n-- request --\nGET /\n-- response --\n200\nContent-Type application/x\n": "not JSON",
	} {
		if _, err := Parse("x", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): got %v, want %q", text, err, want)
		}
	}
}

// A transcript is sent as it is written, and its captures travel from one
// answer to the next request.
func TestPlay(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, fmt.Sprintf("%s %s %q %q", r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header["User-Agent"]))
		w.Header().Set("Location", "http://"+r.Host+"/Users/42")
		fmt.Fprint(w, `{"id":"42"}`)
	}))
	defer server.Close()
	transcript, err := Parse("x", []byte(`A promise. RFC 7644 §3.
-- request --
POST /Users
User-Agent:

{"userName":"x"}
-- response --
200
Location: {base}/Users/{id}
{"id":"{id}"}
-- request --
GET /Users/{id}?filter=userName eq "a+b%2B"
Authorization: {token}
-- response --
200
...
`))
	if err != nil {
		t.Fatal(err)
	}
	provider := Provider{Base: server.URL + "/", Token: "secret"}
	if err := Play(context.Background(), provider, transcript).Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST /Users "Bearer secret" []`,
		`GET /Users/42?filter=userName%20eq%20%22a+b%2B%22 "secret" ["Go-http-client/1.1"]`,
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}

	transcript.Steps[0].Want.Status = 201
	err = Play(context.Background(), provider, transcript).Err()
	if err == nil || !strings.Contains(err.Error(), "step 1: POST /Users: got status 200, want 201") {
		t.Errorf("got %v, want the step, the request and both statuses", err)
	}
}
