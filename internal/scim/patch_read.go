package scim

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// opKind is the op of a PATCH operation.
type opKind string

const (
	opAdd     opKind = "add"
	opRemove  opKind = "remove"
	opReplace opKind = "replace"
)

// operation is an operation on one attribute whose path is resolved and whose
// value has the attribute's type.
type operation struct {
	target
	index int // in Operations, for errors
	kind  opKind
	value any // nil unassigns
}

// patchReader turns the operations of a body into what a [Patch] keeps.
type patchReader struct {
	reader
	index       int // of the operation being read
	operations  []operation
	members     []MemberOp
	memberCount int
}

// envelope checks the message around the operations (RFC 7644 §3.5.2).
func (r *patchReader) envelope(m patchBody) error {
	if len(m.operations) == 0 {
		return BadSyntax("Operations must be an array of at least one operation")
	}
	if !slices.Contains(m.schemas, patchSchema) {
		if !r.lenient() {
			return BadSyntax("schemas must hold %q", patchSchema)
		}
		r.note("Q71", "schemas", "read as a PatchOp message although schemas does not say so")
	}
	r.extra(m.unknown)
	return nil
}

// extra notes names that a PATCH message does not define.
func (r *patchReader) extra(names []string) {
	for _, name := range names {
		r.note("Q71", name, "not part of a PATCH request: ignored")
	}
}

// operation understands one element of Operations.
func (r *patchReader) operation(raw rawOperation) error {
	kind, err := r.kind(raw.op)
	if err != nil {
		return err
	}
	r.extra(raw.unknown)
	switch {
	case raw.path != "" || raw.hasPath && !r.lenient():
		return r.at(kind, raw.path, raw.value)
	case kind == opRemove:
		return NoTarget("remove needs a path")
	case raw.hasPath:
		r.note("Q71", "path", "an empty path read as none")
	}
	return r.fields(kind, nil, raw.value)
}

func (r *patchReader) kind(op string) (opKind, error) {
	for _, kind := range [...]opKind{opAdd, opRemove, opReplace} {
		if op == string(kind) {
			return kind, nil
		}
		if r.lenient() && isName(op, string(kind)) {
			r.note("Q70", "op", "an op in another letter case")
			return kind, nil
		}
	}
	return "", BadSyntax("op must be add, remove or replace, not %q", clip(op))
}

// at understands an operation with a path.
func (r *patchReader) at(kind opKind, path string, raw jsontext.Value) error {
	p, err := ParsePath(path)
	if err != nil {
		return err
	}
	t, err := r.locate(path, p)
	switch {
	case err != nil:
		return err
	case !t.found() && !r.lenient():
		return unknownAttribute(path)
	case !t.found():
		r.note("Q99", path, "unknown attribute ignored")
		return nil
	}
	return r.operate(kind, t, raw)
}

// fields understands an object whose names are attributes: the value of an
// operation without a path, or of an extension (whose container it then is).
func (r *patchReader) fields(kind opKind, container *Schema, raw jsontext.Value) error {
	if raw.Kind() != jsontext.KindBeginObject {
		return BadValue("%s needs an object of attributes as its value", kind)
	}
	fields, err := rawFields(raw)
	if err != nil {
		return err
	}
	for _, f := range fields {
		if err := r.field(kind, container, f); err != nil {
			return err
		}
	}
	return nil
}

// field understands one of these names. Lenient connections may send a whole
// path as a name (Q73), unknown attributes (Q46), and those that only the
// server sets, since clients send back what they read (Q75).
func (r *patchReader) field(kind opKind, container *Schema, f rawField) error {
	path := f.name
	if container != nil {
		path = container.ID + ":" + f.name
	}
	if r.lenient() && container == nil && isName(path, r.rt.Core.ID) {
		r.note("Q74", path, "the core schema's URN read as a container")
		return r.fields(kind, nil, f.value)
	}
	t, err := r.locateName(path)
	switch {
	case err != nil:
		return err
	case !r.lenient():
		return r.strictField(kind, container, t, f)
	case !t.found():
		r.note("Q46", path, "unknown attribute ignored")
		return nil
	case t.readOnly():
		r.note("Q75", path, "read-only attribute ignored")
		return nil
	case !t.plain(container):
		r.note("Q73", path, "a name in the value read as a path")
	}
	return r.operate(kind, t, f.value)
}

// strictField refuses a name that a resource's JSON does not have there.
func (r *patchReader) strictField(kind opKind, container *Schema, t target, f rawField) error {
	if !t.found() || !t.plain(container) {
		return BadPath("%q is not the name of an attribute", clip(f.name))
	}
	return r.operate(kind, t, f.value)
}

// operate understands an operation on an attribute that exists.
func (r *patchReader) operate(kind opKind, t target, raw jsontext.Value) error {
	r.repaired(t)
	switch {
	case (t.ref.Alias || t.ref.Dotted) && !r.lenient():
		return BadPath("%q needs the URN of its schema and a colon", clip(t.path))
	case t.ref.Whole && (kind == opRemove || isNull(raw)):
		return r.append(operation{target: t, kind: opRemove})
	case t.ref.Whole:
		return r.fields(kind, t.ref.Extension, raw)
	case r.holdsMembers(t.ref):
		return r.memberOperation(kind, t, raw)
	case t.is("schemas"):
		return r.schemas(kind, raw)
	case t.readOnly():
		return Mutability("%s is read-only", t.attribute().Path)
	case t.is("password"):
		r.note("Q50", "password", "discarded: people sign in at their identity provider")
		return nil
	case t.ref.Attr.secret() || t.attribute().secret():
		return r.secret(kind, t, raw)
	case kind == opRemove:
		return r.removal(t, raw)
	case raw == nil:
		return BadValue("%s of %s needs a value", kind, clip(t.path))
	}
	return r.assignment(kind, t, raw)
}

// secret holds a value that nobody may read to its type, and discards it.
func (r *patchReader) secret(kind opKind, t target, raw jsontext.Value) error {
	if kind != opRemove && !isNull(raw) {
		if _, err := r.value(kind, t, raw); err != nil {
			return err
		}
	}
	r.discard(t.attribute())
	return nil
}

// repaired notes what of a path only custom allows.
func (r *patchReader) repaired(t target) {
	switch {
	case !r.lenient():
	case t.ref.Alias:
		r.note("Q82", t.path, "read as the extension's attribute")
	case t.ref.Dotted:
		r.note("Q97", t.path, "a dot after a schema's URN read as a colon")
	}
	if t.filter == nil {
		return
	}
	for _, n := range t.filter.Notes {
		r.note(n.Quirk, n.Path, n.Reason)
	}
}

// removal understands a remove. Its value, to which the RFC gives no meaning,
// names the elements to remove of a multi-valued attribute, as it does for
// members (Q87); strict refuses it there, where to ignore it would remove more
// than was meant.
func (r *patchReader) removal(t target, raw jsontext.Value) error {
	op := operation{target: t, kind: opRemove}
	switch {
	case t.is("active"):
		return mustBeActiveOrNot()
	case isNull(raw):
		return r.append(op)
	case !t.ref.Attr.Multi || t.selective():
		r.note("Q87", t.path, "the value of a remove ignored")
		return r.append(op)
	case !r.lenient():
		return BadValue("remove takes no value: select what to remove in the path, %s[…]", clip(t.path))
	}
	value, err := r.value(opRemove, t, raw)
	if err != nil || value == nil {
		return err
	}
	r.note("Q87", t.path, "the value of remove names the elements to remove")
	op.value = value
	return r.append(op)
}

// assignment understands an add or a replace. To add nothing to a
// multi-valued attribute changes nothing.
func (r *patchReader) assignment(kind opKind, t target, raw jsontext.Value) error {
	value, err := r.value(kind, t, raw)
	switch {
	case err != nil:
		return err
	case value == nil && t.is("active"):
		return mustBeActiveOrNot()
	case value == nil && kind == opAdd && t.ref.Attr.Multi && !t.selective():
		return nil
	}
	return r.append(operation{target: t, kind: kind, value: value})
}

// mustBeActiveOrNot refuses to leave open whether a person is active: neither
// answer would be a safe guess.
func mustBeActiveOrNot() error { return BadValue("active must be true or false") }

// schemas understands an operation on `schemas`, which is computed from the
// attributes present. To add a schema of the resource type is allowed; its
// attributes may follow (RFC 7644 §3.5.2).
func (r *patchReader) schemas(kind opKind, raw jsontext.Value) error {
	if r.lenient() {
		r.note("Q75", "schemas", "ignored: computed from the attributes present")
		return nil
	}
	if kind != opAdd {
		return Mutability("schemas follows from the attributes present")
	}
	urns, err := readStrings(jsontext.NewDecoder(newBuffer(raw)))
	if err != nil {
		return syntaxError(err)
	}
	for _, urn := range urns {
		if !isName(urn, r.rt.Core.ID) && r.rt.Extension(urn) == nil {
			return BadValue("%q is not a schema of a %s", clip(urn), r.rt.Name)
		}
	}
	return nil
}

func (r *patchReader) append(op operation) error {
	if len(r.operations) == maxOperations {
		return BadSyntax("more than %d operations on attributes in one request", maxOperations)
	}
	op.index = r.index
	r.operations = append(r.operations, op)
	return nil
}
