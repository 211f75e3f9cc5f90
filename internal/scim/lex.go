package scim

import "unicode/utf8"

// tokenKind is what a token of a filter or path is.
type tokenKind uint8

const (
	tokenEnd          tokenKind = iota
	tokenWord                   // a name, an operator, a number, a literal or a bare value
	tokenString                 // with its quotes and escapes, as written
	tokenUnterminated           // a string whose closing quote is missing
	tokenOpen                   // (
	tokenClose                  // )
	tokenOpenValue              // [
	tokenCloseValue             // ]
)

// token is a piece of the source: source[at:end].
type token struct {
	kind    tokenKind
	at, end int
}

// lexer splits a filter or path into tokens. It decides only where a token
// ends: whether a word is a name, an operator or a value depends on its place,
// and a URN's colons and dots belong to its word (RFC 7644 §3.10).
type lexer struct {
	source string
	at     int
}

// next returns the token that follows, after any spaces.
func (l *lexer) next() token {
	for l.at < len(l.source) && isSpace(l.source[l.at]) {
		l.at++
	}
	start := l.at
	kind := l.skip()
	return token{kind, start, l.at}
}

// skip moves over one token.
func (l *lexer) skip() tokenKind {
	if l.at == len(l.source) {
		return tokenEnd
	}
	switch l.source[l.at] {
	case '"':
		return l.skipString()
	case '(':
		l.at++
		return tokenOpen
	case ')':
		l.at++
		return tokenClose
	case '[':
		l.at++
		return tokenOpenValue
	case ']':
		l.at++
		return tokenCloseValue
	}
	for l.at < len(l.source) && !endsWord(l.source[l.at]) {
		l.at++
	}
	return tokenWord
}

// skipString moves over a JSON string; escapes are judged by unquote.
func (l *lexer) skipString() tokenKind {
	for l.at++; l.at < len(l.source); l.at++ {
		switch l.source[l.at] {
		case '\\':
			l.at++
		case '"':
			l.at++
			return tokenString
		}
	}
	l.at = len(l.source) // a final backslash went past it
	return tokenUnterminated
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func endsWord(c byte) bool {
	switch c {
	case ' ', '\t', '"', '(', ')', '[', ']':
		return true
	}
	return false
}

// character returns the 1-based position, in characters, of the byte at.
func (l *lexer) character(at int) int { return utf8.RuneCountInString(l.source[:at]) + 1 }
