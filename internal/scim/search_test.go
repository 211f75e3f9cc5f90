package scim

import (
	"maps"
	"strings"
	"testing"
)

func TestParseSearch(t *testing.T) {
	const schemas = `"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]`
	for body, want := range map[string]map[string]string{
		`{` + schemas + `}`: {},
		`{` + schemas + `,"filter":"a b","sortBy":"x","sortOrder":"descending","startIndex":2,"count":-1}`:       {"filter": "a b", "sortby": "x", "sortorder": "descending", "startindex": "2", "count": "-1"},
		`{` + schemas + `,"cursor":"","count":0}`:                                                                {"cursor": "", "count": "0"},
		`{` + schemas + `,"cursor":null,"filter":null,"attributes":null}`:                                        {},
		`{` + schemas + `,"Attributes":["a","b.c"],"EXCLUDEDATTRIBUTES":"d, e"}`:                                 {"attributes": "a,b.c", "excludedattributes": "d, e"},
		`{` + schemas + `,"attributes":[]}`:                                                                      {"attributes": ""},
		`{"SCHEMAS":["urn:ietf:params:scim:api:messages:2.0:searchrequest","x"],"frob":{"count":1},"count":1e2}`: {"count": "1e2"},
	} {
		got, err := ParseSearch([]byte(body), Lenient)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", body, got, err, want)
		}
	}
	for body, want := range map[string]string{
		``:                  "invalidSyntax",
		`[]`:                "invalidSyntax",
		`{}`:                "invalidSyntax",
		`{"filter":"a pr"}`: "invalidSyntax",
		`{"schemas":"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}`:  "invalidSyntax",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"]}`: "invalidSyntax",
		`{"schemas":null}`:                           "invalidSyntax",
		`{` + schemas + `} x`:                        "invalidSyntax",
		`{` + schemas + `,"count":1,"Count":2}`:      "invalidSyntax",
		`{` + schemas + `,"count":"1"}`:              "invalidValue",
		`{` + schemas + `,"count":true}`:             "invalidValue",
		`{` + schemas + `,"filter":1}`:               "invalidValue",
		`{` + schemas + `,"cursor":{}}`:              "invalidValue",
		`{` + schemas + `,"attributes":{}}`:          "invalidValue",
		`{` + schemas + `,"attributes":["a",1]}`:     "invalidValue",
		`{` + schemas + `,"attributes":["a",["b"]]}`: "invalidValue",
	} {
		got, err := ParseSearch([]byte(body), Lenient)
		if e, ok := err.(*Error); !ok || e.Type != want {
			t.Errorf("%s: got %v, %v, want %s", body, got, err, want)
		}
	}
	unknown := []byte(`{` + schemas + `,"frob":1}`)
	if _, err := ParseSearch(unknown, Lenient); err != nil {
		t.Errorf("an unknown member, lenient: %v", err)
	}
	if _, err := ParseSearch(unknown, Strict); err == nil || !strings.Contains(err.Error(), `"frob"`) {
		t.Errorf("an unknown member, strict: %v", err)
	}
}

// Whatever a body holds, it is refused or says what a GET could say.
func FuzzSearch(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName eq \"\u0000\"","attributes":["a,b",""],"count":-0.0}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"cursor":"x","startIndex":9223372036854775808,"sortBy":"emails"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		values, err := ParseSearch(body, Lenient)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Type != "invalidSyntax" && e.Type != "invalidValue" {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		for name := range values {
			if searchMembers[name] == nil {
				t.Errorf("%q: %s is no parameter", body, name)
			}
		}
		ParseSort(ResourceTypes(), values["sortby"], values["sortorder"], Lenient)
		ParseProjection(UserType(), values["attributes"], values["excludedattributes"])
	})
}
