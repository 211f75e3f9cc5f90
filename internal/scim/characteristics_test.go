package scim

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read decodes a body of the type rt.
func read(t testing.TB, rt *ResourceType, p Profile, fields string) Document {
	t.Helper()
	doc, err := Decode(rt, []byte(`{"schemas":["`+rt.Core.ID+`"],`+fields+`}`), p)
	if err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	return doc
}

// refusedAs checks that err is a refusal of that scimType whose detail says want.
func refusedAs(t *testing.T, what string, err error, scimType, want string) {
	t.Helper()
	var wire *Error
	if !errors.As(err, &wire) || wire.Type != scimType || !strings.Contains(wire.Detail, want) {
		t.Errorf("%s: got %v, want %s: %s", what, err, scimType, want)
	}
}

// What a tenant types is held to its type on every connection.
func TestDeclaredTypesAreHeldTo(t *testing.T) {
	rt, _ := testTypes(t)
	for _, profile := range []Profile{Lenient, Strict} {
		for _, fields := range []string{
			`"dateTimeAttr":"2024-01-01T00:00:00Z"`, `"dateTimeAttr":"2024-01-01T00:00:00+02:00"`, `"dateTimeAttr":"2024-01-01T00:00:00.123Z"`,
			`"binaryAttr":"aGk"`, `"binaryAttr":"aGk="`, `"referenceAttr":"https://example.com/x"`, `"referenceAttr":"Users/1"`,
			`"integerAttr":9007199254740993`, `"dec":0.5`, `"canonicalString":"red"`, `"multiStrings":["a","b"]`,
		} {
			read(t, rt, profile, `"identifier":"x",`+fields)
		}
		for _, fields := range []string{
			`"dateTimeAttr":"2024-01-01"`, `"dateTimeAttr":1704067200`, `"binaryAttr":"***"`, `"referenceAttr":"http://[bad"`,
			`"integerAttr":1.5`, `"integerAttr":1e3`, `"integerAttr":"x"`, `"booleanAttr":1`, `"dec":"x"`, `"multiStrings":[{}]`,
			`"complexAttr":"x"`, `"complexAttr":{"sub2":true}`, `"uniqueString":"a\u0000b"`, `"multiComplex":[{"type":"work"}]`,
		} {
			_, err := Decode(rt, []byte(`{"schemas":["`+rt.Core.ID+`"],"identifier":"x",`+fields+`}`), profile)
			refusedAs(t, string(profile)+" "+fields, err, "invalidValue", "")
		}
	}
	_, err := Decode(rt, []byte(`{"schemas":["`+rt.Core.ID+`"],"identifier":"x","canonicalString":"mauve"}`), Strict)
	refusedAs(t, "a value that is not canonical", err, "invalidValue", "canonicalString")
	read(t, rt, Lenient, `"identifier":"x","canonicalString":"mauve"`)
}

// What nobody may read is checked and discarded; what only the server sets is ignored.
func TestWhatIsNotKept(t *testing.T) {
	rt, _ := testTypes(t)
	doc := read(t, rt, Strict, `"identifier":"x","writeOnlyAttr":"s","neverReturnedAttr":"s","readOnlyAttr":"s"`)
	if want := (Resource{"identifier": "x"}); !cmp.Equal(doc.Resource, want) {
		t.Errorf("got %v, want %v", doc.Resource, want)
	}
	var noted []string
	for _, n := range doc.Notes {
		noted = append(noted, n.Quirk+" "+n.Path)
	}
	slices.Sort(noted)
	if want := []string{"Q49 readOnlyAttr", "Q50 neverReturnedAttr", "Q50 writeOnlyAttr"}; !cmp.Equal(noted, want) {
		t.Errorf("got notes %v, want %v", noted, want)
	}
	_, err := Decode(rt, []byte(`{"schemas":["`+rt.Core.ID+`"],"identifier":"x","writeOnlyAttr":{}}`), Lenient)
	refusedAs(t, "a secret of another type", err, "invalidValue", "writeOnlyAttr")

	r, _, notes, err := patched(rt, patchBodyOf(`{"op":"replace","path":"writeOnlyAttr","value":"s"},{"op":"remove","path":"neverReturnedAttr"}`), Strict, doc.Resource)
	if err != nil || !Equal(r, doc.Resource) || len(notes) != 2 {
		t.Errorf("got %v, %v, %v, want nothing changed and two notes", r, notes, err)
	}
	_, _, _, err = patched(rt, patchBodyOf(`{"op":"replace","path":"writeOnlyAttr","value":5}`), Strict, doc.Resource)
	refusedAs(t, "a secret of another type", err, "invalidValue", "writeOnlyAttr")
	for _, secret := range []string{"writeOnlyAttr", "neverReturnedAttr"} {
		for _, text := range []string{secret + ` eq "s"`, secret + ` pr`, secret + ` sw "s"`, `not (` + secret + ` eq "s")`} {
			f, err := ParseFilter(text)
			if err == nil {
				_, err = f.Bind(rt, Lenient)
			}
			refusedAs(t, text, err, "invalidFilter", "cannot be filtered")
		}
	}
}

func patchBodyOf(operations string) []byte {
	return []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`)
}

// E01, E02: a PATCH changes neither what only the server sets nor what is immutable
// and set.
func TestPatchKeepsWhatMustNotChange(t *testing.T) {
	rt, _ := testTypes(t)
	old := read(t, rt, Strict, `"identifier":"x","immutableAttr":"one","complexAttr":{"sub1":"a","immutableSub":"one"},
		"multiComplex":[{"value":"a","display":"one"}]`).Resource
	for _, op := range []string{
		`{"op":"replace","path":"readOnlyAttr","value":"x"}`,
		`{"op":"replace","path":"immutableAttr","value":"two"}`,
		`{"op":"add","path":"immutableAttr","value":"two"}`,
		`{"op":"remove","path":"immutableAttr"}`,
		`{"op":"replace","path":"immutableAttr","value":null}`,
		`{"op":"replace","path":"complexAttr.immutableSub","value":"two"}`,
		`{"op":"replace","path":"complexAttr","value":{"immutableSub":"two"}}`,
		`{"op":"remove","path":"complexAttr.immutableSub"}`,
		`{"op":"remove","path":"complexAttr"}`,
		`{"op":"replace","path":"multiComplex[value eq \"a\"].display","value":"two"}`,
		`{"op":"replace","path":"multiComplex","value":[{"value":"a","display":"two"}]}`,
		`{"op":"add","path":"multiComplex","value":[{"value":"a","display":"two"}]}`,
		`{"op":"remove","path":"identifier"}`,
		`{"op":"remove","path":"multiComplex.value"}`,
	} {
		_, _, _, err := patched(rt, patchBodyOf(op), Strict, old)
		refusedAs(t, op, err, "mutability", "")
	}
	for _, op := range []string{
		`{"op":"replace","path":"immutableAttr","value":"one"}`,
		`{"op":"replace","path":"complexAttr","value":{"sub1":"b"}}`,
		`{"op":"remove","path":"multiComplex[value eq \"a\"]"}`,
	} {
		if _, _, _, err := patched(rt, patchBodyOf(op), Strict, old); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	unset := read(t, rt, Strict, `"identifier":"x"`).Resource
	r, _, _, err := patched(rt, patchBodyOf(`{"op":"add","path":"immutableAttr","value":"one"}`), Strict, unset)
	if err != nil || r["immutableAttr"] != "one" {
		t.Errorf("what is not set: got %v, %v", r, err)
	}
}

// I05, I06: a replacement leaves what is immutable and what only the server sets.
func TestReplaceKeepsWhatMustNotChange(t *testing.T) {
	rt, _ := testTypes(t)
	old := read(t, rt, Strict, `"identifier":"x","immutableAttr":"One","dec":1.5,"complexAttr":{"sub1":"a","immutableSub":"one"},
		"multiComplex":[{"value":"a","display":"one"},{"value":"b"}]`).Resource
	old["readOnlyAttr"] = "ours"
	for _, c := range []struct {
		body string
		want Resource
	}{
		{`"identifier":"y"`, Resource{"identifier": "y", "immutableAttr": "One", "readOnlyAttr": "ours", "complexAttr": map[string]any{"immutableSub": "one"}}},
		{`"identifier":"x","immutableAttr":"one","readOnlyAttr":"theirs","complexAttr":{"sub2":2,"immutableSub":"one"},"multiComplex":[{"value":"A","type":"work"},{"value":"a"}]`,
			Resource{"identifier": "x", "immutableAttr": "One", "readOnlyAttr": "ours", "complexAttr": map[string]any{"sub2": int64(2), "immutableSub": "one"},
				"multiComplex": []any{map[string]any{"value": "A", "type": "work"}, map[string]any{"value": "a", "display": "one"}}}},
	} {
		got, _, err := read(t, rt, Strict, c.body).Replace(rt, old)
		if err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v %s", c.body, err, cmp.Diff(c.want, got))
		}
	}
	for _, body := range []string{
		`"identifier":"x","immutableAttr":"two"`,
		`"identifier":"x","complexAttr":{"immutableSub":"two"}`,
		`"identifier":"x","multiComplex":[{"value":"a","display":"two"}]`,
	} {
		_, _, err := read(t, rt, Strict, body).Replace(rt, old)
		refusedAs(t, body, err, "mutability", "is immutable")
	}
	if !cmp.Equal(old["immutableAttr"], "One") || len(old) != 6 {
		t.Errorf("the old resource was changed: %v", old)
	}
}

// D21: a required extension is there, and what an extension requires is there with it.
func TestRequiredExtensions(t *testing.T) {
	optional, required := testTypes(t)
	ext := optional.Extensions[0].ID
	if !required.Requires(required.Extensions[0]) || optional.Requires(optional.Extensions[0]) {
		t.Fatal("one of the two types requires the extension")
	}
	with := `"identifier":"x","` + ext + `":{"extRequired":"r","extString":"s"}`
	body := func(fields string) []byte { return []byte(`{"schemas":["` + optional.Core.ID + `"],` + fields + `}`) }
	for name, c := range map[string]struct {
		rt   *ResourceType
		body string
		want string
	}{
		"optional, left out":        {optional, `"identifier":"x"`, ""},
		"optional, incomplete":      {optional, `"identifier":"x","` + ext + `":{"extString":"s"}`, "extRequired is required"},
		"required, left out":        {required, `"identifier":"x"`, ext + " is required"},
		"required, empty":           {required, `"identifier":"x","` + ext + `":{}`, ext + " is required"},
		"required, there":           {required, with, ""},
		"required, null":            {required, `"identifier":"x","` + ext + `":null`, ext + " is required"},
		"required, its needs unmet": {required, `"identifier":"x","` + ext + `":{"extInteger":1}`, "extRequired is required"},
	} {
		_, err := Decode(c.rt, body(c.body), Strict)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.want != "" {
			refusedAs(t, name, err, "invalidValue", c.want)
		}
	}
	old := read(t, required, Strict, with).Resource
	_, _, _, err := patched(required, patchBodyOf(`{"op":"remove","path":"`+ext+`"}`), Strict, old)
	refusedAs(t, "removing a required extension", err, "mutability", "extRequired is required and cannot be removed")
	if r, _, _, err := patched(laxlyExtended(t), patchBodyOf(`{"op":"remove","path":"urn:example:scim:Extra"}`), Strict,
		Resource{"name": "x", "urn:example:scim:Extra": map[string]any{"extra": "y"}}); err == nil {
		t.Errorf("an extension that is required, though nothing of it is, was removed: %v", r)
	} else {
		refusedAs(t, "removing it", err, "mutability", "urn:example:scim:Extra is required and cannot be removed")
	}
	_, _, _, err = patched(optional, patchBodyOf(`{"op":"add","path":"`+ext+`:extString","value":"s"}`), Strict, Resource{"identifier": "x"})
	refusedAs(t, "an extension that lacks what it requires", err, "invalidValue", "extRequired is required")
	r, _, _, err := patched(optional, patchBodyOf(`{"op":"add","path":"`+ext+`","value":{"extRequired":"r","extInteger":5}}`), Strict, Resource{"identifier": "x"})
	if want := (Resource{"identifier": "x", ext: map[string]any{"extRequired": "r", "extInteger": int64(5)}}); err != nil || !cmp.Equal(r, want) {
		t.Errorf("got %v, %v, want %v", r, err, want)
	}
}

// laxlyExtended is a type that requires an extension of which nothing is required.
func laxlyExtended(t *testing.T) *ResourceType {
	t.Helper()
	var schemas []Declaration
	for _, text := range []string{
		`{"id":"urn:example:scim:Core","attributes":[{"name":"name"}]}`, `{"id":"urn:example:scim:Extra","attributes":[{"name":"extra"}]}`,
	} {
		d, err := ParseSchema([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		schemas = append(schemas, d)
	}
	types, err := TenantTypes(schemas, []TypeDeclaration{{
		Name: "Lax", Endpoint: "/Lax", Schema: schemas[0].ID, Extensions: []ExtensionUse{{Schema: schemas[1].ID, Required: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return types[2]
}

// E04–E07, P10: what is returned always, on request, and never.
func TestWhatIsReturned(t *testing.T) {
	rt, _ := testTypes(t)
	doc := read(t, rt, Strict, `"identifier":"x","alwaysReturnedAttr":"a","requestOnlyAttr":"r","writeOnlyAttr":"w","complexAttr":{"sub1":"s"}`)
	if rt.ReturnsAll() || !UserType().ReturnsAll() {
		t.Error("a resource may hold what is not returned by default, and a user not")
	}
	for name, c := range map[string]struct {
		attributes, excluded string
		write                bool
		want                 []string
	}{
		"read":                        {"", "", false, []string{"alwaysReturnedAttr", "complexAttr", "identifier"}},
		"the answer to a write":       {"", "", true, []string{"alwaysReturnedAttr", "complexAttr", "identifier", "requestOnlyAttr"}},
		"on request":                  {"requestOnlyAttr", "", false, []string{"alwaysReturnedAttr", "requestOnlyAttr"}},
		"something else on request":   {"identifier", "", true, []string{"alwaysReturnedAttr", "identifier"}},
		"never":                       {"writeOnlyAttr,neverReturnedAttr", "", false, []string{"alwaysReturnedAttr"}},
		"always, though excluded":     {"", "alwaysReturnedAttr,complexAttr", false, []string{"alwaysReturnedAttr", "identifier"}},
		"excluded, though just given": {"", "requestOnlyAttr", true, []string{"alwaysReturnedAttr", "complexAttr", "identifier"}},
	} {
		p, err := ParseProjection(rt, c.attributes, c.excluded)
		if err != nil {
			t.Fatal(err)
		}
		if c.write {
			p = p.Specifying(doc.Specified(rt))
		}
		var got []string
		for shown := range p.Apply(rt, doc.Resource) {
			got = append(got, shown)
		}
		slices.Sort(got)
		if !cmp.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	for operations, want := range map[string]bool{
		`{"op":"replace","path":"requestOnlyAttr","value":"x"}`:    true,
		`{"op":"replace","value":{"requestOnlyAttr":"x"}}`:         true,
		`{"op":"replace","path":"alwaysReturnedAttr","value":"x"}`: false,
	} {
		patch, err := ParsePatch(rt, patchBodyOf(operations), Strict)
		if got := len(patch.Specified(rt)) > 0; err != nil || got != want {
			t.Errorf("%s: specified %t, %v, want %t", operations, got, err, want)
		}
	}
}

// E10, E11: the claims of two resources meet exactly where their values are equal.
func TestClaims(t *testing.T) {
	test, required := testTypes(t)
	ext := `,"` + test.Extensions[0].ID + `":{"extRequired":"r"}`
	meet := func(a *ResourceType, one string, b *ResourceType, other string) bool {
		first := a.Claims(read(t, a, Strict, `"identifier":"one",`+one+ext).Resource)
		return slices.ContainsFunc(b.Claims(read(t, b, Strict, `"identifier":"two",`+other+ext).Resource), func(c Claim) bool { return slices.Contains(first, c) })
	}
	for _, c := range []struct {
		a          *ResourceType
		one, other string
		b          *ResourceType
		want       bool
	}{
		{test, `"uniqueString":"Abc"`, `"uniqueString":"aBC"`, test, true},
		{test, `"uniqueString":"ﬁ"`, `"uniqueString":"FI"`, test, true},
		{test, `"uniqueExactString":"Abc"`, `"uniqueExactString":"aBC"`, test, false},
		{test, `"uniqueExactString":"Abc"`, `"uniqueExactString":"Abc"`, test, true},
		{test, `"uniqueString":"a"`, `"uniqueExactString":"a"`, test, false},
		{test, `"uniqueString":"a"`, `"uniqueString":"a"`, required, false},
		{test, `"uniqueGlobalString":"A"`, `"uniqueGlobalString":"a"`, required, true},
		{test, `"caseExactString":"a"`, `"caseExactString":"a"`, test, false},
	} {
		if got := meet(c.a, c.one, c.b, c.other); got != c.want {
			t.Errorf("%s of %s and %s of %s: they meet %t, want %t", c.one, c.a.Name, c.other, c.b.Name, got, c.want)
		}
	}
	if claims := UserType().Claims(Resource{"userName": "x"}); claims != nil {
		t.Errorf("a user claims %v: userName has its own index", claims)
	}
}

// An attribute of a tenant's own type is its own, whatever users or groups have under that name.
func TestNamesOfUsersMeanNothingElsewhere(t *testing.T) {
	text := schemaOf(`{"name":"active"}`, `{"name":"password"}`, `{"name":"userName","type":"integer"}`, `{"name":"timezone"}`,
		`{"name":"members","type":"complex","multiValued":true,"subAttributes":[{"name":"value","type":"integer"},{"name":"display"}]}`,
		`{"name":"groups","multiValued":true}`, `{"name":"roles","type":"complex","multiValued":true,"subAttributes":[{"name":"x"}]}`,
		`{"name":"emails","type":"complex","multiValued":true,"subAttributes":[{"name":"value"}]}`)
	d, err := ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	types, err := TenantTypes([]Declaration{d}, []TypeDeclaration{{Name: "Badge", Endpoint: "/Badges", Schema: d.ID}})
	if err != nil {
		t.Fatal(err)
	}
	rt := types[2]
	body := `"active":"perhaps","password":"shown","userName":5,"timezone":"Mars/Base","members":[{"value":1,"display":"x"}],"groups":["g"],
		"roles":[{"x":"y"}],"emails":[{"value":"A@B"}]`
	for _, profile := range []Profile{Lenient, Strict} {
		doc := read(t, rt, profile, body)
		want := Resource{"active": "perhaps", "password": "shown", "userName": int64(5), "timezone": "Mars/Base", "groups": []any{"g"},
			"members": []any{map[string]any{"value": int64(1), "display": "x"}}, "roles": []any{map[string]any{"x": "y"}},
			"emails": []any{map[string]any{"value": "A@B"}}}
		if !cmp.Equal(doc.Resource, want) || doc.HasMembers || len(doc.Notes) > 0 {
			t.Errorf("%s: %s, notes %v", profile, cmp.Diff(want, doc.Resource), doc.Notes)
		}
		stored, err := ParseStored(rt, AppendJSON(nil, rt, doc.Resource))
		if err != nil || !cmp.Equal(stored, want) {
			t.Errorf("stored: %v %s", err, cmp.Diff(want, stored))
		}
		r, _, _, err := patched(rt, patchBodyOf(`{"op":"remove","path":"active"},{"op":"replace","path":"password","value":"p"},
			{"op":"add","path":"members","value":[{"value":2}]},{"op":"remove","path":"groups"}`), profile, doc.Resource)
		if err != nil || r["active"] != nil || r["password"] != "p" || len(r["members"].([]any)) != 2 || r["groups"] != nil {
			t.Errorf("%s: patched to %v, %v", profile, r, err)
		}
		for _, text := range []string{`active eq "perhaps"`, `userName gt 4`, `members.value eq 1`, `members.display eq "X"`, `groups eq "g"`, `emails.value eq "a@b"`, `password pr`} {
			f, err := ParseFilter(text)
			if err == nil {
				f, err = f.Bind(rt, profile)
			}
			if err != nil || !f.Match(rt, doc.Resource, Common{}) {
				t.Errorf("%s: got %v, want a match", text, err)
			}
		}
	}
}
