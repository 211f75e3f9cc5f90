package scim

import "slices"

// changedElements returns what op makes of a multi-valued attribute; nil if
// no element is left.
func (c *change) changedElements(op operation, old []any) (any, error) {
	given, _ := op.value.([]any)
	if err := c.spend(op, old, given); err != nil {
		return nil, err
	}
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
	if err != nil || len(now) == 0 {
		return nil, err
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
		c.note(op.clearing(), op.path, "an element of which nothing is left goes with its value")
		return nil, err
	}
	return now, err
}

// clearing is the number of the deviation that clears what an element holds.
func (op operation) clearing() string {
	if op.kind == opRemove {
		return "Q86"
	}
	return "Q85"
}

// replaced returns the element that takes the place of was (RFC 7644
// §3.5.2.3). A lenient connection may leave out what the filter says of it.
func (c *change) replaced(op operation, was, given map[string]any) (any, error) {
	now := make(map[string]any, len(given))
	if c.profile == Lenient {
		addTerms(now, op.filter)
		c.noteKept(op, now, given)
	}
	for name, value := range given {
		assign(now, name, value)
	}
	for _, sub := range op.ref.Attr.Sub {
		if err := op.permits(sub, was[sub.Name], now[sub.Name]); err != nil {
			return nil, err
		}
	}
	return complete(op.ref.Attr, now)
}

// noteKept notes that a replaced element keeps what the filter says of it.
func (c *change) noteKept(op operation, kept, given map[string]any) {
	for name := range kept {
		if _, said := given[name]; !said {
			c.note("Q77", op.path, "the element that is replaced keeps what the filter says of it")
			return
		}
	}
}

// created appends the element that op means when none matched. The RFC has a
// value for that only without a filter; customarily the filter's eq terms
// describe the element to create (Q77).
func (c *change) created(op operation, old []any) ([]any, error) {
	if op.kind == opRemove || !assigned(op.value) && (c.profile == Lenient || op.filter == nil) {
		if op.kind != opRemove && op.filter != nil {
			c.note("Q85", op.path, "nothing to clear: no element matches")
		}
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
	case Not: // primary eq false, as it is bound
		term := f.Terms[0]
		if term.Op != Eq || term.Value != true || term.Ref.Sub == nil {
			return false
		}
		assign(element, term.Ref.Sub.Name, false)
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
	now := newElementSet(op.ref.Attr, old, len(given))
	primary := -1
	for _, e := range given {
		i, found := now.find(e)
		if !found {
			i = now.append(e)
		}
		changed, err := op.withElement(now.list[i], e, found)
		if err != nil {
			return nil, err
		}
		now.list[i] = changed
		if isPrimary(e) {
			primary = i
		}
	}
	return onlyPrimary(now.list, primary), nil
}

// withElement returns what becomes of have when e is added that stands for the
// same thing; if have was not found before, it is e.
func (op operation) withElement(have, e any, found bool) (any, error) {
	fields, isComplex := e.(map[string]any)
	switch {
	case !isComplex:
		return have, nil
	case !found:
		return complete(op.ref.Attr, fields)
	}
	return op.merged(have, news(op.ref.Attr, have, fields))
}

// without returns old less the elements that given names.
func without(a *Attribute, old, given []any) []any {
	named := newElementSet(a, given, 0)
	return slices.DeleteFunc(slices.Clone(old), func(have any) bool { return named.describes(have) })
}

// setsPrimary reports whether op makes the elements it selects primary.
func (op operation) setsPrimary() bool {
	if op.sub != nil {
		return op.sub.Name == "primary" && op.value == true
	}
	return isPrimary(op.value)
}
