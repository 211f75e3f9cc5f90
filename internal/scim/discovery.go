package scim

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Schemas of the resources that discovery serves.
const (
	schemaSchema       = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	resourceTypeSchema = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
)

// ResourceTypes returns the resource types that every tenant has, User first (Q125).
func ResourceTypes() []*ResourceType { return []*ResourceType{UserType(), GroupType()} }

// AllSchemas returns what /Schemas lists: each schema that a resource type names,
// once, be it one type's core schema and another one's extension.
func AllSchemas(types []*ResourceType) []*Schema {
	var all []*Schema
	for _, rt := range types {
		for _, s := range append([]*Schema{rt.Core}, rt.Extensions...) {
			if !slices.ContainsFunc(all, func(listed *Schema) bool { return listed.ID == s.ID }) {
				all = append(all, s)
			}
		}
	}
	return all
}

type metaJSON struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
}

type schemaJSON struct {
	Schemas     []string        `json:"schemas"`
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Attributes  []attributeJSON `json:"attributes"`
	Meta        metaJSON        `json:"meta"`
}

type attributeJSON struct {
	Name            string          `json:"name"`
	Type            string          `json:"type"`
	SubAttributes   []attributeJSON `json:"subAttributes,omitempty"`
	MultiValued     bool            `json:"multiValued"`
	Description     string          `json:"description,omitempty"`
	Required        bool            `json:"required"`
	CanonicalValues []string        `json:"canonicalValues,omitempty"`
	CaseExact       *bool           `json:"caseExact,omitempty"`
	Mutability      string          `json:"mutability"`
	Returned        string          `json:"returned"`
	Uniqueness      string          `json:"uniqueness,omitempty"`
	ReferenceTypes  []string        `json:"referenceTypes,omitempty"`
}

type resourceTypeJSON struct {
	Schemas          []string              `json:"schemas"`
	ID               string                `json:"id"`
	Name             string                `json:"name"`
	Description      string                `json:"description,omitempty"`
	Endpoint         string                `json:"endpoint"`
	Schema           string                `json:"schema"`
	SchemaExtensions []schemaExtensionJSON `json:"schemaExtensions,omitempty"`
	Meta             metaJSON              `json:"meta"`
}

type schemaExtensionJSON struct {
	Schema   string `json:"schema"`
	Required bool   `json:"required"`
}

// Discovery returns s as /Schemas shows it (RFC 7643 §7): no nulls, no empty
// values, without hidden attributes. base is the tenant's base URL, without a
// slash at its end.
func (s *Schema) Discovery(base string) []byte {
	return encode(schemaJSON{
		Schemas:     []string{schemaSchema},
		ID:          s.ID,
		Name:        s.Name,
		Description: s.Description,
		Attributes:  definitions(s.Attributes),
		Meta:        metaJSON{"Schema", base + "/Schemas/" + s.ID},
	})
}

// Discovery returns rt as /ResourceTypes shows it (RFC 7643 §6). base is the
// tenant's base URL, without a slash at its end.
func (rt *ResourceType) Discovery(base string) []byte {
	var extensions []schemaExtensionJSON
	for _, ext := range rt.Extensions {
		extensions = append(extensions, schemaExtensionJSON{Schema: ext.ID, Required: rt.Requires(ext)})
	}
	return encode(resourceTypeJSON{
		Schemas:          []string{resourceTypeSchema},
		ID:               rt.Name,
		Name:             rt.Name,
		Description:      rt.Description,
		Endpoint:         rt.Endpoint,
		Schema:           rt.Core.ID,
		SchemaExtensions: extensions,
		Meta:             metaJSON{"ResourceType", base + "/ResourceTypes/" + rt.Name},
	})
}

func definitions(attributes []*Attribute) []attributeJSON {
	var list []attributeJSON
	for _, a := range attributes {
		if !a.Hidden {
			list = append(list, a.definition())
		}
	}
	return list
}

// definition leaves caseExact and uniqueness to simple attributes that are
// compared as strings (RFC 7643 §8.7.1, erratum 6004).
func (a *Attribute) definition() attributeJSON {
	d := attributeJSON{
		Name:            a.Name,
		Type:            a.Type.String(),
		SubAttributes:   definitions(a.Sub),
		MultiValued:     a.Multi,
		Description:     a.Description,
		Required:        a.Required,
		CanonicalValues: a.Canonical,
		Mutability:      a.Mutability,
		Returned:        a.Returned,
		ReferenceTypes:  a.References,
	}
	if a.Type != TypeComplex && a.Type != TypeBoolean {
		d.CaseExact = &a.CaseExact
		d.Uniqueness = cmp.Or(a.Uniqueness, UniqueNone)
	}
	return d
}

// encode cannot fail: these types hold only strings, booleans and lists of them.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
