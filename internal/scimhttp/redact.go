package scimhttp

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/registry"
)

// Bounds of what is kept of a body, in bytes and elements.
const (
	longestKept = 8 << 10  // of the whole
	longestRead = 64 << 10 // what is looked at to make it
	longestText = 1 << 10  // of one string
	mostKept    = 50       // elements of one array
	deepestKept = 32       // objects and arrays within one another
)

const (
	cutMark  = "…"          // stands for what is left out because there is too much
	redacted = "(redacted)" // stands for what may be a secret
)

// tokenPrefixes begin the secrets that Muster itself makes, and others' tokens.
var tokenPrefixes = []string{registry.SCIMPrefix, registry.AccessPrefix, registry.SecretPrefix, registry.APIPrefix, registry.ClientPrefix, "bearer "}

// secretWords make a name one of a secret, wherever in it they stand.
var secretWords = newWords(append([]string{"password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key",
	"privatekey", "private_key"}, tokenPrefixes...))

// words are texts in lower case by their first letter, in both cases.
type words [256][]string

func newWords(list []string) *words {
	w := &words{}
	for _, word := range list {
		lower, upper := word[0], strings.ToUpper(word)[0]
		w[lower] = append(w[lower], word)
		if upper != lower {
			w[upper] = append(w[upper], word)
		}
	}
	return w
}

// in reports whether one of the words stands in text, in any letter case.
func (w *words) in(text string) bool {
	for i := range len(text) {
		for _, word := range w[text[i]] {
			if len(text)-i >= len(word) && strings.EqualFold(text[i:i+len(word)], word) {
				return true
			}
		}
	}
	return false
}

// redact is a body as the provisioning log may keep it: at most [longestKept]
// bytes and a little, and no value of an attribute that is named like a secret
// or that the schemas never return. A body that is short and mentions no secret
// is kept to the letter; any other is written anew as JSON, as far as it is JSON.
func redact(body []byte, types []*scim.ResourceType) string {
	r := redactor{secrets: neverReturned(types), left: longestKept}
	if len(body) <= longestKept && jsontext.Value(body).IsValid() && !bytes.Contains(body, []byte(`\u`)) {
		if text := string(body); !r.mentions(text) {
			return text
		}
	}
	r.dec = jsontext.NewDecoder(bytes.NewBuffer(body[:min(len(body), longestRead)]), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	v, _ := r.value(0)
	return string(r.append(nil, v))
}

// neverReturned names the attributes that the schemas hide, besides those that
// are called like a secret; nil where there are none.
func neverReturned(types []*scim.ResourceType) *words {
	var names []string
	add := func(name string) {
		if !secretWords.in(name) {
			names = append(names, strings.ToLower(name))
		}
	}
	for _, rt := range types {
		rt.Core.Hidden(add)
		for _, extension := range rt.Extensions {
			extension.Hidden(add)
		}
	}
	if names == nil {
		return nil
	}
	return newWords(names)
}

// A redactor reads a JSON text as far as there is room for it.
type redactor struct {
	dec     *jsontext.Decoder
	secrets *words // besides secretWords; nil: none
	left    int    // bytes that may still be kept
}

// A kept value is one of the text: an object, an array, or a scalar.
type (
	keptObject struct {
		members []keptMember
		cut     bool // there were more
	}
	keptMember struct {
		name  string
		value any
	}
	keptArray struct {
		elements []any
		cut      bool
	}
	keptText   string // of a JSON string
	keptScalar string // another literal, as written
)

// errFull: there is no room for more.
var errFull = errors.New("enough is kept")

// value reads one value. With an error it is what was read before, marked as cut.
func (r *redactor) value(depth int) (any, error) {
	tok, err := r.dec.ReadToken()
	if err != nil {
		return keptText(cutMark), err
	}
	switch tok.Kind() {
	case jsontext.KindBeginObject:
		return r.object(depth + 1)
	case jsontext.KindBeginArray:
		return r.array(depth + 1)
	case jsontext.KindString:
		text := clipped(tok.String())
		r.left -= quoted(text)
		return keptText(text), nil
	}
	literal := tok.String()
	if len(literal) > longestText {
		return keptText(clipped(literal)), nil
	}
	r.left -= len(literal) + 1
	return keptScalar(literal), nil
}

// quoted is the length of a text as a JSON string and a comma.
func quoted(text string) int {
	n := len(`"",`)
	for i := range len(text) {
		n += escaped(text[i])
	}
	return n
}

// escaped is the length of a byte within a JSON string.
func escaped(c byte) int {
	switch {
	case c < ' ':
		return len(`\u0000`)
	case c == '"', c == '\\':
		return len(`\"`)
	}
	return 1
}

func (r *redactor) object(depth int) (any, error) {
	o := keptObject{cut: true}
	for r.dec.PeekKind() != jsontext.KindEndObject {
		if r.left <= 0 || depth > deepestKept {
			return o, errFull
		}
		name, err := r.dec.ReadToken()
		if err != nil {
			return o, err
		}
		m := keptMember{name: clipped(name.String())}
		r.left -= quoted(m.name)
		m.value, err = r.value(depth)
		o.members = append(o.members, m)
		if err != nil {
			return o, err
		}
	}
	o.cut = false
	_, err := r.dec.ReadToken()
	return o, err
}

func (r *redactor) array(depth int) (any, error) {
	a := keptArray{}
	for r.dec.PeekKind() != jsontext.KindEndArray {
		if len(a.elements) == mostKept {
			a.cut = true
			if err := r.dec.SkipValue(); err != nil {
				return a, err
			}
			continue
		}
		if r.left <= 0 || depth > deepestKept {
			a.cut = true
			return a, errFull
		}
		v, err := r.value(depth)
		a.elements = append(a.elements, v)
		if err != nil {
			a.cut = true
			return a, err
		}
	}
	_, err := r.dec.ReadToken()
	return a, err
}

// append writes a value without its secrets.
func (r *redactor) append(dst []byte, v any) []byte {
	switch v := v.(type) {
	case keptObject:
		return r.appendObject(dst, v)
	case keptArray:
		dst = append(dst, '[')
		for i, element := range v.elements {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = r.append(dst, element)
		}
		if v.cut {
			if len(v.elements) > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, cutMark)
		}
		return append(dst, ']')
	case keptText:
		return appendString(dst, r.text(string(v)))
	case keptScalar:
		return append(dst, v...)
	}
	return append(dst, "null"...)
}

// appendObject hides what has the name of a secret, and the value that another
// member says to be one: the path of an operation, the type of an element. Where
// that member may have been cut off, the value is hidden too.
func (r *redactor) appendObject(dst []byte, o keptObject) []byte {
	hidden := o.cut
	for _, m := range o.members {
		says := []string{"path", "type", "name", "key", "attribute"}
		if slices.Contains(says, strings.ToLower(m.name)) {
			hidden = hidden || r.mentions(texts(m.value))
		}
	}
	dst = append(dst, '{')
	for i, m := range o.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, r.filter(m.name)), ':')
		text, isText := m.value.(keptText)
		switch {
		case r.mentions(m.name), hidden && strings.EqualFold(m.name, "value"):
			dst = appendString(dst, redacted)
		case isText && (strings.EqualFold(m.name, "path") || strings.EqualFold(m.name, "filter")):
			dst = appendString(dst, r.filter(string(text)))
		default:
			dst = r.append(dst, m.value)
		}
	}
	if o.cut {
		if len(o.members) > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, cutMark), ":true"...)
	}
	return append(dst, '}')
}

// texts are the strings of a value that is one, or an array of them.
func texts(v any) string {
	var all []byte
	switch v := v.(type) {
	case keptText:
		return string(v)
	case keptArray:
		for _, element := range v.elements {
			all = append(append(all, texts(element)...), '\n')
		}
	}
	return string(all)
}

// mentions reports whether a name, or a text with names in it, may be of a secret.
func (r *redactor) mentions(text string) bool {
	return secretWords.in(text) || r.secrets != nil && r.secrets.in(text)
}

// text is a string without secrets: JSON within it that mentions one, or that is
// written with escapes and may, is hidden whole.
func (r *redactor) text(s string) string {
	trimmed := strings.TrimSpace(s)
	if (strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[")) && (strings.Contains(s, `\u`) || r.mentions(s)) {
		return redacted
	}
	return hideTokens(s)
}

// filter is a filter, a path or an address without secrets: one that names a secret
// and is more than names is hidden whole.
func (r *redactor) filter(s string) string {
	if strings.ContainsFunc(s, isNotName) && r.mentions(s) {
		return redacted
	}
	return hideTokens(s)
}

// isNotName reports whether c is in none of the names of attributes and endpoints,
// and does not part them.
func isNotName(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') && !strings.ContainsRune("_-$.:,/…", c)
}

// hideTokens hides a text that holds a secret of Muster's own, or a bearer token.
func hideTokens(s string) string {
	lower := strings.ToLower(s)
	for _, prefix := range tokenPrefixes {
		if strings.Contains(lower, prefix) {
			return redacted
		}
	}
	return s
}

// clipped is as much of a text as is kept of it.
func clipped(s string) string {
	n := 0
	for i := range len(s) {
		if n += escaped(s[i]); n > longestText {
			return strings.ToValidUTF8(s[:i], "") + cutMark
		}
	}
	return s
}
