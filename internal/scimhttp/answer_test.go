package scimhttp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-id/muster/internal/scim"
)

const origin = "https://muster.example/t/acme/scim/v2"

func alice(t testing.TB, body string) resource { return userOfType(t, scim.UserType(), body) }

func userOfType(t testing.TB, rt *scim.ResourceType, body string) resource {
	t.Helper()
	doc, err := scim.Decode(rt, []byte(body), scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 1, 2, 3, 456000, time.UTC)
	return resource{
		rt: rt, id: "0193a5b0-0000-7000-8000-000000000000", version: 7, created: at, modified: at,
		stored:  scim.AppendJSON(nil, rt, doc.Resource),
		rows:    []row{{"0193a5b0-0000-7000-8000-000000000001", "/Groups/", "direct", `Tour "Guides"`}},
		hasRows: true,
	}
}

func show(t testing.TB, rt *scim.ResourceType, attributes, excluded string) view {
	t.Helper()
	v, err := newView(rt, map[string]string{"attributes": attributes, "excludedattributes": excluded})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAnswerIsSplicedAroundTheStoredBytes(t *testing.T) {
	r := alice(t, `{"userName":"alice","name":{"familyName":"<Müller> & \"Co\"\u2028"},"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Tours"}}`)
	got, err := r.append(nil, origin, show(t, r.rt, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), string(r.stored[1:len(r.stored)-1])) {
		t.Errorf("the stored bytes are not in the answer as they are:\n%s\n%s", r.stored, got)
	}
	var read map[string]any
	if err := json.Unmarshal(got, &read); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	want := map[string]any{
		"schemas":  []any{scim.UserSchema, scim.EnterpriseSchema},
		"id":       r.id,
		"userName": "alice",
		"name":     map[string]any{"familyName": "<Müller> & \"Co\"\u2028"},
		"groups": []any{map[string]any{
			"value": "0193a5b0-0000-7000-8000-000000000001", "$ref": origin + "/Groups/0193a5b0-0000-7000-8000-000000000001",
			"type": "direct", "display": `Tour "Guides"`,
		}},
		scim.EnterpriseSchema: map[string]any{"department": "Tours"},
		"meta": map[string]any{
			"resourceType": "User", "created": "2026-11-22T01:02:03.000456Z", "lastModified": "2026-11-22T01:02:03.000456Z",
			"location": origin + "/Users/" + r.id, "version": `W/"7"`,
		},
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// A manager that was given by an id of ours alone has an address in the answer, and
// nobody else has: not whose id is another's, nor what only looks like a manager.
func TestAnAnswerSaysWhereTheManagerIs(t *testing.T) {
	const id, crew = "0193a5b0-0000-7000-8000-00000000000a", "urn:example:crew"
	const elsewhere = "https://directory.example/people/7"
	address := origin + "/Users/" + id
	manager := func(fields string) string {
		return `"` + scim.EnterpriseSchema + `":{"department":"Tours","manager":{` + fields + `}}`
	}
	declared, err := scim.ParseSchema([]byte(`{"id":"` + crew + `","name":"Crew","attributes":[{"name":"manager","type":"complex","subAttributes":[{"name":"value","type":"string"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	user, _ := scim.StockType("User")
	types, err := scim.TenantTypes([]scim.Declaration{declared}, []scim.TypeDeclaration{user.Extended(crew)})
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		manager(`"value":"` + id + `"`):                                                                            address,
		manager(`"value":"` + id + `","displayName":"Morgan"`):                                                     address,
		manager(`"value":"` + id + `","$ref":"` + elsewhere + `"`):                                                 elsewhere,
		manager(`"value":"7"`):                                                                                     "",
		manager(`"value":"` + id + `7"`):                                                                           "",
		manager(`"displayName":"Morgan"`):                                                                          "",
		manager(`"value":"`+id+`"`) + `,"` + crew + `":{}`:                                                         address,
		`"` + scim.EnterpriseSchema + `":{"department":"Tours"}`:                                                   "",
		`"` + scim.EnterpriseSchema + `":{"department":"\"manager\":{\"value\":\"` + id + `\""}`:                   "",
		`"` + scim.EnterpriseSchema + `":{"department":"Tours"},"` + crew + `":{"manager":{"value":"` + id + `"}}`: "",
		`"` + crew + `":{"manager":{"value":"` + id + `"}}`:                                                        "",
	} {
		r := userOfType(t, types[0], `{"userName":"alice",`+body+`}`)
		r.rows, r.hasRows = nil, false
		for _, excluded := range []string{"", "title"} { // spliced, and read and written anew
			answer, err := r.append(nil, origin, show(t, r.rt, "", excluded))
			if err != nil {
				t.Fatal(err)
			}
			var read map[string]any
			if err := json.Unmarshal(answer, &read); err != nil {
				t.Fatalf("%v: %s", err, answer)
			}
			_, after, _ := strings.Cut(string(answer), `"$ref":"`)
			got, more, _ := strings.Cut(after, `"`)
			if got != want || strings.Contains(more, "$ref") {
				t.Errorf("%s, without %q: the address is %q, want %q:\n%s", body, excluded, got, want, answer)
			}
		}
	}
}

// Parsing, projecting and writing again says the same as splicing, when the
// projection leaves everything in place.
func TestAProjectionOfEverythingIsTheSpliced(t *testing.T) {
	r := alice(t, `{"userName":"alice","active":true,"emails":[{"value":"a@x.example","type":"work","primary":true}],"addresses":[{"formatted":"a\nb"}]}`)
	spliced, err := r.append(nil, origin, show(t, r.rt, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	projected, err := r.append(nil, origin, show(t, r.rt, "", "nothing"))
	if err != nil {
		t.Fatal(err)
	}
	if string(spliced) != string(projected) {
		t.Errorf("spliced and projected differ:\n%s\n%s", spliced, projected)
	}
}

// An extension is named in schemas when it is there, and not when a value
// merely spells its name.
func TestSchemasFollowTheKeys(t *testing.T) {
	for body, want := range map[string]int{
		`{"userName":"a"}`: 1,
		`{"userName":"\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":"}`:                 1,
		`{"userName":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"}`:                      1,
		`{"userName":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{}}`:               1,
		`{"userName":"a","URN:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:User":{"division":"x"}}`: 2,
	} {
		r := alice(t, body)
		var read struct{ Schemas []string }
		answer, err := r.append(nil, origin, show(t, r.rt, "userName", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer, &read); err != nil || len(read.Schemas) != want {
			t.Errorf("%s: got schemas %q, %v, want %d", body, read.Schemas, err, want)
		}
	}
}

func TestRowsAndMetaFollowTheProjection(t *testing.T) {
	r := alice(t, `{"userName":"alice"}`)
	for _, c := range []struct{ attributes, excluded, want string }{
		{"id", "", `{"schemas":["` + scim.UserSchema + `"],"id":"` + r.id + `"}`},
		{"groups.display", "", `{"schemas":["` + scim.UserSchema + `"],"id":"` + r.id + `","groups":[{"display":"Tour \"Guides\""}]}`},
		{"META.version,groups.value", "", `{"schemas":["` + scim.UserSchema + `"],"id":"` + r.id + `","groups":[{"value":"0193a5b0-0000-7000-8000-000000000001"}],"meta":{"version":"W/\"7\""}}`},
		{"", "groups,meta", `{"schemas":["` + scim.UserSchema + `"],"id":"` + r.id + `","userName":"alice"}`},
		{"", "groups,meta,id,schemas,userName", `{"schemas":["` + scim.UserSchema + `"],"id":"` + r.id + `"}`},
	} {
		got, err := r.append(nil, origin, show(t, r.rt, c.attributes, c.excluded))
		if err != nil || string(got) != c.want {
			t.Errorf("attributes=%s excludedAttributes=%s: got %s, %v\nwant %s", c.attributes, c.excluded, got, err, c.want)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	r := alice(b, `{"userName":"alice@ringling.example","externalId":"alice","active":true,"displayName":"Alice","name":{"givenName":"Alice","familyName":"Abel"},"emails":[{"value":"a@x.example","type":"work","primary":true}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Tours"}}`)
	for _, excluded := range []string{"", "groups", "name"} {
		v := show(b, r.rt, "", excluded)
		b.Run(fmt.Sprintf("excluded=%s", excluded), func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst, _ = r.append(dst[:0], origin, v)
			}
		})
	}
}
