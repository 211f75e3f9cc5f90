package scim

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// value reads the value of an operation as what its target takes; nil
// unassigns. The result is
//   - for a multi-valued attribute, its elements: []any;
//   - for a complex attribute or element, a map in which nil unassigns the
//     sub-attribute, and one that is not there is left alone;
//   - else the value of the attribute or sub-attribute.
func (r *patchReader) value(kind opKind, t target, raw jsontext.Value) (any, error) {
	v, err := parseValue(raw)
	if err != nil {
		return nil, err
	}
	a := t.attribute()
	if v == "" && r.lenient() && a.Type == TypeComplex {
		r.empty(a)
		return nil, nil
	}
	switch {
	case t.sub == nil && a.Multi && t.filter == nil:
		return r.wholeValue(kind, a, v)
	case t.sub == nil && a.Type == TypeComplex:
		return r.complexValue(a, r.repairObject(t, v))
	case t.sub == nil && t.filter != nil:
		return r.element(a, v)
	}
	return r.attribute(a, v)
}

// parseValue reads the JSON of a value, most often a string.
func parseValue(raw jsontext.Value) (any, error) {
	if raw.Kind() != jsontext.KindString {
		return parseJSON(raw, maxNames, maxValues)
	}
	s, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return nil, syntaxError(err)
	}
	return boundedString(string(s))
}

// wholeValue reads all elements of a multi-valued attribute. RFC 7644
// §3.5.2.1 lets an add give a single one.
func (r *patchReader) wholeValue(kind opKind, a *Attribute, v any) (any, error) {
	if fields, ok := v.(object); ok && kind == opAdd {
		v = []any{fields}
	}
	return r.attribute(a, v)
}

// repairObject turns customary stand-ins for an object into it: an array of
// one (Q82), and the value of an element as a bare string.
func (r *patchReader) repairObject(t target, v any) any {
	if !r.lenient() {
		return v
	}
	if list, ok := v.([]any); ok && len(list) <= 1 {
		r.note("Q82", t.ref.Attr.Path, "an array read as its only element")
		v = append(list, nil)[0]
	}
	if s, ok := v.(string); ok && t.filter != nil && t.ref.Attr.SubAttribute("value") != nil {
		r.note("Q82", t.ref.Attr.Path, "a string read as its value")
		v = object{{"value", s}}
	}
	return v
}

// complexValue reads one complex value. Sub-attributes that the client names
// but leaves empty stay in the result, as nil.
func (r *patchReader) complexValue(a *Attribute, v any) (any, error) {
	value, err := r.element(a, v)
	fields, ok := v.(object)
	if err != nil || !ok {
		return value, err
	}
	values, _ := value.(map[string]any)
	if values == nil {
		values = make(map[string]any, len(fields))
	}
	for _, f := range fields {
		sub := a.SubAttribute(f.name)
		if sub == nil || sub.Mutability == ReadOnly {
			continue
		}
		if _, set := values[sub.Name]; !set {
			values[sub.Name] = nil
		}
	}
	return values, nil
}

// rawField is a name of an object and its value as written.
type rawField struct {
	name  string
	value jsontext.Value
}

// rawFields parts an object into its fields, in the order written.
func rawFields(raw jsontext.Value) ([]rawField, error) {
	var fields []rawField
	dec := jsontext.NewDecoder(newBuffer(raw))
	err := readObject(dec, func(name string) error {
		if len(fields) == maxNames {
			return BadSyntax("too many attributes")
		}
		value, err := readRaw(dec)
		fields = append(fields, rawField{name, value})
		return err
	})
	if err != nil {
		return nil, syntaxError(err)
	}
	return fields, nil
}

func isNull(raw jsontext.Value) bool { return raw == nil || raw.Kind() == jsontext.KindNull }

func newBuffer(raw jsontext.Value) *bytes.Buffer { return bytes.NewBuffer(raw) }
