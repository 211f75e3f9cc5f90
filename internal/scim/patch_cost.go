package scim

// maxCompared bounds the bytes of text that the operations of one request may
// compare. To compare a string that is not ASCII costs some 50 ns a byte, so
// that this is a fifth of a second; what provisioning clients send stays below
// a hundredth of it.
const maxCompared = 4 << 20

// spend counts what op has to compare in a multi-valued attribute: every
// element with every term of its filter, and where elements have no identity,
// each with each.
func (c *change) spend(op operation, old, given []any) error {
	rounds := 1
	if op.filter != nil {
		rounds = nodes(op.filter)
	}
	for _, e := range given {
		if !hasIdentity(e) {
			rounds++
		}
	}
	c.compared += rounds * (textSize(old) + textSize(given))
	if c.compared > maxCompared {
		return BadSyntax("the operations compare too much text")
	}
	return nil
}

// nodes returns the number of comparisons in f and what joins them.
func nodes(f *Filter) int {
	n := 1
	for _, term := range f.Terms {
		n += nodes(term)
	}
	return n
}

// textSize returns the bytes of text in v, and something for each other value.
func textSize(v any) int {
	const other = 8
	size := other
	switch v := v.(type) {
	case string:
		size += len(v)
	case []any:
		for _, e := range v {
			size += textSize(e)
		}
	case map[string]any:
		for _, e := range v {
			size += textSize(e)
		}
	}
	return size
}

// bounded refuses a resource that has outgrown what one request could create
// or replace.
func bounded(r Resource) error {
	left := budget{maxNames, maxValues}
	left.charge(map[string]any(r))
	if left.names < 0 || left.values < 0 {
		return BadValue("the resource would have more than %d attributes or %d values", maxNames, maxValues)
	}
	return nil
}

// charge takes the names and values of v from the budget.
func (b *budget) charge(v any) {
	b.values--
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			b.charge(e)
		}
	case map[string]any:
		b.names -= len(v)
		for _, e := range v {
			b.charge(e)
		}
	}
}
