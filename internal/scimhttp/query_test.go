package scimhttp

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/scim"
)

func TestParameters(t *testing.T) {
	for query, want := range map[string]map[string]string{
		"":                             {},
		"filter=a":                     {"filter": "a"},
		"FILTER=a&StartIndex=2":        {"filter": "a", "startindex": "2"},
		"filter=a+b%20c%2Bd":           {"filter": "a b c+d"},
		`filter=userName%20eq%20"a;b"`: {"filter": `userName eq "a;b"`},
		"filter=a=b":                   {"filter": "a=b"},
		"aadOptscim062020":             {},
		"aadOptscim062020=true&x=%zz":  {},
		"access_token=secret&count=1":  {"count": "1"},
		"&&count=1&":                   {"count": "1"},
		"x=1&x=2":                      {},
		"filter":                       {"filter": ""},
		"%66ilter=a":                   {"filter": "a"},
		"attributes=a&Attributes=b,c":  {"attributes": "a,b,c"},
		"cursor":                       {"cursor": ""},
	} {
		got, err := parameters(query)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("parameters(%q): got %v, %v, want %v", query, got, err, want)
		}
	}
	for _, query := range []string{"filter=a&filter=b", "count=1&COUNT=1", "filter=%zz", "filter=%", "cursor=a&cursor=b", "count=1&%63ount=2"} {
		if got, err := parameters(query); err == nil {
			t.Errorf("parameters(%q): got %v, want a refusal", query, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]int{
		"0": 0, "7": 7, "-1": -1, "+3": 3, "2147483648": 1 << 30, "9007199254740993": 1 << 30, "-9007199254740993": -1 << 30,
		"99999999999999999999": 1 << 30, "-99999999999999999999": -1 << 30,
	} {
		if got, err := number(map[string]string{"count": text}, "count", 5); err != nil || got != want {
			t.Errorf("number(%q): got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "+-1", "--1", "1.5", "1e309", "abc", "0x10", " 1", "1 ", "١", strings.Repeat("9", 33)} {
		if got, err := number(map[string]string{"count": text}, "count", 5); err == nil {
			t.Errorf("number(%q): got %d, want a refusal", text, got)
		}
	}
	if got, err := number(nil, "count", 5); err != nil || got != 5 {
		t.Errorf("an absent number: got %d, %v, want 5", got, err)
	}
}

func FuzzParameters(f *testing.F) {
	for _, seed := range []string{"", "filter=a&count=1", "filter=%zz", "&=&%66ilter=a;b", "attributes=a&attributes=b", "startIndex=-1&sortBy=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := parameters(query)
		if err != nil {
			return
		}
		for name := range values {
			if !known[name] {
				t.Errorf("parameters(%q) kept %q", query, name)
			}
		}
		if n, err := number(values, "count", 0); err == nil && (n > 1<<30 || n < -1<<30) {
			t.Errorf("count of %q: got %d", query, n)
		}
		if _, err := newView(scim.UserType(), values); err != nil {
			return
		}
	})
}

func TestBearer(t *testing.T) {
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER  abc ": "abc", "abc": "abc",
		"": "", "Bearer": "", "bearer ": "", "Basic abc": "", "Bearer a b": "", "Digest x": "", "a b c": "",
		"Bearer " + strings.Repeat("a", longestToken+1): "", strings.Repeat("a", longestToken+1): "",
	} {
		got, err := bearer(http.Header{"Authorization": {header}})
		if got != want || (err == nil) != (want != "") {
			t.Errorf("bearer(%.40q): got %q, %v, want %q", header, got, err, want)
		}
	}
	if got, err := bearer(http.Header{"Authorization": {"Bearer a", "Bearer b"}}); err == nil {
		t.Errorf("two headers: got %q, want a refusal", got)
	}
	if got, err := bearer(http.Header{"X-Authorization": {"Bearer a"}}); err == nil {
		t.Errorf("another header: got %q, want a refusal", got)
	}
}

func TestContent(t *testing.T) {
	for _, kind := range []string{"", "application/scim+json", "application/json", "Application/SCIM+JSON; charset=utf-8", "application/json;charset=UTF-8", `application/scim+json; charset="utf-8"; q=1`} {
		if err := checkContent(http.Header{"Content-Type": {kind}}); err != nil {
			t.Errorf("Content-Type %q: got %v, want it taken", kind, err)
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=iso-8859-1", "application/", "json", "multipart/form-data; boundary=x"} {
		if err := checkContent(http.Header{"Content-Type": {kind}}); err == nil {
			t.Errorf("Content-Type %q was taken", kind)
		}
	}
	for encoding, taken := range map[string]bool{"identity": true, "gzip": false, "": false, "identity, gzip": false, "br": false} {
		if err := checkContent(http.Header{"Content-Encoding": {encoding}}); (err == nil) != taken {
			t.Errorf("Content-Encoding %q: got %v, want taken: %v", encoding, err, taken)
		}
	}
}

func TestAcceptable(t *testing.T) {
	for accept, want := range map[string]bool{
		"": true, "*/*": true, "application/*": true, "application/json": true, "application/scim+json; charset=utf-8": true,
		"text/html, application/xhtml+xml, */*;q=0.8": true, "Application/JSON;q=0.9": true, "text/html": false, "text/xml": false, "application/xml, text/plain": false,
	} {
		if err := acceptable(http.Header{"Accept": {accept}}); (err == nil) != want {
			t.Errorf("Accept %q: got %v, want acceptable: %v", accept, err, want)
		}
	}
}

func TestMatches(t *testing.T) {
	for header, want := range map[string]bool{
		``: false, `W/"7"`: true, `"7"`: true, `*`: true, `W/"6", W/"7"`: true, `"6","7"`: true, `W/"77"`: false, `7`: false, `garbage`: false,
	} {
		if got := matches([]string{header}, `W/"7"`); got != want {
			t.Errorf("If-None-Match %s with version 7: got %v, want %v", header, got, want)
		}
	}
}
