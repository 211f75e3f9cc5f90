package scim

import "strconv"

// Op is an operator of a filter (RFC 7644 §3.4.2.2, Tables 3 to 5).
type Op uint8

// The operators. Has is a value path, "emails[…]": one element matches as a whole.
const (
	And Op = iota + 1
	Or
	Not
	Has
	Pr
	Eq
	Ne
	Co
	Sw
	Ew
	Gt
	Ge
	Lt
	Le
)

var opNames = [...]string{"", "and", "or", "not", "has", "pr", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}

// String returns the keyword of op.
func (op Op) String() string { return opNames[op] }

// Filter is a node of a filter expression (RFC 7644 §3.4.2.2). ParseFilter
// gives the form that was written; Bind gives a copy that knows what the names
// mean and can be matched or compiled. A Filter never changes once made.
type Filter struct {
	Op    Op
	Terms []*Filter // And, Or: two or more, none of the same Op; Not: one
	Path  Path      // all others; the element filter of Has is Path.Filter

	// Value is the right side of a comparison: string, int64, float64, Decimal, bool
	// or nil. Bind gives it the attribute's type: "True" becomes true.
	Value any
	Bare  bool // a string written without quotes (Q26)

	// Ref is what Path means; inside brackets Ref.Attr is the parent, and
	// Ref.Sub is nil only where "value" means an element that is no object.
	// Set by Bind.
	Ref Ref
	// Notes are what lenience repaired in the filter as it was written. Bind sets
	// them at the root.
	Notes []Note
	// Operand is what is compared: Value, or the [Fold] of a caseExact=false
	// string, or the time.Time of a dateTime. Set by Bind.
	Operand any

	literal  string // a number as written
	unspaced bool   // no space stands before the value, as in one of RFC 7644 §3.5.2.2's examples
}

// String returns f in canonical form: lower-case operators, single spaces, the
// fewest parentheses, strings in quotes. ParseFilter reads it as the same filter.
func (f *Filter) String() string { return string(f.append(nil)) }

// Reads reports whether f, which is bound, compares an attribute that ref means: with
// all its sub-attributes, or the one that ref names.
func (f *Filter) Reads(ref Ref) bool {
	for _, term := range f.Terms {
		if term.Reads(ref) {
			return true
		}
	}
	switch {
	case f.Ref.Absent || f.Op <= Not:
		return false
	case ref.Whole:
		return f.Ref.Extension == ref.Extension
	case f.Op == Has && f.Path.Filter.Reads(ref):
		return true
	}
	return f.Ref.Attr == ref.Attr && (ref.Sub == nil || f.Ref.Sub == ref.Sub)
}

func (f *Filter) append(dst []byte) []byte {
	switch f.Op {
	case And, Or:
		for i, term := range f.Terms {
			if i > 0 {
				dst = append(dst, ' ')
				dst = append(dst, f.Op.String()...)
				dst = append(dst, ' ')
			}
			dst = term.appendTerm(dst, f.Op == And && term.Op == Or)
		}
		return dst
	case Not:
		return f.Terms[0].appendTerm(append(dst, "not "...), true)
	}
	dst = f.Path.append(dst)
	if f.Op == Has {
		return dst
	}
	dst = append(dst, ' ')
	dst = append(dst, f.Op.String()...)
	if f.Op == Pr {
		return dst
	}
	return f.appendValue(append(dst, ' '))
}

func (f *Filter) appendTerm(dst []byte, parentheses bool) []byte {
	if !parentheses {
		return f.append(dst)
	}
	return append(f.append(append(dst, '(')), ')')
}

func (f *Filter) appendValue(dst []byte) []byte {
	if f.literal != "" {
		return append(dst, f.literal...)
	}
	switch v := f.Value.(type) {
	case string:
		return appendQuoted(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	case Decimal:
		return append(dst, v...)
	}
	return append(dst, "null"...)
}

// appendQuoted appends s as a JSON string that escapes only what it must.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
