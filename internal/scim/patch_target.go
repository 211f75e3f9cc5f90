package scim

// target is what the path of an operation selects: an extension, an attribute,
// or those of its elements that match a filter, and of these a sub-attribute.
type target struct {
	path   string // as written
	ref    Ref
	sub    *Attribute // of ref.Attr, or nil
	filter *Filter    // bound, or nil
}

// locate resolves the path p, written as text. If it names no attribute, the target is not found;
// the error is about paths that cannot be understood.
func (r *patchReader) locate(text string, p Path) (target, error) {
	t := target{path: text}
	ref, err := r.rt.Resolve(p.Name)
	if err != nil {
		return t, nil
	}
	sub := ref.Sub
	switch {
	case p.Filter == nil:
	case ref.Whole || ref.Sub != nil || !ref.Attr.Multi:
		return t, BadPath("%q: only a multi-valued attribute has values to select", clip(t.path))
	case p.Sub != "":
		if sub = ref.Attr.SubAttribute(p.Sub); sub == nil {
			return t, nil
		}
	}
	if p.Filter != nil {
		if t.filter, err = p.Filter.BindElement(ref.Attr, r.profile); err != nil {
			return t, err
		}
	}
	t.ref, t.sub = ref, sub
	return t, nil
}

// locateName resolves a name within a value. What is no path names nothing.
func (r *patchReader) locateName(name string) (target, error) {
	p, err := ParsePath(name)
	if err != nil {
		return target{path: name}, nil
	}
	return r.locate(name, p)
}

func (t target) found() bool { return t.ref.Whole || t.ref.Attr != nil }

// attribute returns what the operation's value is a value of.
func (t target) attribute() *Attribute {
	if t.sub != nil {
		return t.sub
	}
	return t.ref.Attr
}

// selective reports whether t is less than the whole attribute.
func (t target) selective() bool { return t.filter != nil || t.sub != nil }

// is reports whether t is the attribute of that name that users, groups or all
// resources have.
func (t target) is(name string) bool {
	return t.ref.Extension == nil && t.ref.Attr != nil && t.ref.Attr.Name == name && !t.ref.Attr.Declared
}

func (t target) readOnly() bool {
	return !t.ref.Whole && (t.ref.Attr.Mutability == ReadOnly || t.attribute().Mutability == ReadOnly)
}

// plain reports whether t's path is an attribute's name as the JSON of a
// resource has it: within container, or at its top if that is nil.
func (t target) plain(container *Schema) bool {
	switch {
	case t.ref.Whole:
		return container == nil
	case t.selective() || t.ref.Alias || t.ref.Extension != container:
		return false
	case container == nil:
		return len(t.path) == len(t.ref.Attr.Name)
	}
	return len(t.path) == len(container.ID)+len(":")+len(t.ref.Attr.Name)
}
