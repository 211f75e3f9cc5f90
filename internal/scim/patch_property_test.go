package scim

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Every PATCH body that the RFCs print is understood by both profiles, but for the
// one whose path lacks a space that the grammar demands: strict refuses it.
func TestPatchesOfTheRFCs(t *testing.T) {
	text, err := os.ReadFile("testdata/rfc-examples.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Examples []struct {
			Section string
			JSON    json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	user := mustParse(t, UserType(), `{"userName":"b","addresses":[{"type":"work","country":"US"}]}`)
	group := mustParse(t, GroupType(), `{"displayName":"G"}`)
	understood := 0
	for _, e := range file.Examples {
		body := string(printed(e.JSON))
		if !strings.Contains(body, `"Operations"`) || !strings.Contains(body, patchSchema) || !json.Valid([]byte(body)) {
			continue
		}
		if strings.Contains(body, `"events"`) { // RFC 9967: a PATCH within an event
			continue
		}
		rt, r := UserType(), user
		if strings.Contains(body, `"members`) {
			rt, r = GroupType(), group
		}
		for _, profile := range []Profile{Lenient, Strict} {
			refused := profile == Strict && strings.Contains(body, ` eq\"`)
			if _, _, _, err := patched(rt, []byte(body), profile, r); (err != nil) != refused {
				t.Errorf("§%s, %s: %v in\n%s", e.Section, profile, err, body)
			}
		}
		understood++
	}
	if understood < 8 {
		t.Errorf("only %d examples found", understood)
	}
}

// Whatever a patch does, the resource it starts from stays as it was, a
// refusal leaves no resource, and the same patch of the same resource has the
// same result: a transaction that is retried applies it again.
func TestPatchIsPureAndRepeatable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, untouched := drawResources(t)
		profile := rapid.SampledFrom([]Profile{Lenient, Strict}).Draw(t, "profile")
		body := drawPatch(t)
		patch, err := ParsePatch(UserType(), body, profile)
		if err != nil {
			return
		}
		first, _, err := patch.Apply(UserType(), before)
		second, _, err2 := patch.Apply(UserType(), before)
		if diff := cmp.Diff(untouched, before); diff != "" {
			t.Fatalf("%s modified its resource (-before +after):\n%s", body, diff)
		}
		if err != nil && first != nil {
			t.Fatalf("%s was refused (%v) but has a result: %v", body, err, first)
		}
		if diff := cmp.Diff(first, second); diff != "" || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("%s has two results, errors %v and %v:\n%s", body, err, err2, diff)
		}
		checkWellFormed(t, body, first)
	})
}

// Replacing and removing are idempotent: done twice is done once.
func TestReplaceAndRemoveAreIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, _ := drawResources(t)
		op := rapid.SampledFrom([]string{"replace", "remove"}).Draw(t, "op")
		path, value := drawTarget(t)
		if changesItsFilter(path, value) {
			return
		}
		body := patchOf(operationText(op, path, value))
		once, _, _, err := patched(UserType(), body, Lenient, before)
		if err != nil {
			return
		}
		twice, _, _, err := patched(UserType(), body, Lenient, once)
		if err != nil || !Equal(once, twice) {
			t.Fatalf("%s applied twice: %v (-once +twice):\n%s", body, err, cmp.Diff(once, twice))
		}
	})
}

// changesItsFilter reports whether value sets what path's filter asks for: such
// an operation finds other elements the second time.
func changesItsFilter(path, value string) bool {
	_, filter, _ := strings.Cut(path, "[")
	for _, name := range []string{"type", "country", "primary", "value"} {
		if strings.Contains(filter, name+" ") && (name == "value" || strings.Contains(value, `"`+name+`"`)) {
			return true
		}
	}
	return false
}

// Operations of one request and the same operations one request each have the
// same result, if all succeed.
func TestOperationsAreSequential(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, _ := drawResources(t)
		ops := drawOperations(t)
		together, _, _, err := patched(UserType(), patchOf(ops...), Lenient, before)
		oneByOne := before
		for _, op := range ops {
			next, _, _, failed := patched(UserType(), patchOf(op), Lenient, oneByOne)
			if failed != nil {
				if err == nil {
					t.Fatalf("%s alone is refused (%v), among %q it is not", op, failed, ops)
				}
				return
			}
			oneByOne = next
		}
		if err != nil || !Equal(together, oneByOne) {
			t.Fatalf("%q together: %v (-one by one +together):\n%s", ops, err, cmp.Diff(oneByOne, together))
		}
	})
}

// checkWellFormed holds for every result: nothing empty is kept, one element
// at most is primary, and what is stored comes back the same.
func checkWellFormed(t *rapid.T, body []byte, r Resource) {
	if r == nil {
		return
	}
	if r["userName"] == nil {
		t.Fatalf("%s left no userName", body)
	}
	for name, value := range r {
		list, _ := value.([]any)
		primary := 0
		for _, e := range list {
			if isPrimary(e) {
				primary++
			}
		}
		if primary > 1 || value == nil || slices.ContainsFunc(list, isEmptyObject) || isEmptyObject(value) {
			t.Fatalf("%s left %s as %v", body, name, value)
		}
	}
	stored := AppendJSON(nil, UserType(), r)
	back, err := ParseStored(UserType(), stored)
	if err != nil || !Equal(r, back) {
		t.Fatalf("%s gives %v, stored as %s (%v)", body, r, stored, err)
	}
}

func isEmptyObject(v any) bool {
	fields, ok := v.(map[string]any)
	return ok && len(fields) == 0
}

var (
	patchedTexts = []string{
		`{"userName":"ada"}`,
		`{"userName":"ada","active":true,"title":"Dr","name":{"givenName":"Ada","familyName":"King"}}`,
		`{"userName":"ada","emails":[{"value":"a@x.example","type":"work","primary":true},{"value":"h@x.example","type":"home"}]}`,
		`{"userName":"ada","addresses":[{"type":"work","country":"US"},{"type":"work","country":"DE"}],"roles":[{"value":"r"}],` +
			`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","manager":{"value":"7","$ref":"../Users/7"}}}`,
	}
	patchPaths = []string{
		"", "userName", "active", "title", "name", "name.givenName", "emails", "emails.value", "emails.primary",
		`emails[type eq \"work\"]`, `emails[type eq \"work\"].value`, `emails[type eq \"work\"].primary`,
		`emails[type eq \"home\" and primary eq true].display`, `emails[value co \"x\"]`, `roles`, `addresses`,
		`roles[primary eq \"True\"].value`, `addresses[type eq \"work\"].country`, `addresses[country eq \"US\"]`,
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "manager", "manager.value",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "nope", "id", "password",
	}
	patchValues = []string{
		``, `null`, `""`, `"x"`, `"False"`, `true`, `false`, `7`, `[]`, `{}`, `{"value":"x"}`, `{"value":""}`, `[{"value":"x","type":"work"}]`,
		`[{"value":"x","primary":true},{"value":"y"}]`, `{"value":"x","primary":true}`, `{"givenName":"G"}`, `{"givenName":null}`,
		`{"title":"T","emails":[{"value":"n@x.example"}],"name.familyName":"N"}`, `{"country":"FR"}`, `{"department":"E"}`,
		`[{"type":"work","country":"FR"}]`, `["x"]`,
	}
)

func drawResources(t *rapid.T) (r, same Resource) {
	text := []byte(rapid.SampledFrom(patchedTexts).Draw(t, "resource"))
	r, err := ParseStored(UserType(), text)
	if err != nil {
		t.Fatal(err)
	}
	same, _ = ParseStored(UserType(), text)
	return r, same
}

func drawTarget(t *rapid.T) (path, value string) {
	return rapid.SampledFrom(patchPaths).Draw(t, "path"), rapid.SampledFrom(patchValues).Draw(t, "value")
}

func drawOperations(t *rapid.T) []string {
	ops := make([]string, rapid.IntRange(1, 4).Draw(t, "operations"))
	for i := range ops {
		path, value := drawTarget(t)
		ops[i] = operationText(rapid.SampledFrom([]string{"add", "replace", "remove"}).Draw(t, "op"), path, value)
	}
	return ops
}

func drawPatch(t *rapid.T) []byte { return patchOf(drawOperations(t)...) }

func operationText(op, path, value string) string {
	text := fmt.Sprintf(`{"op":%q`, op)
	if path != "" {
		text += `,"path":"` + path + `"`
	}
	if value != "" {
		text += `,"value":` + value
	}
	return text + "}"
}

func patchOf(ops ...string) []byte {
	return fmt.Appendf(nil, `{"schemas":[%q],"Operations":[%s]}`, patchSchema, strings.Join(ops, ","))
}

// FuzzPatch looks for bodies that crash, that modify what they are applied to,
// or that leave what cannot be stored. Its seeds are the test data.
func FuzzPatch(f *testing.F) {
	files, _ := filepath.Glob("testdata/patch/*.txtar")
	for _, file := range files {
		for _, c := range readPatchCases(f, file) {
			f.Add(c.body(), c.rt == GroupType(), false)
			f.Add(c.body(), c.rt == GroupType(), true)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, isGroup, strict bool) {
		rt, text, profile := UserType(), patchedTexts[3], Lenient
		if isGroup {
			rt, text = GroupType(), `{"displayName":"G"}`
		}
		if strict {
			profile = Strict
		}
		before := mustParse(t, rt, text)
		after, members, _, err := patched(rt, body, profile, before)
		if diff := cmp.Diff(mustParse(t, rt, text), before); diff != "" {
			t.Fatalf("modified its resource:\n%s", diff)
		}
		if err != nil {
			return
		}
		if back := mustParse(t, rt, string(AppendJSON(nil, rt, after))); !Equal(after, back) {
			t.Fatalf("stored %v, got back %v", after, back)
		}
		for _, op := range members {
			if op.Kind == ReplaceMembers && len(op.Members) == 0 {
				t.Fatal("a replace by nobody is not told as a removal of all")
			}
		}
	})
}
