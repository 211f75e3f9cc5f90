package scim

import (
	"maps"
	"slices"
)

// elementSet is the elements of a multi-valued attribute, no two of which stand
// for the same thing. Those with a value are found without comparing them all.
type elementSet struct {
	attribute  *Attribute
	list       []any
	byIdentity map[string]int
}

// newElementSet returns a set of the given elements with room for more.
func newElementSet(a *Attribute, elements []any, more int) *elementSet {
	s := &elementSet{
		attribute:  a,
		list:       make([]any, 0, len(elements)+more),
		byIdentity: make(map[string]int, len(elements)+more),
	}
	for _, e := range elements {
		s.append(e)
	}
	return s
}

// append adds e and returns its index.
func (s *elementSet) append(e any) int {
	i := len(s.list)
	s.list = append(s.list, e)
	if id, ok := identity(s.attribute, e); ok {
		s.byIdentity[id] = i
	}
	return i
}

// find returns the index of the element that stands for the same thing as e.
// For want of a value, that is one that has all of e's sub-attributes.
func (s *elementSet) find(e any) (int, bool) {
	if id, ok := identity(s.attribute, e); ok {
		i, found := s.byIdentity[id]
		return i, found
	}
	i := slices.IndexFunc(s.list, func(have any) bool { return includes(s.attribute, have, e) })
	return i, i >= 0
}

// describes reports whether an element of s stands for the same thing as have.
func (s *elementSet) describes(have any) bool {
	if id, ok := identity(s.attribute, have); ok {
		if _, found := s.byIdentity[id]; found {
			return true
		}
	}
	return slices.ContainsFunc(s.list, func(e any) bool {
		return !hasIdentity(e) && includes(s.attribute, have, e)
	})
}

// identity returns what two elements of a have in common exactly if they stand
// for the same thing: their value and type (RFC 7643 §2.4).
func identity(a *Attribute, e any) (id string, ok bool) {
	if !hasIdentity(e) {
		return "", false
	}
	fields, isComplex := e.(map[string]any)
	if !isComplex {
		return compared(a, e.(string)), true
	}
	id = compared(a.SubAttribute("value"), fields["value"].(string))
	if kind, _ := fields["type"].(string); kind != "" {
		id += "\x00" + compared(a.SubAttribute("type"), kind)
	}
	return id, true
}

// hasIdentity reports whether e is a string or has one as its value. Others,
// such as addresses, can only be compared.
func hasIdentity(e any) bool {
	if fields, ok := e.(map[string]any); ok {
		e = fields["value"]
	}
	_, ok := e.(string)
	return ok
}

// includes reports whether have says everything that e says.
func includes(a *Attribute, have, e any) bool {
	was, isComplex := have.(map[string]any)
	fields, isComplex2 := e.(map[string]any)
	if !isComplex || !isComplex2 {
		return equalValue(have, e)
	}
	for name, value := range fields {
		if !sameValue(a.SubAttribute(name), was[name], value) {
			return false
		}
	}
	return true
}

// news returns what fields says that is not so in have.
func news(a *Attribute, have any, fields map[string]any) map[string]any {
	was, _ := have.(map[string]any)
	differing := maps.Clone(fields)
	maps.DeleteFunc(differing, func(name string, value any) bool {
		return sameValue(a.SubAttribute(name), was[name], value)
	})
	return differing
}

// sameValue compares two simple values as their attribute does.
func sameValue(a *Attribute, x, y any) bool {
	s, ok := x.(string)
	t, ok2 := y.(string)
	if ok && ok2 && a != nil {
		return s == t || compared(a, s) == compared(a, t)
	}
	return equalValue(x, y)
}

// compared returns the form in which a's strings are compared.
func compared(a *Attribute, s string) string {
	if a.CaseExact {
		return s
	}
	return Fold(s)
}

// onlyPrimary leaves the element at i the only primary one (RFC 7644 §3.5.2);
// -1 leaves all as they are. It copies what it changes.
func onlyPrimary(elements []any, i int) []any {
	if i < 0 {
		return elements
	}
	for j, e := range elements {
		if j == i || !isPrimary(e) {
			continue
		}
		other := maps.Clone(e.(map[string]any))
		other["primary"] = false
		elements[j] = other
	}
	return elements
}

func isPrimary(e any) bool {
	fields, _ := e.(map[string]any)
	return fields["primary"] == true
}

// hollow reports whether an element says nothing but what kind of element it is.
func hollow(e any) bool {
	fields, ok := e.(map[string]any)
	for name := range fields {
		if name != "type" && name != "primary" {
			return false
		}
	}
	return ok
}
