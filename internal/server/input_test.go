package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Bad input is refused with a clear error, and nothing changes.
func TestBadBodies(t *testing.T) {
	w, token := open(t)
	alice := w.create("/Users", token, `{"userName":"alice@ringling.example","title":"Rigger","active":true}`)
	before := w.scim("GET", "/Users/"+alice, token, "").body

	for _, c := range []struct {
		story, body string
		status      int
		scimType    string
	}{
		{"no JSON", `{`, 400, "invalidSyntax"},
		{"nothing", ``, 400, "invalidSyntax"},
		{"an array", `[]`, 400, "invalidSyntax"},
		{"null", `null`, 400, "invalidSyntax"},
		{"a string", `"userName"`, 400, "invalidSyntax"},
		{"two values", `{"userName":"x"} {"userName":"y"}`, 400, "invalidSyntax"},
		{"trailing text", `{"userName":"x"} x`, 400, "invalidSyntax"},
		{"a name twice", `{"userName":"a","userName":"b"}`, 400, "invalidSyntax"},
		{"a name twice in other case", `{"userName":"a","USERNAME":"b"}`, 400, "invalidSyntax"},
		{"a sub-attribute twice", `{"userName":"a","name":{"familyName":"x","FAMILYNAME":"y"}}`, 400, "invalidSyntax"},
		{"bytes that are no UTF-8", "{\"userName\":\"a\xff\"}", 400, "invalidSyntax"},
		{"an overlong encoding", "{\"userName\":\"a\xc0\x80\"}", 400, "invalidSyntax"},
		{"a lone surrogate", `{"userName":"a\ud800"}`, 400, "invalidSyntax"},
		{"NUL", `{"userName":"a\u0000b"}`, 400, "invalidValue"},
		{"a bidi control in a name", `{"userName":"a\u202eb"}`, 400, "invalidValue"},
		{"a zero-width space in a name", `{"userName":"a\u200bb"}`, 400, "invalidValue"},
		{"a number for a string", `{"userName":{"a":1}}`, 400, "invalidValue"},
		{"a string for a complex attribute", `{"userName":"x","name":"x"}`, 400, "invalidValue"},
		{"a word for a boolean", `{"userName":"x","active":"perhaps"}`, 400, "invalidValue"},
		{"an array for a string", `{"userName":["a","b"]}`, 400, "invalidValue"},
		{"no userName", `{"displayName":"x"}`, 400, "invalidValue"},
		{"an empty userName", `{"userName":""}`, 400, "invalidValue"},
		{"10,000 objects deep", `{"userName":"x","name":` + strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat(`}`, 10_000) + `}`, 400, "invalidSyntax"},
		{"10,000 arrays deep", `{"userName":"x","emails":` + strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000) + `}`, 400, "invalidSyntax"},
		{"40 objects deep in what is ignored", `{"userName":"x","unknown":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) + `}`, 400, "invalidSyntax"},
		{"a string of 100 KB", `{"userName":"x","title":"` + strings.Repeat("t", 100<<10) + `"}`, 400, "invalidSyntax"},
		{"20,000 unknown attributes", `{"userName":"x"` + unknown(20_000) + `}`, 400, "invalidSyntax"},
		{"more than 1 MiB", `{"userName":"x","title":"` + strings.Repeat("t", 1<<20) + `"}`, 413, ""},
	} {
		t.Run(c.story, func(t *testing.T) {
			w.scim("POST", "/Users", token, c.body).refusal(t, "POST", c.status, c.scimType)
			w.scim("PUT", "/Users/"+alice, token, c.body).refusal(t, "PUT", c.status, c.scimType)
		})
	}
	if after := w.scim("GET", "/Users/"+alice, token, "").body; after != before {
		t.Errorf("alice changed:\n%s\n%s", before, after)
	}
	if a := w.scim("GET", "/Users", token, ""); !strings.Contains(a.body, `"totalResults":1`) {
		t.Errorf("somebody was created: %.500s", a.body)
	}
}

func unknown(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"unknown%d":1`, i)
	}
	return b.String()
}

// An attribute name is ASCII: what folds to one is another name.
func TestFoldedNamesAreUnknown(t *testing.T) {
	w, token := open(t)
	w.scim("POST", "/Users", token, `{"uſerName":"a"}`).refusal(t, "uſerName alone", http.StatusBadRequest, "invalidValue")
	id := w.create("/Users", token, `{"userName":"real","uſerName":"other"}`)
	if a := w.scim("GET", "/Users/"+id, token, ""); !strings.Contains(a.body, `"userName":"real"`) || strings.Contains(a.body, "other") {
		t.Errorf("uſerName was taken for userName: %s", a.body)
	}
}

func TestBadPatches(t *testing.T) {
	w, token := open(t)
	alice := w.create("/Users", token, `{"userName":"alice@ringling.example","title":"Rigger","active":true}`)
	before := w.scim("GET", "/Users/"+alice, token, "").body
	for _, c := range []struct{ story, operations, scimType string }{
		{"an unknown operation", `[{"op":"swap","path":"title","value":"x"}]`, "invalidSyntax"},
		{"no operation name", `[{"path":"title","value":"x"}]`, "invalidSyntax"},
		{"a path that is none", `[{"op":"replace","path":"title]","value":"x"}]`, "invalidPath"},
		{"a path that ends in its filter", `[{"op":"replace","path":"emails[","value":"x"}]`, "invalidPath"},
		{"a filter that is none", `[{"op":"replace","path":"emails[type eq].value","value":"x"}]`, "invalidFilter"},
		{"a required attribute removed", `[{"op":"remove","path":"userName"}]`, ""},
		{"remove without a path", `[{"op":"remove"}]`, "noTarget"},
		{"a word for a boolean", `[{"op":"replace","path":"active","value":"perhaps"}]`, "invalidValue"},
		{"the second of two", `[{"op":"replace","path":"title","value":"x"},{"op":"replace","path":"active","value":3}]`, "invalidValue"},
		{"operations that are no list", `{"op":"add"}`, "invalidSyntax"},
		{"a path of 200 KB", `[{"op":"add","path":"emails[` + strings.Repeat("(", 200<<10) + `","value":"x"}]`, ""},
		{"a NUL", `[{"op":"replace","path":"userName","value":"a\u0000"}]`, "invalidValue"},
	} {
		t.Run(c.story, func(t *testing.T) {
			body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":` + c.operations + `}`
			a := w.scim("PATCH", "/Users/"+alice, token, body)
			if a.status != http.StatusBadRequest || c.scimType != "" && a.field(t, "scimType") != c.scimType {
				t.Errorf("got %d %s, want 400 %s", a.status, a.body, c.scimType)
			}
		})
	}
	if after := w.scim("GET", "/Users/"+alice, token, "").body; after != before {
		t.Errorf("alice changed:\n%s\n%s", before, after)
	}
}

// Filters beyond every bound are refused; filters with what is special to SQL
// or to LIKE mean themselves.
func TestBadFilters(t *testing.T) {
	w, token := open(t)
	w.create("/Users", token, `{"userName":"a%b"}`)
	w.create("/Users", token, `{"userName":"axb","title":"x_y"}`)
	for _, c := range []struct{ story, filter string }{
		{"200 KB of text", `userName eq "` + strings.Repeat("a", 200<<10) + `"`},
		{"85,000 parentheses", strings.Repeat("(", 85_000) + `userName pr` + strings.Repeat(")", 85_000)},
		{"5,000 negations", strings.Repeat("not (", 5_000) + `userName pr` + strings.Repeat(")", 5_000)},
		{"500 terms", strings.TrimSuffix(strings.Repeat(`userName eq "a" or `, 500), " or ")},
		{"nothing", ""},
		{"an open string", `userName eq "a`},
		{"an unknown operator", `userName like "a"`},
		{"an unknown attribute", `favouriteColour eq "red"`},
		{"what is never returned", `password sw "a"`},
		{"a column of ours", `token_hash pr`},
		{"another column of ours", `locked eq true`},
		{"NUL", "userName eq \"a\\u0000\""},
	} {
		t.Run(c.story, func(t *testing.T) {
			raw := strings.NewReplacer(" ", "+", `"`, "%22", `\`, "%5C").Replace(c.filter)
			a := w.scim("GET", "/Users?filter="+raw, token, "")
			a.refusal(t, "filter", http.StatusBadRequest, "invalidFilter")
		})
	}
	for filter, want := range map[string]int{
		`userName co "%"`:                  1,
		`userName sw "a_"`:                 0,
		`title co "_"`:                     1,
		`userName eq "a' OR '1'='1"`:       0,
		`userName eq "a\"; drop table x;"`: 0,
		`userName eq "a%b"`:                1,
		`userName co "\\"`:                 0,
	} {
		a := w.scim("GET", "/Users?filter="+url.QueryEscape(filter), token, "")
		if a.status != http.StatusOK || !strings.Contains(a.body, fmt.Sprintf(`"totalResults":%d,`, want)) {
			t.Errorf("filter %s: got %d %.300s, want %d results", filter, a.status, a.body, want)
		}
	}
}

// Ids that are none of ours are 404, whatever they are made of and whatever is asked of them.
func TestBadIDs(t *testing.T) {
	w, token := open(t)
	w.testResource("acme")
	bodies := map[string]string{
		"GET": "", "DELETE": "", "PATCH": patchBody(`{"op":"replace","path":"displayName","value":"x"}`),
		"PUT": `{"userName":"x","displayName":"x","identifier":"x"}`,
	}
	for method, body := range bodies {
		for _, endpoint := range []string{"/Users/", "/Groups/", "/TestResources/"} {
			want := w.scim(method, endpoint+"0193a5b0-0000-7000-8000-000000000000", token, body)
			want.refusal(t, method+" "+endpoint+", an id nobody has", http.StatusNotFound, "")
			for _, id := range []string{
				"00919288221112222", "0", "%00", "%2e%2e", "a%20b", "'", "%27%20or%201=1", strings.Repeat("x", 10_000),
				"{0193a5b0-0000-7000-8000-000000000000}", "urn:uuid:0193a5b0-0000-7000-8000-000000000000", "%ff", "0193A5B0-0000-7000-8000-000000000000",
			} {
				if got := w.scim(method, endpoint+id, token, body); got.same() != want.same() {
					t.Errorf("%s %s%.40s: got\n%s\nwant\n%s", method, endpoint, id, got.same(), want.same())
				}
			}
		}
	}
}

// An address without the tenant, or with another version, is the commonest slip of a
// setup: the answer names the right form, and does not say which tenants exist. Where
// only the version is missing it is the latest (U02).
func TestAMisplacedAddressNamesTheRightOne(t *testing.T) {
	w, token := open(t)
	for _, path := range []string{"/scim/v2/Users", "/scim", "/t/acme/scim/v1/Users", "/t/acme/scim/V3", "/t/acme/scim/v2.1/Users", "/t/nobody/scim/v1/Users"} {
		for _, authorization := range []string{"", "Bearer " + token} {
			for _, method := range []string{"GET", "POST"} {
				a := w.send(method, w.url+path, authorization, "")
				a.refusal(t, method+" "+path, http.StatusNotFound, "")
				if !strings.Contains(a.body, "is /t/{tenant}/scim/v2\"") {
					t.Errorf("%s %s: got %s, want the form of the address", method, path, a.body)
				}
			}
		}
	}
	for _, path := range []string{"/scim/Users", "/scim/v1/Users"} {
		acme, nobody := w.send("GET", w.url+"/t/acme"+path, "", ""), w.send("GET", w.url+"/t/nobody"+path, "", "")
		if acme.same() != nobody.same() {
			t.Errorf("a tenant can be told from none at %s:\n%s\n%s", path, acme.same(), nobody.same())
		}
	}
}

// A group body may be 32 MiB, a user's 1 MiB; what is longer is never read.
func TestBodyLimits(t *testing.T) {
	w, token := open(t)
	members := strings.Repeat(`{"value":"0193a5b0-0000-7000-8000-000000000000"},`, 50_000)
	body := `{"displayName":"Large","members":[` + strings.TrimSuffix(members, ",") + `]}`
	if len(body) < 2<<20 {
		t.Fatalf("the body has %d bytes only", len(body))
	}
	w.create("/Groups", token, body)

	request, err := http.NewRequest("POST", w.base("acme")+"/Groups", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/scim+json")
	request.Body = io.NopCloser(io.LimitReader(spaces{}, 32<<20+1)) // chunked: no length is announced
	request.ContentLength = -1
	w.do(request).refusal(t, "a byte too much, in chunks", http.StatusRequestEntityTooLarge, "")

	request.Body, request.ContentLength = io.NopCloser(spaces{}), 1<<40
	request.Header.Set("Expect", "100-continue")
	w.do(request).refusal(t, "a terabyte, as announced", http.StatusRequestEntityTooLarge, "")
}

// spaces is a body that does not end of itself.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
