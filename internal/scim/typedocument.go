package scim

import (
	"slices"
	"strings"
)

// Bounds of what a tenant registers.
const (
	maxTypeName   = 64 // bytes of the name or endpoint of a resource type
	maxExtensions = 16 // of one resource type
	maxTypes      = 32 // resource types of one tenant
	maxTenant     = 64 // schemas of one tenant
)

// A TypeDeclaration is a resource type as a tenant registers it (RFC 7643 §6).
type TypeDeclaration struct {
	Name        string
	Description string
	Endpoint    string // "/Devices"
	Schema      string // URN of the core schema
	Extensions  []ExtensionUse
}

// An ExtensionUse is one of the extensions of a resource type.
type ExtensionUse struct {
	Schema   string // URN
	Required bool
}

// ParseResourceType reads the declaration of a resource type: a ResourceType
// resource of RFC 7643 §6 in JSON. `schemas`, `id` and `meta` may be there, as
// in an answer of /ResourceTypes; id is the name. The error is as of [ParseSchema].
func ParseResourceType(text []byte) (t TypeDeclaration, err error) {
	doc, err := parseDocument(text, resourceTypeSchema)
	if err != nil {
		return t, err
	}
	if err := doc.only("schemas", "meta", "id", "name", "description", "endpoint", "schema", "schemaExtensions"); err != nil {
		return t, err
	}
	id, err := doc.text("id", maxTypeName)
	for _, read := range []struct {
		name string
		into *string
	}{{"name", &t.Name}, {"endpoint", &t.Endpoint}, {"schema", &t.Schema}} {
		if err == nil {
			*read.into, err = doc.required(read.name, maxURN)
		}
	}
	if err == nil {
		t.Description, err = doc.text("description", maxDescription)
	}
	if err == nil {
		err = t.extensions(doc)
	}
	switch {
	case err != nil:
		return t, err
	case len(t.Name) > maxTypeName || !isTypeName(t.Name):
		return t, doc.bad("name", "%q is no name: a letter, then letters and digits, at most %d", clip(t.Name), maxTypeName)
	case id != "" && id != t.Name:
		return t, doc.bad("id", "the id of a resource type is its name, %s", t.Name)
	case len(t.Endpoint) > maxTypeName || !isEndpoint(t.Endpoint):
		return t, doc.bad("endpoint", `%q is no endpoint: a slash, a letter, then letters, digits, - and _, at most %d, such as "/Devices"`, clip(t.Endpoint), maxTypeName)
	}
	return t, nil
}

func (t *TypeDeclaration) extensions(doc document) error {
	list, err := doc.objects("schemaExtensions")
	if err != nil {
		return err
	}
	if len(list) > maxExtensions {
		return doc.bad("schemaExtensions", "a resource type has at most %d extensions", maxExtensions)
	}
	for _, each := range list {
		if err := each.only("schema", "required"); err != nil {
			return err
		}
		var e ExtensionUse
		if e.Schema, err = each.required("schema", maxURN); err != nil {
			return err
		}
		if e.Required, err = each.is("required"); err != nil {
			return err
		}
		if t.uses(e.Schema) {
			return each.bad("schema", "%s is named twice", clip(e.Schema))
		}
		t.Extensions = append(t.Extensions, e)
	}
	return nil
}

func (t TypeDeclaration) uses(urn string) bool {
	return slices.ContainsFunc(t.Extensions, func(e ExtensionUse) bool { return isName(e.Schema, urn) })
}

// Extended returns t with one more extension, which is optional; t itself where
// it has that extension.
func (t TypeDeclaration) Extended(urn string) TypeDeclaration {
	if !t.uses(urn) {
		t.Extensions = append(slices.Clip(t.Extensions), ExtensionUse{Schema: urn})
	}
	return t
}

// JSON is the declaration as it is kept. [ParseResourceType] reads it back.
func (t TypeDeclaration) JSON() []byte {
	doc := struct {
		Name             string                `json:"name"`
		Description      string                `json:"description,omitempty"`
		Endpoint         string                `json:"endpoint"`
		Schema           string                `json:"schema"`
		SchemaExtensions []schemaExtensionJSON `json:"schemaExtensions,omitempty"`
	}{Name: t.Name, Description: t.Description, Endpoint: t.Endpoint, Schema: t.Schema}
	for _, e := range t.Extensions {
		doc.SchemaExtensions = append(doc.SchemaExtensions, schemaExtensionJSON(e))
	}
	return encode(doc)
}

// MarshalJSON is [TypeDeclaration.JSON].
func (t TypeDeclaration) MarshalJSON() ([]byte, error) { return t.JSON(), nil }

// Succeeds reports, as an [*Error], why t cannot follow old as the next version
// of one resource type: its resources stay where and what they are, and none
// loses an extension or needs one that it has not.
func (t TypeDeclaration) Succeeds(old TypeDeclaration) error {
	switch {
	case t.Name != old.Name:
		return BadValue("name: the resource type is spelled %s", old.Name)
	case t.Endpoint != old.Endpoint:
		return BadValue("endpoint: resources of %s are at %s, which cannot change", old.Name, old.Endpoint)
	case !isName(t.Schema, old.Schema):
		return BadValue("schema: resources of %s are stored by %s, which cannot change", old.Name, old.Schema)
	}
	for _, was := range old.Extensions {
		if !t.uses(was.Schema) {
			return BadValue("schemaExtensions: %s has %s, which cannot be taken away", old.Name, was.Schema)
		}
	}
	for i, now := range t.Extensions {
		if now.Required && !slices.ContainsFunc(old.Extensions, func(e ExtensionUse) bool { return isName(e.Schema, now.Schema) && e.Required }) {
			return BadValue("schemaExtensions[%d].required: resources without %s may be stored", i, now.Schema)
		}
	}
	return nil
}

// isTypeName holds a name against what stands in meta.resourceType and in
// referenceTypes.
func isTypeName(s string) bool {
	return isAttributeName(s) && !strings.ContainsAny(s, "$-_")
}

func isEndpoint(s string) bool {
	name, slash := strings.CutPrefix(s, "/")
	return slash && isAttributeName(name) && !strings.Contains(name, "$")
}
