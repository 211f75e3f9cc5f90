package scim

import (
	"slices"
	"strings"
)

// TenantTypes returns the resource types of a tenant: User and Group with the
// extensions that it declared for them, then those it registered, in the order
// given. The declarations of User and Group name their stock extensions too.
//
// Schemas and types must fit one another, else the error is an [*Error] that
// says which does not: every schema named is there, endpoints and names are one
// type's, no URN begins with another one, and no extension redefines what the
// core schema has (RFC 7643 §3.3). Schemas that no type uses are not part of
// the result.
func TenantTypes(schemas []Declaration, types []TypeDeclaration) ([]*ResourceType, error) {
	b := builder{schemas: schemas}
	if err := b.check(types); err != nil {
		return nil, err
	}
	all := ResourceTypes()
	for _, t := range types {
		rt, err := b.build(t)
		if err != nil {
			return nil, err.Prefix("resource type %s", t.Name)
		}
		switch t.Name {
		case UserType().Name:
			all[0] = rt
		case GroupType().Name:
			all[1] = rt
		default:
			all = append(all, rt)
		}
	}
	return all, nil
}

// StockType is the declaration of User or Group as every tenant has it.
func StockType(name string) (t TypeDeclaration, found bool) {
	for _, rt := range ResourceTypes() {
		if rt.Name != name {
			continue
		}
		t = TypeDeclaration{Name: rt.Name, Description: rt.Description, Endpoint: rt.Endpoint, Schema: rt.Core.ID}
		for _, ext := range rt.Extensions {
			t = t.Extended(ext.ID)
		}
		return t, true
	}
	return t, false
}

type builder struct{ schemas []Declaration }

func (b builder) check(types []TypeDeclaration) error {
	if len(b.schemas) > maxTenant || len(types) > maxTypes {
		return BadValue("a tenant has at most %d schemas and %d resource types", maxTenant, maxTypes)
	}
	urns := make([]string, 0, len(b.schemas)+1)
	for _, s := range b.schemas {
		urns = append(urns, s.ID)
	}
	urns = append(urns, EnterpriseSchema)
	for i, urn := range urns {
		for j, other := range urns {
			if i != j && hasPrefixFold(other, urn) && (len(other) == len(urn) || strings.ContainsRune(":.", rune(other[len(urn)]))) {
				return BadValue("id: %s begins with %s: names of attributes would be ambiguous", other, urn)
			}
		}
	}
	return checkTypes(types)
}

// reserved are names and endpoints that are not a tenant's to give.
var reserved = []string{"Schema", "Schemas", "ResourceType", "ResourceTypes", "ServiceProviderConfig", "Bulk", "Me"}

func checkTypes(types []TypeDeclaration) error {
	for i, t := range types {
		if len(t.Extensions) > maxExtensions {
			return BadValue("schemaExtensions: %s would have more than %d extensions", t.Name, maxExtensions)
		}
		endpoint := t.Endpoint[1:]
		taken := func(name string) bool { return isName(name, t.Name) || isName(name, endpoint) }
		if slices.ContainsFunc(reserved, taken) {
			return BadValue("name: %s at %s: this is a name of SCIM itself", t.Name, t.Endpoint)
		}
		if stock, is := StockType(t.Name); is {
			if err := t.Succeeds(stock); err != nil {
				return err
			}
			continue
		}
		others := append(types[:i:i], types[i+1:]...)
		for _, rt := range ResourceTypes() {
			others = append(others, TypeDeclaration{Name: rt.Name, Endpoint: rt.Endpoint})
		}
		for _, other := range others {
			if isName(other.Name, t.Name) || isName(other.Endpoint, t.Endpoint) {
				return BadValue("name: %s at %s: there is %s at %s", t.Name, t.Endpoint, other.Name, other.Endpoint)
			}
		}
	}
	return nil
}

// build makes one resource type. What is stock stays the stock object.
func (b builder) build(t TypeDeclaration) (*ResourceType, *Error) {
	rt := &ResourceType{Name: t.Name, Description: t.Description, Endpoint: t.Endpoint}
	var stock []*Schema
	for _, s := range ResourceTypes() {
		if s.Name == t.Name {
			rt.Description, rt.Core, stock = s.Description, s.Core, s.Extensions
		}
	}
	if rt.Core == nil {
		d := b.schema(t.Schema)
		if d == nil {
			return nil, BadValue("schema: no schema %s is declared", clip(t.Schema))
		}
		rt.Core = d.schema(false)
	}
	for i, use := range t.Extensions {
		ext, err := b.extension(rt.Core, stock, use)
		if err != nil {
			return nil, err.Prefix("schemaExtensions[%d]", i)
		}
		rt.Extensions = append(rt.Extensions, ext)
		if use.Required {
			rt.required = append(rt.required, ext)
		}
	}
	rt.index()
	return rt, nil
}

func (b builder) schema(urn string) *Declaration {
	for i := range b.schemas {
		if isName(b.schemas[i].ID, urn) {
			return &b.schemas[i]
		}
	}
	return nil
}

func (b builder) extension(core *Schema, stock []*Schema, use ExtensionUse) (*Schema, *Error) {
	for _, s := range stock {
		if isName(s.ID, use.Schema) {
			return s, nil
		}
	}
	d := b.schema(use.Schema)
	switch {
	case d == nil:
		return nil, BadValue("no schema %s is declared", clip(use.Schema))
	case isName(d.ID, core.ID):
		return nil, BadValue("%s is the core schema already", d.ID)
	}
	for _, a := range d.attributes {
		if core.Attribute(a.Name) != nil {
			return nil, BadValue("%s defines %s, which %s has already", d.ID, a.Name, core.ID)
		}
	}
	return d.schema(true), nil
}
