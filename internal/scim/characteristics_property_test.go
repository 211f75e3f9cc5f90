package scim

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawFields draws the fields of a test resource as a client may send them.
func drawFields(t *rapid.T) string {
	text := rapid.SampledFrom([]string{`"a"`, `"b"`, `"A"`, `null`})
	object := func(names ...string) string {
		var fields []string
		for _, name := range names {
			if rapid.Bool().Draw(t, name) {
				fields = append(fields, fmt.Sprintf("%q:%s", name, text.Draw(t, "of "+name)))
			}
		}
		return "{" + strings.Join(fields, ",") + "}"
	}
	fields := strings.Trim(object("immutableAttr", "writeOnlyAttr", "neverReturnedAttr", "readOnlyAttr", "requestOnlyAttr", "uniqueString"), "{}")
	if rapid.Bool().Draw(t, "complexAttr") {
		fields += `,"complexAttr":` + object("sub1", "immutableSub")
	}
	if rapid.Bool().Draw(t, "multiComplex") {
		fields += fmt.Sprintf(`,"multiComplex":[{"value":"v",%s]`, strings.TrimPrefix(object("display"), "{"))
		fields = strings.ReplaceAll(fields, `"v",}`, `"v"}`)
	}
	return strings.Trim(`"identifier":"x",`+strings.Trim(fields, ","), ",")
}

// drawOperation draws an operation of a PATCH on what must not change, or on what
// holds it.
func drawOperation(t *rapid.T) string {
	path := rapid.SampledFrom([]string{"immutableAttr", "writeOnlyAttr", "readOnlyAttr", "complexAttr.immutableSub", "complexAttr.sub1",
		`multiComplex[value eq \"v\"].display`, "multiComplex.display", "uniqueString"}).Draw(t, "path")
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return `{"op":"remove","path":"` + path + `"}`
	case 1:
		return `{"op":"remove","path":"` + rapid.SampledFrom([]string{"complexAttr", "immutableAttr", "multiComplex"}).Draw(t, "whole") + `"}`
	case 2:
		return `{"op":"replace","value":{` + drawFields(t) + `}}`
	}
	op := rapid.SampledFrom([]string{"add", "replace"}).Draw(t, "op")
	return `{"op":"` + op + `","path":"` + path + `","value":` + rapid.SampledFrom([]string{`"a"`, `"b"`, `null`}).Draw(t, "value") + `}`
}

// Whatever clients send, on whatever connection: what is immutable keeps its first
// value, what only the server sets stays as it is, what nobody may read is not
// kept, and what is stored reads back.
func TestNothingChangesWhatMustNotChange(t *testing.T) {
	rt, _ := testTypes(t)
	rapid.Check(t, func(t *rapid.T) {
		profile := rapid.SampledFrom([]Profile{Lenient, Strict}).Draw(t, "profile")
		body := func() []byte { return []byte(`{"schemas":["` + rt.Core.ID + `"],` + drawFields(t) + `}`) }
		doc, err := Decode(rt, body(), profile)
		if err != nil {
			return // refused: there is nothing to change
		}
		r := doc.Resource
		r["readOnlyAttr"] = "ours"
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			next, err, whole := r, error(nil), true
			if rapid.Bool().Draw(t, "by PUT") {
				if doc, err = Decode(rt, body(), profile); err == nil {
					next, _, err = doc.Replace(rt, r)
				}
			} else {
				var operations []string
				for range rapid.IntRange(1, 3).Draw(t, "operations") {
					operations = append(operations, drawOperation(t))
				}
				whole = len(operations) == 1 // else an element may have been removed and added anew
				next, _, _, err = patched(rt, patchBodyOf(strings.Join(operations, ",")), profile, r)
			}
			if err != nil {
				continue
			}
			checkKept(t, r, next)
			if v := display(r); whole && v != nil && len(list(next["multiComplex"])) > 0 && display(next) != v {
				t.Fatalf("multiComplex.display went from %v to %v", v, display(next))
			}
			r = next
			stored, err := ParseStored(rt, AppendJSON(nil, rt, r))
			if err != nil || !Equal(stored, r) {
				t.Fatalf("%v reads back as %v, %v", r, stored, err)
			}
		}
	})
}

func checkKept(t *rapid.T, was, now Resource) {
	if v := was["immutableAttr"]; v != nil && now["immutableAttr"] != v {
		t.Fatalf("immutableAttr went from %v to %v", v, now["immutableAttr"])
	}
	before, _ := was["complexAttr"].(map[string]any)
	after, _ := now["complexAttr"].(map[string]any)
	if v := before["immutableSub"]; v != nil && after["immutableSub"] != v {
		t.Fatalf("immutableSub went from %v to %v", v, after["immutableSub"])
	}
	if now["readOnlyAttr"] != "ours" || now["writeOnlyAttr"] != nil || now["neverReturnedAttr"] != nil {
		t.Fatalf("kept as %v", now)
	}
}

// display is the immutable part of the only element.
func display(r Resource) any {
	for _, e := range list(r["multiComplex"]) {
		return e.(map[string]any)["display"]
	}
	return nil
}

func list(v any) []any {
	elements, _ := v.([]any)
	return elements
}
