package scim

import "maps"

// change is a resource on its way through the operations of a patch. Values
// are never modified, only replaced: what an operation touches is copied, the
// rest stays shared with the resource it came from.
type change struct {
	rt       *ResourceType
	profile  Profile
	resource Resource
	notes    noteList
	compared int // bytes of text so far
}

func newChange(rt *ResourceType, p Patch, r Resource) *change {
	c := &change{rt: rt, profile: p.profile, resource: maps.Clone(r), notes: p.notes.clone()}
	if c.resource == nil {
		c.resource = make(Resource)
	}
	return c
}

func (c *change) note(quirk, path, reason string) {
	c.notes.add(Note{Quirk: quirk, Path: path, Reason: reason})
}

// apply replaces the value of op's attribute by what op makes of it.
func (c *change) apply(op operation) error {
	if op.ref.Whole {
		return c.removeExtension(op)
	}
	name := op.ref.Attr.Name
	old := c.container(op.ref.Extension)[name]
	now, err := c.changed(op, old)
	if err == nil && op.kind == opReplace && !op.selective() && op.ref.Attr.Declared && op.ref.Attr.Multi {
		now, err = op.ref.Attr.keepElements(old, now)
	}
	if err != nil {
		return err
	}
	if err := op.permits(op.ref.Attr, old, now); err != nil {
		return err
	}
	c.put(op.ref.Extension, name, now)
	return nil
}

// changed returns what op makes of the value of its attribute.
func (c *change) changed(op operation, old any) (any, error) {
	switch {
	case op.ref.Attr.Multi:
		list, _ := old.([]any)
		return c.changedElements(op, list)
	case op.sub != nil:
		return op.merged(old, map[string]any{op.sub.Name: op.value})
	case op.ref.Attr.Type == TypeComplex && op.value != nil:
		return op.merged(old, op.value.(map[string]any))
	}
	return op.value, nil
}

// permits refuses what the characteristics of a do not allow: to leave a
// required attribute unassigned, or to change one that is immutable and set
// (RFC 7643 §7, RFC 7644 §3.5.2).
func (op operation) permits(a *Attribute, old, now any) error {
	unassigns := old != nil && (now == nil || now == "")
	switch {
	case unassigns && a.Required && op.kind == opRemove:
		return Mutability("%s is required and cannot be removed", a.Path)
	case unassigns && a.Required:
		return BadValue("%s is required and needs a value", a.Path)
	case old != nil && a.Mutability == Immutable && !equalValue(old, now):
		return Mutability("%s is immutable and has a value", a.Path)
	case now == nil && !a.Multi && a.Declared:
		return op.permitsLoss(a, old)
	}
	return nil
}

// permitsLoss refuses to take an immutable sub-attribute away with what holds it.
func (op operation) permitsLoss(a *Attribute, old any) error {
	for _, sub := range a.Sub {
		if v := subValue(old, sub); v != nil && sub.Mutability == Immutable {
			return Mutability("%s is immutable and has a value", sub.Path)
		}
	}
	return nil
}

// merged returns a complex value with the sub-attributes of given in place of
// its own; those that given leaves out stay (RFC 7644 §3.5.2.3). nil means
// that nothing is left.
func (op operation) merged(old any, given map[string]any) (any, error) {
	a := op.ref.Attr
	was, _ := old.(map[string]any)
	now := make(map[string]any, len(was)+len(given))
	maps.Copy(now, was)
	for _, sub := range a.Sub {
		value, ok := given[sub.Name]
		if !ok {
			continue
		}
		if given, ok := value.([]any); ok && op.kind == opAdd {
			value = union(sub, was[sub.Name], given)
		}
		if err := op.permits(sub, was[sub.Name], value); err != nil {
			return nil, err
		}
		assign(now, sub.Name, value)
	}
	forgetReference(a, was, now, given)
	return complete(a, now)
}

// union returns the values of a multi-valued sub-attribute with those given.
func union(sub *Attribute, old any, given []any) any {
	list, _ := old.([]any)
	now := newElementSet(sub, list, len(given))
	for _, value := range given {
		if _, found := now.find(value); !found {
			now.append(value)
		}
	}
	return now.list
}

// forgetReference drops what described the resource that a reference named
// before: to keep the address or the name of a former manager would be wrong.
// A reference without a value names nothing (Q82).
func forgetReference(a *Attribute, was, now, given map[string]any) {
	if a.Multi || a.SubAttribute("$ref") == nil || equalValue(was["value"], now["value"]) {
		return
	}
	for name := range was {
		if _, kept := given[name]; !kept || now["value"] == nil {
			delete(now, name)
		}
	}
}

// complete returns a complex value, or nil if it is empty. One that lacks a
// required sub-attribute is refused.
func complete(a *Attribute, value map[string]any) (any, error) {
	if len(value) == 0 {
		return nil, nil
	}
	for _, sub := range a.Sub {
		if sub.Required && value[sub.Name] == nil {
			return nil, BadValue("%s is required", sub.Path)
		}
	}
	return value, nil
}

// removeExtension unassigns all attributes of an extension, and with the last
// of them its URN in schemas.
func (c *change) removeExtension(op operation) error {
	old := c.container(op.ref.Extension)
	for _, a := range op.ref.Extension.Attributes {
		if err := op.permits(a, old[a.Name], nil); err != nil {
			return err
		}
	}
	if c.rt.Requires(op.ref.Extension) {
		return Mutability("%s is required and cannot be removed", op.ref.Extension.ID)
	}
	delete(c.resource, op.ref.Extension.ID)
	return nil
}

// container returns the map that holds the attributes of an extension, or of
// the core schema if that is nil. It must not be modified.
func (c *change) container(extension *Schema) map[string]any {
	if extension == nil {
		return c.resource
	}
	attributes, _ := c.resource[extension.ID].(map[string]any)
	return attributes
}

// put assigns the value of an attribute; nil unassigns it.
func (c *change) put(extension *Schema, name string, value any) {
	if extension == nil {
		assign(c.resource, name, value)
		return
	}
	attributes := maps.Clone(c.container(extension))
	if attributes == nil {
		attributes = make(map[string]any)
	}
	assign(attributes, name, value)
	if len(attributes) == 0 {
		delete(c.resource, extension.ID)
		return
	}
	c.resource[extension.ID] = attributes
}

func assign(m map[string]any, name string, value any) {
	if value == nil {
		delete(m, name)
		return
	}
	m[name] = value
}
