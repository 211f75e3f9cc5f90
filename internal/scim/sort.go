package scim

import "strings"

// A Sort is the order in which a list is wanted (RFC 7644 §3.4.2.3): by the
// values of one attribute; of several values of a resource by that of the
// primary one, else by the first. Strings that are not caseExact count by
// [Fold]. What has no value comes last where the order is ascending.
type Sort struct {
	Refs       []Ref // what the attribute is for each of the list's resource types
	Descending bool
}

// ParseSort reads the parameters `sortBy` and `sortOrder` of a list; it returns
// nil where by is empty. An attribute that only some of the resource types have
// is one that the resources of the others have no value of.
//
// What cannot be sorted by is refused with invalidValue: an unknown attribute,
// one that is never returned, a complex one without its sub-attribute (a
// multi-valued one means its `value`), and one of which the types disagree.
func ParseSort(types []*ResourceType, by, order string, p Profile) (*Sort, error) {
	s := &Sort{}
	switch {
	case strings.EqualFold(order, "descending"):
		s.Descending = true
	case order != "" && !strings.EqualFold(order, "ascending"):
		return nil, BadValue("sortOrder is ascending or descending, not %q", clip(order))
	}
	if by == "" {
		return nil, nil
	}
	for _, rt := range types {
		ref, err := binder{rt: rt, among: types, profile: p, notes: &noteList{}}.sortable(by)
		if err != nil {
			return nil, BadValue("sortBy: %s", err.(*Error).Detail)
		}
		if other := s.known(); other != nil && !ref.Absent && other.Type != ref.Last().Type {
			return nil, BadValue("sortBy: %s is %s of one resource type and %s of another", clip(by), other.Type, ref.Last().Type)
		}
		s.Refs = append(s.Refs, ref)
	}
	return s, nil
}

// known returns the attribute as the first resource type has it that has it.
func (s *Sort) known() *Attribute {
	for _, ref := range s.Refs {
		if !ref.Absent {
			return ref.Last()
		}
	}
	return nil
}

// sortable finds the attribute that resources are sorted by.
func (b binder) sortable(name string) (Ref, error) {
	ref, err := b.resolve(strings.TrimSpace(name))
	if err != nil || ref.Absent {
		return ref, err
	}
	switch {
	case ref.Whole:
		return Ref{}, BadValue("%s is a schema, not an attribute", ref.Extension.ID)
	case ref.Attr.secret() || ref.Last().secret():
		return Ref{}, BadValue("%s cannot be sorted by", ref.Last().Path)
	}
	return b.comparable(ref, Eq)
}

// String returns the attribute and the order, in the same words however they
// were written.
func (s *Sort) String() string {
	if s.Descending {
		return s.known().Path + " descending"
	}
	return s.known().Path + " ascending"
}
