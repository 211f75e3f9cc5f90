package scim

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
)

// Every name of the list is a time zone, in whatever case; what is not listed is none.
func TestZones(t *testing.T) {
	names := strings.Fields(zoneNames)
	if len(names) < 500 {
		t.Errorf("got %d time zones, want all of them", len(names))
	}
	for _, name := range names {
		if _, err := time.LoadLocation(name); err != nil {
			t.Errorf("%s is no time zone: %v", name, err)
		}
		if !zones()[strings.ToLower(name)] {
			t.Errorf("%s is not found", name)
		}
	}
}

// A strict connection puts values into their canonical form and refuses those that are
// none; a lenient one keeps what was sent.
func TestCanonicalForms(t *testing.T) {
	for _, c := range []struct{ attribute, sent, strict string }{ // strict: "" if refused
		{"emails", `[{"value":"B@EXAMPLE.com","type":"WORK"}]`, `[{"value":"B@example.com","type":"work"}]`},
		{"emails", `[{"value":"no address"}]`, `[{"value":"no address"}]`},
		{"emails", `[{"value":"b","type":"zzz"}]`, ""},
		{"ims", `[{"value":" A b","type":"ICQ"}]`, `[{"value":"ab","type":"icq"}]`},
		{"timezone", `"europe/berlin"`, `"europe/berlin"`},
		{"timezone", `"Mars/Base"`, ""},
		{"addresses", `[{"country":"usa"}]`, ""},
		{"x509Certificates", `[{"value":"aGVsbG8="}]`, ""},
	} {
		body := []byte(`{"schemas":["` + UserSchema + `"],"userName":"b","` + c.attribute + `":` + c.sent + `}`)
		lenient, err := Decode(UserType(), body, Lenient)
		if err != nil {
			t.Errorf("lenient %s: %v", body, err)
		}
		if got := printedAttribute(t, lenient.Resource, c.attribute); got != c.sent {
			t.Errorf("lenient: got %s, want %s", got, c.sent)
		}
		strict, err := Decode(UserType(), body, Strict)
		if (err != nil) != (c.strict == "") {
			t.Errorf("strict %s: got %v, want %q", body, err, c.strict)
		}
		if err != nil {
			continue
		}
		if got := printedAttribute(t, strict.Resource, c.attribute); got != c.strict {
			t.Errorf("strict: got %s, want %s", got, c.strict)
		}
	}
}

func printedAttribute(t *testing.T, r Resource, name string) string {
	t.Helper()
	text := string(AppendJSON(nil, UserType(), Resource{name: r[name]}))
	return strings.TrimSuffix(strings.TrimPrefix(text, `{"`+name+`":`), "}")
}

// No two elements of one value and type come out of a body (RFC 7643 §2.4).
func TestElementsAreDistinct(t *testing.T) {
	body := []byte(`{"schemas":["` + UserSchema + `"],"userName":"b","emails":[{"value":"a","type":"work"},{"value":"a"},{"value":"A","type":"work","primary":true},{"display":"x"},{"display":"x"}]}`)
	doc, err := Decode(UserType(), body, Lenient)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{
		map[string]any{"value": "A", "type": "work", "primary": true}, map[string]any{"value": "a"},
		map[string]any{"display": "x"}, map[string]any{"display": "x"},
	}
	if diff := cmp.Diff(want, doc.Resource["emails"]); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if _, err := Decode(UserType(), body, Strict); err == nil {
		t.Error("strict takes elements that contradict each other")
	}
}
