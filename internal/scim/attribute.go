package scim

import (
	"slices"
	"strings"
)

// Type is an attribute's data type (RFC 7643 §2.3).
type Type uint8

// The data types of RFC 7643 §2.3; `binary` as erratum 8435 lists it.
const (
	TypeString Type = iota
	TypeBoolean
	TypeDecimal
	TypeInteger
	TypeDateTime
	TypeReference
	TypeBinary
	TypeComplex
)

var typeNames = [...]string{"string", "boolean", "decimal", "integer", "dateTime", "reference", "binary", "complex"}

// String returns the keyword that schemas use for t.
func (t Type) String() string { return typeNames[t] }

// Keywords of the attribute characteristics (RFC 7643 §7).
const (
	ReadWrite = "readWrite"
	ReadOnly  = "readOnly"
	Immutable = "immutable"
	WriteOnly = "writeOnly"

	ReturnedDefault = "default"
	ReturnedAlways  = "always"
	ReturnedRequest = "request"
	ReturnedNever   = "never"

	UniqueNone   = "none"
	UniqueServer = "server"
	UniqueGlobal = "global"
)

// Attribute is one attribute definition of a schema (RFC 7643 §7). It never
// changes once its schema is built and is safe for concurrent use.
type Attribute struct {
	Name        string // canonical spelling
	Path        string // as in a filter: "name.familyName", "urn:…:User:manager.value"
	Description string
	Type        Type
	Multi       bool // multi-valued
	Required    bool
	CaseExact   bool // strings compare byte by byte, else by [Key]
	Mutability  string
	Returned    string
	Uniqueness  string
	Canonical   []string     // canonical values: a strict connection takes no others
	References  []string     // resource types that a reference may name
	Sub         []*Attribute // of a complex attribute, in schema order
	Hidden      bool         // known, but left out of discovery
	Declared    bool         // by a tenant: its type is held to on every connection

	text    textRule
	partial bool // a sub-attribute is not returned by default
	byName  map[string]*Attribute
}

// index prepares what is looked up. The sub-attributes are complete.
func (a *Attribute) index() {
	a.byName = index(a.Sub)
	a.partial = slices.ContainsFunc(a.Sub, func(sub *Attribute) bool { return sub.Returned == ReturnedRequest })
}

// SubAttribute returns the sub-attribute called name, in any letter case, or
// nil. Only ASCII letters fold (RFC 7643 §2.1): "uſerName" is no alias.
func (a *Attribute) SubAttribute(name string) *Attribute { return lookup(a.byName, name) }

// index maps attributes by their lower-case and their canonical names.
func index(attributes []*Attribute) map[string]*Attribute {
	byName := make(map[string]*Attribute, 2*len(attributes))
	for _, a := range attributes {
		byName[a.Name] = a
		byName[lowerASCII(a.Name)] = a
	}
	return byName
}

func lookup(byName map[string]*Attribute, name string) *Attribute {
	if a := byName[name]; a != nil {
		return a
	}
	const longest = 128 // no attribute name of ours is longer
	if len(name) > longest {
		return nil
	}
	var buf [longest]byte
	return byName[string(appendLowerASCII(buf[:0], name))]
}

func lowerASCII(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		b.WriteByte(lowerByte(s[i]))
	}
	return b.String()
}

func appendLowerASCII(dst []byte, s string) []byte {
	for i := range len(s) {
		dst = append(dst, lowerByte(s[i]))
	}
	return dst
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
