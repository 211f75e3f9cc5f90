package scim

import (
	"slices"
	"strconv"
	"strings"
)

// A document is an object within what a tenant declares, and where it stands:
// "attributes[2].subAttributes[0]".
type document struct {
	where  string
	fields object
}

// parseDocument reads a declaration that may name, in schemas, what it is.
func parseDocument(text []byte, urn string) (document, error) {
	if len(text) > maxDeclaration {
		return document{}, BadSyntax("the document is longer than %d bytes", maxDeclaration)
	}
	const perAttribute = 16 // names, and values besides canonical ones
	v, err := parseJSON(text, perAttribute*maxDeclared, (perAttribute+maxCanonical)*maxDeclared)
	if err != nil {
		return document{}, err
	}
	fields, ok := v.(object)
	if !ok {
		return document{}, BadSyntax("the document is not a JSON object")
	}
	doc := document{fields: fields}
	schemas, err := doc.texts("schemas", maxURN)
	if err != nil {
		return document{}, err
	}
	if len(schemas) > 0 && !slices.ContainsFunc(schemas, func(s string) bool { return isName(s, urn) }) {
		return document{}, doc.bad("schemas", "the document is not a %s", urn[strings.LastIndexByte(urn, ':')+1:])
	}
	return doc, nil
}

// bad refuses the value of a field.
func (d document) bad(name, format string, args ...any) *Error {
	return BadValue(format, args...).Prefix("%s", d.at(name))
}

func (d document) at(name string) string {
	if d.where == "" {
		return name
	}
	return d.where + "." + name
}

// only refuses fields that are not among names.
func (d document) only(names ...string) error {
	for _, f := range d.fields {
		if !slices.ContainsFunc(names, func(name string) bool { return isName(name, f.name) }) {
			return d.bad(clip(f.name), "there is no such characteristic; there are %s", strings.Join(names, ", "))
		}
	}
	return nil
}

// text reads a string of at most so many bytes, "" where there is none.
func (d document) text(name string, longest int) (string, error) {
	v := d.fields.get(name)
	if v == nil {
		return "", nil
	}
	s, ok := v.(string)
	switch {
	case !ok:
		return "", d.bad(name, "must be a string")
	case len(s) > longest:
		return "", d.bad(name, "is longer than %d bytes", longest)
	case strings.ContainsFunc(s, spoofs):
		return "", d.bad(name, "holds a control character, or one that changes the direction of text")
	}
	return s, nil
}

// required is text for what must be there.
func (d document) required(name string, longest int) (string, error) {
	s, err := d.text(name, longest)
	if err == nil && s == "" {
		err = d.bad(name, "a value is required")
	}
	return s, err
}

// keyword reads one of words, the first of which is meant where there is none.
func (d document) keyword(name string, words ...string) (string, error) {
	s, err := d.text(name, maxDescription)
	switch {
	case err != nil:
		return "", err
	case s == "":
		return words[0], nil
	case !slices.Contains(words, s):
		return "", d.bad(name, "%q is none of %s", clip(s), strings.Join(words, ", "))
	}
	return s, nil
}

// flag reads a boolean, nil where there is none.
func (d document) flag(name string) (*bool, error) {
	v := d.fields.get(name)
	if v == nil {
		return nil, nil
	}
	b, ok := v.(bool)
	if !ok {
		return nil, d.bad(name, "must be true or false")
	}
	return &b, nil
}

// is reads a boolean that is false where there is none.
func (d document) is(name string) (bool, error) {
	b, err := d.flag(name)
	return b != nil && *b, err
}

// list reads an array, nil where there is none.
func (d document) list(name string) ([]any, error) {
	v := d.fields.get(name)
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, d.bad(name, "must be an array")
	}
	return list, nil
}

// texts reads an array of strings that differ.
func (d document) texts(name string, longest int) ([]string, error) {
	list, err := d.list(name)
	if err != nil {
		return nil, err
	}
	if len(list) > maxCanonical {
		return nil, d.bad(name, "has more than %d values", maxCanonical)
	}
	var texts []string
	for i, v := range list {
		s, ok := v.(string)
		at := name + index1(i)
		switch {
		case !ok || s == "":
			return nil, d.bad(at, "must be a string that is not empty")
		case len(s) > longest:
			return nil, d.bad(at, "is longer than %d bytes", longest)
		case strings.ContainsFunc(s, spoofs):
			return nil, d.bad(at, "holds a control character, or one that changes the direction of text")
		case slices.Contains(texts, s):
			return nil, d.bad(at, "%q occurs twice", clip(s))
		}
		texts = append(texts, s)
	}
	return texts, nil
}

// objects reads an array of objects.
func (d document) objects(name string) ([]document, error) {
	list, err := d.list(name)
	if err != nil {
		return nil, err
	}
	docs := make([]document, len(list))
	for i, v := range list {
		fields, ok := v.(object)
		if !ok {
			return nil, d.bad(name+index1(i), "must be an object")
		}
		docs[i] = document{where: d.at(name + index1(i)), fields: fields}
	}
	return docs, nil
}

func index1(i int) string { return "[" + strconv.Itoa(i) + "]" }
