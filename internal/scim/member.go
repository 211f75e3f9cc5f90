package scim

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// MemberOpKind says what a [MemberOp] does to the members of a group.
type MemberOpKind uint8

// The kinds of member operations.
const (
	AddMembers     MemberOpKind = iota + 1 // those that are members already stay
	RemoveMembers                          // those that are none are passed over
	ReplaceMembers                         // exactly these remain; never empty
	RemoveAll                              // none remains
	RemoveMatching                         // those that Filter matches
)

var memberOpKindNames = [...]string{"?", "add", "remove", "replace", "remove all", "remove matching"}

// String returns the kind in words.
func (k MemberOpKind) String() string { return memberOpKindNames[k] }

// MemberOp is one change of a group's members.
type MemberOp struct {
	Kind    MemberOpKind
	Members []Member // of AddMembers, RemoveMembers and ReplaceMembers, as sent: ids may repeat and may be unknown
	Filter  *Filter  // of RemoveMatching: bound, for [Filter.MatchElement] on {value, type, display}
}

// holdsMembers reports whether ref is the members of a group, which are rows.
func (r *patchReader) holdsMembers(ref Ref) bool {
	return r.rt.Name == "Group" && ref.Extension == nil && ref.Attr != nil && ref.Attr.Name == "members"
}

// memberOperation understands an operation on members (RFC 7644 §3.5.2).
func (r *patchReader) memberOperation(kind opKind, t target, raw jsontext.Value) error {
	switch {
	case t.filter != nil || t.sub != nil:
		return r.selectedMembers(kind, t, raw)
	case kind == opRemove:
		return r.removeMembers(raw)
	case raw == nil:
		return BadValue("%s members needs a value", kind)
	}
	list, err := r.readMembers(kind, raw)
	switch {
	case err != nil:
		return err
	case kind == opReplace && len(list) == 0:
		r.emit(MemberOp{Kind: RemoveAll})
	case kind == opReplace:
		r.emit(MemberOp{Kind: ReplaceMembers, Members: list})
	case len(list) > 0:
		r.emit(MemberOp{Kind: AddMembers, Members: list})
	}
	return nil
}

// removeMembers understands the removal of members without a filter. A value
// names the members to remove (Q87, Q88). The RFC does not give it a meaning:
// the strict profile refuses it, since to ignore it would empty the group.
func (r *patchReader) removeMembers(raw jsontext.Value) error {
	if isNull(raw) {
		r.emit(MemberOp{Kind: RemoveAll})
		return nil
	}
	if r.profile == Strict {
		return BadValue(`remove takes no value: name the member in the path, members[value eq "…"]`)
	}
	list, err := r.readMembers(opRemove, raw)
	if err != nil {
		return err
	}
	r.note("Q87", "members", "the value of remove names the members to remove")
	if len(list) > 0 {
		r.emit(MemberOp{Kind: RemoveMembers, Members: list})
	}
	return nil
}

// selectedMembers understands an operation on members[…] or on one of their
// sub-attributes, which are immutable (RFC 7643 §4.2).
func (r *patchReader) selectedMembers(kind opKind, t target, raw jsontext.Value) error {
	ids, named := memberIDs(t.filter)
	switch {
	case t.sub != nil && t.sub.Name != "value" && r.profile == Lenient:
		r.note("Q99", t.path, "ignored: it follows from the member")
		return nil
	case t.sub != nil:
		return Mutability("%s: a member is added and removed as a whole", clip(t.path))
	case kind == opRemove && named:
		return r.emitNamed(RemoveMembers, ids)
	case kind == opRemove && asksForReference(t.filter):
		return BadFilter("members.$ref follows from members.value: select by that")
	case kind == opRemove:
		r.emit(MemberOp{Kind: RemoveMatching, Filter: t.filter})
		return nil
	case named && r.profile == Lenient:
		return r.addNamed(t, ids, raw)
	}
	return Mutability("%s: members are added by value and removed by filter", clip(t.path))
}

// asksForReference reports whether f compares $ref, which rows do not have: it
// would match nobody.
func asksForReference(f *Filter) bool {
	return f.Ref.Sub != nil && f.Ref.Sub.Name == "$ref" || slices.ContainsFunc(f.Terms, asksForReference)
}

// addNamed understands members[value eq "x"] as the target of an add: it adds
// x, whether or not a value repeats it (Q92).
func (r *patchReader) addNamed(t target, ids []Member, raw jsontext.Value) error {
	if !isNull(raw) {
		list, err := r.readMembers(opAdd, raw)
		if err != nil {
			return err
		}
		if len(list) != 1 || len(ids) != 1 || list[0].Value != ids[0].Value {
			return Mutability("%s: the value names another member", clip(t.path))
		}
		ids = list
	}
	r.note("Q92", "members", "the path's filter names the member to add")
	return r.emitNamed(AddMembers, ids)
}

// memberIDs returns the members that a filter names by id and nothing else:
// value eq "x", or several of these joined with or.
func memberIDs(f *Filter) ([]Member, bool) {
	if f == nil {
		return nil, false
	}
	if f.Op == Eq {
		id, ok := f.Value.(string)
		return []Member{{Value: id}}, ok && f.Ref.Sub != nil && f.Ref.Sub.Name == "value"
	}
	var all []Member
	for _, term := range f.Terms {
		ids, ok := memberIDs(term)
		if !ok {
			return nil, false
		}
		all = append(all, ids...)
	}
	return all, f.Op == Or
}

func (r *patchReader) emitNamed(kind MemberOpKind, ids []Member) error {
	if err := r.countMembers(len(ids)); err != nil {
		return err
	}
	r.emit(MemberOp{Kind: kind, Members: ids})
	return nil
}

// emit appends op. Neighbours that add, or that remove, become one operation:
// clients send one for each member (Q90).
func (r *patchReader) emit(op MemberOp) {
	if n := len(r.members); n > 0 && r.members[n-1].Kind == op.Kind {
		switch op.Kind {
		case AddMembers, RemoveMembers:
			r.members[n-1].Members = append(r.members[n-1].Members, op.Members...)
			return
		}
	}
	r.members = append(r.members, op)
}

func (r *patchReader) countMembers(n int) error {
	r.memberCount += n
	if r.memberCount > maxMembers {
		return tooManyMembers()
	}
	return nil
}

// maxMembers bounds the members that one request names: Okta pushes a whole
// group at once.
const maxMembers = 100_000

func tooManyMembers() *Error {
	return TooMany("more than %d members in one request; send them in several PATCH requests", maxMembers)
}

// readMembers reads the value of an operation on members: an array of objects,
// or for an add one object (RFC 7644 §3.5.2.1). The lenient profile takes one
// anywhere, ids as bare strings (Q91) and {"members": […]} (Q88). A value that has elements but names nobody is
// refused, lest a replace empties the group (Q95).
func (r *patchReader) readMembers(kind opKind, raw jsontext.Value) ([]Member, error) {
	in := memberReader{patchReader: r, kind: kind, dec: jsontext.NewDecoder(newBuffer(raw))}
	if err := in.read(); err != nil {
		return nil, syntaxError(err)
	}
	if len(in.list) == 0 && in.skipped > 0 {
		return nil, BadValue("no element of members has a value")
	}
	return in.list, nil
}

// memberReader collects members from JSON without building a tree of it.
type memberReader struct {
	*patchReader
	kind    opKind
	dec     *jsontext.Decoder
	list    []Member
	skipped int
	single  bool // one member stands where an array belongs
}

func (in *memberReader) read() error {
	in.single = false
	switch in.dec.PeekKind() {
	case jsontext.KindBeginArray:
		return readArray(in.dec, "members", in.element)
	case jsontext.KindNull:
		return in.dec.SkipValue()
	}
	if in.profile == Strict && in.kind != opAdd {
		return BadValue("members is not an array")
	}
	in.single = in.kind != opAdd
	return in.element()
}

func (in *memberReader) element() error {
	if err := in.countMembers(1); err != nil {
		return err
	}
	switch kind := in.dec.PeekKind(); {
	case kind == jsontext.KindBeginObject:
		return in.object()
	case kind == jsontext.KindString && in.profile == Lenient:
		return in.bareString()
	}
	return BadValue("an element of members is not an object")
}

func (in *memberReader) bareString() error {
	id, err := readString(in.dec, "value")
	if err != nil {
		return err
	}
	in.note("Q91", "members", "a bare string is the member's value")
	return in.append(Member{Value: id})
}

func (in *memberReader) object() error {
	var m Member
	nested := false
	err := readObject(in.dec, func(name string) (err error) {
		switch {
		case isName(name, "value"):
			m.Value, err = in.text("value")
		case isName(name, "type"):
			m.Type, err = in.text("type")
		case isName(name, "display"):
			m.Display, err = in.text("display")
		case isName(name, "members"):
			nested = true
			err = in.nested()
		case isName(name, "$ref"): // follows from value
			err = in.dec.SkipValue()
		default:
			err = in.other(name)
		}
		return err
	})
	if err != nil || nested && m == (Member{}) {
		return err
	}
	return in.append(m)
}

// nested reads {"members": […]} where the members themselves belong (Q88).
func (in *memberReader) nested() error {
	if in.profile == Strict || in.dec.StackDepth() > 2 {
		return BadValue("members within members")
	}
	in.note("Q88", "members", "the value repeats the name of the attribute")
	return in.read()
}

// other ignores what is no sub-attribute of a member, or in strict refuses it.
func (in *memberReader) other(name string) error {
	if err := in.unknown("members." + name); err != nil {
		return err
	}
	return in.dec.SkipValue()
}

// text reads a sub-attribute of a member; null is as good as absent.
func (in *memberReader) text(name string) (string, error) {
	switch in.dec.PeekKind() {
	case jsontext.KindNull:
		return "", in.dec.SkipValue()
	case jsontext.KindString, jsontext.KindInvalid:
	default:
		return "", BadValue("members.%s must be a string", name)
	}
	s, err := readString(in.dec, name)
	if err == nil && len(s) > maxString {
		return "", BadValue("members.%s is longer than %d bytes", name, maxString)
	}
	return s, err
}

func (in *memberReader) append(m Member) error {
	kind, err := in.memberType(m.Type)
	switch {
	case err != nil:
		return err
	case m.Value == "" && in.profile == Strict:
		return BadValue("an element of members has no value")
	case m.Value == "":
		in.skipped++
		in.note("Q60", "members", "an element without a value was skipped")
		return nil
	}
	if in.single {
		in.note("Q91", "members", "one member read as an array of one")
	}
	m.Type = kind
	in.list = append(in.list, m)
	return nil
}

func (in *memberReader) memberType(s string) (string, error) {
	for _, known := range []string{"", "User", "Group"} {
		if isName(s, known) {
			return known, nil
		}
	}
	if in.profile == Strict {
		return "", BadValue("members.type %q is neither User nor Group", clip(s))
	}
	in.note("Q46", "members.type", "ignored: neither User nor Group")
	return "", nil
}
