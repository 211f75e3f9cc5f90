package scim

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestKeyMakesOneNameOfTwoSpellings(t *testing.T) {
	cases := []struct {
		story, a, b string
		same        bool
	}{
		{"letter case", "BJensen", "bjensen", true},
		{"sharp s", "straße", "STRASSE", true},
		{"long s", "ſam", "SAM", true},
		{"ligature", "ﬁnn", "FINN", true},
		{"Kelvin sign", "\u212Aarl", "karl", true},
		{"composed and decomposed", "zo\u00EB", "zoe\u0308", true},
		{"marks in another order", "a\u0323\u0307", "a\u0307\u0323", true},
		{"full width", "ＡＤＭＩＮ", "admin", true},
		{"half-width kana", "ｶﾞ", "ガ", true},
		{"final sigma", "ΟΔΟΣ", "οδος", true},
		{"emoji presentation", "\u2764\uFE0F Team", "\u2764 team", true},
		{"Cherokee", "\uAB70\u13F8", "\u13A0\u13F0", true},
		{"dotted capital I", "İ", "i", false},
		{"dotless i", "ı", "i", false},
		{"Cyrillic a", "\u0430dmin", "admin", false},
		{"inner space", "a b", "ab", false},
	}
	for _, c := range cases {
		a, errA := Key(c.a)
		b, errB := Key(c.b)
		if errA != nil || errB != nil {
			t.Errorf("%s: Key(%q), Key(%q): %v, %v", c.story, c.a, c.b, errA, errB)
			continue
		}
		if (a == b) != c.same {
			t.Errorf("%s: Key(%q) = %q, Key(%q) = %q; want same = %v", c.story, c.a, a, c.b, b, c.same)
		}
	}
}

func TestKeyRefusesWhatCannotBeSeen(t *testing.T) {
	for story, s := range map[string]string{
		"NUL":                    "a\x00b",
		"newline":                "a\nb",
		"delete":                 "a\x7fb",
		"C1 control":             "a\u0085b",
		"line separator":         "a\u2028b",
		"zero-width space":       "a\u200Bb",
		"zero-width joiner":      "a\u200Db",
		"byte order mark":        "\uFEFFa",
		"soft hyphen":            "a\u00ADb",
		"right-to-left override": "a\u202Eb",
		"isolate":                "a\u2066b",
		"left-to-right mark":     "a\u200Eb",
		"tag":                    "a\U000E0041b",
		"Hangul filler":          "a\u3164b",
		"grapheme joiner":        "a\u034Fb",
		"Mongolian separator":    "a\u180Eb",
		"unassigned":             "a\u0378b",
		"noncharacter":           "a\uFFFFb",
		"invalid UTF-8":          "a\xffb",
		"surrogate in UTF-8":     "a\xed\xa0\x80b",
	} {
		key, err := Key(s)
		refused, ok := err.(*Error)
		if !ok || refused.Type != "invalidValue" {
			t.Errorf("%s: Key(%q) = %q, %v; want invalidValue", story, s, key, err)
		}
	}
}

func TestKeyLeavesReplacementCharacterAlone(t *testing.T) {
	if _, err := Key("a\uFFFDb"); err != nil {
		t.Errorf("U+FFFD itself is a valid character: %v", err)
	}
}

// TestAbuse_I14: a key that has a key of its own would let a second name slip past.
func TestAbuse_I14(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkKey(t, rapid.String().Draw(t, "name")) })
	marks := rapid.StringOf(rapid.SampledFrom([]rune("aAßſİıΣςſtﬅᾳᾼ\u0345\u0301\u0308\u0307\u0327ΐΰǰẖﾞﾟｶガ")))
	rapid.Check(t, func(t *rapid.T) { checkKey(t, marks.Draw(t, "name")) })
}

// Han and Hangul have neither case nor width nor surprises, and are many.
func TestEveryCharacterHasAnIdempotentKey(t *testing.T) {
	for r := range utf8.MaxRune {
		if allowedInName(r) && !unicode.In(r, unicode.Han, unicode.Hangul, unicode.Co) {
			checkKey(t, "a"+string(r)+"\u0301")
		}
	}
}

func checkKey(t interface {
	Helper()
	Fatalf(string, ...any)
}, s string) {
	t.Helper()
	key, err := Key(s)
	if err != nil {
		if folded := Fold(s); Fold(folded) != folded {
			t.Fatalf("Fold(%q) = %q, whose Fold is %q", s, folded, Fold(folded))
		}
		return
	}
	again, err := Key(key)
	if err != nil || again != key {
		t.Fatalf("Key(%q) = %q, whose key is %q, %v", s, key, again, err)
	}
	if folded := Fold(s); folded != key {
		t.Fatalf("Key(%q) = %q but Fold is %q", s, key, folded)
	}
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"bjensen", "STRASSE", "ﬁnn", "zoe\u0308", "ＡＤＭＩＮ", "a\u202Eb", "a\xffb", strings.Repeat("ᾳ\u0345", 50)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkKey(t, s) })
}

// A part of a user name is read in one direction (RFC 8265 §3.3, V03 of the checklist).
func TestUserNamesAreReadInOneDirection(t *testing.T) {
	userName := UserType().Core.Attribute("userName")
	for name, allowed := range map[string]bool{
		"bjensen": true, "100%_a": true, "-a@x.example": true, "漢字 😀": true, "e\u0301va": true, "Zoë 2": true,
		"\u05d3\u05d5\u05d3": true, "\u05d3\u05d5\u05d3@example.com": true, "\u05d3\u05d5\u05d3 smith@example.com": true,
		"bjensen@\u05d3\u05d5\u05d3.example": true, "\u05d31": true, "\u0645\u062d\u0645\u062f": true,
		"a\u05d0b": false, "\u05d0b": false, "a\u05d0": false, "1\u05d0": false, "a\u05d0@example.com": false,
		"bjensen@a\u05d0.example": false, "\u05d3.b@example.com": false, "x \u05d0b": false,
	} {
		if err := userName.check(name); (err == nil) != allowed {
			t.Errorf("userName %q: got %v, want allowed %t", name, err, allowed)
		}
	}
	if err := UserType().Core.Attribute("externalId").check("a\u05d0b"); err != nil {
		t.Errorf("an externalId is an identifier of another directory: %v", err)
	}
}
