package scim

import (
	"maps"
	"slices"
)

// Equal reports whether a and b hold the same attributes with the same
// values, so that a change that changes nothing can be told from one that does.
// Letter case and the order of elements count.
func Equal(a, b Resource) bool { return maps.EqualFunc(a, b, equalValue) }

func equalValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalValue)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalValue)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

// sameElement reports whether two elements of a stand for the same thing: the
// same value of the same type, or for want of a value, nothing in other that
// is not in have (RFC 7643 §2.4).
func sameElement(a *Attribute, have, other any) bool {
	was, ok := have.(map[string]any)
	fields, ok2 := other.(map[string]any)
	if !ok || !ok2 {
		return ok == ok2 && sameValue(a, have, other)
	}
	if was["value"] != nil && fields["value"] != nil {
		return sameField(a, "value", was, fields) && sameField(a, "type", was, fields)
	}
	for name := range fields {
		if !sameField(a, name, was, fields) {
			return false
		}
	}
	return true
}

func sameField(a *Attribute, name string, x, y map[string]any) bool {
	return sameValue(a.SubAttribute(name), x[name], y[name])
}

// sameValue compares two simple values as their attribute does: strings
// without regard to letter case unless it is caseExact.
func sameValue(a *Attribute, x, y any) bool {
	s, ok := x.(string)
	t, ok2 := y.(string)
	if ok && ok2 && a != nil && !a.CaseExact {
		return s == t || Fold(s) == Fold(t)
	}
	return equalValue(x, y)
}
