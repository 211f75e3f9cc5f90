package history

import (
	"fmt"
	"strings"
	"unicode"
)

// A script is one whose letters look like those of another here.
type script struct {
	name   string
	ranges *unicode.RangeTable
}

// alike are the scripts that a word does not mix by nature. Others with Latin are
// customary, Han, kana and Hangul most of all, and no letter of theirs passes for one
// of these (Unicode UTS #39, §5.2: Moderately Restrictive, which leaves these out).
var alike = []script{
	{"Latin", unicode.Latin}, {"Cyrillic", unicode.Cyrillic}, {"Greek", unicode.Greek}, {"Armenian", unicode.Armenian}, {"Cherokee", unicode.Cherokee},
}

// scriptOf is that one of alike whose letter c is, or the zero script.
func scriptOf(c rune) script {
	for _, s := range alike {
		if unicode.Is(s.ranges, c) {
			return s
		}
	}
	return script{}
}

// mixedWord is the first word of a name whose letters are of several of alike. The
// name may have words of different scripts: a person's in an address, for one.
func mixedWord(name string) (word string, found bool) {
	for word := range strings.FieldsFuncSeq(name, isNotWord) {
		var first script
		for _, c := range word {
			switch s := scriptOf(c); {
			case s.name == "":
			case first.name == "":
				first = s
			case s.name != first.name:
				return word, true
			}
		}
	}
	return "", false
}

func isNotWord(c rune) bool {
	return !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsNumber(c)
}

// mostSpelt is how many characters of a word are spelt out.
const mostSpelt = 32

// spelt is a word as its code points, by the scripts in which they follow one
// another: "Cyrillic U+0430, Latin U+0064 U+006D U+0069 U+006E". What is of none
// stands with what it follows.
func spelt(word string) string {
	var parts []string
	last, n := "", 0
	for _, c := range word {
		if n++; n > mostSpelt {
			parts = append(parts, "…")
			break
		}
		if s := scriptOf(c); s.name != "" && s.name != last {
			last = s.name
			parts = append(parts, last)
		} else if len(parts) == 0 {
			parts = append(parts, "no script")
		}
		parts[len(parts)-1] += fmt.Sprintf(" %U", c)
	}
	return strings.Join(parts, ", ")
}

// mixesScripts: a person's or group's name was taken that can pass for another.
func mixesScripts(rd *reading) (string, bool) {
	attribute := "userName"
	if rd.writes("Groups") {
		attribute = "displayName"
	} else if !rd.writes("Users") {
		return "", false
	}
	name := rd.value(attribute)
	word, found := mixedWord(name)
	if !found || !rd.done() {
		return "", false
	}
	return fmt.Sprintf("%s %.100q: %.*s is %s", attribute, name, mostSpelt, word, spelt(word)), true
}
