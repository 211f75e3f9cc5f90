package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	anything = "..."  // stands in a pattern for whatever is there
	nothing  = "!..." // as a member's value or a header: it must not be there
)

// captures are the values that a transcript's names stand for so far.
type captures map[string]string

var capture = regexp.MustCompile(`\{([a-z][A-Za-z0-9]*)\}`)

// fill puts the captured values in the place of their names.
func (c captures) fill(text string) (string, error) {
	var missing error
	filled := capture.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := c[name[1:len(name)-1]]
		if !ok {
			missing = fmt.Errorf("%s has not been captured", name)
		}
		return value
	})
	return filled, missing
}

// matchText compares got with a pattern and captures what its new names stand for.
func (c captures) matchText(pattern, got string) error {
	if pattern == anything {
		return nil
	}
	var expression strings.Builder
	var fresh []string
	rest := pattern
	for {
		at := capture.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		expression.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		name := rest[at[2]:at[3]]
		if value, known := c[name]; known {
			expression.WriteString(regexp.QuoteMeta(value))
		} else {
			expression.WriteString(`(.+)`)
			fresh = append(fresh, name)
		}
		rest = rest[at[1]:]
	}
	expression.WriteString(regexp.QuoteMeta(rest))
	found := regexp.MustCompile(`(?s)^` + expression.String() + `$`).FindStringSubmatch(got)
	if found == nil {
		want, _ := c.fillKnown(pattern)
		return fmt.Errorf("got %q, want %q", got, want)
	}
	for i, name := range fresh {
		c[name] = found[i+1]
	}
	return nil
}

// fillKnown fills in what is known, for messages.
func (c captures) fillKnown(pattern string) (string, bool) {
	all := true
	text := capture.ReplaceAllStringFunc(pattern, func(name string) string {
		if value, ok := c[name[1:len(name)-1]]; ok {
			return value
		}
		all = false
		return name
	})
	return text, all
}

// matchHeader compares the value of a header, "" for one that is not there.
func (c captures) matchHeader(pattern, got string) error {
	switch {
	case pattern == anything && got == "":
		return errors.New("is missing")
	case pattern == nothing && got != "":
		return fmt.Errorf("got %q, want nothing there", got)
	case pattern == nothing:
		return nil
	}
	return c.matchText(pattern, got)
}

// matchBody compares a JSON body with its pattern.
func (c captures) matchBody(pattern string, body []byte) error {
	if pattern == anything {
		return nil
	}
	if pattern == "" {
		if len(body) != 0 {
			return fmt.Errorf("got a body, want none: %s", body)
		}
		return nil
	}
	want, err := decode([]byte(pattern))
	if err != nil {
		return err
	}
	got, err := decode(body)
	if err != nil {
		return fmt.Errorf("the body is not JSON: %w: %q", err, body)
	}
	return c.matchValue("", want, got)
}

func decode(text []byte) (any, error) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&value)
	return value, err
}

func (c captures) matchValue(at string, want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		return c.matchObject(at, want, got)
	case []any:
		return c.matchArray(at, want, got)
	case string:
		switch want {
		case anything:
			return nil
		case nothing:
			return fmt.Errorf("%s: got %s, want nothing there", at, show(got))
		}
		text, ok := got.(string)
		if !ok {
			return fmt.Errorf("%s: got %v, want %q", at, show(got), want)
		}
		if err := c.matchText(want, text); err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		return nil
	}
	if want != got {
		return fmt.Errorf("%s: got %s, want %s", at, show(got), show(want))
	}
	return nil
}

func (c captures) matchObject(at string, want map[string]any, got any) error {
	object, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: got %s, want an object", at, show(got))
	}
	_, open := want[anything]
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if name == anything {
			continue
		}
		value, present := object[name]
		if !present && want[name] == nothing {
			continue
		}
		if !present {
			return fmt.Errorf("%s.%s is missing in %s", at, name, show(got))
		}
		if err := c.matchValue(at+"."+name, want[name], value); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if _, expected := want[name]; !expected && !open {
			return fmt.Errorf("%s.%s is not expected: %s", at, name, show(object[name]))
		}
	}
	return nil
}

func (c captures) matchArray(at string, want []any, got any) error {
	elements, ok := got.([]any)
	if !ok {
		return fmt.Errorf("%s: got %s, want an array", at, show(got))
	}
	open := len(want) > 0 && want[len(want)-1] == anything
	if open {
		want = want[:len(want)-1]
	}
	if len(elements) < len(want) || !open && len(elements) > len(want) {
		return fmt.Errorf("%s: got %d elements, want %d: %s", at, len(elements), len(want), show(got))
	}
	for i := range want {
		if err := c.matchValue(fmt.Sprintf("%s[%d]", at, i), want[i], elements[i]); err != nil {
			return err
		}
	}
	return nil
}

func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
