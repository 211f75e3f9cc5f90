package scim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends r as one JSON object, attributes in schema order and then
// extensions. It is what the database stores and, projected, what answers show.
// schemas, id and meta are not in it. Attributes that rt does not have are left out.
func AppendJSON(dst []byte, rt *ResourceType, r Resource) []byte {
	return appendResource(dst, rt, r, appendText)
}

// SearchJSON appends the document that filters are evaluated on: r with
// strings that are not caseExact in the form of [Key], dates in UTC and of one
// width, and all else verbatim.
func SearchJSON(dst []byte, rt *ResourceType, r Resource) []byte {
	return appendResource(dst, rt, r, appendSearchText)
}

// textAppender appends a string value of a as a JSON string.
type textAppender func(dst []byte, a *Attribute, s string) []byte

func appendText(dst []byte, _ *Attribute, s string) []byte { return appendJSONString(dst, s) }

func appendSearchText(dst []byte, a *Attribute, s string) []byte {
	if a.Type == TypeDateTime {
		if t, ok := parseDateTime(s); ok {
			return append(t.AppendFormat(append(dst, '"'), searchTime), '"')
		}
	}
	if !a.CaseExact {
		s = Fold(s)
	}
	return appendJSONString(dst, s)
}

// appendJSONString appends s as a JSON string. What reaches a Resource is UTF-8.
func appendJSONString(dst []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		quoted, _ = jsontext.AppendQuote(dst, clip(s)) // clip replaces what is not UTF-8
	}
	return quoted
}

func appendResource(dst []byte, rt *ResourceType, r Resource, text textAppender) []byte {
	dst = append(dst, '{')
	dst = appendAttributes(dst, rt.Core.Attributes, r, text)
	for _, ext := range rt.Extensions {
		container, ok := r[ext.ID].(map[string]any)
		if !ok {
			continue
		}
		dst = append(appendJSONString(appendComma(dst), ext.ID), ':', '{')
		dst = append(appendAttributes(dst, ext.Attributes, container, text), '}')
	}
	return append(dst, '}')
}

// appendAttributes appends the fields of one object.
func appendAttributes(dst []byte, attributes []*Attribute, values map[string]any, text textAppender) []byte {
	for _, a := range attributes {
		v, ok := values[a.Name]
		if !ok || v == nil {
			continue
		}
		dst = append(append(appendComma(dst), '"'), a.Name...)
		dst = appendValue(append(dst, '"', ':'), a, v, text)
	}
	return dst
}

// appendComma appends a comma unless dst ends where an object or array begins.
func appendComma(dst []byte) []byte {
	if last := dst[len(dst)-1]; last == '{' || last == '[' {
		return dst
	}
	return append(dst, ',')
}

func appendValue(dst []byte, a *Attribute, v any, text textAppender) []byte {
	switch v := v.(type) {
	case string:
		return text(dst, a, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	case Decimal:
		return append(dst, v...)
	case map[string]any:
		return append(appendAttributes(append(dst, '{'), a.Sub, v, text), '}')
	case []any:
		dst = append(dst, '[')
		for _, e := range v {
			dst = appendValue(appendComma(dst), a, e, text)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

// ParseStored reads what [AppendJSON] wrote, in any order of fields and with
// any white space, as a database gives it back. It trusts the values and
// refuses only what AppendJSON cannot have written.
func ParseStored(rt *ResourceType, stored []byte) (Resource, error) {
	p := &storedParser{text: string(stored)}
	r, err := p.resource(rt)
	if err != nil {
		return nil, fmt.Errorf("scim: stored %s: %w", rt.Name, err)
	}
	return r, nil
}

// A storedParser reads a JSON text that was checked before it was stored. The strings
// that it reads share the text's memory.
type storedParser struct {
	text  string
	at    int
	depth int
}

func (p *storedParser) resource(rt *ResourceType) (Resource, error) {
	r := make(Resource, 16)
	err := p.object(func(name string) error {
		if a := rt.Core.byName[name]; a != nil {
			return p.value(r, a)
		}
		ext := rt.Extension(name)
		if ext == nil {
			return p.skip()
		}
		container, err := p.attributes(ext.byName)
		r[ext.ID] = container
		return err
	})
	return r, err
}

func (p *storedParser) attributes(byName map[string]*Attribute) (map[string]any, error) {
	values := make(map[string]any, 4)
	err := p.object(func(name string) error {
		if a := byName[name]; a != nil {
			return p.value(values, a)
		}
		return p.skip()
	})
	return values, err
}

func (p *storedParser) value(into map[string]any, a *Attribute) (err error) {
	if a.Multi {
		into[a.Name], err = p.elements(a)
	} else {
		into[a.Name], err = p.element(a)
	}
	return err
}

func (p *storedParser) elements(a *Attribute) (any, error) {
	values := make([]any, 0, 2)
	err := p.each('[', ']', func() error {
		v, err := p.element(a)
		values = append(values, v)
		return err
	})
	return values, err
}

func (p *storedParser) element(a *Attribute) (any, error) {
	switch {
	case a.Type == TypeComplex:
		return p.attributes(a.byName)
	case p.next() == '"':
		return p.string()
	}
	literal := p.literal()
	switch {
	case literal == "true" || literal == "false":
		return literal == "true", nil
	case literal == "" || strings.Trim(literal, "+-.0123456789Ee") != "":
		return nil, p.unexpected()
	case a.Type == TypeInteger:
		return strconv.ParseInt(literal, 10, 64)
	}
	if d, ok := storedDecimal(literal); ok {
		return d, nil
	}
	return nil, p.unexpected()
}

// object calls field with each name of an object, before its value.
func (p *storedParser) object(field func(name string) error) error {
	return p.each('{', '}', func() error {
		name, err := p.string()
		if err != nil {
			return err
		}
		if !p.takes(':') {
			return p.unexpected()
		}
		return field(name)
	})
}

// each calls item where each item of an object or array begins.
func (p *storedParser) each(begin, end byte, item func() error) error {
	if p.depth++; p.depth > maxDepth || !p.takes(begin) {
		return p.unexpected()
	}
	defer func() { p.depth-- }()
	if p.takes(end) {
		return nil
	}
	for {
		if err := item(); err != nil || p.takes(end) {
			return err
		}
		if !p.takes(',') {
			return p.unexpected()
		}
	}
}

// skip passes over a value that the schemas do not know any more.
func (p *storedParser) skip() (err error) {
	switch p.next() {
	case '{':
		return p.object(func(string) error { return p.skip() })
	case '[':
		return p.each('[', ']', p.skip)
	case '"':
		_, err = p.string()
	default:
		if p.literal() == "" {
			err = p.unexpected()
		}
	}
	return err
}

// next is the byte that follows after white space, 0 at the end.
func (p *storedParser) next() byte {
	for ; p.at < len(p.text); p.at++ {
		if c := p.text[p.at]; c > ' ' {
			return c
		}
	}
	return 0
}

// takes passes over c where it is next.
func (p *storedParser) takes(c byte) bool {
	if p.next() != c {
		return false
	}
	p.at++
	return true
}

func (p *storedParser) string() (string, error) {
	if !p.takes('"') {
		return "", p.unexpected()
	}
	begin := p.at
	for escaped := false; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\\':
			escaped = true
			p.at++
		case '"':
			p.at++
			if escaped {
				s, err := jsontext.AppendUnquote(nil, p.text[begin-1:p.at])
				return string(s), err
			}
			return p.text[begin : p.at-1], nil
		}
	}
	p.at = len(p.text)
	return "", p.unexpected()
}

// literal is what stands there up to the end of the value.
func (p *storedParser) literal() string {
	p.next()
	begin := p.at
	for p.at < len(p.text) && p.text[p.at] > ' ' && strings.IndexByte(",]}", p.text[p.at]) < 0 {
		p.at++
	}
	return p.text[begin:p.at]
}

func (p *storedParser) unexpected() error {
	return fmt.Errorf("not what was stored, at byte %d", p.at)
}
