package scim

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// patchSchema is what the `schemas` of a PATCH body must name (RFC 7644 §3.5.2).
const patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// patchBody is the message of a PATCH request before its paths and values are
// understood.
type patchBody struct {
	schemas    []string
	operations []rawOperation
	unknown    []string // names that the message does not define
}

// rawOperation is one element of Operations. A path of null is none.
type rawOperation struct {
	op      string
	path    string
	hasPath bool
	value   jsontext.Value // nil if there is none
	unknown []string
}

// readPatchBody reads the envelope of a PATCH request. Attribute names are
// case-insensitive (RFC 7643 §2.1), so `operations` is as good as `Operations`;
// a name that occurs twice is refused.
func readPatchBody(body []byte) (patchBody, error) {
	var b patchBody
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	err := readObject(dec, func(name string) (err error) {
		switch {
		case isName(name, "schemas"):
			b.schemas, err = readStrings(dec)
		case isName(name, "Operations"):
			b.operations, err = readOperations(dec)
		default:
			b.unknown = append(b.unknown, clip(name))
			err = dec.SkipValue()
		}
		return err
	})
	if err != nil {
		return patchBody{}, syntaxError(err)
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return patchBody{}, BadSyntax("the body goes on after its JSON object")
	}
	return b, nil
}

func readOperations(dec *jsontext.Decoder) ([]rawOperation, error) {
	var ops []rawOperation
	err := readArray(dec, "Operations", func() error {
		if len(ops) == maxMemberOperations {
			return BadSyntax("more than %d operations in one request", maxMemberOperations)
		}
		op, err := readOperation(dec)
		ops = append(ops, op)
		return err
	})
	return ops, err
}

func readOperation(dec *jsontext.Decoder) (rawOperation, error) {
	var op rawOperation
	err := readObject(dec, func(name string) (err error) {
		switch {
		case isName(name, "op"):
			op.op, err = readString(dec, "op")
		case isName(name, "path"):
			op.hasPath = dec.PeekKind() != jsontext.KindNull
			op.path, err = readPath(dec)
		case isName(name, "value"):
			op.value, err = readRaw(dec)
		default:
			op.unknown = append(op.unknown, clip(name))
			err = dec.SkipValue()
		}
		return err
	})
	return op, err
}

func readPath(dec *jsontext.Decoder) (string, error) {
	if dec.PeekKind() == jsontext.KindNull {
		return "", dec.SkipValue()
	}
	return readString(dec, "path")
}

func readRaw(dec *jsontext.Decoder) (jsontext.Value, error) {
	v, err := dec.ReadValue()
	return v.Clone(), err
}

func readString(dec *jsontext.Decoder, what string) (string, error) {
	if kind := dec.PeekKind(); kind != jsontext.KindString && kind != jsontext.KindInvalid {
		return "", BadSyntax("%s is not a string", what)
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	return tok.String(), nil
}

func readStrings(dec *jsontext.Decoder) ([]string, error) {
	var list []string
	err := readArray(dec, "schemas", func() error {
		if len(list) == maxSchemas {
			return BadSyntax("more than %d schemas", maxSchemas)
		}
		s, err := readString(dec, "an element of schemas")
		list = append(list, s)
		return err
	})
	return list, err
}

// readArray calls element with dec before each element of an array.
func readArray(dec *jsontext.Decoder, what string, element func() error) error {
	if kind := dec.PeekKind(); kind != jsontext.KindBeginArray && kind != jsontext.KindInvalid {
		return BadSyntax("%s is not an array", what)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != jsontext.KindEndArray {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// readObject calls member with each name of an object and dec before its
// value. Two names that differ only in the case of letters are refused.
func readObject(dec *jsontext.Decoder, member func(name string) error) error {
	if kind := dec.PeekKind(); kind != jsontext.KindBeginObject && kind != jsontext.KindInvalid {
		return BadSyntax("%s where an object belongs", kind)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	var fields object
	var seen nameSet
	for dec.PeekKind() != jsontext.KindEndObject {
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := tok.String()
		if !seen.add(fields, name) {
			return BadSyntax("%q occurs twice in one object", clip(name))
		}
		fields = append(fields, field{name: name})
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// syntaxError says in SCIM's words why a body could not be read.
func syntaxError(err error) error {
	var refused *Error
	if errors.As(err, &refused) {
		return refused
	}
	if err == io.EOF {
		return emptyBody()
	}
	return BadSyntax("the body is not valid JSON: %s", clip(err.Error()))
}
