package scim

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	elimity "github.com/elimity-com/scim/schema"
)

// ResourceType binds an endpoint to a core schema and its extensions (RFC 7643
// §6). It never changes and is safe for concurrent use.
type ResourceType struct {
	Name        string
	Description string
	Endpoint    string // relative to the tenant's base URL: "/Users"
	Core        *Schema
	Extensions  []*Schema

	required  []*Schema   // extensions that every resource has
	requested []requested // what is returned on request only
	declares  bool        // a tenant has declared one of the schemas
	guarded   bool        // something is stored that a replacement must not change
}

// Requires reports whether every resource has the extension.
func (rt *ResourceType) Requires(extension *Schema) bool {
	return slices.Contains(rt.required, extension)
}

// ReturnsAll reports whether everything that is stored of a resource is returned
// by default (RFC 7643 §7, returned). What is never returned is never stored.
func (rt *ResourceType) ReturnsAll() bool { return len(rt.requested) == 0 }

// index prepares what is looked up. The schemas are complete.
func (rt *ResourceType) index() {
	rt.indexSchema(nil, rt.Core)
	for _, ext := range rt.Extensions {
		rt.indexSchema(ext, ext)
	}
}

func (rt *ResourceType) indexSchema(extension, s *Schema) {
	for _, l := range s.leaves(func(a *Attribute) bool { return a.Declared }) {
		a := l.last()
		rt.declares = true
		rt.guarded = rt.guarded || a.Mutability == Immutable || a.Mutability == ReadOnly
		if a.Returned == ReturnedRequest {
			rt.requested = append(rt.requested, requested{extension, l})
		}
	}
}

var (
	userType = sync.OnceValue(func() *ResourceType {
		return &ResourceType{
			Name:        "User",
			Description: "User Account",
			Endpoint:    "/Users",
			Core:        newSchema(elimity.CoreUserSchema(), false),
			Extensions:  []*Schema{newSchema(elimity.ExtensionEnterpriseUser(), true)},
		}
	})
	groupType = sync.OnceValue(func() *ResourceType {
		return &ResourceType{
			Name:        "Group",
			Description: "Group",
			Endpoint:    "/Groups",
			Core:        newSchema(elimity.CoreGroupSchema(), false),
		}
	})
)

// UserType returns the resource type of /Users, built once.
func UserType() *ResourceType { return userType() }

// GroupType returns the resource type of /Groups, built once.
func GroupType() *ResourceType { return groupType() }

// Extension returns the extension schema with the given URN, in any letter
// case, or nil.
func (rt *ResourceType) Extension(urn string) *Schema {
	for _, ext := range rt.Extensions {
		if isName(urn, ext.ID) {
			return ext
		}
	}
	return nil
}

// Ref is what an attribute name means for a resource type.
type Ref struct {
	Extension *Schema    // the extension that holds the attribute; nil for core and common attributes
	Attr      *Attribute // nil when Whole
	Sub       *Attribute // nil unless the name has a sub-attribute
	Whole     bool       // the name is the extension's URN: its whole container
	Alias     bool       // a customary short form (Q27), which strict refuses
	Dotted    bool       // a dot stands after the schema's URN (Q97), which strict refuses
	Absent    bool       // this resource type has no such attribute, another of the request has
}

// Last returns the attribute that the name ends in, or nil when r is Whole.
func (r Ref) Last() *Attribute {
	if r.Sub != nil {
		return r.Sub
	}
	return r.Attr
}

// Resolve finds the attribute that name means (RFC 7644 §3.10): "userName",
// "name.familyName", "id", "meta.created", with or without its schema's URN,
// or an extension's URN alone; every part in any letter case. The URN is the
// longest schema id that name begins with, so that its version dots are never
// read as a path; ':' or '.' may follow it (Q97). The error is an [*Error]
// with scimType invalidPath.
func (rt *ResourceType) Resolve(name string) (Ref, error) {
	if hasPrefixFold(name, "urn:") {
		return rt.resolveURN(name)
	}
	attr, sub, dotted := strings.Cut(name, ".")
	if a := rt.topLevel(attr); a != nil {
		return refTo(nil, a, sub, dotted, name)
	}
	if isName(attr, "manager") {
		return rt.resolveManager(name, sub, dotted)
	}
	return Ref{}, unknownAttribute(name)
}

// topLevel finds a core or common attribute.
func (rt *ResourceType) topLevel(name string) *Attribute {
	if a := rt.Core.Attribute(name); a != nil {
		return a
	}
	return common().Attribute(name)
}

func (rt *ResourceType) resolveURN(name string) (Ref, error) {
	schema := rt.longestSchema(name)
	if schema == nil {
		return Ref{}, unknownAttribute(name)
	}
	extension := schema
	if schema == rt.Core {
		extension = nil
	}
	rest := name[len(schema.ID):]
	if rest == "" && extension != nil {
		return Ref{Extension: schema, Whole: true}, nil
	}
	if rest == "" {
		return Ref{}, BadPath("%q names a schema, not an attribute", clip(name))
	}
	attr, sub, dotted := strings.Cut(rest[1:], ".")
	a := schema.Attribute(attr)
	if a == nil && extension == nil {
		a = common().Attribute(attr)
	}
	if a == nil {
		return Ref{}, unknownAttribute(name)
	}
	ref, err := refTo(extension, a, sub, dotted, name)
	ref.Dotted = rest[0] == '.'
	return ref, err
}

// longestSchema returns the schema whose URN is the longest prefix of name
// that ends name or is followed by ':' or '.'.
func (rt *ResourceType) longestSchema(name string) *Schema {
	var best *Schema
	try := func(s *Schema) {
		if !hasPrefixFold(name, s.ID) || best != nil && len(best.ID) >= len(s.ID) {
			return
		}
		if rest := name[len(s.ID):]; rest == "" || rest[0] == ':' || rest[0] == '.' {
			best = s
		}
	}
	try(rt.Core)
	for _, ext := range rt.Extensions {
		try(ext)
	}
	return best
}

// resolveManager reads "manager" without its URN as the enterprise attribute,
// which is how Entra asks whether a reference is still current (Q27).
func (rt *ResourceType) resolveManager(name, sub string, dotted bool) (Ref, error) {
	ext := rt.Extension(EnterpriseSchema)
	if ext == nil {
		return Ref{}, unknownAttribute(name)
	}
	ref, err := refTo(ext, ext.Attribute("manager"), sub, dotted, name)
	ref.Alias = true
	return ref, err
}

func refTo(ext *Schema, a *Attribute, sub string, dotted bool, name string) (Ref, error) {
	if !dotted {
		return Ref{Extension: ext, Attr: a}, nil
	}
	s := a.SubAttribute(sub)
	if s == nil {
		return Ref{}, unknownAttribute(name)
	}
	return Ref{Extension: ext, Attr: a, Sub: s}, nil
}

func unknownAttribute(name string) *Error { return BadPath("unknown attribute %q", clip(name)) }

// isName reports whether s is name, ASCII letters in any case.
func isName(s, name string) bool { return len(s) == len(name) && equalFoldASCII(s, name) }

// hasPrefixFold reports whether s begins with prefix, ASCII letters in any case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && equalFoldASCII(s[:len(prefix)], prefix)
}

// equalFoldASCII compares two strings of one length, ASCII letters in any case.
func equalFoldASCII(a, b string) bool {
	for i := range len(a) {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

// clip makes a client's text fit for an error or a note: short, and without
// the controls that a log or a database would trip over.
func clip(s string) string {
	const longest = 100
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}
