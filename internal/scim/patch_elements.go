package scim

import (
	"maps"
	"slices"
)

// changedElements returns what op makes of a multi-valued attribute; nil if
// no element is left.
func (c *change) changedElements(op operation, old []any) (any, error) {
	given, _ := op.value.([]any)
	var now []any
	var err error
	switch {
	case op.selective():
		now, err = c.changedSelection(op, old)
	case op.kind == opRemove && given != nil:
		now = without(op.ref.Attr, old, given)
	case op.kind == opAdd:
		now, err = op.added(old, given)
	default:
		now, err = op.added(nil, given)
	}
	switch {
	case err != nil:
		return nil, err
	case len(now) > maxElements:
		return nil, tooManyElements(op.ref.Attr)
	case len(now) == 0:
		return nil, nil
	}
	return now, nil
}

// changedSelection applies op to the elements that its filter matches, or to
// every one if it only names a sub-attribute.
func (c *change) changedSelection(op operation, old []any) ([]any, error) {
	now := make([]any, 0, len(old)+1)
	found, primary := false, -1
	for _, e := range old {
		if op.filter != nil && !op.filter.MatchElement(e) {
			now = append(now, e)
			continue
		}
		found = true
		changed, err := c.changedElement(op, e)
		switch {
		case err != nil:
			return nil, err
		case changed == nil:
			continue
		case op.setsPrimary():
			primary = len(now)
		}
		now = append(now, changed)
	}
	if !found {
		return c.created(op, now)
	}
	return onlyPrimary(now, primary), nil
}

// changedElement returns what op makes of one element; nil removes it.
func (c *change) changedElement(op operation, e any) (any, error) {
	was, isComplex := e.(map[string]any)
	var now any
	var err error
	switch given, _ := op.value.(map[string]any); {
	case op.sub != nil:
		now, err = op.merged(was, map[string]any{op.sub.Name: op.value})
	case op.value == nil || !isComplex:
		return op.value, nil
	case op.kind == opAdd:
		now, err = op.merged(was, given)
	default:
		now, err = c.replaced(op, was, given)
	}
	if c.profile == Lenient && hollow(now) && !hollow(e) {
		return nil, err
	}
	return now, err
}

// replaced returns the element that takes the place of was (RFC 7644
// §3.5.2.3). A lenient connection may leave out what the filter says of it.
func (c *change) replaced(op operation, was, given map[string]any) (any, error) {
	now := make(map[string]any, len(given))
	if c.profile == Lenient {
		addTerms(now, op.filter)
	}
	for name, value := range given {
		assign(now, name, value)
	}
	for _, sub := range op.ref.Attr.Sub {
		if err := op.permits(sub, was[sub.Name], now[sub.Name]); err != nil && sub.Mutability == Immutable {
			return nil, err
		}
	}
	return complete(op.ref.Attr, now)
}

// created appends the element that op means when none matched. The RFC has a
// value for that only without a filter; customarily the filter's eq terms
// describe the element to create (Q77).
func (c *change) created(op operation, old []any) ([]any, error) {
	if op.kind == opRemove || !assigned(op.value) && (c.profile == Lenient || op.filter == nil) {
		return old, nil
	}
	terms := make(map[string]any)
	if op.filter != nil && (c.profile == Strict || !addTerms(terms, op.filter)) {
		return nil, NoTarget("%s: no element matches", clip(op.path))
	}
	given, isComplex := op.value.(map[string]any)
	switch {
	case op.sub != nil:
		given = map[string]any{op.sub.Name: op.value}
	case !isComplex:
		return nil, NoTarget("%s: no element matches", clip(op.path))
	}
	e, err := op.merged(terms, given)
	if err != nil || e == nil {
		return old, err
	}
	if op.filter != nil {
		c.note("Q77", op.ref.Attr.Path, "no element matched: created from the filter")
	}
	now := append(old, e)
	if isPrimary(e) {
		now = onlyPrimary(now, len(now)-1)
	}
	return now, nil
}

// addTerms adds to element what a filter's eq terms, joined by and, say of it.
// It reports whether that is all the filter says.
func addTerms(element map[string]any, f *Filter) bool {
	switch f.Op {
	case Eq:
		if f.Ref.Sub == nil {
			return false
		}
		assign(element, f.Ref.Sub.Name, f.Value)
		return true
	case And:
		for _, term := range f.Terms {
			if !addTerms(element, term) {
				return false
			}
		}
		return true
	}
	return false
}

// added returns old with the elements of given. One that is there already is
// not added again but takes over what is new (RFC 7644 §3.5.2.1, Q81).
func (op operation) added(old, given []any) ([]any, error) {
	now := append(make([]any, 0, len(old)+len(given)), old...)
	primary := -1
	for _, e := range given {
		i := slices.IndexFunc(now, func(have any) bool { return sameElement(op.ref.Attr, have, e) })
		if i < 0 {
			i = len(now)
			now = append(now, nil)
		}
		merged, err := op.withElement(now[i], e)
		if err != nil {
			return nil, err
		}
		now[i] = merged
		if isPrimary(e) {
			primary = i
		}
	}
	return onlyPrimary(now, primary), nil
}

// withElement returns what becomes of the element have, nil if there is none,
// when e is added that stands for the same thing.
func (op operation) withElement(have, e any) (any, error) {
	fields, isComplex := e.(map[string]any)
	switch {
	case !isComplex && have == nil:
		return e, nil
	case !isComplex:
		return have, nil
	case have == nil:
		return complete(op.ref.Attr, fields)
	}
	return op.merged(have, news(op.ref.Attr, have, fields))
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

// without returns old less the elements that given names.
func without(a *Attribute, old, given []any) []any {
	return slices.DeleteFunc(slices.Clone(old), func(have any) bool {
		return slices.ContainsFunc(given, func(e any) bool { return sameElement(a, have, e) })
	})
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

// setsPrimary reports whether op makes the elements it selects primary.
func (op operation) setsPrimary() bool {
	if op.sub != nil {
		return op.sub.Name == "primary" && op.value == true
	}
	return isPrimary(op.value)
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
