package scim

import "strings"

// Decode reads the body of a create or replace request (RFC 7644 §3.3, §3.5.1).
//
// What the client may not set is ignored and noted: id, meta, a user's groups,
// a password. In a lenient profile so is what no schema has, and customary
// deviations are repaired and noted (DIVERGENCES: Q40–Q50, Q60, Q64, Q73, Q82,
// Q83); a strict profile refuses both. Values are kept verbatim. Required
// attributes must be there. The error is an [*Error]: invalidSyntax for a body
// that is no resource, invalidValue for a value that does not fit.
func Decode(rt *ResourceType, body []byte, p Profile) (Document, error) {
	v, err := parseResource(body)
	if err != nil {
		return Document{}, err
	}
	fields, ok := v.(object)
	if !ok {
		return Document{}, BadSyntax("the body is not a JSON object")
	}
	d := decoder{reader: reader{rt: rt, profile: p}, doc: Document{Resource: make(Resource, len(fields))}}
	if err := d.resource(fields); err != nil {
		return Document{}, err
	}
	if err := requireAll(rt, d.doc.Resource); err != nil {
		return Document{}, err
	}
	_, d.doc.HasActive = d.doc.Resource["active"].(bool)
	d.doc.Notes = d.notes.all()
	return d.doc, nil
}

// decoder fills a Document.
type decoder struct {
	reader
	doc        Document
	hasSchemas bool
}

func (d *decoder) resource(fields object) error {
	for _, f := range fields {
		if err := d.field(f); err != nil {
			return err
		}
	}
	if d.hasSchemas {
		return nil
	}
	if !d.lenient() {
		return BadSyntax("schemas is missing")
	}
	d.note("Q47", "schemas", "schemas is missing")
	return nil
}

// field reads one field of the resource's top level.
func (d *decoder) field(f field) error {
	if a := d.rt.topLevel(f.name); a != nil {
		return d.topLevel(a, f.value)
	}
	if ext := d.rt.Extension(f.name); ext != nil {
		return d.extension(ext, f.value)
	}
	if d.lenient() && strings.ContainsAny(f.name, ":.") {
		return d.flat(f)
	}
	return d.unknown(f.name)
}

func (d *decoder) topLevel(a *Attribute, v any) error {
	switch {
	case a.Name == "schemas":
		return d.schemas(v)
	case a.Name == "members" && !a.Declared:
		return d.members(a, v)
	case a.Mutability == WriteOnly && !a.Declared: // password: nobody signs in with one here
		d.note("Q50", a.Path, "discarded: never stored, never checked")
		return nil
	}
	value, err := d.given(a, v)
	if err != nil {
		return err
	}
	return setOnce(d.doc.Resource, a, value)
}

// schemas only has to be there: which schemas a resource has follows from its
// attributes (Q47). Strict wants the core schema in it and nothing unknown.
func (d *decoder) schemas(v any) error {
	d.hasSchemas = true
	list, ok := v.([]any)
	core := false
	for _, e := range list {
		urn, _ := e.(string)
		switch {
		case isName(urn, d.rt.Core.ID):
			core = true
		case d.rt.Extension(urn) != nil:
		case !d.lenient():
			return BadValue("schemas holds %q, which is no schema of a %s", clip(urn), d.rt.Name)
		default:
			d.note("Q47", "schemas", "unknown schema ignored: "+clip(urn))
		}
	}
	switch {
	case ok && core:
		return nil
	case !d.lenient():
		return BadValue("schemas must be an array that holds %q", d.rt.Core.ID)
	}
	d.note("Q47", "schemas", "schemas does not name "+d.rt.Core.ID)
	return nil
}

// extension reads an extension's container. Its data counts whether or not
// schemas lists the URN.
func (d *decoder) extension(ext *Schema, v any) error {
	fields, ok := v.(object)
	if !ok && v != nil {
		return BadValue("%s: the value of an extension must be an object", ext.ID)
	}
	for _, f := range fields {
		a := ext.Attribute(f.name)
		if a == nil {
			if err := d.unknown(ext.ID + ":" + f.name); err != nil {
				return err
			}
			continue
		}
		value, err := d.given(a, f.value)
		if err != nil {
			return err
		}
		if err := d.putExtension(ext, a, value); err != nil {
			return err
		}
	}
	return nil
}

// flat reads a top-level field whose name is a path, "name.familyName" or
// "urn:…:User:department", as clients write them in a PATCH without path (Q73).
func (d *decoder) flat(f field) error {
	ref, err := d.rt.Resolve(f.name)
	if err != nil || ref.Alias || ref.Whole || ref.Last().Mutability == ReadOnly || ref.Last().secret() {
		return d.unknown(f.name)
	}
	if ref.Sub != nil && ref.Attr.Multi || ref.Attr.secret() || ref.Attr.Name == "members" && !ref.Attr.Declared {
		return d.unknown(f.name)
	}
	d.note("Q73", f.name, "a path as a name read as the attribute it means")
	value, err := d.attribute(ref.Last(), f.value)
	if err != nil {
		return err
	}
	if ref.Sub != nil {
		return d.putSub(ref, value)
	}
	if ref.Extension != nil {
		return d.putExtension(ref.Extension, ref.Attr, value)
	}
	return setOnce(d.doc.Resource, ref.Attr, value)
}

func (d *decoder) putSub(ref Ref, value any) error {
	container := map[string]any(d.doc.Resource)
	if ref.Extension != nil {
		container = child(container, ref.Extension.ID)
	}
	return setOnce(child(container, ref.Attr.Name), ref.Sub, value)
}

func (d *decoder) putExtension(ext *Schema, a *Attribute, value any) error {
	if value == nil {
		return nil
	}
	return setOnce(child(d.doc.Resource, ext.ID), a, value)
}

// child returns the object under name in m, which it makes if there is none.
func child(m map[string]any, name string) map[string]any {
	if c, ok := m[name].(map[string]any); ok {
		return c
	}
	c := make(map[string]any)
	m[name] = c
	return c
}

// setOnce sets an attribute that is not set yet: two spellings of one attribute in
// one body contradict each other.
func setOnce(m map[string]any, a *Attribute, value any) error {
	if value == nil {
		return nil
	}
	if _, taken := m[a.Name]; taken {
		return BadSyntax("%s is given twice", a.Path)
	}
	m[a.Name] = value
	return nil
}

// members reads a group's members, which never become part of its Resource.
func (d *decoder) members(a *Attribute, v any) error {
	d.doc.HasMembers = true
	value, err := d.attribute(a, v)
	if err != nil {
		return err
	}
	list, _ := value.([]any)
	d.doc.Members = make([]Member, 0, len(list))
	for _, e := range list {
		m := memberOf(e.(map[string]any))
		switch {
		case m.Value != "":
			d.doc.Members = append(d.doc.Members, m)
		case !d.lenient():
			return BadValue("members.value is missing")
		default:
			d.note("Q60", "members", "a member without value ignored")
		}
	}
	return nil
}

func memberOf(e map[string]any) Member {
	var m Member
	m.Value, _ = e["value"].(string)
	m.Type, _ = e["type"].(string)
	m.Display, _ = e["display"].(string)
	return m
}

// requireAll refuses a resource that lacks a required attribute (RFC 7643 §7) or
// extension (§6). What an extension or a complex value requires is required
// only where that is there.
func requireAll(rt *ResourceType, r Resource) error {
	if err := requireOf(rt.Core.Attributes, r); err != nil {
		return err
	}
	for _, ext := range rt.Extensions {
		container, there := r[ext.ID].(map[string]any)
		switch {
		case there:
			if err := requireOf(ext.Attributes, container); err != nil {
				return err
			}
		case rt.Requires(ext):
			return BadValue("%s is required", ext.ID)
		}
	}
	return nil
}

func requireOf(attributes []*Attribute, values map[string]any) (err error) {
	for _, a := range attributes {
		v := values[a.Name]
		if a.Required && (v == nil || v == "") {
			return BadValue("%s is required", a.Path)
		}
		if a.Declared && len(a.Sub) > 0 {
			anyElement(v, func(e any) bool {
				err = requireOf(a.Sub, e.(map[string]any))
				return err != nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
