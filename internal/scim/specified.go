package scim

// Specified are the attributes that a write has given a value and that are
// returned on request only: the answer to that write shows them (RFC 7643 §7,
// returned).
type Specified map[*Attribute]bool

// Specified returns what d gives a value of what is returned on request only.
func (d Document) Specified(rt *ResourceType) Specified {
	return rt.specified(func(ext *Schema, l leaf) bool {
		values := map[string]any(d.Resource)
		if ext != nil {
			values, _ = d.Resource[ext.ID].(map[string]any)
		}
		v := values[l.attr.Name]
		if l.sub == nil {
			return v != nil
		}
		return anyElement(v, func(e any) bool { return subValue(e, l.sub) != nil })
	})
}

// Specified returns what p changes of what is returned on request only.
func (p Patch) Specified(rt *ResourceType) Specified {
	return rt.specified(func(_ *Schema, l leaf) bool {
		for _, op := range p.operations {
			if op.ref.Attr == l.attr && (l.sub == nil || op.sub == l.sub || holdsSub(op.value, l.sub)) {
				return true
			}
		}
		return false
	})
}

func holdsSub(v any, sub *Attribute) bool {
	return anyElement(v, func(e any) bool { return subValue(e, sub) != nil })
}

func (rt *ResourceType) specified(given func(ext *Schema, l leaf) bool) Specified {
	var found Specified
	for _, r := range rt.requested {
		if given(r.extension, r.leaf) {
			if found == nil {
				found = make(Specified)
			}
			found[r.attr], found[r.last()] = true, true
		}
	}
	return found
}

// requested is something that is returned on request only.
type requested struct {
	extension *Schema // nil: of the core schema
	leaf
}
