package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds the nesting of any document read here.
const maxDepth = 16

// decode reads one JSON object into v. Duplicate names, names that differ in case only, at
// any depth, invalid UTF-8 and trailing text are errors; members that v lacks are not.
func decode(document []byte, v any) error {
	if err := checkNames(document); err != nil {
		return err
	}
	return json.Unmarshal(document, v)
}

// checkNames walks document and refuses objects in which two names differ in case only.
// The decoder itself refuses equal ones.
func checkNames(document []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(document))
	var open []map[string]bool // the folded names of each open object; nil for an array
	for {
		token, err := decoder.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch kind := token.Kind(); {
		case kind == '{':
			open = append(open, map[string]bool{})
		case kind == '[':
			open = append(open, nil)
		case kind == '}' || kind == ']':
			open = open[:len(open)-1]
		case isName(decoder):
			if err := addName(open[len(open)-1], token.String()); err != nil {
				return err
			}
		}
		if len(open) > maxDepth {
			return fmt.Errorf("nested deeper than %d", maxDepth)
		}
	}
}

// isName reports whether the token just read is the name of an object member: names and
// values are counted separately, so the count is odd after a name.
func isName(decoder *jsontext.Decoder) bool {
	kind, count := decoder.StackIndex(decoder.StackDepth())
	return kind == '{' && count%2 == 1
}

func addName(names map[string]bool, name string) error {
	folded := strings.Map(foldRune, name)
	if names[folded] {
		return fmt.Errorf("name %.40q differs from another in case only", name)
	}
	names[folded] = true
	return nil
}

// foldRune returns the least of the characters that Unicode simple folding holds equal to
// r: 'K' for 'K', 'k' and the Kelvin sign.
func foldRune(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}
