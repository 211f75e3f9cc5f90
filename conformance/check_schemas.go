package conformance

import "slices"

// attribute is an attribute definition as /Schemas shows it (RFC 7643 §7).
type attribute struct {
	Name, Type, Description, Mutability, Returned, Uniqueness string
	MultiValued, Required, CaseExact                          *bool
	CanonicalValues, ReferenceTypes                           []string
	SubAttributes                                             []attribute
}

// everyAttribute reads /Schemas and calls visit for every attribute and sub-attribute,
// at "urn…:User:name.givenName". It returns how many there were.
func everyAttribute(t *Trial, visit func(at string, a attribute)) {
	var list struct {
		Resources []struct {
			ID         string
			Attributes []attribute
		}
	}
	t.Decode(t.Send("GET /Schemas"), &list)
	count := 0
	for _, schema := range list.Resources {
		for _, a := range schema.Attributes {
			visit(schema.ID+":"+a.Name, a)
			count++
			for _, sub := range a.SubAttributes {
				visit(schema.ID+":"+a.Name+"."+sub.Name, sub)
			}
		}
	}
	t.Check(count > 0, "no attribute in /Schemas")
}

var schemaChecks = []Check{
	{Name: "schemas/types", Rows: []string{"D32"}, Run: func(t *Trial) {
		legal := []string{"string", "boolean", "decimal", "integer", "dateTime", "reference", "complex", "binary"}
		everyAttribute(t, func(at string, a attribute) {
			t.Check(slices.Contains(legal, a.Type), "%s: type %q", at, a.Type)
		})
	}},
}
