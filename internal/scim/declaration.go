package scim

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Bounds of what a tenant declares.
const (
	maxDeclaration     = 256 << 10 // bytes of one document
	maxDeclared        = 256       // attributes of one schema, sub-attributes included
	maxAttributeName   = 64        // bytes
	maxURN             = 255       // bytes
	maxDescription     = 1024      // bytes
	maxTitle           = 128       // bytes of the name of a schema
	maxCanonical       = 100       // canonical values of one attribute, and reference types
	maxCanonicalLength = 256       // bytes of one
)

// A Declaration is a schema as a tenant declares it (RFC 7643 §7), with every
// characteristic that its document leaves out (§2.2). It never changes.
type Declaration struct {
	ID          string // URN
	Name        string
	Description string

	attributes []attributeJSON
}

// ParseSchema reads the declaration of a schema: a Schema resource of RFC 7643
// §7 in JSON, of at most 256 KiB and 256 attributes. `schemas` and `meta` may
// be there, as in an answer of /Schemas, and mean nothing; what the RFC does
// not define is refused, as are names outside its grammar (§2.1), unknown data
// types (§2.3), complex attributes within complex ones (§2.3.8), the common
// attributes (§3.1) and characteristics that contradict one another. The error
// is an [*Error] with scimType invalidValue, or invalidSyntax where the document
// is not JSON; it says what is wrong where.
func ParseSchema(document []byte) (Declaration, error) {
	doc, err := parseDocument(document, schemaSchema)
	if err != nil {
		return Declaration{}, err
	}
	if err := doc.only("schemas", "meta", "id", "name", "description", "attributes"); err != nil {
		return Declaration{}, err
	}
	var d Declaration
	if d.ID, err = doc.required("id", maxURN); err == nil {
		err = checkURN(d.ID)
	}
	if err != nil {
		return Declaration{}, err
	}
	if d.Name, err = doc.text("name", maxTitle); err != nil {
		return Declaration{}, err
	}
	d.Name = cmp.Or(d.Name, d.ID[strings.LastIndexByte(d.ID, ':')+1:])
	if d.Description, err = doc.text("description", maxDescription); err != nil {
		return Declaration{}, err
	}
	left := maxDeclared
	if d.attributes, err = doc.definitions("attributes", nil, &left); err != nil {
		return Declaration{}, err
	}
	if len(d.JSON()) > maxDeclaration { // it is kept so, and read again
		return Declaration{}, BadSyntax("the document is longer than %d bytes once every characteristic is written out", maxDeclaration)
	}
	return d, nil
}

// JSON is the declaration as it is kept: the document with every characteristic
// written out. [ParseSchema] reads it back.
func (d Declaration) JSON() []byte {
	return encode(struct {
		ID          string          `json:"id"`
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Attributes  []attributeJSON `json:"attributes"`
	}{d.ID, d.Name, d.Description, d.attributes})
}

// Succeeds reports, as an [*Error], why d cannot follow old as the next version
// of one schema: it would make values invalid that are stored by old. An
// attribute keeps its name, its type, how its values compare and whether they
// are kept at all; none is taken away, and none becomes required. Attributes
// may be added, and what only says how a value is shown or may change, may
// change.
func (d Declaration) Succeeds(old Declaration) error {
	if d.ID != old.ID {
		return BadValue("id: the schema is spelled %s", old.ID)
	}
	return succeed("attributes", d.attributes, old.attributes)
}

func succeed(where string, now, old []attributeJSON) error {
	for _, was := range old {
		i := slices.IndexFunc(now, func(a attributeJSON) bool { return a.Name == was.Name })
		if i < 0 {
			return BadValue("%s: %s was declared and cannot be taken away", where, was.Name)
		}
		at := where + "." + was.Name
		if what := was.bars(now[i]); what != "" {
			return BadValue("%s: %s cannot change, because values are stored by it", at, what)
		}
		if now[i].Required && !was.Required {
			return BadValue("%s: required cannot become true, because resources without it are stored", at)
		}
		if err := succeed(at, now[i].SubAttributes, was.SubAttributes); err != nil {
			return err
		}
	}
	for _, a := range now {
		if a.Required && !slices.ContainsFunc(old, func(was attributeJSON) bool { return was.Name == a.Name }) {
			return BadValue("%s.%s: a new attribute cannot be required, because resources without it are stored", where, a.Name)
		}
	}
	return nil
}

// bars names what differs between two versions of an attribute that must not.
func (a attributeJSON) bars(now attributeJSON) string {
	switch {
	case now.Type != a.Type:
		return "type"
	case now.MultiValued != a.MultiValued:
		return "multiValued"
	case a.exact() != now.exact():
		return "caseExact"
	case now.Uniqueness != a.Uniqueness:
		return "uniqueness"
	case now.secret() != a.secret():
		return "whether values are kept (mutability, returned)"
	case len(now.CanonicalValues) > 0 && (len(a.CanonicalValues) == 0 || !containsAll(now.CanonicalValues, a.CanonicalValues)):
		return "canonicalValues: they can be added to, or left out as a whole, but what they allowed"
	}
	return ""
}

func (a attributeJSON) exact() bool { return a.CaseExact != nil && *a.CaseExact }

// secret reports whether nobody may ever read a value of a.
func (a attributeJSON) secret() bool {
	return a.Returned == ReturnedNever || a.Mutability == WriteOnly
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// schema makes d the core schema of a resource type, or an extension of one.
func (d Declaration) schema(extension bool) *Schema {
	s := &Schema{ID: d.ID, Name: d.Name, Description: d.Description}
	prefix := d.ID + ":"
	if !extension {
		prefix = ""
		id := newAttribute("", externalID())
		id.correct()
		s.Attributes = append(s.Attributes, id)
	}
	for _, a := range d.attributes {
		s.Attributes = append(s.Attributes, declared(prefix, a))
	}
	s.index()
	return s
}

func declared(prefix string, d attributeJSON) *Attribute {
	a := &Attribute{
		Name: d.Name, Path: prefix + d.Name, Description: d.Description,
		Type: Type(slices.Index(typeNames[:], d.Type)), Multi: d.MultiValued, Required: d.Required, CaseExact: d.exact(),
		Mutability: d.Mutability, Returned: d.Returned, Uniqueness: cmp.Or(d.Uniqueness, UniqueNone),
		Canonical: d.CanonicalValues, References: d.ReferenceTypes, Declared: true,
	}
	for _, sub := range d.SubAttributes {
		a.Sub = append(a.Sub, declared(a.Path+".", sub))
	}
	if a.Uniqueness != UniqueNone {
		a.text = textName
	}
	a.index()
	return a
}

// MarshalJSON is [Declaration.JSON].
func (d Declaration) MarshalJSON() ([]byte, error) { return d.JSON(), nil }

var _ json.Marshaler = Declaration{}
