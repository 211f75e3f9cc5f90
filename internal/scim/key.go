package scim

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Key returns the form by which names are compared: two names are the same
// name exactly when their keys are equal bytes. It folds width, letter case and
// canonical composition, and is idempotent.
//
// Key refuses what would let two names look alike and differ, or break what
// shows them: controls, line separators, bidirectional formatting, zero-width
// and other invisible characters, unassigned code points and bytes that are
// not UTF-8. The error is an [*Error] with scimType invalidValue. Emoji
// presentation selectors (U+FE0E, U+FE0F) are allowed and do not count.
func Key(s string) (string, error) {
	plain, upper := scanASCII(s)
	if plain {
		if upper {
			s = lowerASCII(s)
		}
		return s, nil
	}
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			return "", BadValue("holds bytes that are not UTF-8")
		}
		if !allowedInName(r) {
			return "", BadValue("holds the character %U, which a name may not hold", r)
		}
	}
	return fold(s), nil
}

// Fold is [Key] without its refusals, for text that is searched but names
// nobody, such as an address of several lines. Where Key answers, they agree.
func Fold(s string) string {
	plain, upper := scanASCII(s)
	switch {
	case plain && upper:
		return lowerASCII(s)
	case plain:
		return s
	}
	return fold(s)
}

// scanASCII says whether s is printable ASCII, and if so whether it has
// upper-case letters.
func scanASCII(s string) (plain, upper bool) {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' {
			return false, false
		}
		if 'A' <= c && c <= 'Z' {
			upper = true
		}
	}
	return true, upper
}

// fold repeats its step until nothing changes: folding can decompose what NFC
// then composes into something that folds again. No string is known that needs
// a third step; the bound keeps a surprise in the tables from hanging a request.
func fold(s string) string {
	const steps = 8
	for range steps {
		next := norm.NFC.String(cases.Fold().String(norm.NFC.String(width.Fold.String(strings.Map(prefold, s)))))
		if next == s {
			break
		}
		s = next
	}
	return s
}

// prefold drops emoji presentation selectors and makes Cherokee lower-case,
// which folds to upper case: cases.Fold exchanges the two, so that without this
// the letters would have no stable key.
func prefold(r rune) rune {
	switch {
	case r == '\uFE0E' || r == '\uFE0F':
		return -1
	case 0x13A0 <= r && r <= 0x13EF:
		return r - 0x13A0 + 0xAB70
	case 0x13F0 <= r && r <= 0x13F5:
		return r + 8
	}
	return r
}

func allowedInName(r rune) bool {
	switch {
	case r == '\uFE0E' || r == '\uFE0F':
		return true
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // visible, though in category Cf
		return true
	}
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Cn, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// textRule is what a string attribute may hold.
type textRule uint8

const (
	textFree  textRule = iota // anything but NUL
	textShown                 // a person's name: no controls, no bidirectional formatting; joiners are letters' business
	textName                  // identifies: what Key allows, not blank, at most maxName bytes
	textUser                  // a user name: textName, and each part of it in one direction
)

// maxName bounds strings that identify, in bytes, so that they fit an index.
const maxName = 1024

func ruleFor(a *Attribute) textRule {
	switch a.Path {
	case "userName":
		return textUser
	case "externalId", "emails.value":
		return textName
	case "displayName":
		if a.Required { // Group
			return textName
		}
		return textShown
	case "nickName":
		return textShown
	}
	if strings.HasPrefix(a.Path, "name.") {
		return textShown
	}
	return textFree
}

// check refuses a string that a's rule does not allow.
func (a *Attribute) check(s string) error {
	switch a.text {
	case textName:
		return checkName(a, s)
	case textUser:
		if err := checkName(a, s); err != nil {
			return err
		}
		return checkDirection(a, s)
	case textShown:
		if i := strings.IndexFunc(s, spoofs); i >= 0 {
			r, _ := utf8.DecodeRuneInString(s[i:])
			return BadValue("%s holds the character %U, which a name may not hold", a.Path, r)
		}
	default:
		if strings.IndexByte(s, 0) >= 0 {
			return BadValue("%s holds the character U+0000", a.Path)
		}
	}
	return nil
}

func checkName(a *Attribute, s string) error {
	if len(s) > maxName {
		return BadValue("%s is longer than %d bytes", a.Path, maxName)
	}
	if plain, _ := scanASCII(s); !plain {
		if _, err := Key(s); err != nil {
			return err.(*Error).Prefix("%s", a.Path)
		}
	}
	if s != "" && strings.TrimSpace(s) == "" {
		return BadValue("%s is blank", a.Path)
	}
	return nil
}

// checkDirection holds a user name against the Bidi rule, as RFC 8265 §3.3 asks:
// letters of both directions in one part are shown in an order that another name may
// have too. Parts are what spaces separate, and the labels of a domain after the "@".
func checkDirection(a *Attribute, s string) error {
	if plain, _ := scanASCII(s); plain {
		return nil
	}
	local, domain := s, ""
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		local, domain = s[:at], s[at+1:]
	}
	for _, part := range append(strings.Fields(local), strings.Split(domain, ".")...) {
		if bidirule.DirectionString(part) == bidi.RightToLeft && !bidirule.ValidString(part) {
			return BadValue("%s mixes letters that are read from the left and from the right (RFC 5893 §2)", a.Path)
		}
	}
	return nil
}

// spoofs reports controls other than line breaks and tabs, and characters that
// reorder the text after them.
func spoofs(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return false
	case r < ' ' || 0x7F <= r && r < 0xA0:
		return true
	}
	return 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069
}
