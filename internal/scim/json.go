package scim

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of every JSON text that a client sends.
const (
	maxDepth  = 32       // objects and arrays within one another
	maxString = 64 << 10 // bytes of one string, decoded

	maxNames  = 512  // attributes of one resource, at every level; elements of members and groups do not count
	maxValues = 4096 // values of one resource, likewise
)

// A JSON value is read as nil, bool, string, number, object or []any. Objects
// keep the order in which the client wrote their fields.
type (
	number string // as written
	object []field
	field  struct {
		name  string
		value any
	}
)

// jsonReader reads JSON as RFC 8259 and I-JSON have it, and stricter: names
// that differ only in the case of ASCII letters are duplicates (RFC 7643 §2.1),
// and duplicates, invalid UTF-8 and lone surrogates are refused.
type jsonReader struct {
	dec    *jsontext.Decoder
	budget budget // left
	rows   bool   // members and groups at the top level have rowsBudget, and maxMembers elements
	open   object // the fields read so far of every object that is not closed yet
}

// budget is how much a JSON text may hold.
type budget struct{ names, values int }

// rowsBudget is for the members of a group, and for the groups of a user, which
// Okta sends back as it has read them: maxMembers is tighter for what is usual.
var rowsBudget = budget{names: 1 << 20, values: 1 << 21}

// parseJSON reads one JSON text with at most that many names and values. The
// error is an [*Error] with scimType invalidSyntax.
func parseJSON(text []byte, names, values int) (any, error) {
	return newJSONReader(text, budget{names, values}).text()
}

// parseResource is parseJSON for a resource; the members of a group and the
// groups of a user have a budget of their own.
func parseResource(text []byte) (any, error) {
	r := newJSONReader(text, budget{maxNames, maxValues})
	r.rows = true
	return r.text()
}

func newJSONReader(text []byte, b budget) *jsonReader {
	// The reader itself refuses duplicates: see object.
	return &jsonReader{
		dec:    jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true)),
		budget: b,
	}
}

// text reads one value and refuses anything but white space after it.
func (r *jsonReader) text() (any, error) {
	v, err := r.value()
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return nil, BadSyntax("the JSON text goes on after its value")
	}
	return v, nil
}

func (r *jsonReader) value() (any, error) {
	if r.budget.values--; r.budget.values < 0 {
		return nil, BadSyntax("too many values")
	}
	tok, err := r.dec.ReadToken()
	if err != nil {
		return nil, badJSON(err)
	}
	switch tok.Kind() {
	case jsontext.KindTrue, jsontext.KindFalse:
		return tok.Bool(), nil
	case jsontext.KindString:
		return boundedString(tok.String())
	case jsontext.KindNumber:
		return number(tok.String()), nil
	case jsontext.KindBeginObject:
		return r.object()
	case jsontext.KindBeginArray:
		return r.array()
	}
	return nil, nil
}

func boundedString(s string) (any, error) {
	if len(s) > maxString {
		return nil, BadSyntax("a string is longer than %d bytes", maxString)
	}
	return s, nil
}

// object reads what follows '{'.
func (r *jsonReader) object() (any, error) {
	if r.dec.StackDepth() > maxDepth {
		return nil, tooDeep()
	}
	start := len(r.open)
	var seen nameSet
	for {
		name, err := r.name()
		if err != nil {
			return nil, err
		}
		if name == "" {
			break
		}
		if !seen.add(r.open[start:], name) {
			return nil, BadSyntax("%q occurs twice in one object", clip(name))
		}
		v, err := r.fieldValue(name)
		if err != nil {
			return nil, err
		}
		r.open = append(r.open, field{name, v})
	}
	fields := slices.Clone(r.open[start:])
	r.open = r.open[:start]
	return fields, nil
}

func (r *jsonReader) fieldValue(name string) (any, error) {
	if !r.rows || r.dec.StackDepth() > 1 || !isName(name, "members") && !isName(name, "groups") {
		return r.value()
	}
	rest := r.budget
	r.budget = rowsBudget
	v, err := r.value()
	r.budget = rest
	return v, err
}

// name reads the next name of an object, "" at its end.
func (r *jsonReader) name() (string, error) {
	if r.dec.PeekKind() == jsontext.KindEndObject {
		_, err := r.dec.ReadToken()
		return "", err
	}
	quoted, err := r.dec.ReadValue()
	if err != nil {
		return "", badJSON(err)
	}
	name, err := unquoteName(quoted)
	r.budget.names--
	switch {
	case err != nil:
		return "", badJSON(err)
	case r.budget.names < 0:
		return "", BadSyntax("too many attributes")
	case name == "":
		return "", BadSyntax("an attribute has no name")
	case len(name) > maxString:
		return "", BadSyntax("a name is longer than %d bytes", maxString)
	}
	return name, nil
}

// unquoteName allocates no name that a stock schema has.
func unquoteName(quoted []byte) (string, error) {
	if known, ok := stockNames()[string(quoted)]; ok {
		return known, nil
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	return string(name), err
}

// stockNames maps the names of the stock schemas, quoted, to themselves.
var stockNames = sync.OnceValue(func() map[string]string {
	names := make(map[string]string)
	add := func(attributes []*Attribute) {
		for _, a := range attributes {
			names[strconv.Quote(a.Name)] = a.Name
			for _, sub := range a.Sub {
				names[strconv.Quote(sub.Name)] = sub.Name
			}
		}
	}
	add(common().Attributes)
	for _, rt := range []*ResourceType{UserType(), GroupType()} {
		add(rt.Core.Attributes)
		for _, ext := range rt.Extensions {
			names[strconv.Quote(ext.ID)] = ext.ID
			add(ext.Attributes)
		}
	}
	return names
})

// array reads what follows '['.
func (r *jsonReader) array() (any, error) {
	if r.dec.StackDepth() > maxDepth {
		return nil, tooDeep()
	}
	var elements []any
	for r.dec.PeekKind() != jsontext.KindEndArray {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		if elements = append(elements, v); r.rows && r.dec.StackDepth() == 2 && len(elements) > maxMembers {
			return nil, tooManyMembers()
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, badJSON(err)
	}
	return elements, nil
}

func tooDeep() *Error { return BadSyntax("more than %d levels of objects and arrays", maxDepth) }

// nameSet finds duplicate names: by comparing while an object is small, by
// hashing once it is large.
type nameSet map[string]bool

// add reports whether name is new beside fields, in any letter case.
func (s *nameSet) add(fields object, name string) bool {
	const small = 16
	if len(fields) < small {
		for _, f := range fields {
			if isName(f.name, name) {
				return false
			}
		}
		return true
	}
	if *s == nil {
		*s = make(nameSet, 4*small)
		for _, f := range fields {
			(*s)[lowerASCII(f.name)] = true
		}
	}
	key := lowerASCII(name)
	if (*s)[key] {
		return false
	}
	(*s)[key] = true
	return true
}

// emptyBody refuses nothing at all, or white space alone.
func emptyBody() *Error { return BadSyntax("the body is empty") }

// badJSON says in SCIM's words why a text is not JSON.
func badJSON(err error) *Error {
	if err == io.EOF {
		return emptyBody()
	}
	return BadSyntax("not valid JSON: %s", strings.TrimPrefix(clip(err.Error()), "jsontext: "))
}
