package scim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deviceType has what the stock schemas lack: immutable and read-only
// attributes and sub-attributes, a required sub-attribute, and multi-valued
// attributes that are not complex.
func deviceType() *ResourceType {
	simple := func(name string, change func(*Attribute)) *Attribute {
		a := &Attribute{Name: name, Path: name, Type: TypeString, Mutability: ReadWrite, Returned: ReturnedDefault}
		if change != nil {
			change(a)
		}
		return a
	}
	complexOf := func(name string, multi bool, subs ...*Attribute) *Attribute {
		a := &Attribute{Name: name, Path: name, Type: TypeComplex, Multi: multi, Mutability: ReadWrite, Returned: ReturnedDefault, Sub: subs}
		for _, sub := range subs {
			sub.Path = name + "." + sub.Name
		}
		a.byName = index(subs)
		return a
	}
	immutable := func(a *Attribute) { a.Mutability = Immutable }
	multi := func(a *Attribute) { a.Multi = true }
	core := &Schema{ID: "urn:example:2.0:Device", Attributes: []*Attribute{
		simple("serial", immutable),
		simple("state", func(a *Attribute) { a.Mutability = ReadOnly }),
		simple("tags", multi),
		simple("size", func(a *Attribute) { a.Type = TypeInteger }),
		complexOf("maker", false, simple("name", immutable), simple("site", nil), simple("marks", multi)),
		complexOf("ports", true, simple("value", immutable), simple("label", func(a *Attribute) { a.Required = true })),
		simple("key", func(a *Attribute) { a.Mutability = WriteOnly }),
	}}
	core.byName = index(core.Attributes)
	return &ResourceType{Name: "Device", Endpoint: "/Devices", Core: core}
}

// TestPatchOfOtherSchemas covers mutability and types that a tenant's own
// schemas may have (RFC 7643 §7; rows E01, E02, E13, J12, J43 of conformance).
func TestPatchOfOtherSchemas(t *testing.T) {
	const before = `{"serial":"s1","tags":["a","b"],"size":3,"maker":{"name":"M","marks":["x"]},"ports":[{"value":"p","label":"L"}]}`
	for _, c := range []struct{ story, op, want string }{
		{"immutable, another value", `{"op":"replace","path":"serial","value":"s2"}`, "400 mutability"},
		{"immutable, the same value", `{"op":"replace","path":"serial","value":"s1"}`, before},
		{"immutable, removed", `{"op":"remove","path":"serial"}`, "400 mutability"},
		{"immutable, cleared", `{"op":"replace","path":"serial","value":null}`, "400 mutability"},
		{"immutable sub-attribute, another value", `{"op":"replace","path":"maker.name","value":"N"}`, "400 mutability"},
		{"immutable sub-attribute within its object", `{"op":"replace","path":"maker","value":{"name":"N","site":"S"}}`, "400 mutability"},
		{"immutable sub-attribute of an element", `{"op":"replace","path":"ports[value eq \"p\"].value","value":"q"}`, "400 mutability"},
		{"immutable sub-attribute of a replaced element", `{"op":"replace","path":"ports[value eq \"p\"]","value":{"value":"q","label":"L"}}`, "400 mutability"},
		{"an element with immutable parts can go", `{"op":"remove","path":"ports[value eq \"p\"]"}`, `{"serial":"s1","tags":["a","b"],"size":3,"maker":{"name":"M","marks":["x"]}}`},
		{"read-only", `{"op":"add","path":"state","value":"on"}`, "400 mutability"},
		{"read-only, removed", `{"op":"remove","path":"state"}`, "400 mutability"},
		{"required sub-attribute, removed", `{"op":"remove","path":"ports[value eq \"p\"].label"}`, "400 mutability"},
		{"required sub-attribute, not given", `{"op":"add","path":"ports","value":[{"value":"q"}]}`, "400 invalidValue"},
		{"strings are added", `{"op":"add","path":"tags","value":["c","A"]}`, strings.Replace(before, `"b"`, `"b","c"`, 1)},
		{"strings are replaced", `{"op":"replace","path":"tags","value":["c"]}`, strings.Replace(before, `"a","b"`, `"c"`, 1)},
		{"a string is removed by filter", `{"op":"remove","path":"tags[value eq \"A\"]"}`, strings.Replace(before, `"a",`, ``, 1)},
		{"a string is replaced by filter", `{"op":"replace","path":"tags[value eq \"a\"]","value":"z"}`, strings.Replace(before, `"a"`, `"z"`, 1)},
		{"no string matches", `{"op":"replace","path":"tags[value eq \"q\"]","value":"z"}`, "400 noTarget"},
		{"values of a multi-valued sub-attribute are added", `{"op":"add","path":"maker.marks","value":["y","x"]}`, strings.Replace(before, `["x"]`, `["x","y"]`, 1)},
		{"values of a multi-valued sub-attribute are replaced", `{"op":"replace","path":"maker.marks","value":["y"]}`, strings.Replace(before, `["x"]`, `["y"]`, 1)},
		{"an integer", `{"op":"replace","path":"size","value":9007199254740993}`, strings.Replace(before, `:3`, `:9007199254740993`, 1)},
		{"a fraction is no integer", `{"op":"replace","path":"size","value":1.5}`, "400 invalidValue"},
		{"an exponent is no integer", `{"op":"replace","path":"size","value":1e3}`, "400 invalidValue"},
	} {
		t.Run(c.story, func(t *testing.T) { checkDevicePatch(t, before, c.op, c.want) })
	}
}

func checkDevicePatch(t *testing.T, before, op, want string) {
	rt := deviceType()
	body := patchOf(op)
	after, _, _, err := patched(rt, body, Strict, mustParse(t, rt, before))
	if err != nil {
		if got := errorSummary(err); got != want {
			t.Fatalf("%s: got %s (%v), want %s", op, got, err, want)
		}
		return
	}
	if strings.HasPrefix(want, "4") {
		t.Fatalf("%s: got %v, want %s", op, after, want)
	}
	if diff := cmp.Diff(mustParse(t, rt, want), after); diff != "" {
		t.Errorf("%s (-want +got):\n%s", op, diff)
	}
}

// What is immutable may be set once (RFC 7644 §3.5.2).
func TestPatchSetsImmutableOnce(t *testing.T) {
	for _, op := range []string{"add", "replace"} {
		set := fmt.Sprintf(`{"op":%q,"path":"serial","value":"s"}`, op)
		checkDevicePatch(t, `{"size":1}`, set, `{"serial":"s","size":1}`)
	}
}

// A patch understood for one resource type is not applied to another.
func TestPatchIsForOneResourceType(t *testing.T) {
	patch, err := ParsePatch(UserType(), patchOf(`{"op":"add","path":"title","value":"Dr"}`), Strict)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := patch.Apply(GroupType(), Resource{"displayName": "G"}); err == nil {
		t.Error("a patch of a User was applied to a Group")
	}
}

// Okta sends a membership change without touching the group itself.
func TestPatchSaysWhetherItChangesAttributes(t *testing.T) {
	for op, want := range map[string]bool{
		`{"op":"remove","path":"members"}`:                   false,
		`{"op":"add","value":{"members":[{"value":"1"}]}}`:   false,
		`{"op":"replace","value":{"displayName":"G"}}`:       true,
		`{"op":"replace","path":"externalId","value":"e"}`:   true,
		`{"op":"replace","path":"nobodyKnows","value":null}`: false,
	} {
		patch, err := ParsePatch(GroupType(), patchOf(op), Lenient)
		if err != nil || patch.ChangesAttributes() != want {
			t.Errorf("%s: ChangesAttributes() = %v, %v, want %v", op, patch.ChangesAttributes(), err, want)
		}
	}
}

// TestPatchBounds shows each limit: what is at it is accepted, what is above
// it refused.
func TestPatchBounds(t *testing.T) {
	repeat := func(n int, one string) string { return strings.Repeat(one+",", n-1) + one }
	member := `{"value":"1"}`
	title := `{"op":"add","path":"title","value":"Dr"}`
	for _, c := range []struct {
		what     string
		rt       *ResourceType
		at, over []byte
	}{
		{"operations on attributes", UserType(), patchOf(repeat(maxOperations, title)), patchOf(repeat(maxOperations+1, title))},
		{"operations on members", GroupType(),
			patchOf(repeat(maxMemberOperations, `{"op":"remove","path":"members[value eq \"1\"]"}`)),
			patchOf(repeat(maxMemberOperations+1, `{"op":"remove","path":"members[value eq \"1\"]"}`))},
		{"members", GroupType(),
			patchOf(`{"op":"add","path":"members","value":[` + repeat(maxMembers, member) + `]}`),
			patchOf(`{"op":"add","path":"members","value":[`+repeat(maxMembers, member)+`]}`, `{"op":"remove","path":"members[value eq \"1\"]"}`)},
		{"compared text", UserType(), patchOf(longRoles(10)...), patchOf(longRoles(100)...)},
		{"attributes of a resource", UserType(),
			patchOf(addElements("roles", maxNames/2), addElements("emails", maxNames/2-4)),
			patchOf(addElements("roles", maxNames/2), addElements("emails", maxNames/2-3))},
		{"depth", UserType(), patchOf(deepValue(maxDepth)), patchOf(deepValue(maxDepth + 1))},
		{"length of a string", UserType(), patchOf(longTitle(maxString)), patchOf(longTitle(maxString + 1))},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := Resource{"userName": "ada", "displayName": "G"}
			if _, _, _, err := patched(c.rt, c.at, Lenient, before); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			if _, _, _, err := patched(c.rt, c.over, Lenient, before); !strings.HasPrefix(errorSummary(err), "400") {
				t.Errorf("above the limit: %v", err)
			}
		})
	}
}

func addElements(attribute string, n int) string {
	elements := make([]string, n)
	for i := range elements {
		elements[i] = fmt.Sprintf(`{"value":"r%d"}`, i)
	}
	return fmt.Sprintf(`{"op":"add","path":%q,"value":[%s]}`, attribute, strings.Join(elements, ","))
}

// longRoles adds 4 KiB of roles with a letter that is costly to compare, and
// then looks for one n times.
func longRoles(n int) []string {
	role := strings.Repeat("é", 1<<10)
	ops := []string{fmt.Sprintf(`{"op":"add","path":"roles","value":[{"value":"1%s"},{"value":"2%s"}]}`, role, role)}
	find := fmt.Sprintf(`{"op":"remove","path":"roles[%s]"}`, strings.Repeat(`value eq \"1\" or `, 60)+`value eq \"2\"`)
	for range n {
		ops = append(ops, find)
	}
	return ops
}

func deepValue(depth int) string {
	return `{"op":"add","path":"name","value":{"x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}}`
}

func longTitle(n int) string {
	return `{"op":"add","path":"title","value":"` + strings.Repeat("x", n) + `"}`
}

// Two that hold the same are equal, whatever a change went through.
func TestEqual(t *testing.T) {
	a := Resource{"userName": "ada", "emails": []any{map[string]any{"value": "a"}}, "active": true}
	for _, c := range []struct {
		b    Resource
		want bool
	}{
		{Resource{"userName": "ada", "emails": []any{map[string]any{"value": "a"}}, "active": true}, true},
		{Resource{"userName": "Ada", "emails": []any{map[string]any{"value": "a"}}, "active": true}, false},
		{Resource{"userName": "ada", "emails": []any{map[string]any{"value": "b"}}, "active": true}, false},
		{Resource{"userName": "ada", "emails": map[string]any{"value": "a"}, "active": true}, false},
		{Resource{"userName": "ada", "emails": "a", "active": true}, false},
		{Resource{"userName": "ada", "active": true}, false},
		{nil, false},
	} {
		if Equal(a, c.b) != c.want || Equal(c.b, a) != c.want {
			t.Errorf("Equal(%v, %v) = %v", a, c.b, !c.want)
		}
	}
}
