package scim

import (
	"bytes"
	"fmt"
	"strconv"

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
	p := storedParser{jsontext.NewDecoder(bytes.NewBuffer(stored), jsontext.AllowDuplicateNames(true))}
	r, err := p.resource(rt)
	if err != nil {
		return nil, fmt.Errorf("scim: stored %s: %w", rt.Name, err)
	}
	return r, nil
}

type storedParser struct{ dec *jsontext.Decoder }

func (p storedParser) resource(rt *ResourceType) (Resource, error) {
	r := make(Resource, 16)
	err := p.object(func(name string) error {
		if a := rt.Core.byName[name]; a != nil {
			return p.value(r, a)
		}
		ext := rt.Extension(name)
		if ext == nil {
			return p.dec.SkipValue()
		}
		container, err := p.attributes(ext.byName)
		r[ext.ID] = container
		return err
	})
	return r, err
}

// object calls field with each name of an object, before its value.
func (p storedParser) object(field func(name string) error) error {
	if tok, err := p.dec.ReadToken(); err != nil || tok.Kind() != jsontext.KindBeginObject {
		return unexpected(tok, err)
	}
	for p.dec.PeekKind() != jsontext.KindEndObject {
		quoted, err := p.dec.ReadValue()
		if err != nil {
			return err
		}
		name, err := unquoteName(quoted)
		if err != nil {
			return err
		}
		if err := field(name); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return err
}

func (p storedParser) attributes(byName map[string]*Attribute) (map[string]any, error) {
	values := make(map[string]any, 4)
	err := p.object(func(name string) error {
		if a := byName[name]; a != nil {
			return p.value(values, a)
		}
		return p.dec.SkipValue()
	})
	return values, err
}

func (p storedParser) value(into map[string]any, a *Attribute) (err error) {
	if a.Multi {
		into[a.Name], err = p.elements(a)
	} else {
		into[a.Name], err = p.element(a)
	}
	return err
}

func (p storedParser) elements(a *Attribute) (any, error) {
	if tok, err := p.dec.ReadToken(); err != nil || tok.Kind() != jsontext.KindBeginArray {
		return nil, unexpected(tok, err)
	}
	values := make([]any, 0, 2)
	for p.dec.PeekKind() != jsontext.KindEndArray {
		v, err := p.element(a)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	_, err := p.dec.ReadToken()
	return values, err
}

func (p storedParser) element(a *Attribute) (any, error) {
	if a.Type == TypeComplex {
		return p.attributes(a.byName)
	}
	tok, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch kind := tok.Kind(); {
	case kind == jsontext.KindString:
		return tok.String(), nil
	case kind == jsontext.KindTrue || kind == jsontext.KindFalse:
		return tok.Bool(), nil
	case kind == jsontext.KindNumber && a.Type == TypeInteger:
		return strconv.ParseInt(tok.String(), 10, 64)
	case kind == jsontext.KindNumber:
		if d, ok := parseDecimal(tok.String()); ok {
			return d, nil
		}
		return strconv.ParseFloat(tok.String(), 64)
	}
	return nil, unexpected(tok, nil)
}

func unexpected(tok jsontext.Token, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("unexpected %s", tok.Kind())
}
