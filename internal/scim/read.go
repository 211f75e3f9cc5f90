package scim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// reader turns the JSON values of a request into values of attributes, as its
// profile allows, and notes what it ignores or repairs.
type reader struct {
	rt      *ResourceType
	profile Profile
	patch   bool // reads the values of a PATCH
	notes   noteList
}

func (r *reader) lenient() bool { return r.profile != Strict }

// note records what was ignored or repaired, once: every member of a large
// group may have the same oddity.
func (r *reader) note(quirk, path, reason string) {
	n := Note{Quirk: quirk, Path: clip(path), Reason: reason}
	if !slices.Contains(r.notes.kept, n) {
		r.notes.add(n)
	}
}

// given reads the value of an attribute that a resource is created with or
// replaced by; nil where it is not kept. What only the server sets is ignored
// (RFC 7643 §7). What nobody may read is held to its type and then discarded.
func (r *reader) given(a *Attribute, v any) (any, error) {
	if a.Mutability == ReadOnly {
		r.readOnly(a, v)
		return nil, nil
	}
	value, err := r.attribute(a, v)
	if err != nil || value == nil || !a.secret() {
		return value, err
	}
	r.discard(a)
	return nil, nil
}

func (r *reader) discard(a *Attribute) {
	r.note("Q50", a.Path, "discarded: nobody could read it")
}

// attribute reads the whole value of a: every element if a is multi-valued.
// nil means unassigned, which null, [] and an empty object all are
// (RFC 7643 §2.5).
func (r *reader) attribute(a *Attribute, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	list, isList := v.([]any)
	switch {
	case a.Multi && isList:
		return r.elements(a, list)
	case a.Multi && !r.lenient():
		return nil, BadValue("%s is multi-valued: its value must be an array", a.Path)
	case a.Multi:
		r.note("Q41", a.Path, "one value read as an array of one")
		return r.elements(a, []any{v})
	case isList:
		return r.only(a, list)
	}
	return r.element(a, v)
}

// elements reads the elements of a multi-valued attribute.
func (r *reader) elements(a *Attribute, list []any) (any, error) {
	values := make([]any, 0, len(list))
	for _, e := range list {
		if e == nil && !r.lenient() {
			return nil, BadValue("%s holds null", a.Path)
		}
		v, err := r.element(a, e)
		if err != nil {
			return nil, err
		}
		if v == nil {
			r.note("Q40", a.Path, "an element without a value is left out")
			continue
		}
		values = append(values, v)
	}
	values, err := r.distinct(a, values)
	if err != nil {
		return nil, err
	}
	values, err = r.onePrimary(a, values)
	if err != nil || len(values) == 0 {
		return nil, err
	}
	return values, nil
}

// distinct leaves one element of each value and type (RFC 7643 §2.4): lenient puts
// together what several say, strict refuses them if they differ. The members of a
// group are rows, of which none is there twice anyway.
func (r *reader) distinct(a *Attribute, elements []any) ([]any, error) {
	if len(elements) < 2 || a.Path == "members" {
		return elements, nil
	}
	set := newElementSet(a, nil, len(elements))
	for _, e := range elements {
		id, ok := identity(a, e)
		i, found := set.byIdentity[id]
		switch {
		case !ok || !found:
			set.append(e)
			continue
		case !r.lenient() && !equalValue(set.list[i], e):
			return nil, BadValue("%s holds one value and type twice", a.Path)
		}
		r.note("Q81", a.Path, "an element that is there twice is kept once")
		if was, ok := set.list[i].(map[string]any); ok {
			maps.Copy(was, e.(map[string]any))
		}
	}
	return set.list, nil
}

// only reads a single-valued complex attribute that was sent as an array,
// which is how Entra sends a manager.
func (r *reader) only(a *Attribute, list []any) (any, error) {
	if !r.lenient() || a.Type != TypeComplex || len(list) > 1 {
		return nil, BadValue("%s has one value: it must not be an array", a.Path)
	}
	r.note("Q82", a.Path, "an array read as its only element")
	if len(list) == 0 {
		return nil, nil
	}
	return r.element(a, list[0])
}

// element reads one value of a, be a multi-valued or not.
func (r *reader) element(a *Attribute, v any) (any, error) {
	switch {
	case v == nil:
		return nil, nil
	case a.Type == TypeComplex:
		return r.complex(a, v)
	}
	return r.simple(a, v)
}

func (r *reader) complex(a *Attribute, v any) (any, error) {
	switch v := v.(type) {
	case object:
		return r.subAttributes(a, v)
	case string:
		if r.lenient() && !a.Multi && a.SubAttribute("value") != nil {
			r.note("Q82", a.Path, "a string read as its value")
			return r.subAttributes(a, object{{"value", v}})
		}
	}
	if a.Multi {
		return nil, BadValue("%s: each value must be an object", a.Path)
	}
	return nil, BadValue("%s: its value must be an object", a.Path)
}

func (r *reader) subAttributes(a *Attribute, fields object) (any, error) {
	values := make(map[string]any, len(fields))
	for _, f := range fields {
		sub := a.SubAttribute(f.name)
		if sub == nil {
			if err := r.unknown(a.Path + "." + f.name); err != nil {
				return nil, err
			}
			continue
		}
		v, err := r.given(sub, f.value)
		if err != nil {
			return nil, err
		}
		if v != nil {
			values[sub.Name] = v
		}
	}
	r.unpackRole(a, values)
	if len(values) == 0 {
		return nil, nil
	}
	return values, nil
}

// unknown ignores an attribute that no schema has, or in strict refuses it.
func (r *reader) unknown(path string) error {
	if !r.lenient() {
		return BadSyntax("unknown attribute %q", clip(path))
	}
	r.note("Q46", path, "unknown attribute ignored")
	return nil
}

// readOnly ignores a value that only the server sets (RFC 7643 §7).
func (r *reader) readOnly(a *Attribute, v any) {
	if list, ok := v.([]any); v == nil || ok && len(list) == 0 {
		return
	}
	r.note("Q49", a.Path, "read-only attribute ignored")
}

func (r *reader) simple(a *Attribute, v any) (any, error) {
	switch a.Type {
	case TypeBoolean:
		return r.boolean(a, v)
	case TypeInteger:
		return r.integer(a, v)
	case TypeDecimal:
		return r.decimal(a, v)
	}
	return r.text(a, v)
}

func (r *reader) boolean(a *Attribute, v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		if !r.lenient() {
			break
		}
		switch {
		case strings.EqualFold(v, "true"), strings.EqualFold(v, "false"):
			r.note(r.mistyped(a), a.Path, "a string read as a boolean")
			return len(v) == len("true"), nil
		case v == "":
			r.empty(a)
			return nil, nil
		}
	}
	return nil, BadValue("%s must be true or false", a.Path)
}

// mistyped is the number of the deviation that gives a a value of another type.
func (r *reader) mistyped(a *Attribute) string {
	switch {
	case r.patch:
		return "Q72"
	case a.Name == "primary":
		return "Q43"
	}
	return "Q42"
}

// empty notes an empty string in the place of a value of a.
func (r *reader) empty(a *Attribute) {
	quirk := "Q64"
	if r.patch {
		quirk = "Q84"
	}
	r.note(quirk, a.Path, "an empty string read as not set")
}

func (r *reader) integer(a *Attribute, v any) (any, error) {
	if n, ok := v.(number); ok {
		if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
			return i, nil
		}
	}
	return nil, BadValue("%s must be an integer without fraction or exponent, of at most 64 bits", a.Path)
}

func (r *reader) decimal(a *Attribute, v any) (any, error) {
	if n, ok := v.(number); ok {
		if d, ok := parseDecimal(string(n)); ok {
			return d, nil
		}
	}
	return nil, BadValue("%s must be a number of at most %d characters, in the range of a double", a.Path, maxDecimal)
}

// text reads strings, references, dates and binaries: they are kept as sent.
func (r *reader) text(a *Attribute, v any) (any, error) {
	if n, ok := v.(number); ok && r.lenient() {
		r.note(r.mistyped(a), a.Path, "a number read as a string")
		v = string(n)
	}
	s, ok := v.(string)
	if !ok {
		return nil, BadValue("%s must be a string", a.Path)
	}
	if s == "" && r.lenient() {
		r.empty(a)
		return nil, nil
	}
	if err := a.check(s); err != nil {
		return nil, err
	}
	switch {
	case !r.lenient():
		return a.canonical(s), a.checkFormat(s)
	case a.Declared && !a.isTyped(s):
		return nil, badFormat(a, s)
	}
	return v, nil
}

// onePrimary leaves at most one element primary, the last (RFC 7643 §2.4, Q44).
// Strict refuses a second one.
func (r *reader) onePrimary(a *Attribute, elements []any) ([]any, error) {
	found := false
	for i := len(elements) - 1; i >= 0; i-- {
		e, _ := elements[i].(map[string]any)
		if primary, _ := e["primary"].(bool); !primary {
			continue
		}
		if found && !r.lenient() {
			return nil, BadValue("%s has more than one primary value", a.Path)
		}
		if found {
			r.note("Q44", a.Path, "of several primary values the last is kept primary")
			e["primary"] = false
		}
		found = true
	}
	return elements, nil
}

// unpackRole reads a role that Entra sent as JSON within a string (Q83).
func (r *reader) unpackRole(a *Attribute, role map[string]any) {
	text, _ := role["value"].(string)
	if a.Path != "roles" || a.Declared || !r.lenient() || !strings.HasPrefix(text, "{") {
		return
	}
	parsed, err := parseJSON([]byte(text), maxNames, maxValues)
	if err != nil {
		return
	}
	fields, _ := parsed.(object)
	value, _ := fields.get("value").(string)
	display, _ := fields.get("displayName").(string)
	if value == "" || a.SubAttribute("value").check(value) != nil || a.SubAttribute("display").check(display) != nil {
		return
	}
	r.note("Q83", "roles.value", "JSON within a string read as a role")
	role["value"] = value
	if display != "" && role["display"] == nil {
		role["display"] = display
	}
}

// get returns the value of the field called name, in any letter case, or nil.
func (o object) get(name string) any {
	for _, f := range o {
		if isName(f.name, name) {
			return f.value
		}
	}
	return nil
}
