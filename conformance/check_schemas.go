package conformance

import (
	_ "embed"
	"encoding/csv"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// schema is a schema as /Schemas shows it (RFC 7643 §7).
type schema struct {
	ID, Name, Description string
	Attributes            []attribute
}

// attribute is the definition of an attribute.
type attribute struct {
	Name, Type, Description, Mutability, Returned, Uniqueness string
	MultiValued, Required, CaseExact                          *bool
	CanonicalValues, ReferenceTypes                           []string
	SubAttributes                                             []attribute
}

// readSchemas reads /Schemas.
func readSchemas(t *Trial) []schema {
	var list struct{ Resources []schema }
	t.Decode(t.Send("GET /Schemas"), &list)
	t.Check(len(list.Resources) > 0, "no schema in /Schemas")
	return list.Resources
}

// everyAttribute calls visit for every attribute and sub-attribute of /Schemas, at
// "urn…:User:name.givenName".
func everyAttribute(t *Trial, visit func(at string, a attribute)) {
	for _, schema := range readSchemas(t) {
		for _, a := range schema.Attributes {
			visit(schema.ID+":"+a.Name, a)
			for _, sub := range a.SubAttributes {
				visit(schema.ID+":"+a.Name+"."+sub.Name, sub)
			}
		}
	}
}

var schemaChecks = []Check{
	{Name: "schemas/names", Rows: []string{"A04"}, Run: checkNames},
	{Name: "schemas/complex", Rows: []string{"A02", "A24", "D31"}, Run: checkComplex},
	{Name: "schemas/types", Rows: []string{"A26", "D32", "D33"}, Run: checkTypes},
	{Name: "schemas/characteristics", Rows: []string{"D28", "D29", "D30"}, Run: checkCharacteristics},
	{Name: "schemas/published", Rows: []string{"D36"}, Run: checkPublished},
	{Name: "schemas/messages", Rows: []string{"D27"}, Run: checkMessages},
	{Name: "resource-types/schemas", Rows: []string{"D16", "D17", "D18", "D19", "D20", "D23", "F16"}, Run: checkResourceTypes},
}

var attributeName = regexp.MustCompile(`^[A-Za-z$][A-Za-z0-9$_-]*$`)

// checkNames: RFC 7643 §2.1, with erratum 8924.
func checkNames(t *Trial) {
	everyAttribute(t, func(at string, a attribute) {
		t.Check(attributeName.MatchString(a.Name), "%s is no attribute name", at)
	})
}

// checkComplex: complex attributes have sub-attributes, none of which is complex, and
// others have none (RFC 7643 §1.2, §2.3.8; erratum 8415).
func checkComplex(t *Trial) {
	everyAttribute(t, func(at string, a attribute) {
		t.Check((a.Type == "complex") == (len(a.SubAttributes) > 0), "%s is %s with %d sub-attributes", at, a.Type, len(a.SubAttributes))
		for _, sub := range a.SubAttributes {
			t.Check(sub.Type != "complex", "%s.%s: a complex attribute within a complex one", at, sub.Name)
		}
	})
}

// checkTypes: RFC 7643 §2.3, §2.4, §7; errata 5606 and 8435.
func checkTypes(t *Trial) {
	types := []string{"string", "boolean", "decimal", "integer", "dateTime", "reference", "complex", "binary"}
	targets := append(resourceTypeNames(t), "external", "uri")
	everyAttribute(t, func(at string, a attribute) {
		t.Check(slices.Contains(types, a.Type), "%s: type %q", at, a.Type)
		t.Check(a.Name != "primary" || a.Type == "boolean", "%s is %s, want boolean", at, a.Type)
		t.Check(a.Name != "$ref" || a.Type == "reference", "%s is %s, want reference", at, a.Type)
		t.Check((a.Type == "reference") == (len(a.ReferenceTypes) > 0), "%s is %s with referenceTypes %q", at, a.Type, a.ReferenceTypes)
		for _, target := range a.ReferenceTypes {
			t.Check(slices.Contains(targets, target), "%s refers to %q, which is no resource type", at, target)
		}
	})
}

// standard reports whether the schema is one of RFC 7643 §8.7.1, with its name and
// descriptions. Those of other schemas and their resource types are OPTIONAL (§6, §7).
func standard(id string) bool {
	return slices.Contains([]string{
		"urn:ietf:params:scim:schemas:core:2.0:User",
		"urn:ietf:params:scim:schemas:core:2.0:Group",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
	}, id)
}

// checkCharacteristics: RFC 7643 §7.
func checkCharacteristics(t *Trial) {
	for _, schema := range readSchemas(t) {
		id, err := url.Parse(schema.ID)
		t.Check(err == nil && id.Scheme != "", "%q is no URI", schema.ID)
		t.Check(!standard(schema.ID) || schema.Name != "" && schema.Description != "", "%s: name %q, description %q", schema.ID, schema.Name, schema.Description)
		t.Expect(t.Send("GET /Schemas/"+schema.ID), "200\n"+`{"id":`+strconv.Quote(schema.ID)+`,"...":"..."}`)
	}
	everyAttribute(t, func(at string, a attribute) {
		t.Check(a.MultiValued != nil && a.Required != nil, "%s: multiValued or required is missing", at)
		t.Check(a.Description != "" || !standard(at[:strings.LastIndex(at, ":")]), "%s has no description", at)
		t.Check(slices.Contains([]string{"readOnly", "readWrite", "immutable", "writeOnly"}, a.Mutability), "%s: mutability %q", at, a.Mutability)
		t.Check(slices.Contains([]string{"always", "never", "default", "request"}, a.Returned), "%s: returned %q", at, a.Returned)
		if a.Type == "string" || a.Type == "reference" || a.Type == "binary" {
			t.Check(a.CaseExact != nil, "%s: caseExact is missing", at)
			t.Check(slices.Contains([]string{"none", "server", "global"}, a.Uniqueness), "%s: uniqueness %q", at, a.Uniqueness)
		}
	})
}

// published holds the attributes of RFC 7643 §8.7.1 with errata 5368, 6001, 6004, 8471
// and 8472; what is empty is left open.
//
//go:embed attributes.csv
var published string

// checkPublished: a server that takes no passwords may leave password out.
func checkPublished(t *Trial) {
	shown := map[string]attribute{}
	everyAttribute(t, func(at string, a attribute) { shown[at] = a })
	rows, err := csv.NewReader(strings.NewReader(published)).ReadAll()
	if err != nil {
		panic(err) // it is embedded
	}
	for _, row := range rows[1:] {
		at := row[0] + ":" + row[1]
		a, ok := shown[at]
		if row[1] == "password" && !ok {
			continue
		}
		t.Check(ok, "%s is missing", at)
		got := []string{row[0], row[1], a.Type, flag(a.MultiValued), flag(a.Required), flag(a.CaseExact), a.Mutability,
			a.Returned, a.Uniqueness, strings.Join(a.CanonicalValues, "|"), strings.Join(a.ReferenceTypes, "|")}
		for i, column := range rows[0] {
			t.Check(row[i] == "" || row[i] == got[i], "%s: %s is %q, want %q", at, column, got[i], row[i])
		}
	}
}

func flag(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

// checkMessages: RFC 7644 §3.1.
func checkMessages(t *Trial) {
	for _, schema := range readSchemas(t) {
		t.Check(!strings.HasPrefix(schema.ID, "urn:ietf:params:scim:api:messages:"), "%s is listed", schema.ID)
	}
}

type resourceType struct {
	ID, Name, Description, Endpoint, Schema string
	SchemaExtensions                        []struct {
		Schema   string
		Required *bool
	}
}

func readResourceTypes(t *Trial) []resourceType {
	var list struct{ Resources []resourceType }
	t.Decode(t.Send("GET /ResourceTypes"), &list)
	t.Check(len(list.Resources) > 0, "no resource type in /ResourceTypes")
	return list.Resources
}

func resourceTypeNames(t *Trial) []string {
	var names []string
	for _, rt := range readResourceTypes(t) {
		names = append(names, rt.Name)
	}
	return names
}

// checkResourceTypes: each has a name, a description if it is a standard one, an endpoint
// that lists, and schemas that /Schemas has (RFC 7643 §6; RFC 7644 §3.2, §4).
func checkResourceTypes(t *Trial) {
	var schemas []string
	for _, schema := range readSchemas(t) {
		schemas = append(schemas, schema.ID)
	}
	for _, rt := range readResourceTypes(t) {
		t.Check(rt.Name != "" && (rt.Description != "" || !standard(rt.Schema)), "resource type %q, description %q", rt.Name, rt.Description)
		t.Check(strings.HasPrefix(rt.Endpoint, "/") && strings.HasSuffix(rt.Endpoint, "s"), "%s: endpoint %q is no plural path", rt.Name, rt.Endpoint)
		t.Expect(t.Send("GET "+rt.Endpoint), "200\n"+`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"...":"..."}`)
		t.Check(slices.Contains(schemas, rt.Schema), "%s: /Schemas has no %s", rt.Name, rt.Schema)
		for _, extension := range rt.SchemaExtensions {
			t.Check(slices.Contains(schemas, extension.Schema), "%s: /Schemas has no %s", rt.Name, extension.Schema)
			t.Check(extension.Required != nil, "%s: %s is required or not", rt.Name, extension.Schema)
		}
	}
}
