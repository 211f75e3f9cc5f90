package history

import (
	"strings"
	"testing"
)

func TestAMixedWordIsSpelt(t *testing.T) {
	for name, want := range map[string]string{
		"\u0430dmin":                             "Cyrillic U+0430, Latin U+0064 U+006D U+0069 U+006E",
		"admi\u0578@ringling.example":            "Latin U+0061 U+0064 U+006D U+0069, Armenian U+0578",
		"jamie@ringling.ex\u03b1mple":            "Latin U+0065 U+0078, Greek U+03B1, Latin U+006D U+0070 U+006C U+0065",
		"\u13a0dmin":                             "Cherokee U+13A0, Latin U+0064 U+006D U+0069 U+006E",
		"2\u0430\u03b12":                         "no script U+0032, Cyrillic U+0430, Greek U+03B1 U+0032",
		"a\u0301\u0430":                          "Latin U+0061 U+0301, Cyrillic U+0430",
		"x" + strings.Repeat("\u0430", 100):      "Latin U+0078, Cyrillic" + strings.Repeat(" U+0430", 31) + ", …",
		"first.last@\u0440aypal":                 "Cyrillic U+0440, Latin U+0061 U+0079 U+0070 U+0061 U+006C",
		"\uff41\u0430":                           "Latin U+FF41, Cyrillic U+0430",
		"\u0438\u0432\u0430\u043d\u006f\u0432@x": "Cyrillic U+0438 U+0432 U+0430 U+043D, Latin U+006F, Cyrillic U+0432",
	} {
		word, found := mixedWord(name)
		if !found || spelt(word) != want {
			t.Errorf("%q: got %t, %q, want %q", name, found, spelt(word), want)
		}
	}
}

func TestCustomaryNamesMixNoWord(t *testing.T) {
	for _, name := range []string{
		"", "admin", "jos\u00e9", "jose\u0301", "Zo\u00eb-42", "stra\u00dfe", "\u0130nan", // Latin
		"\u0438\u0432\u0430\u043d", "\u0438\u0432\u0430\u043d@ringling.example", "IT-\u043e\u0442\u0434\u0435\u043b", // a Russian, in an address, beside a Latin word
		"\u03bd\u03af\u03ba\u03bf\u03c2.smith", "\u00b5Torrent", // a Greek; the micro sign is of no script
		"\u5c71\u7530\u305f\u308d\u3046", "\u30b7\u30b9\u30c6\u30e0admin", "tanaka\u7530\u4e2d", "\u30b3\u30fc\u30c9A", // Japanese
		"\uae40minsu", "\uae40\u6c38\ud76c", "A\ud300", // Korean
		"wang\u738b\u4f1f", "\u5341\u3105x", // Chinese
		"\u0645\u062d\u0645\u062fali", "\u0e2a\u0e21\u0e0a\u0e32\u0e22X", "\u05d3\u05d5\u05d3a", "\u0930\u093e\u092ea", // Arabic, Thai, Hebrew, Devanagari beside Latin
		"\U0001f600admin", "12345", "\u0661admin", "\xff\xfe",
	} {
		if word, found := mixedWord(name); found {
			t.Errorf("%q: %q is said to mix scripts: %s", name, word, spelt(word))
		}
	}
}
