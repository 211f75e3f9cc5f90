package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// An inversion is an expectation with one thing in it changed: whatever met the
// expectation must differ from it.
type inversion struct {
	what string // "status", "header Location", "body.emails[0].value"
	want Response
}

// other is put after texts, and in the place of what has no opposite.
const other = "~ inverted"

// invert returns want with its status, each header, each leaf of its body
// changed, one at a time.
func invert(want Response) ([]inversion, error) {
	changed := want
	changed.Status++
	all := []inversion{{"status", changed}}
	for _, name := range slices.Sorted(maps.Keys(want.Header)) {
		for i, pattern := range want.Header[name] {
			changed := want
			changed.Header = http.Header{name: slices.Clone(want.Header[name])}
			changed.Header[name][i] = invertText(pattern)
			all = append(all, inversion{"header " + name, changed})
		}
	}
	bodies, err := invertBody(want.Body)
	for _, body := range bodies {
		changed := want
		changed.Body = body.pattern
		all = append(all, inversion{"body" + body.at, changed})
	}
	return all, err
}

// invertText returns a pattern that matches no text that pattern matches.
func invertText(pattern string) string {
	switch pattern {
	case anything:
		return nothing
	case nothing:
		return anything
	}
	return pattern + other
}

// A leaf is the place of one value in a pattern, and the whole pattern with that
// value changed.
type leaf struct{ at, pattern string }

func invertBody(pattern string) ([]leaf, error) {
	switch pattern {
	case anything: // expects nothing
		return nil, nil
	case "":
		return []leaf{{"", `{"` + other + `":0}`}}, nil
	}
	root, err := decode([]byte(pattern))
	if err != nil {
		return nil, err
	}
	var leaves []leaf
	changeLeaves("", root, func(changed any, at string) {
		text, failed := json.Marshal(changed)
		if failed != nil {
			err = fmt.Errorf("%s: %w", at, failed)
		}
		leaves = append(leaves, leaf{at, string(text)})
	})
	return leaves, err
}

// changeLeaves calls yield with value as it would be with one of its leaves changed,
// for every leaf.
func changeLeaves(at string, value any, yield func(changed any, at string)) {
	switch value := value.(type) {
	case map[string]any:
		changeMembers(at, value, yield)
	case []any:
		changeElements(at, value, yield)
	case string:
		yield(invertText(value), at)
	case json.Number:
		yield(invertNumber(value), at)
	case bool:
		yield(!value, at)
	default:
		yield(other, at)
	}
}

// invertNumber returns another number. Numbers are compared as they are written.
func invertNumber(n json.Number) json.Number {
	if n == "0" {
		return "1" // 01 is no number
	}
	return n + "1"
}

func changeMembers(at string, object map[string]any, yield func(any, string)) {
	if len(object) == 0 {
		yield(other, at)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if name == anything {
			if len(object) == 1 {
				yield(other, at) // an object, whatever is in it
			}
			continue
		}
		changeLeaves(at+"."+name, object[name], func(changed any, at string) {
			whole := maps.Clone(object)
			whole[name] = changed
			yield(whole, at)
		})
	}
}

func changeElements(at string, array []any, yield func(any, string)) {
	if len(array) == 0 || len(array) == 1 && array[0] == anything {
		yield(other, at)
	}
	for i, element := range array {
		if element == anything && i == len(array)-1 {
			continue // more may follow
		}
		changeLeaves(fmt.Sprintf("%s[%d]", at, i), element, func(changed any, at string) {
			whole := slices.Clone(array)
			whole[i] = changed
			yield(whole, at)
		})
	}
}
