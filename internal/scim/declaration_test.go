package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-id/muster/conformance"
)

// schemaOf is a document that declares attributes.
func schemaOf(attributes ...string) []byte {
	return []byte(`{"id":"urn:example:scim:Badge","attributes":[` + strings.Join(attributes, ",") + `]}`)
}

// A07: what a document leaves out has the value of RFC 7643 §2.2.
func TestWhatADeclarationLeavesOutHasItsDefault(t *testing.T) {
	d, err := ParseSchema(schemaOf(`{"name":"x"}`, `{"name":"r","type":"reference"}`, `{"name":"w","mutability":"writeOnly"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"urn:example:scim:Badge","name":"Badge","attributes":[` +
		`{"name":"x","type":"string","multiValued":false,"required":false,"caseExact":false,"mutability":"readWrite","returned":"default","uniqueness":"none"},` +
		`{"name":"r","type":"reference","multiValued":false,"required":false,"caseExact":true,"mutability":"readWrite","returned":"default","uniqueness":"none"},` +
		`{"name":"w","type":"string","multiValued":false,"required":false,"caseExact":false,"mutability":"writeOnly","returned":"never","uniqueness":"none"}]}`
	if got := string(d.JSON()); got != want {
		t.Error(cmp.Diff(want, got))
	}
}

// Each refusal says what is wrong, and where.
func TestDeclarationsThatAreRefused(t *testing.T) {
	deep := func(s string) string { return `{"name":"c","type":"complex","subAttributes":[` + s + `]}` }
	many := make([]string, maxDeclared+1)
	for i := range many {
		many[i] = fmt.Sprintf(`{"name":"a%d"}`, i)
	}
	wordy := make([]string, maxDeclared)
	for i := range wordy {
		wordy[i] = fmt.Sprintf(`{"name":"a%d","description":"%s"}`, i, strings.Repeat("x", 970))
	}
	for _, c := range []struct {
		name, document, want string
	}{
		{"A04: a name that begins with a digit", string(schemaOf(`{"name":"1x"}`)), `attributes[0].name: "1x" is no name`},
		{"A04: a name with a dot", string(schemaOf(`{"name":"a"}`, `{"name":"x.y"}`)), `attributes[1].name: "x.y" is no name`},
		{"a name that is too long", string(schemaOf(`{"name":"` + strings.Repeat("a", 65) + `"}`)), `attributes[0].name: is longer than 64`},
		{"no name", string(schemaOf(`{"type":"string"}`)), `attributes[0].name: a value is required`},
		{"one name in two letter cases", string(schemaOf(`{"name":"a"}`, `{"name":"A"}`)), `attributes[1].name: "A" is the name of another`},
		{"A08: an unknown data type", string(schemaOf(`{"name":"x","type":"map"}`)), `attributes[0].type: "map" is none of string, boolean`},
		{"A24: complex within complex", string(schemaOf(deep(`{"name":"x","type":"complex","subAttributes":[{"name":"y"}]}`))), `attributes[0].subAttributes[0]`},
		{"A02: sub-attributes of a string", string(schemaOf(`{"name":"x","subAttributes":[{"name":"y"}]}`)), `attributes[0].subAttributes: only a complex`},
		{"D31: complex without sub-attributes", string(schemaOf(`{"name":"x","type":"complex"}`)), `attributes[0].subAttributes: at least one`},
		{"A26: primary that is a string", string(schemaOf(`{"name":"c","type":"complex","multiValued":true,"subAttributes":[{"name":"primary"}]}`)), `subAttributes[0].type: primary is one boolean`},
		{"A26: $ref that is a string", string(schemaOf(deep(`{"name":"$ref"}`))), `subAttributes[0].type: $ref is one reference`},
		{"$ref at the top", string(schemaOf(`{"name":"$ref","type":"reference"}`)), `attributes[0].name: $ref is the name of a sub-attribute`},
		{"B08: id", string(schemaOf(`{"name":"ID","mutability":"readWrite"}`)), `attributes[0].name: ID is an attribute of every resource`},
		{"B08: externalId", string(schemaOf(`{"name":"externalId"}`)), `attributes[0].name: externalId is an attribute of every`},
		{"B08: meta", string(schemaOf(`{"name":"meta"}`)), `meta is an attribute of every`},
		{"an unknown characteristic", string(schemaOf(`{"name":"x","indexed":true}`)), `attributes[0].indexed: there is no such characteristic`},
		{"a flag that is a string", string(schemaOf(`{"name":"x","required":"true"}`)), `attributes[0].required: must be true or false`},
		{"an unknown mutability", string(schemaOf(`{"name":"x","mutability":"mutable"}`)), `attributes[0].mutability: "mutable" is none of`},
		{"an unknown returned", string(schemaOf(`{"name":"x","returned":"sometimes"}`)), `attributes[0].returned`},
		{"writeOnly that is returned", string(schemaOf(`{"name":"x","mutability":"writeOnly","returned":"default"}`)), `attributes[0].returned: "default" is none of never`},
		{"an unknown uniqueness", string(schemaOf(`{"name":"x","uniqueness":"universe"}`)), `attributes[0].uniqueness`},
		{"a unique boolean", string(schemaOf(`{"name":"x","type":"boolean","uniqueness":"server"}`)), `attributes[0].uniqueness: does not apply to boolean`},
		{"a unique secret", string(schemaOf(`{"name":"x","returned":"never","uniqueness":"server"}`)), `attributes[0].uniqueness: of a value that is never returned`},
		{"a required secret", string(schemaOf(`{"name":"x","mutability":"writeOnly","required":true}`)), `attributes[0].required`},
		{"an immutable secret", string(schemaOf(`{"name":"x","mutability":"immutable","returned":"never"}`)), `attributes[0].mutability`},
		{"required and readOnly", string(schemaOf(`{"name":"x","mutability":"readOnly","required":true}`)), `attributes[0].required: nobody could set`},
		{"a reference in any letter case", string(schemaOf(`{"name":"x","type":"reference","caseExact":false}`)), `attributes[0].caseExact`},
		{"caseExact of a boolean", string(schemaOf(`{"name":"x","type":"boolean","caseExact":true}`)), `attributes[0].caseExact: does not apply to boolean`},
		{"D33: reference types of a string", string(schemaOf(`{"name":"x","referenceTypes":["User"]}`)), `attributes[0].referenceTypes: only a reference`},
		{"D33: a reference type that is none", string(schemaOf(`{"name":"x","type":"reference","referenceTypes":["a b"]}`)), `attributes[0].referenceTypes[0]`},
		{"canonical values of an integer", string(schemaOf(`{"name":"x","type":"integer","canonicalValues":["1"]}`)), `attributes[0].canonicalValues: only a string`},
		{"a canonical value twice", string(schemaOf(`{"name":"x","canonicalValues":["a","a"]}`)), `attributes[0].canonicalValues[1]: "a" occurs twice`},
		{"too many attributes", string(schemaOf(many...)), `attributes[256].name: a schema has at most 256`},
		{"no attributes", `{"id":"urn:example:x","attributes":[]}`, `attributes: at least one`},
		{"attributes that are an object", `{"id":"urn:example:x","attributes":{}}`, `attributes: must be an array`},
		{"an attribute that is a string", `{"id":"urn:example:x","attributes":["x"]}`, `attributes[0]: must be an object`},
		{"no id", `{"attributes":[{"name":"x"}]}`, `id: a value is required`},
		{"an id that is no URN", `{"id":"http://example.com/x","attributes":[{"name":"x"}]}`, `is no URN`},
		{"a URN with a quotation mark", `{"id":"urn:example:\"x","attributes":[{"name":"x"}]}`, `the URN of a schema is made of`},
		{"a URN with a comma", `{"id":"urn:example:a,b","attributes":[{"name":"x"}]}`, `the URN of a schema is made of`},
		{"a word of filters", string(schemaOf(`{"name":"Not"}`)), `attributes[0].name: "Not" is a word of filters`},
		{"a document that grows", `{"id":"urn:example:x","attributes":[` + strings.Join(wordy, ",") + `]}`, `once every characteristic is written out`},
		{"D27: a URN of messages", `{"id":"urn:ietf:params:scim:api:messages:2.0:X","attributes":[{"name":"x"}]}`, `belongs to RFC 7643`},
		{"the User schema", `{"id":"URN:ietf:params:scim:schemas:core:2.0:user","attributes":[{"name":"x"}]}`, `belongs to RFC 7643`},
		{"the enterprise schema", `{"id":"` + EnterpriseSchema + `","attributes":[{"name":"x"}]}`, `belongs to RFC 7643`},
		{"another kind of document", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"urn:example:x","attributes":[{"name":"x"}]}`, `schemas: the document is not a Schema`},
		{"a description with a hidden direction", `{"id":"urn:example:x","description":"a\u202eb","attributes":[{"name":"x"}]}`, `description: holds a control`},
		{"a name twice", `{"id":"urn:example:x","ID":"urn:example:y","attributes":[{"name":"x"}]}`, `occurs twice`},
		{"no JSON", `{`, `not valid JSON`},
		{"an array", `[]`, `not a JSON object`},
		{"a very long document", `{"id":"` + strings.Repeat("x", maxDeclaration) + `"}`, `longer than 262144 bytes`},
	} {
		_, err := ParseSchema([]byte(c.document))
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != 400 || !strings.Contains(refused.Detail, c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestResourceTypesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, document, want string }{
		{"no endpoint", `{"name":"Device","schema":"urn:example:x"}`, `endpoint: a value is required`},
		{"an endpoint without a slash", `{"name":"Device","schema":"urn:example:x","endpoint":"Devices"}`, `endpoint: "Devices" is no endpoint`},
		{"an endpoint of two parts", `{"name":"Device","schema":"urn:example:x","endpoint":"/a/b"}`, `endpoint`},
		{"an endpoint elsewhere", `{"name":"Device","schema":"urn:example:x","endpoint":"https://example.com/x"}`, `endpoint`},
		{"a name with a space", `{"name":"My Device","schema":"urn:example:x","endpoint":"/Devices"}`, `name: "My Device" is no name`},
		{"an id of its own", `{"id":"x","name":"Device","schema":"urn:example:x","endpoint":"/Devices"}`, `id: the id of a resource type is its name`},
		{"an extension twice", `{"name":"Device","schema":"urn:example:x","endpoint":"/Devices","schemaExtensions":[{"schema":"urn:example:y"},{"schema":"URN:example:Y"}]}`, `schemaExtensions[1].schema`},
		{"an extension that is a string", `{"name":"Device","schema":"urn:example:x","endpoint":"/Devices","schemaExtensions":["urn:example:y"]}`, `schemaExtensions[0]: must be an object`},
		{"an unknown field", `{"name":"Device","schema":"urn:example:x","endpoint":"/Devices","readOnly":true}`, `readOnly: there is no such`},
	} {
		_, err := ParseResourceType([]byte(c.document))
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != 400 || !strings.Contains(refused.Detail, c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// Stored values stay valid: a new version of a schema adds, and takes nothing away.
func TestWhatTheNextVersionOfASchemaMayChange(t *testing.T) {
	parse := func(attributes ...string) Declaration {
		d, err := ParseSchema(schemaOf(attributes...))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const sub = `{"name":"c","type":"complex","subAttributes":[{"name":"s"}]}`
	old := parse(`{"name":"a","canonicalValues":["x"]}`, `{"name":"n","type":"integer"}`, sub)
	with := func(a string) Declaration { return parse(a, `{"name":"n","type":"integer"}`, sub) }
	for name, c := range map[string]struct {
		next Declaration
		want string // "": it may follow
	}{
		"the same":                   {old, ""},
		"an attribute more":          {parse(`{"name":"a"}`, `{"name":"n","type":"integer"}`, sub, `{"name":"more"}`), ""},
		"a sub-attribute more":       {parse(`{"name":"a"}`, `{"name":"n","type":"integer"}`, `{"name":"c","type":"complex","subAttributes":[{"name":"s"},{"name":"t"}]}`), ""},
		"another description":        {with(`{"name":"a","description":"new","canonicalValues":["x"]}`), ""},
		"immutable from now on":      {with(`{"name":"a","mutability":"immutable"}`), ""},
		"shown on request only":      {with(`{"name":"a","returned":"request"}`), ""},
		"a canonical value more":     {with(`{"name":"a","canonicalValues":["y","x"]}`), ""},
		"no canonical values":        {with(`{"name":"a"}`), ""},
		"a canonical value less":     {with(`{"name":"a","canonicalValues":["y"]}`), "attributes.a: canonicalValues"},
		"an attribute less":          {parse(`{"name":"n","type":"integer"}`, sub), "attributes: a was declared"},
		"another type":               {with(`{"name":"a","type":"integer"}`), "attributes.a: type"},
		"several values":             {with(`{"name":"a","multiValued":true}`), "attributes.a: multiValued"},
		"another comparison":         {with(`{"name":"a","caseExact":true}`), "attributes.a: caseExact"},
		"unique from now on":         {with(`{"name":"a","uniqueness":"server"}`), "attributes.a: uniqueness"},
		"required from now on":       {with(`{"name":"a","required":true}`), "attributes.a: required"},
		"never shown from now on":    {with(`{"name":"a","returned":"never"}`), "attributes.a: whether values are kept"},
		"a sub-attribute less":       {parse(`{"name":"a"}`, `{"name":"n","type":"integer"}`, `{"name":"c","type":"complex","subAttributes":[{"name":"t"}]}`), "attributes.c: s was declared"},
		"another type of a part":     {parse(`{"name":"a"}`, `{"name":"n","type":"integer"}`, `{"name":"c","type":"complex","subAttributes":[{"name":"s","type":"integer"}]}`), "attributes.c.s: type"},
		"one more, which is needed":  {parse(`{"name":"a"}`, `{"name":"n","type":"integer"}`, sub, `{"name":"more","required":true}`), "attributes.more: a new attribute cannot be required"},
		"another spelling of a name": {with(`{"name":"A"}`), "attributes: a was declared"},
	} {
		err := c.next.Succeeds(old)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// testTypes are the resource types of a tenant that serves the checklist's TR.
func testTypes(t testing.TB) (test, required *ResourceType) {
	t.Helper()
	var schemas []Declaration
	for _, text := range conformance.TestSchemas() {
		d, err := ParseSchema(text)
		if err != nil {
			t.Fatal(err)
		}
		schemas = append(schemas, d)
	}
	var types []TypeDeclaration
	for _, text := range conformance.TestTypes() {
		d, err := ParseResourceType(text)
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, d)
	}
	all, err := TenantTypes(schemas, types)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 4 || all[0] != UserType() || all[1] != GroupType() {
		t.Fatalf("got %d types, want User, Group and two more", len(all))
	}
	return all[2], all[3]
}

// Declarations of a tenant that do not fit one another are refused.
func TestTenantTypes(t *testing.T) {
	schema := func(urn, attribute string) Declaration {
		d, err := ParseSchema([]byte(`{"id":"` + urn + `","attributes":[{"name":"` + attribute + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	user, _ := StockType("User")
	crowd, crowded := make([]Declaration, maxExtensions), user
	for i := range crowd {
		crowd[i] = schema(fmt.Sprintf("urn:example:S%d:X", i), "x")
		crowded = crowded.Extended(crowd[i].ID)
	}
	badge, device := schema("urn:example:Badge", "badge"), schema("urn:example:Device", "model")
	devices := TypeDeclaration{Name: "Device", Endpoint: "/Devices", Schema: "urn:example:Device"}
	for name, c := range map[string]struct {
		schemas []Declaration
		types   []TypeDeclaration
		want    string
	}{
		"an extension of User":           {[]Declaration{badge}, []TypeDeclaration{user.Extended("urn:example:Badge")}, ""},
		"an extension in another case":   {[]Declaration{badge}, []TypeDeclaration{user.Extended("URN:EXAMPLE:BADGE")}, ""},
		"a type of its own":              {[]Declaration{badge, device}, []TypeDeclaration{devices.Extended("urn:example:Badge")}, ""},
		"an extension nobody declared":   {nil, []TypeDeclaration{user.Extended("urn:example:Badge")}, "resource type User: schemaExtensions[1]: no schema urn:example:Badge is declared"},
		"a core schema nobody declared":  {nil, []TypeDeclaration{devices}, "no schema urn:example:Device is declared"},
		"an extension like the core":     {[]Declaration{schema("urn:example:X", "USERNAME")}, []TypeDeclaration{user.Extended("urn:example:X")}, "defines USERNAME, which"},
		"the core schema as extension":   {[]Declaration{device}, []TypeDeclaration{devices.Extended("urn:example:Device")}, "is the core schema already"},
		"User without enterprise":        {[]Declaration{badge}, []TypeDeclaration{{Name: "User", Endpoint: "/Users", Schema: UserSchema}}, "cannot be taken away"},
		"User elsewhere":                 {nil, []TypeDeclaration{{Name: "User", Endpoint: "/People", Schema: UserSchema}}, "endpoint: resources of User"},
		"user, spelled otherwise":        {[]Declaration{device}, []TypeDeclaration{{Name: "user", Endpoint: "/Devices", Schema: "urn:example:Device"}}, "there is User"},
		"the endpoint of groups":         {[]Declaration{device}, []TypeDeclaration{{Name: "Device", Endpoint: "/groups", Schema: "urn:example:Device"}}, "there is Group at /Groups"},
		"two types at one endpoint":      {[]Declaration{device}, []TypeDeclaration{devices, {Name: "Other", Endpoint: "/Devices", Schema: "urn:example:Device"}}, "there is"},
		"an endpoint of SCIM itself":     {[]Declaration{device}, []TypeDeclaration{{Name: "Device", Endpoint: "/bulk", Schema: "urn:example:Device"}}, "a name of SCIM itself"},
		"a name of SCIM itself":          {[]Declaration{device}, []TypeDeclaration{{Name: "Schema", Endpoint: "/Devices", Schema: "urn:example:Device"}}, "a name of SCIM itself"},
		"a URN that begins with another": {[]Declaration{device, schema("urn:example:Device:Model", "x")}, nil, "begins with urn:example:Device"},
		"a URN twice":                    {[]Declaration{device, schema("URN:example:device", "x")}, nil, "begins with"},
		"a URN below enterprise's":       {[]Declaration{schema(EnterpriseSchema+":x", "x")}, nil, "begins with"},
		"too many extensions":            {crowd, []TypeDeclaration{crowded}, "schemaExtensions: User would have more than 16 extensions"},
		"a URN like the start of one":    {[]Declaration{device, schema("urn:example:Device2", "x")}, nil, ""},
	} {
		types, err := TenantTypes(c.schemas, c.types)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err == nil && len(c.types) > 0 && types[0] == UserType() && types[1] == GroupType() && len(types) == 2 {
			t.Errorf("%s: nothing was added", name)
		}
	}
}

// Whatever name a schema may give, filters, paths and lists of attributes can say.
func TestDeclaredNamesCanBeSaid(t *testing.T) {
	d, err := ParseSchema([]byte(`{"id":"urn:example-x:scim_2.0:Odd-1","attributes":[{"name":"a-b"},{"name":"a$b"},{"name":"a_1"},{"name":"eq"},{"name":"pr"},
		{"name":"true"},{"name":"c","type":"complex","multiValued":true,"subAttributes":[{"name":"x-$y"},{"name":"null"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	user, _ := StockType("User")
	types, err := TenantTypes([]Declaration{d}, []TypeDeclaration{user.Extended(d.ID)})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range types[0].Extension(d.ID).Attributes {
		for _, name := range append([]string{a.Path}, pathsOf(a.Sub)...) {
			f, err := ParseFilter(name + ` pr and not (` + name + ` pr)`)
			if err == nil {
				_, err = f.Bind(types[0], Strict)
			}
			if err != nil {
				t.Errorf("%s in a filter: %v", name, err)
			}
			if _, err := ParsePatch(types[0], patchBodyOf(`{"op":"remove","path":"`+name+`"}`), Strict); err != nil {
				t.Errorf("%s as a path: %v", name, err)
			}
			p, err := ParseProjection(types[0], "userName, "+name, "")
			if err != nil || !p.Includes(name) {
				t.Errorf("%s in a list of attributes: %v", name, err)
			}
		}
	}
}

func pathsOf(attributes []*Attribute) []string {
	var paths []string
	for _, a := range attributes {
		paths = append(paths, a.Path)
	}
	return paths
}

// Discovery shows a declaration as it was declared, and it can be declared again.
func TestDiscoveryOfADeclarationDeclaresIt(t *testing.T) {
	test, required := testTypes(t)
	for _, s := range AllSchemas([]*ResourceType{test, required}) {
		var shown map[string]any
		if err := json.Unmarshal(s.Discovery("https://muster.example"), &shown); err != nil {
			t.Fatal(err)
		}
		if s == test.Core {
			attributes := shown["attributes"].([]any)
			shown["attributes"] = attributes[1:] // externalId, which every resource has
		}
		text, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSchema(text)
		if err != nil {
			t.Fatalf("%s: %v", s.ID, err)
		}
		for _, document := range conformance.TestSchemas() {
			if d, err := ParseSchema(document); err != nil || d.ID == s.ID && string(d.JSON()) != string(again.JSON()) {
				t.Error(err, cmp.Diff(string(d.JSON()), string(again.JSON())))
			}
		}
	}
	if got := string(required.Discovery("")); !strings.Contains(got, `"required":true`) {
		t.Errorf("got %s, want a required extension", got)
	}
	if all := AllSchemas([]*ResourceType{test, required}); len(all) != 2 {
		t.Errorf("got %d schemas, want each once", len(all))
	}
}

func FuzzParseSchema(f *testing.F) {
	for _, text := range conformance.TestSchemas() {
		f.Add(text)
	}
	f.Add(schemaOf(`{"name":"x"}`, `{"name":"c","type":"complex","multiValued":true,"subAttributes":[{"name":"value"},{"name":"$ref","type":"reference"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseSchema(text)
		if err != nil {
			var refused *Error
			if !errors.As(err, &refused) || refused.Status != 400 {
				t.Fatalf("got %v, want 400", err)
			}
			return
		}
		again, err := ParseSchema(d.JSON())
		if err != nil || string(again.JSON()) != string(d.JSON()) {
			t.Fatalf("kept as %s, read back as %s, %v", d.JSON(), again.JSON(), err)
		}
		if err := d.Succeeds(again); err != nil {
			t.Fatalf("a schema cannot follow itself: %v", err)
		}
		rt := TypeDeclaration{Name: "Fuzzed", Endpoint: "/Fuzzed", Schema: d.ID}
		types, err := TenantTypes([]Declaration{d}, []TypeDeclaration{rt})
		if err != nil {
			return
		}
		for _, a := range types[2].Core.Attributes {
			if ref, err := types[2].Resolve(d.ID + ":" + a.Name); err != nil || ref.Attr != a {
				t.Fatalf("%s: got %v, %v", a.Name, ref, err)
			}
		}
	})
}

func FuzzParseResourceType(f *testing.F) {
	for _, text := range conformance.TestTypes() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseResourceType(text)
		if err != nil {
			return
		}
		again, err := ParseResourceType(d.JSON())
		if err != nil || !cmp.Equal(d, again) {
			t.Fatalf("kept as %s, read back as %s, %v", d.JSON(), again.JSON(), err)
		}
	})
}
