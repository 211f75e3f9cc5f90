package scim

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// roundTrip fails unless r survives storing, a database that orders fields its
// own way, and decoding again.
func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, rt *ResourceType, r Resource) {
	t.Helper()
	stored := AppendJSON(nil, rt, r)
	if !json.Valid(stored) || !json.Valid(SearchJSON(nil, rt, r)) {
		t.Fatalf("not JSON: %s", stored)
	}
	if bytes.Contains(stored, []byte(`\u0000`)) {
		t.Fatalf("NUL cannot be stored: %s", stored)
	}
	got, err := ParseStored(rt, stored)
	if err != nil {
		t.Fatalf("ParseStored(%s): %v", stored, err)
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Fatalf("ParseStored(%s): %s", stored, diff)
	}
	var reordered any
	if err := json.Unmarshal(stored, &reordered); err != nil {
		t.Fatalf("%v", err)
	}
	indented, _ := json.MarshalIndent(reordered, "", "  ")
	if got, err = ParseStored(rt, indented); err != nil || !cmp.Equal(r, got) {
		t.Fatalf("reordered: %v %s", err, cmp.Diff(r, got))
	}
}

// resources generates what Decode may answer.
func resources(rt *ResourceType) *rapid.Generator[Resource] {
	return rapid.Custom(func(t *rapid.T) Resource {
		r := Resource(values(t, rt.Core.Attributes))
		for _, ext := range rt.Extensions {
			if container := values(t, ext.Attributes); len(container) > 0 {
				r[ext.ID] = container
			}
		}
		return r
	})
}

func values(t *rapid.T, attributes []*Attribute) map[string]any {
	m := make(map[string]any)
	for _, a := range attributes {
		if a.Mutability == ReadWrite && a.Name != "members" && rapid.Bool().Draw(t, a.Path) {
			if v := value(t, a); v != nil {
				m[a.Name] = v
			}
		}
	}
	return m
}

func value(t *rapid.T, a *Attribute) any {
	if !a.Multi {
		return single(t, a)
	}
	var list []any
	for range rapid.IntRange(1, 3).Draw(t, "elements") {
		if v := single(t, a); v != nil {
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func single(t *rapid.T, a *Attribute) any {
	switch a.Type {
	case TypeBoolean:
		return rapid.Bool().Draw(t, a.Path)
	case TypeInteger:
		return rapid.Int64().Draw(t, a.Path)
	case TypeDecimal:
		return rapid.Float64().Draw(t, a.Path)
	case TypeComplex:
		if m := values(t, a.Sub); len(m) > 0 {
			return m
		}
		return nil
	}
	return rapid.StringN(1, 20, -1).Filter(func(s string) bool { return a.check(s) == nil }).Draw(t, a.Path)
}

func TestStoredResourcesComeBackEqual(t *testing.T) {
	for _, rt := range ResourceTypes() {
		rapid.Check(t, func(t *rapid.T) { roundTrip(t, rt, resources(rt).Draw(t, "resource")) })
	}
}

// What was decoded, stored and sent again by the client is the same resource.
func TestDecodingWhatWasStoredChangesNothing(t *testing.T) {
	rt := UserType()
	rapid.Check(t, func(t *rapid.T) {
		r := resources(rt).Draw(t, "resource")
		r["userName"] = "jamie"
		first, err := Decode(rt, AppendJSON(nil, rt, r), Lenient)
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		second, err := Decode(rt, AppendJSON(nil, rt, first.Resource), Lenient)
		if err != nil || !cmp.Equal(first.Resource, second.Resource) {
			t.Fatalf("Decode again: %v %s", err, cmp.Diff(first.Resource, second.Resource))
		}
	})
}

func TestAppendJSONKeepsSchemaOrder(t *testing.T) {
	doc := typical(t)
	got := string(AppendJSON([]byte("kept:"), UserType(), doc.Resource))
	want := `kept:{"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"Jamie.Morgan@ringling.example",` +
		`"name":{"formatted":"Jamie Morgan","familyName":"Morgan","givenName":"Jamie"},"displayName":"Jamie Morgan",` +
		`"title":"Ringmaster","preferredLanguage":"en-US","active":true,` +
		`"emails":[{"value":"jamie.morgan@ringling.example","type":"work","primary":true},{"value":"jamie@morgan.example","type":"other"}],`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s…", got, want)
	}
}

func TestSearchJSONFoldsWhatIsNotCaseExact(t *testing.T) {
	doc, err := Decode(UserType(), []byte(`{`+someUser+`,"externalId":"ABC","title":"Großer ＺＡＵＢＥＲＥＲ",
		"profileUrl":"https://X.example","x509Certificates":[{"value":"AGk="}],"emails":[{"type":"WORK","value":"Jamie@X.example","primary":true}],
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Payroll","manager":{"value":"ID-7"}}}`), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	got := string(SearchJSON(nil, UserType(), doc.Resource))
	want := `{"externalId":"ABC","userName":"jamie","profileUrl":"https://X.example","title":"grosser zauberer",` +
		`"emails":[{"value":"jamie@x.example","type":"work","primary":true}],"x509Certificates":[{"value":"AGk="}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"payroll","manager":{"value":"ID-7"}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSearchJSONWritesDatesInUTCAndOneWidth(t *testing.T) {
	created := common().Attribute("meta").SubAttribute("created")
	for in, want := range map[string]string{
		"2011-05-13T04:42:34Z":              `"2011-05-13T04:42:34.000000000Z"`,
		"2015-10-10T14:38:21.8617979-07:00": `"2015-10-10T21:38:21.861797900Z"`,
		"2015-10-10T14:38:21":               `"2015-10-10T14:38:21.000000000Z"`,
		"not a date":                        `"not a date"`,
	} {
		if got := string(appendSearchText(nil, created, in)); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestSchemasFollowFromWhatIsThere(t *testing.T) {
	doc := typical(t)
	if got, want := Schemas(UserType(), doc.Resource), []string{UserSchema, EnterpriseSchema}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	delete(doc.Resource, EnterpriseSchema)
	if got, want := Schemas(UserType(), doc.Resource), []string{UserSchema}; !cmp.Equal(got, want) {
		t.Errorf("without the extension: got %v, want %v", got, want)
	}
}

func TestParseStoredRefusesWhatWasNeverStored(t *testing.T) {
	for _, stored := range []string{``, `[]`, `{"userName":`, `{"emails":{}}`, `{"userName":{}}`, `{"active":null}`} {
		if r, err := ParseStored(UserType(), []byte(stored)); err == nil {
			t.Errorf("ParseStored(%s) = %v, want an error", stored, r)
		}
	}
}

func FuzzParseStored(f *testing.F) {
	f.Add(AppendJSON(nil, UserType(), typical(f).Resource))
	f.Add([]byte(`{"userName":"a","userName":"b","x":{"y":[1]},"emails":[{"value":"\u0061"}]}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		if r, err := ParseStored(UserType(), stored); err == nil && !json.Valid(AppendJSON(nil, UserType(), r)) {
			t.Fatalf("ParseStored(%s) = %v, which is not written as JSON", stored, r)
		}
	})
}
