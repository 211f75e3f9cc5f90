package conformance

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// Whatever an expectation says is changed, one thing at a time, and no answer that
// meets the expectation meets what comes of it.
func TestInvert(t *testing.T) {
	answer := Answer{Status: 200, Header: http.Header{"Etag": {`W/"1"`}},
		Body: `{"a":1,"b":true,"c":null,"d":"x","e":[{"f":"g"},"h"],"i":{},"j":[],"k":{"l":1},"m":[1,2]}`}
	want := Response{Status: 200, Header: http.Header{"Etag": {"{version}"}, "Location": {"!..."}},
		Body: `{"a":1,"b":true,"c":null,"d":"{d}","e":[{"f":"..."},"..."],"i":{},"j":[],"k":{"...":"..."},"m":["..."],"n":"!...","...":"..."}`}
	if err := (captures{}).compare(want, answer); err != nil {
		t.Fatal(err)
	}
	inversions, err := invert(want)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, inversion := range inversions {
		names = append(names, inversion.what)
	}
	expected := []string{"status", "header Etag", "header Location", "body.a", "body.b", "body.c", "body.d", "body.e[0].f",
		"body.i", "body.j", "body.k", "body.m", "body.n"}
	if !slices.Equal(names, expected) {
		t.Errorf("got inversions of %q\nwant %q", names, expected)
	}
	if held, err := (captures{}).vacuous(want, answer); err != nil || len(held) > 0 {
		t.Errorf("the answer also meets the inverted expectation: %q %v", held, err)
	}
}

func TestInvertBodies(t *testing.T) {
	for _, c := range []struct{ pattern, body string }{
		{"", ""}, {`[]`, `[]`}, {`["..."]`, `[1]`}, {`{"...":"..."}`, `{}`}, {`"x"`, `"x"`}, {`5`, `5`}, {`0`, `0`}, {`{}`, `{}`},
	} {
		want, got := Response{Status: 200, Body: c.pattern}, Answer{Status: 200, Body: c.body}
		if err := (captures{}).compare(want, got); err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		inversions, _ := invert(want)
		if len(inversions) != 2 {
			t.Errorf("%s: got %d inversions, want those of status and body", c.pattern, len(inversions))
		}
		if held, err := (captures{}).vacuous(want, got); err != nil || len(held) > 0 {
			t.Errorf("%s: %s also meets the inverted expectation %q: %v", c.pattern, c.body, held, err)
		}
	}
}

// A row is shown by steps that were answered as expected; a check that sends nothing,
// expects nothing or expects what does not hold shows nothing.
func TestTry(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"id":"7"}`)) }))
	defer server.Close()
	fresh := func() Provider { return Provider{Base: server.URL} }
	for name, c := range map[string]struct {
		check func(*Trial)
		want  string
	}{
		"holds": {func(t *Trial) {
			t.Expect(t.Send("GET /a"), "200\n"+`{"id":"{id}"}`)
			t.Check(t.Named("id") == "7", "got %s, want 7", t.Named("id"))
		}, ""},
		"differs":        {func(t *Trial) { t.Expect(t.Send("GET /a"), "201\n...") }, "got status 200, want 201"},
		"does not hold":  {func(t *Trial) { t.Send("GET /a"); t.Check(false, "got %d", 5) }, "got 5"},
		"expects":        {func(t *Trial) { t.Send("GET /a") }, "nothing was expected"},
		"sends":          {func(t *Trial) { t.Check(true, "") }, "no request was sent"},
		"reads no JSON":  {func(t *Trial) { t.Decode(t.Send("GET /a"), new([]int)) }, "not JSON"},
		"is no request":  {func(t *Trial) { t.Send("GET") }, "request line"},
		"captures first": {func(t *Trial) { t.Named("x") }, "{x} has not been captured"},
		"is answered":    {func(t *Trial) { t.Check(t.Send("GET http://127.0.0.1:1/").Status == 0, "") }, "no request was sent"},
	} {
		err := Try(context.Background(), fresh, c.check)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestReportOfARow(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"id":"7"}`)) }))
	defer server.Close()
	transcript, err := Parse("x", []byte("A promise.\nNeeds: bulk\n-- request A01 --\nGET /a\n-- response --\n200\n...\n-- request A02 --\nGET /b\n-- response --\n201\n-- request A02 A03 --\nGET /c\n-- response --\n200\n...\n"))
	if err != nil {
		t.Fatal(err)
	}
	report := Play(context.Background(), Provider{Base: server.URL, Offers: []string{"bulk"}}, transcript)
	for row, want := range map[string]string{"A01": "", "A02": "step 2: got status 200, want 201", "A03": "step 3: not reached", "A04": "no step shows A04"} {
		if err := report.Row(row); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", row, err, want)
		}
	}
	report = Play(context.Background(), Provider{Base: server.URL}, transcript)
	if err := report.Row("A01"); report.Outcome != NotPlayed || err == nil || err.Error() != "x: not played for want of bulk" {
		t.Errorf("got %s, %v, want not supported: bulk", report.Outcome, err)
	}
}

func TestLists(t *testing.T) {
	if n := len(Checklist()); n != 478 {
		t.Errorf("got %d rows of the checklist, want 478", n)
	}
	if n := len(Quirks()); n != 112 {
		t.Errorf("got %d quirks, want 112", n)
	}
	seen := map[string]bool{}
	for _, row := range slices.Concat(Checklist(), Quirks()) {
		if seen[row.ID] || row.Statement == "" || row.Test == "" {
			t.Errorf("%s is there twice, or says nothing", row.ID)
		}
		seen[row.ID] = true
	}
}
