package scim

import "strings"

// Path is the target of a PATCH operation or the left side of a comparison
// (RFC 7644 §3.5.2, Figure 7): an attribute, or with a Filter those of its
// values that match, or with a Sub one sub-attribute of those values.
type Path struct {
	Name   string  // as written: may hold a URN and one sub-attribute
	Filter *Filter // between the brackets; nil if there are none
	Sub    string  // the sub-attribute after the brackets; "" if there is none
}

// String returns p as ParsePath reads it.
func (p Path) String() string { return string(p.append(nil)) }

func (p Path) append(dst []byte) []byte {
	dst = append(dst, p.Name...)
	if p.Filter != nil {
		dst = append(dst, '[')
		dst = p.Filter.append(dst)
		dst = append(dst, ']')
	}
	if p.Sub != "" {
		dst = append(dst, '.')
		dst = append(dst, p.Sub...)
	}
	return dst
}

// ParsePath reads the path of a PATCH operation (RFC 7644 §3.5.2, Figure 7), or
// an extension's URN. It is bounded as [ParseFilter] is. The error is an
// [*Error]: invalidFilter for what stands between brackets that are closed, else
// invalidPath.
func ParsePath(s string) (Path, error) {
	p, err := newParser("path", s)
	if err != nil {
		return Path{}, err
	}
	path, err := p.path()
	if err != nil {
		return Path{}, err
	}
	if p.tok.kind != tokenEnd {
		return Path{}, p.expected("the end of the path")
	}
	return path, nil
}

// path reads attrPath, attrPath "[" valFilter "]" or the latter with a
// sub-attribute. What may not have a space before it is checked here.
func (p *parser) path() (Path, error) {
	name := p.text()
	if p.tok.kind != tokenWord || !validName(name) {
		return Path{}, p.expected("an attribute name")
	}
	p.advance()
	path := Path{Name: name}
	if p.tok.kind != tokenOpenValue || p.spaced() {
		return path, nil
	}
	var err error
	if path.Filter, err = p.valueFilter(); err != nil {
		return Path{}, err
	}
	if p.tok.kind == tokenWord && !p.spaced() {
		path.Sub, err = p.subAttribute()
	}
	return path, err
}

// valueFilter reads "[" valFilter "]". Value paths do not nest (erratum 7322).
func (p *parser) valueFilter() (*Filter, error) {
	if p.inValue {
		return nil, p.refuse("a value path may not hold another")
	}
	outer := p.what
	p.inValue, p.what = true, "filter"
	f, err := p.nested(tokenCloseValue, `"]"`)
	p.inValue, p.what = false, outer
	return f, err
}

// subAttribute reads the "." and name that follow a "]".
func (p *parser) subAttribute() (string, error) {
	sub, dotted := strings.CutPrefix(p.text(), ".")
	if !dotted || !validAttributeName(sub) {
		return "", p.expected(`"." and a sub-attribute`)
	}
	p.advance()
	return sub, nil
}

// validName reports whether s has the form of an attrPath (RFC 7644 Figure 1)
// or of a schema's URN. Which part of a URN is the schema only the resource
// type knows: see [ResourceType.Resolve].
func validName(s string) bool {
	if hasPrefixFold(s, "urn:") {
		return validURN(s)
	}
	attr, sub, dotted := strings.Cut(s, ".")
	return validAttributeName(attr) && (!dotted || validAttributeName(sub))
}

// validAttributeName reports whether s is an ATTRNAME, in which "$" may stand
// anywhere (errata 8924: "$ref" is a name).
func validAttributeName(s string) bool {
	if s == "" || !isLetter(s[0]) && s[0] != '$' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '_' && c != '$' {
			return false
		}
	}
	return true
}

// validURN reports whether s holds only what a URN, a colon and an attribute
// name may hold (RFC 3986 Appendix A, without delimiters of ours).
func validURN(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && !isDigit(c) && strings.IndexByte("-._~:$%/!*+,;=@&", c) < 0 {
			return false
		}
	}
	last := s[len(s)-1]
	return isLetter(last) || isDigit(last) || last == '_' || last == '-' || last == '$'
}

func isLetter(c byte) bool { c = lowerByte(c); return 'a' <= c && c <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
