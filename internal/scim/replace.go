package scim

import "maps"

// Replace returns what a replacement by d makes of old (RFC 7644 §3.5.1): what d
// holds, and of old what only the server sets and what is immutable and left
// out. Another value of what is immutable and set is refused: 400 mutability.
// old and d are unchanged.
func (d Document) Replace(rt *ResourceType, old Resource) (Resource, []Note, error) {
	if !rt.guarded {
		return d.Resource, d.Notes, nil
	}
	next, err := keep(rt.Core.Attributes, old, d.Resource)
	if err != nil {
		return nil, nil, err
	}
	for _, ext := range rt.Extensions {
		was, _ := old[ext.ID].(map[string]any)
		now, _ := d.Resource[ext.ID].(map[string]any)
		kept, err := keep(ext.Attributes, was, now)
		if err != nil {
			return nil, nil, err
		}
		assign(next, ext.ID, orNil(kept))
	}
	return next, d.Notes, requireAll(rt, next)
}

// keep returns now with what has to stay of old.
func keep(attributes []*Attribute, old, now map[string]any) (map[string]any, error) {
	next := maps.Clone(now)
	if next == nil {
		next = make(map[string]any)
	}
	for _, a := range attributes {
		was := old[a.Name]
		if !a.Declared || was == nil {
			continue
		}
		kept, err := a.keep(was, now[a.Name])
		if err != nil {
			return nil, err
		}
		assign(next, a.Name, kept)
	}
	return next, nil
}

// keep returns the value of a that a replacement by now leaves where was is set.
func (a *Attribute) keep(was, now any) (any, error) {
	switch {
	case a.Mutability == ReadOnly || a.Mutability == Immutable && now == nil:
		return was, nil
	case a.Mutability == Immutable && !sameValue(a, was, now):
		return nil, Mutability("%s is immutable and has a value", a.Path)
	case a.Mutability == Immutable:
		return was, nil
	case len(a.Sub) == 0:
		return now, nil
	case a.Multi:
		return a.keepElements(was, now)
	}
	fields, _ := now.(map[string]any)
	kept, err := keep(a.Sub, was.(map[string]any), fields)
	return orNil(kept), err
}

// keepElements is keep for each element that stands for the same thing as one
// that was there.
func (a *Attribute) keepElements(was, now any) (any, error) {
	list, ok := now.([]any)
	if !ok {
		return now, nil
	}
	there, _ := was.([]any)
	old := newElementSet(a, there, 0)
	next := make([]any, len(list))
	for i, e := range list {
		next[i] = e
		fields, isComplex := e.(map[string]any)
		if at, found := old.find(e); found && isComplex {
			kept, err := keep(a.Sub, old.list[at].(map[string]any), fields)
			if err != nil {
				return nil, err
			}
			next[i] = kept
		}
	}
	return next, nil
}

// orNil is m, or nil where it holds nothing.
func orNil(m map[string]any) any {
	if len(m) == 0 {
		return nil
	}
	return m
}
