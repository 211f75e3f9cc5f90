package scimhttp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/scim"
)

// What is kept of a body holds no secret, under whatever name, in whatever case
// and form it came.
func TestABodyIsKeptWithoutSecrets(t *testing.T) {
	const canary = "Canary-1"
	for _, test := range []struct{ story, body, want string }{
		{"nothing to hide is kept to the letter", `{ "userName":"jamie",  "active":"True" }`, `{ "userName":"jamie",  "active":"True" }`},
		{"the password of a new user", `{"userName":"jamie","password":"Canary-1","active":true}`, `{"userName":"jamie","password":"(redacted)","active":true}`},
		{"in another case, as an object", `{"PassWord":{"value":"Canary-1"}}`, `{"PassWord":"(redacted)"}`},
		{"by a name that is written with escapes", `{"pass\u0077ord":"Canary-1"}`, `{"password":"(redacted)"}`},
		{"an attribute of no schema", `{"urn:x:2.0:User":{"clientSecret":"Canary-1","api_key":["Canary-1"]}}`, `{"urn:x:2.0:User":{"clientSecret":"(redacted)","api_key":"(redacted)"}}`},
		{"as an operation's path", `{"Operations":[{"op":"replace","path":"password","value":"Canary-1"}]}`, `{"Operations":[{"op":"replace","path":"password","value":"(redacted)"}]}`},
		{"the path after the value", `{"Operations":[{"value":"Canary-1","op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:password"}]}`,
			`{"Operations":[{"value":"(redacted)","op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:password"}]}`},
		{"a path given twice", `{"Operations":[{"path":"password","value":"Canary-1","path":"title"}]}`, `{"Operations":[{"path":"password","value":"(redacted)","path":"title"}]}`},
		{"a path with a filter on it", `{"Operations":[{"op":"remove","path":"x[password eq \"Canary-1\"]"}]}`, `{"Operations":[{"op":"remove","path":"(redacted)"}]}`},
		{"the filter of a search", `{"filter":"PassWord eq \"Canary-1\"","count":1}`, `{"filter":"(redacted)","count":1}`},
		{"no path", `{"Operations":[{"op":"replace","value":{"password":"Canary-1"}}]}`, `{"Operations":[{"op":"replace","value":{"password":"(redacted)"}}]}`},
		{"an element that says what it is", `{"ims":[{"type":"bearerToken","value":"Canary-1"}]}`, `{"ims":[{"type":"bearerToken","value":"(redacted)"}]}`},
		{"JSON within a string", `{"roles":[{"value":"{\"password\":\"Canary-1\"}"}]}`, `{"roles":[{"value":"(redacted)"}]}`},
		{"JSON within a string, its names with escapes", `{"roles":[{"value":"{\"pass\\u0077ord\":\"Canary-1\"}"}]}`, `{"roles":[{"value":"(redacted)"}]}`},
		{"the filter of a search", `{"filter":"password eq \"Canary-1\"","count":1}`, `{"filter":"(redacted)","count":1}`},
		{"a path with a filter, without quotes or spaces", `{"Operations":[{"op":"remove","path":"x[token\teq\tCanary-1]"}]}`, `{"Operations":[{"op":"remove","path":"(redacted)"}]}`},
		{"a name with a filter on it", `{"Operations":[{"op":"add","value":{"x[token eq \"Canary-1\"].y":"z"}}]}`, `{"Operations":[{"op":"add","value":{"(redacted)":"(redacted)"}}]}`},
		{"a path that is an array", `{"Operations":[{"op":"add","path":["password"],"value":"Canary-1"}]}`, `{"Operations":[{"op":"add","path":["password"],"value":"(redacted)"}]}`},
		{"a token of ours where a name should be", `{"displayName":"muster_scim_Canary-1"}`, `{"displayName":"(redacted)"}`},
		{"a header in a value", `{"title":"Bearer Canary-1"}`, `{"title":"(redacted)"}`},
		{"text that is no JSON", `password=Canary-1`, `"…"`},
		{"JSON that ends amid an operation", `{"Operations":[{"value":"Canary-1","pa`, `{"Operations":[{"value":"(redacted)","…":true},"…"],"…":true}`},
		{"JSON that breaks before the path", `{"Operations":[{"value":"Canary-1","secret":}]}`, `{"Operations":[{"value":"(redacted)","secret":"(redacted)","…":true},"…"],"…":true}`},
		{"a title that sounds like one", `{"title":"Executive Secretary"}`, `{"title":"Executive Secretary"}`},
	} {
		got := redact([]byte(test.body), scim.ResourceTypes())
		if got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.story, got, test.want)
		}
		if strings.Contains(got, canary) {
			t.Errorf("%s: the secret is kept: %s", test.story, got)
		}
	}
}

// What is kept is bounded, whatever comes, and still JSON.
func TestWhatIsKeptOfABodyIsBounded(t *testing.T) {
	member := `{"value":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","display":"somebody@ringling.example"},`
	for story, body := range map[string]string{
		"a hundred thousand members": `{"displayName":"Everybody","members":[` + strings.Repeat(member, 99_999) + strings.TrimSuffix(member, ",") + `]}`,
		"a long string":              `{"displayName":"` + strings.Repeat("x", 60_000) + `"}`,
		"long strings of quotes":     `{"a":"` + strings.Repeat(strings.Repeat(`\"`, 1000)+`","b`+`":"`, 30) + `"}`,
		"control characters":         `{"a":["` + strings.Repeat(strings.Repeat(`\u0001`, 1000)+`","`, 10) + `"]}`,
		"many names":                 `{"password":1` + names(3000) + `}`,
		"deep":                       strings.Repeat(`{"token":[`, 3000),
		"deep arrays":                strings.Repeat(`[`, 20_000),
		"one long number":            `{"secret":1,"n":` + strings.Repeat("1", 20_000) + `}`,
	} {
		got := redact([]byte(body), scim.ResourceTypes())
		if len(got) > longestKept+2*longestText {
			t.Errorf("%s: %d bytes are kept", story, len(got))
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: no longer JSON: %.200s", story, got)
		}
	}
	kept := redact([]byte(`{"members":[`+strings.Repeat(member, 200)+`{}],"displayName":"last","x":"`+strings.Repeat("x", 1000)+`"}`), nil)
	if !strings.Contains(kept, `"…"],"displayName":"last"`) {
		t.Errorf("what stands behind a long list is lost: …%s", kept[len(kept)-200:])
	}
}

func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"n%d":%d`, i, i)
	}
	return b.String()
}

func TestAQueryIsKeptWithoutSecrets(t *testing.T) {
	for query, want := range map[string]string{
		"filter=userName+eq+%22a%40b%22&startIndex=1": `filter=userName eq "a@b"&startIndex=1`,
		"access_token=Canary&attributes=userName":     "access_token&attributes=userName",
		"aadOptscim062020=true&Filter=id+eq+1":        "aadOptscim062020&Filter=id eq 1",
		"filter=password+eq+%22Canary%22":             "filter=(redacted)",
		"filter=Password%20eq%20Canary":               "filter=(redacted)",
		"filter=userName+eq+%22muster_scim_Canary%22": "filter=(redacted)",
		"muster_scim_Canary":                          "(redacted)",
		"aadOptscim062020/Users":                      "aadOptscim062020/Users",
		strings.Repeat("a&", 100):                     strings.Repeat("a&", 32) + "…",
		"filter=%zz":                                  "filter=(redacted)",
		"filter=password+eq+%22Canary%22%":            "filter=(redacted)",
		"filter=password%09eq%09Canary":               "filter=(redacted)",
		"attributes=userName,password":                "attributes=userName,password",
		"muster%5Fscim%5FCanary%":                     "(redacted)",
		"password+eq+Canary&count=1":                  "(redacted)&count=1",
	} {
		if got := redactQuery(query, nil); got != want {
			t.Errorf("%.60s: got %q, want %q", query, got, want)
		}
	}
}

// Why a request was refused is kept without what it quotes of a secret.
func TestADetailIsKeptWithoutSecrets(t *testing.T) {
	schema, err := scim.ParseSchema([]byte(`{"id":"urn:example:Lock","attributes":[{"name":"pin","mutability":"writeOnly","returned":"never"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	user, _ := scim.StockType("User")
	types, err := scim.TenantTypes([]scim.Declaration{schema}, []scim.TypeDeclaration{user.Extended("urn:example:Lock")})
	if err != nil {
		t.Fatal(err)
	}
	const plain = `userName: "x y" is no name`
	for _, test := range []struct{ kind, detail, sent, want string }{
		{"invalidFilter", `filter, character 13: found "'Canary'"`, "filter=password eq 'Canary'", redacted},
		{"invalidFilter", `the operator "Canary" is not supported`, "filter=urn:example:Lock:pin Canary", redacted},
		{"invalidFilter", `the operator "like" is not supported`, "filter=userName like x", `the operator "like" is not supported`},
		{"invalidSyntax", "invalid surrogate pair `\\ud800Canary` in string within \"/Operations/0/value\"", `{"path":"password","value":"\ud800Canary"}`, redacted},
		{"invalidValue", `"Canary" is no value of pin`, "", redacted},
		{"invalidValue", plain, `{"password":"Canary"}`, plain},
	} {
		if got := redactDetail(&scim.Error{Status: 400, Type: test.kind, Detail: test.detail}, []byte(test.sent), types); got != test.want {
			t.Errorf("%s of %s: got %s, want %s", test.detail, test.sent, got, test.want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add(`{"Operations":[{"op":"replace","path":"password","value":"x"}],"roles":["{\"secret\":1}"]}`)
	f.Add(`{"pass\u0077ord":"x"`)
	f.Add(`[[[["token"]]]]`)
	f.Fuzz(func(t *testing.T, body string) {
		got := redact([]byte(body), scim.ResourceTypes())
		if len(got) > longestKept+2*longestText {
			t.Errorf("%d bytes are kept of %d", len(got), len(body))
		}
		if got != body && !json.Valid([]byte(got)) {
			t.Errorf("not JSON: %q", got)
		}
		// A secret under its own name is gone, however the rest looks.
		const canary = "Canary-7f3a"
		wrapped, err := json.Marshal(map[string]any{"a": body, "password": canary})
		if err != nil {
			t.Fatal(err)
		}
		if kept := redact(wrapped, nil); strings.Contains(kept, canary) && !strings.Contains(body, canary) {
			t.Errorf("the secret is kept: %q", kept)
		}
	})
}
