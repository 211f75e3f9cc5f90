package scim

import (
	"slices"
	"sync"

	elimity "github.com/elimity-com/scim/schema"
)

// URNs of the schemas that every tenant has.
const (
	UserSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupSchema      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// Schema is a set of attributes under one URN (RFC 7643 §7). It never changes
// once built and is safe for concurrent use.
type Schema struct {
	ID          string // URN
	Name        string
	Description string
	Attributes  []*Attribute // in the order in which resources show them

	byName map[string]*Attribute
	unique []leaf // what a tenant has declared unique
	hidden []leaf
}

// Hidden calls name with the name of each attribute and sub-attribute that is never
// returned (RFC 7643 §7, returned and mutability).
func (s *Schema) Hidden(name func(string)) {
	for _, l := range s.hidden {
		name(l.last().Name)
	}
}

// Attribute returns the attribute called name, in any letter case, or nil.
func (s *Schema) Attribute(name string) *Attribute { return lookup(s.byName, name) }

// common holds the attributes of every resource besides externalId (RFC 7643
// §3.1): schemas, id and meta. They are computed,
// never stored in a Resource.
var common = sync.OnceValue(func() *Schema {
	s := &Schema{}
	for _, c := range elimity.CommonAttributes() {
		if c.Name() != "externalId" {
			s.Attributes = append(s.Attributes, newAttribute("", c))
		}
	}
	s.correct()
	s.index()
	return s
})

// newSchema builds a schema from elimity's description of it. An extension's
// attribute paths begin with its URN; a core schema shows externalId first.
func newSchema(stock elimity.Schema, extension bool) *Schema {
	s := &Schema{ID: stock.ID, Name: stock.Name.Value(), Description: stock.Description.Value()}
	prefix := ""
	if extension {
		prefix = stock.ID + ":"
	} else {
		s.Attributes = append(s.Attributes, newAttribute("", externalID()))
	}
	for _, c := range stock.Attributes {
		s.Attributes = append(s.Attributes, newAttribute(prefix, c))
	}
	s.correct()
	s.index()
	return s
}

// index prepares what is looked up. The attributes are complete.
func (s *Schema) index() {
	s.byName = index(s.Attributes)
	s.unique = s.leaves(func(a *Attribute) bool { return a.Declared && a.Uniqueness != UniqueNone })
	s.hidden = s.leaves(func(a *Attribute) bool { return a.Returned == ReturnedNever || a.Mutability == WriteOnly })
}

func externalID() elimity.CoreAttribute {
	all := elimity.CommonAttributes()
	return all[slices.IndexFunc(all, func(c elimity.CoreAttribute) bool { return c.Name() == "externalId" })]
}

func newAttribute(prefix string, c elimity.CoreAttribute) *Attribute {
	a := &Attribute{
		Name:        c.Name(),
		Path:        prefix + c.Name(),
		Description: c.Description(),
		Type:        Type(slices.Index(typeNames[:], c.AttributeType())),
		Multi:       c.MultiValued(),
		Required:    c.Required(),
		CaseExact:   c.CaseExact(),
		Mutability:  c.Mutability(),
		Returned:    c.Returned(),
		Uniqueness:  c.Uniqueness(),
		Canonical:   c.CanonicalValues(),
	}
	for _, r := range c.ReferenceTypes() {
		a.References = append(a.References, string(r))
	}
	for _, sub := range c.SubAttributes() {
		a.Sub = append(a.Sub, newAttribute(a.Path+".", sub))
	}
	a.index()
	return a
}

// correct applies what the published schemas leave out or get wrong.
func (s *Schema) correct() {
	for _, a := range s.Attributes {
		a.correct()
		for _, sub := range a.Sub {
			sub.correct()
		}
	}
}

func (a *Attribute) correct() {
	switch a.Type {
	case TypeReference, TypeBinary: // RFC 7643 §2.3.6, §2.3.7; erratum 6001
		a.CaseExact = true
	}
	switch a.Path {
	case EnterpriseSchema + ":manager.value": // erratum 8472
		a.CaseExact = true
	case "groups.$ref": // erratum 8471
		a.References = []string{"Group"}
	case "password": // discarded on input, so that no client expects it back
		a.Hidden = true
	}
	a.text = ruleFor(a)
}
