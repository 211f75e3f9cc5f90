package scim

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// bulkPrefix makes a bulkId a reference (RFC 7644 §3.7.2). It is reserved: no
// id of ours has it (RFC 7643 §3.1), and in the data of a bulk request no other
// string does.
const bulkPrefix = "bulkId:"

// References lists the bulkIds that the operation refers to, in its path or in
// a value of its data, each once.
func (op BulkOperation) References() []string { return op.refers }

// Resolve returns path and data with the ids of resources in the place of
// references to them. Where ids lacks a bulkId, the value that refers to it is
// left out of the data: a string, or the object whose value or $ref it is. It
// stays in the path.
func (op BulkOperation) Resolve(ids map[string]string) (path string, data []byte, err error) {
	path, data = op.Path, op.Data
	if len(op.refers) == 0 {
		return path, data, nil
	}
	if id, ok := pathReference(path); ok && ids[id] != "" {
		path = strings.TrimSuffix(path, bulkPrefix+id) + ids[id]
	}
	if data == nil {
		return path, nil, nil
	}
	w := referenceWriter{dec: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), ids: ids}
	data, _, err = w.value(make([]byte, 0, len(data)), "")
	return path, data, err
}

// pathReference returns the bulkId that takes the place of an id in the path
// of an operation: "/Groups/bulkId:qwerty".
func pathReference(path string) (id string, ok bool) {
	_, id, ok = strings.Cut(path, "/"+bulkPrefix)
	return id, ok && id != ""
}

// A reference is where a string of the data refers to a bulkId: from start,
// where the prefix begins, to end.
type reference struct {
	start, end int
	id         string
}

// referencesIn finds the references in a string that is the value of name: the
// whole string, the last segment of a $ref, and in the path of a PATCH
// operation the strings that its filter compares with.
func referencesIn(name, text string) []reference {
	switch {
	case !strings.Contains(text, bulkPrefix):
		return nil
	case strings.HasPrefix(text, bulkPrefix):
		return []reference{{0, len(text), text[len(bulkPrefix):]}}
	case isName(name, "$ref"):
		if id, ok := pathReference(text); ok {
			return []reference{{len(text) - len(bulkPrefix+id), len(text), id}}
		}
	case isName(name, "path"):
		return quotedReferences(text)
	}
	return nil
}

func quotedReferences(path string) (found []reference) {
	const quoted = `"` + bulkPrefix
	for at := 0; ; {
		i := strings.Index(path[at:], quoted)
		if i < 0 {
			return found
		}
		start := at + i + 1
		id, _, closed := strings.Cut(path[start+len(bulkPrefix):], `"`)
		if !closed {
			return found
		}
		at = start + len(bulkPrefix+id)
		found = append(found, reference{start, at, id})
	}
}

// referenceScan collects the references of a JSON value.
type referenceScan struct {
	dec     *jsontext.Decoder
	deepest int // level of objects and arrays that is still read
	found   []string
}

// value reads the next value, which stands under name.
func (s *referenceScan) value(name string) error {
	tok, err := s.dec.ReadToken()
	if err != nil {
		return err
	}
	if s.dec.StackDepth() > s.deepest {
		return tooDeep()
	}
	switch tok.Kind() {
	case jsontext.KindBeginObject:
		return s.object()
	case jsontext.KindBeginArray:
		return s.array(name)
	case jsontext.KindString:
		for _, ref := range referencesIn(name, tok.String()) {
			s.found = append(s.found, ref.id)
		}
	}
	return nil
}

func (s *referenceScan) object() error {
	for s.dec.PeekKind() != jsontext.KindEndObject {
		tok, err := s.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := s.value(tok.String()); err != nil {
			return err
		}
	}
	_, err := s.dec.ReadToken()
	return err
}

func (s *referenceScan) array(name string) error {
	for s.dec.PeekKind() != jsontext.KindEndArray {
		if err := s.value(name); err != nil {
			return err
		}
	}
	_, err := s.dec.ReadToken()
	return err
}

// referenceWriter copies a JSON value with its references resolved.
type referenceWriter struct {
	dec *jsontext.Decoder
	ids map[string]string
}

// value appends the next value, which stands under name, to dst. left says that
// it refers to what is not known, and was not appended.
func (w *referenceWriter) value(dst []byte, name string) (out []byte, left bool, err error) {
	switch w.dec.PeekKind() {
	case jsontext.KindBeginObject:
		return w.object(dst)
	case jsontext.KindBeginArray:
		return w.array(dst, name)
	case jsontext.KindString:
		return w.text(dst, name)
	}
	raw, err := w.dec.ReadValue()
	return append(dst, raw...), false, err
}

func (w *referenceWriter) text(dst []byte, name string) ([]byte, bool, error) {
	tok, err := w.dec.ReadToken()
	if err != nil {
		return dst, false, err
	}
	text := tok.String()
	found := referencesIn(name, text)
	for i := len(found) - 1; i >= 0; i-- { // from the end: what is before stays where it is
		id := w.ids[found[i].id]
		if id == "" {
			return dst, true, nil
		}
		text = text[:found[i].start] + id + text[found[i].end:]
	}
	dst, err = jsontext.AppendQuote(dst, text)
	return dst, false, err
}

// object leaves itself out where its value or its $ref is left out, unless it
// is the whole resource.
func (w *referenceWriter) object(dst []byte) ([]byte, bool, error) {
	inner := w.dec.StackDepth() > 0
	if _, err := w.dec.ReadToken(); err != nil {
		return dst, false, err
	}
	begin, leave := len(dst), false
	dst = append(dst, '{')
	for w.dec.PeekKind() != jsontext.KindEndObject {
		var name string
		var left bool
		var err error
		if dst, name, left, err = w.member(dst); err != nil {
			return dst, false, err
		}
		leave = leave || inner && left && (isName(name, "value") || isName(name, "$ref"))
	}
	_, err := w.dec.ReadToken()
	if leave {
		return dst[:begin], true, err
	}
	return append(dst, '}'), false, err
}

// member appends a name and its value, or neither.
func (w *referenceWriter) member(dst []byte) (out []byte, name string, left bool, err error) {
	raw, err := w.dec.ReadValue()
	if err != nil {
		return dst, "", false, err
	}
	if name, err = unquoteName(raw); err != nil {
		return dst, "", false, err
	}
	before := len(dst)
	dst = append(append(comma(dst), raw...), ':')
	if dst, left, err = w.value(dst, name); left {
		dst = dst[:before]
	}
	return dst, name, left, err
}

func (w *referenceWriter) array(dst []byte, name string) ([]byte, bool, error) {
	if _, err := w.dec.ReadToken(); err != nil {
		return dst, false, err
	}
	dst = append(dst, '[')
	for w.dec.PeekKind() != jsontext.KindEndArray {
		before := len(dst)
		var left bool
		var err error
		if dst, left, err = w.value(comma(dst), name); err != nil {
			return dst, false, err
		}
		if left {
			dst = dst[:before]
		}
	}
	_, err := w.dec.ReadToken()
	return append(dst, ']'), false, err
}

// comma parts what follows from what precedes it in an object or array.
func comma(dst []byte) []byte {
	if last := dst[len(dst)-1]; last == '{' || last == '[' {
		return dst
	}
	return append(dst, ',')
}
