package scim

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Bind returns a copy of f that knows which attributes of rt its names mean
// and holds operands of their types. It refuses, as an [*Error] with scimType
// invalidFilter, what cannot be answered: an unknown attribute, one that is
// never returned, an operator or value that does not fit the attribute's type
// (RFC 7644 §3.4.2.2), and for Strict what only custom allows (Q24, Q26, Q27, Q30,
// Q97, a string without a space before it), which for Lenient stands in the Notes.
//
// In the copy `eq null` is `not (… pr)`, `ne null` is `pr`, a multi-valued
// complex attribute without sub-attribute means its value (as in the RFC's
// `emails co "example.com"`), and `emails[type eq "work"].value eq "x"` is one
// value path.
func (f *Filter) Bind(rt *ResourceType, p Profile) (*Filter, error) {
	if err := f.checkProfile(p); err != nil {
		return nil, err
	}
	return binder{rt: rt, profile: p, notes: &noteList{}}.root(f)
}

// BindAll is Bind for resources of each of several types (RFC 7644 §3.4.2.1): an
// attribute that only some of them have is one that the resources of the others
// have no value of. The Notes stand in the first.
func (f *Filter) BindAll(types []*ResourceType, p Profile) ([]*Filter, error) {
	if err := f.checkProfile(p); err != nil {
		return nil, err
	}
	bound, notes := make([]*Filter, len(types)), &noteList{}
	for i, rt := range types {
		var err error
		if bound[i], err = (binder{rt: rt, among: types, profile: p, notes: notes}).bind(f); err != nil {
			return nil, err
		}
	}
	bound[0].Notes = notes.all()
	return bound, nil
}

// BindElement is Bind for a filter between brackets, whose names are
// sub-attributes of a. "value" means the element itself where a is not complex.
func (f *Filter) BindElement(a *Attribute, p Profile) (*Filter, error) {
	if err := f.checkProfile(p); err != nil {
		return nil, err
	}
	return binder{profile: p, parent: Ref{Attr: a}, patch: true, notes: &noteList{}}.root(f)
}

// checkProfile refuses what the grammar of RFC 7644 lacks, on a strict connection.
func (f *Filter) checkProfile(p Profile) error {
	if p != Strict {
		return nil
	}
	for _, term := range f.Terms {
		if err := term.checkProfile(p); err != nil {
			return err
		}
	}
	if f.Path.Filter != nil {
		if f.Op != Has {
			return BadFilter("%s[…] may not be followed by %q", clip(f.Path.Name), clip("."+f.Path.Sub))
		}
		return f.Path.Filter.checkProfile(p)
	}
	if f.unspaced {
		return BadFilter("%s %s: a space stands before the value", clip(f.Path.Name), f.Op)
	}
	if f.Bare {
		return BadFilter("%s %s %s: a string stands in double quotes", clip(f.Path.Name), f.Op, clip(f.Value.(string)))
	}
	return nil
}

// binder binds filters to the attributes of rt, or between brackets to the
// sub-attributes of parent.
type binder struct {
	rt      *ResourceType
	among   []*ResourceType // that are asked together; nil: rt alone
	profile Profile
	parent  Ref
	patch   bool // of a PATCH path
	notes   *noteList
}

// root binds a whole filter.
func (b binder) root(f *Filter) (*Filter, error) {
	bound, err := b.bind(f)
	if err == nil {
		bound.Notes = b.notes.all()
	}
	return bound, err
}

// note records what custom allows and the RFC does not.
func (b binder) note(quirk, path, reason string) {
	n := Note{Quirk: quirk, Path: clip(path), Reason: reason}
	if !slices.Contains(b.notes.kept, n) {
		b.notes.add(n)
	}
}

func (b binder) bind(f *Filter) (*Filter, error) {
	switch f.Op {
	case And, Or, Not:
		return b.logical(f)
	case Has:
		return b.valuePath(f)
	}
	if f.Path.Filter != nil {
		b.note("Q24", f.Path.Name, "a comparison after the brackets read as one within them")
		return b.bind(f.asValuePath())
	}
	return b.comparison(f)
}

func (b binder) logical(f *Filter) (*Filter, error) {
	bound := &Filter{Op: f.Op, Terms: make([]*Filter, len(f.Terms))}
	for i, term := range f.Terms {
		t, err := b.bind(term)
		if err != nil {
			return nil, err
		}
		bound.Terms[i] = t
	}
	return bound, nil
}

// asValuePath moves a comparison that follows a value path into it (Q24): both
// then hold for the same element.
func (f *Filter) asValuePath() *Filter {
	last := *f
	last.Path = Path{Name: f.Path.Sub}
	absent := last.isNull() && last.Op == Eq
	if absent {
		last = Filter{Op: Pr, Path: last.Path}
	}
	terms := append(append([]*Filter{}, f.Path.Filter.termsOf(And)...), &last)
	has := &Filter{Op: Has, Path: Path{Name: f.Path.Name, Filter: &Filter{Op: And, Terms: terms}}}
	if absent {
		return &Filter{Op: Not, Terms: []*Filter{has}}
	}
	return has
}

// isNull reports whether f compares with null.
func (f *Filter) isNull() bool { return f.Op >= Eq && f.Value == nil }

// valuePath binds "emails[…]". The elements of a single-valued complex
// attribute are its one value.
func (b binder) valuePath(f *Filter) (*Filter, error) {
	ref, err := b.resolve(f.Path.Name)
	if err != nil {
		return nil, err
	}
	switch a := ref.Attr; {
	case ref.Absent:
		return &Filter{Op: Has, Path: f.Path, Ref: ref}, nil
	case ref.Sub != nil || ref.Whole || a.Type != TypeComplex && !a.Multi || a.Path == "meta" || a.Path == "schemas":
		return nil, BadFilter("%s takes no filter in brackets", clip(f.Path.Name))
	case a.secret():
		return nil, BadFilter("%s cannot be filtered by", a.Path)
	}
	inner := binder{profile: b.profile, parent: ref, notes: b.notes}
	element, err := inner.bind(f.Path.Filter)
	if err != nil {
		return nil, err
	}
	return &Filter{Op: Has, Path: Path{Name: f.Path.Name, Filter: element}, Ref: ref}, nil
}

func (b binder) comparison(f *Filter) (*Filter, error) {
	ref, err := b.resolve(f.Path.Name)
	if err != nil {
		return nil, err
	}
	if f.isNull() && (f.Op == Eq || f.Op == Ne) {
		return b.presence(f, ref)
	}
	bound := *f
	if bound.Ref = ref; ref.Absent {
		return &bound, nil
	}
	if bound.Ref, err = b.comparable(ref, f.Op); err != nil {
		return nil, err
	}
	if f.Op == Pr {
		return &bound, nil
	}
	a := bound.Ref.Last()
	if !a.Type.compares(f.Op) {
		return nil, BadFilter("%s is %s: %q does not apply to it", a.Path, a.Type, f.Op)
	}
	if bound.Value, err = b.value(a, f); err != nil {
		return nil, err
	}
	b.noteSpelling(f)
	bound.literal, bound.Bare = "", false
	bound.Operand, err = operand(a, bound.Value)
	return b.primary(&bound), err
}

// primary reads a comparison of primary with false: where it is not said, it is false
// (RFC 7643 §2.4).
func (b binder) primary(f *Filter) *Filter {
	sub := f.Ref.Sub
	if sub == nil || sub.Name != "primary" || sub.Type != TypeBoolean || !f.Ref.Attr.Multi || f.Value != false {
		return f
	}
	isTrue := *f
	isTrue.Op, isTrue.Value, isTrue.Operand = Eq, true, true
	bracketed := b.parent.Attr != nil
	switch {
	case f.Op == Ne && bracketed:
		return &isTrue
	case f.Op == Ne:
		return f
	}
	isTrue.Path = Path{Name: sub.Name}
	not := &Filter{Op: Not, Terms: []*Filter{&isTrue}}
	if bracketed {
		return not
	}
	whole := f.Ref
	whole.Sub = nil
	return &Filter{Op: Has, Path: Path{Name: whole.Attr.Path, Filter: not}, Ref: whole}
}

// presence turns a comparison with null into the question whether there is a value.
func (b binder) presence(f *Filter, ref Ref) (*Filter, error) {
	ref, err := b.comparable(ref, Pr)
	if err != nil {
		return nil, err
	}
	pr := &Filter{Op: Pr, Path: f.Path, Ref: ref}
	if f.Op == Ne {
		return pr, nil
	}
	return &Filter{Op: Not, Terms: []*Filter{pr}}, nil
}

// resolve finds what name means here.
func (b binder) resolve(name string) (Ref, error) {
	if b.parent.Attr != nil {
		return b.subAttribute(name)
	}
	ref, err := b.named(b.rt, name)
	if err == nil {
		return ref, nil
	}
	for _, rt := range b.among {
		if _, unknown := b.named(rt, name); unknown == nil {
			return Ref{Absent: true}, nil
		}
	}
	return Ref{}, err
}

// named finds what name means for resources of rt.
func (b binder) named(rt *ResourceType, name string) (Ref, error) {
	ref, err := rt.Resolve(name)
	if err != nil {
		return Ref{}, BadFilter("%s", err.(*Error).Detail)
	}
	switch {
	case !ref.Alias && !ref.Dotted:
	case b.profile == Strict:
		return Ref{}, unknownInFilter(name)
	case ref.Dotted:
		b.note("Q97", name, "a dot after a schema's URN read as a colon")
	default:
		b.note("Q27", name, "read as the extension's attribute")
	}
	return ref, nil
}

const unquoted = "a value without quotes read as a string"

// noteSpelling notes how the right side of a comparison was written.
func (b binder) noteSpelling(f *Filter) {
	switch {
	case f.Bare:
		b.note("Q26", f.Path.Name, unquoted)
	case f.unspaced:
		b.note("J57", f.Path.Name, "a value right behind its operator")
	}
}

func (b binder) subAttribute(name string) (Ref, error) {
	ref := b.parent
	if ref.Sub = ref.Attr.SubAttribute(name); ref.Sub != nil {
		return ref, nil
	}
	if len(ref.Attr.Sub) == 0 && len(name) == len("value") && equalFoldASCII(name, "value") {
		return ref, nil
	}
	return Ref{}, BadFilter("%s has no sub-attribute %q", ref.Attr.Path, clip(name))
}

func unknownInFilter(name string) *Error { return BadFilter("unknown attribute %q", clip(name)) }

// comparable returns the attribute that op is applied to where a filter names
// ref, which may be the `value` of a complex attribute.
func (b binder) comparable(ref Ref, op Op) (Ref, error) {
	if ref.Absent {
		return ref, nil
	}
	if ref.Whole {
		if op != Pr {
			return Ref{}, BadFilter("%s is a schema, not an attribute: only pr applies to it", ref.Extension.ID)
		}
		return ref, nil
	}
	if ref.Attr.secret() || ref.Last().secret() {
		return Ref{}, BadFilter("%s cannot be filtered by", ref.Last().Path)
	}
	if op == Pr || ref.Last().Type != TypeComplex {
		return ref, nil
	}
	if ref.Attr.Multi || b.profile != Strict {
		ref.Sub = ref.Attr.SubAttribute("value")
	}
	if ref.Sub != nil && !ref.Attr.Multi && !ref.Alias {
		b.note("Q27", ref.Attr.Path, "compared by its value")
	}
	if ref.Sub == nil {
		return Ref{}, BadFilter("%s is complex: name one of its sub-attributes: %s", ref.Attr.Path, subNames(ref.Attr))
	}
	return ref, nil
}

// secret reports whether a filter could be used to guess a's value, which the
// server never returns.
func (a *Attribute) secret() bool { return a.Returned == ReturnedNever || a.Mutability == WriteOnly }

func subNames(a *Attribute) string {
	names := make([]string, len(a.Sub))
	for i, sub := range a.Sub {
		names[i] = sub.Name
	}
	return strings.Join(names, ", ")
}

// compares reports whether op applies to attributes of type t (RFC 7644 §3.4.2.2).
func (t Type) compares(op Op) bool {
	switch t {
	case TypeBoolean, TypeBinary:
		return op == Eq || op == Ne
	case TypeInteger, TypeDecimal, TypeDateTime:
		return op != Co && op != Sw && op != Ew
	}
	return t != TypeComplex
}

// value returns the right side of f as a value of a.
func (b binder) value(a *Attribute, f *Filter) (any, error) {
	switch a.Type {
	case TypeBoolean:
		return b.booleanValue(a, f)
	case TypeInteger, TypeDecimal:
		return numberValue(a, f)
	}
	s, ok := f.Value.(string)
	if f.literal != "" && b.profile != Strict {
		s, ok = f.literal, true // a number without quotes is the string it looks like (Q26)
		b.note("Q26", f.Path.Name, unquoted)
	}
	switch {
	case !ok:
		return nil, BadFilter("%s is compared with a string", a.Path)
	case strings.IndexByte(s, 0) >= 0:
		return nil, BadFilter("%s: no value holds the character U+0000", a.Path)
	}
	return s, nil
}

func (b binder) booleanValue(a *Attribute, f *Filter) (any, error) {
	switch v := f.Value.(type) {
	case bool:
		return v, nil
	case string: // Q30
		if b.profile != Strict && (strings.EqualFold(v, "true") || strings.EqualFold(v, "false")) {
			b.note(b.stringBoolean(), f.Path.Name, "a string compared as a boolean")
			return len(v) == len("true"), nil
		}
	}
	return nil, BadFilter("%s is compared with true or false", a.Path)
}

// stringBoolean is the number of the deviation that compares a boolean with a string.
func (b binder) stringBoolean() string {
	if b.patch {
		return "Q79"
	}
	return "Q30"
}

func numberValue(a *Attribute, f *Filter) (any, error) {
	if d, ok := parseDecimal(f.literal); ok && a.Type == TypeDecimal && f.literal != "" {
		return d, nil
	}
	switch v := f.Value.(type) {
	case int64:
		if a.Type == TypeDecimal {
			return float64(v), nil
		}
		return v, nil
	case float64:
		const limit = 1 << 63
		switch {
		case a.Type == TypeDecimal || v != math.Trunc(v):
			return v, nil
		case -limit <= v && v < limit:
			return int64(v), nil
		}
	}
	return nil, BadFilter("%s is compared with a number of at most 64 bits", a.Path)
}

// operand returns what values of a are compared with where the right side is v.
func operand(a *Attribute, v any) (any, error) {
	s, ok := v.(string)
	switch {
	case !ok:
		return v, nil
	case a.Type == TypeDateTime:
		t, ok := parseDateTime(s)
		if !ok || t.Year() < 0 || t.Year() > 9999 {
			return nil, BadFilter("%s is compared with a date such as 2026-01-31T12:00:00Z, not %q", a.Path, clip(s))
		}
		return t, nil
	case !a.CaseExact:
		return Fold(s), nil
	}
	return s, nil
}

// SearchTime returns t as it stands in the search document, where dates
// compare as strings: in UTC and of one width.
func SearchTime(t time.Time) string { return t.UTC().Format(searchTime) }
