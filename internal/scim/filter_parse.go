package scim

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a filter or path. They are far above what provisioning clients
// send, and what keeps a hostile one from costing memory or stack.
const (
	maxFilterBytes = 8 << 10
	maxFilterNodes = 64 // comparisons, value paths, and, or, not
	maxFilterDepth = 16 // parentheses and brackets, one inside another
)

const operators = "eq, ne, co, sw, ew, gt, ge, lt, le or pr"

// ParseFilter reads a filter (RFC 7644 §3.4.2.2, Figure 1; errata 7319, 7322).
// It also reads what provisioning clients customarily send and the grammar
// lacks: values without quotes (Q26), a comparison after a value path (Q24), a
// string right behind its operator (as RFC 7644 §3.5.2.2 itself prints one) and
// extra spaces; [Filter.Bind] refuses all but the last on a strict connection.
//
// A filter is at most 8 KiB, has at most 64 nodes and nests at most 16 levels;
// nothing recurses deeper. The error is an [*Error] with scimType invalidFilter
// that names the position, what stands there and what was expected.
func ParseFilter(s string) (*Filter, error) {
	p, err := newParser("filter", s)
	if err != nil {
		return nil, err
	}
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, p.expected(`"and", "or" or the end of the filter`)
	}
	return f, nil
}

// parser is a recursive descent over the tokens of one filter or path, with
// one token of look-ahead.
type parser struct {
	lexer
	whole   string // "filter" or "path": what source is
	what    string // the same, or "filter" within a path's brackets: what is being read, for errors
	tok     token
	before  int // where the token before tok ended
	nodes   int
	depth   int
	inValue bool // between brackets
}

func newParser(what, s string) (*parser, error) {
	p := &parser{lexer: lexer{source: s}, whole: what, what: what}
	if len(s) > maxFilterBytes {
		return nil, p.error("a %s is longer than %d bytes", what, maxFilterBytes)
	}
	if !utf8.ValidString(s) {
		return nil, p.error("a %s holds bytes that are not UTF-8", what)
	}
	p.advance()
	return p, nil
}

func (p *parser) advance() {
	p.before = p.tok.end
	p.tok = p.next()
}

// text returns the current token as written.
func (p *parser) text() string { return p.source[p.tok.at:p.tok.end] }

// spaced reports whether a space precedes the current token.
func (p *parser) spaced() bool { return p.tok.at > p.before }

// or reads terms joined by "or", which binds less than "and".
func (p *parser) or() (*Filter, error) { return p.join(Or, p.and) }

func (p *parser) and() (*Filter, error) { return p.join(And, p.term) }

// join reads one or more of what term reads, with op between them, as one
// node: both operators are associative.
func (p *parser) join(op Op, term func() (*Filter, error)) (*Filter, error) {
	f, err := term()
	if err != nil || !p.isWord(op.String()) {
		return f, err
	}
	joined, err := p.node(op)
	if err != nil {
		return nil, err
	}
	joined.Terms = f.termsOf(op)
	for p.isWord(op.String()) {
		if err := p.keyword(); err != nil {
			return nil, err
		}
		f, err := term()
		if err != nil {
			return nil, err
		}
		joined.Terms = append(joined.Terms, f.termsOf(op)...)
	}
	return joined, nil
}

// termsOf returns f, or its terms if it is an op itself.
func (f *Filter) termsOf(op Op) []*Filter {
	if f.Op == op {
		return f.Terms
	}
	return []*Filter{f}
}

// keyword moves past an "and" or "or", which stands between spaces.
func (p *parser) keyword() error {
	word := p.text()
	if !p.spaced() {
		return p.expected("a space before " + strconv.Quote(word))
	}
	p.advance()
	if !p.spaced() {
		return p.expected("a space and an expression after " + strconv.Quote(word))
	}
	return nil
}

// term reads a comparison, a value path, a group or its negation.
func (p *parser) term() (*Filter, error) {
	switch {
	case p.tok.kind == tokenOpen:
		return p.nested(tokenClose, `")"`)
	case p.isWord("not"):
		return p.not()
	}
	return p.comparison()
}

// nested reads an expression between the current token and a closing one. It
// is the only way to a deeper level of recursion.
func (p *parser) nested(closing tokenKind, name string) (*Filter, error) {
	if p.depth == maxFilterDepth {
		return nil, p.refuse("more than %d levels of parentheses and brackets", maxFilterDepth)
	}
	p.depth++
	p.advance()
	f, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != closing {
		return nil, p.expected(`"and", "or" or ` + name)
	}
	p.depth--
	p.advance()
	return f, nil
}

// not reads the parentheses after "not", with or without a space between
// (erratum 7319).
func (p *parser) not() (*Filter, error) {
	p.advance()
	if p.tok.kind != tokenOpen {
		return nil, p.expected(`"(" after "not"`)
	}
	f, err := p.node(Not)
	if err != nil {
		return nil, err
	}
	term, err := p.nested(tokenClose, `")"`)
	f.Terms = []*Filter{term}
	return f, err
}

// comparison reads attrExp or valuePath (RFC 7644 Figure 1), and a comparison
// of a sub-attribute of a value path (Q24).
func (p *parser) comparison() (*Filter, error) {
	f, err := p.node(Has)
	if err != nil {
		return nil, err
	}
	if f.Path, err = p.path(); err != nil {
		return nil, err
	}
	if f.Path.Filter != nil && f.Path.Sub == "" {
		return f, nil
	}
	if f.Op, err = p.operator(); err != nil || f.Op == Pr {
		return f, err
	}
	return f, p.value(f)
}

func (p *parser) operator() (Op, error) {
	if p.tok.kind != tokenWord {
		return 0, p.expected("an operator: " + operators)
	}
	word := p.text()
	op, ok := attributeOp(word)
	if !ok {
		return 0, p.refuse("the operator %q is not supported: use %s", clip(word), operators)
	}
	p.advance()
	return op, nil
}

// attributeOp finds an operator of Table 3 in any letter case.
func attributeOp(word string) (Op, bool) {
	if len(word) != 2 {
		return 0, false
	}
	for op := Pr; op <= Le; op++ {
		if equalFoldASCII(word, opNames[op]) {
			return op, true
		}
	}
	return 0, false
}

// value reads the right side of the comparison f.
func (p *parser) value(f *Filter) (err error) {
	if p.tok.kind != tokenEnd && !p.spaced() {
		if p.tok.kind != tokenString {
			return p.expected("a space before the value")
		}
		f.unspaced = true
	}
	switch word := p.text(); {
	case p.tok.kind == tokenString:
		f.Value, err = p.unquote(word)
	case p.tok.kind != tokenWord:
		return p.expected("a value")
	case word == "true":
		f.Value = true
	case word == "false":
		f.Value = false
	case word == "null":
		f.Value = nil
	case isNumber(word):
		f.literal = word
		f.Value, err = p.number(word)
	case isBareValue(word):
		f.Value, f.Bare = word, true
	default:
		return p.expected("a value in double quotes, a number, true, false or null")
	}
	if err == nil {
		p.advance()
	}
	return err
}

// unquote reads a JSON string. Escapes that are none of JSON's, controls and
// lone surrogates are refused.
func (p *parser) unquote(quoted string) (string, error) {
	inner := quoted[1 : len(quoted)-1]
	if strings.IndexFunc(inner, mayNeedUnquote) < 0 {
		return inner, nil
	}
	s, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return "", p.refuse("%s is not a JSON string: an escape or a control character is wrong", clip(quoted))
	}
	return string(s), nil
}

func mayNeedUnquote(r rune) bool { return r == '\\' || r < ' ' }

// number reads a JSON number: an int64 if it is integral and fits.
func (p *parser) number(word string) (any, error) {
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n, nil
	}
	x, err := strconv.ParseFloat(word, 64)
	if errors.Is(err, strconv.ErrRange) || math.IsInf(x, 0) {
		return nil, p.refuse("the number %s is out of range", clip(word))
	}
	return x, nil
}

// isNumber reports whether s is a number of JSON (RFC 8259 §6).
func isNumber(s string) bool {
	c := s[len(s)-1]
	return isDigit(c) && (isDigit(s[0]) || s[0] == '-') && jsontext.Value(s).IsValid()
}

// isBareValue reports whether s, which no quotes enclose, is meant as a string
// (Q26). A quote or a backslash is more likely a mistake, and a keyword is the
// next expression: their meaning would be a guess.
func isBareValue(s string) bool {
	for _, word := range [...]string{"and", "or", "not"} {
		if strings.EqualFold(s, word) {
			return false
		}
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return strings.ContainsRune("'`\\,“”‘’", r) || !unicode.IsPrint(r)
	}) < 0
}

// isWord reports whether the current token is the keyword, in any letter case.
func (p *parser) isWord(keyword string) bool {
	return p.tok.kind == tokenWord && p.tok.end-p.tok.at == len(keyword) && equalFoldASCII(p.text(), keyword)
}

func (p *parser) node(op Op) (*Filter, error) {
	if p.nodes == maxFilterNodes {
		return nil, p.refuse("more than %d expressions", maxFilterNodes)
	}
	p.nodes++
	return &Filter{Op: op}, nil
}

// expected refuses the current token and says what should stand there. A path that
// ends within its brackets is wrong as a path.
func (p *parser) expected(what string) *Error {
	switch p.tok.kind {
	case tokenEnd:
		p.what = p.whole
		return p.refuse("it ends, expected %s", what)
	case tokenUnterminated:
		return p.refuse("the string that begins here has no closing quote")
	}
	return p.refuse("found %q, expected %s", clip(p.text()), what)
}

// refuse is an error at the current token.
func (p *parser) refuse(format string, args ...any) *Error {
	return p.error(format, args...).Prefix("%s, character %d", p.what, p.character(p.tok.at))
}

func (p *parser) error(format string, args ...any) *Error {
	if p.what == "path" {
		return BadPath(format, args...)
	}
	return BadFilter(format, args...)
}
