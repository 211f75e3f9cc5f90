package scim

import (
	"maps"
	"slices"
)

// Equal reports whether a and b hold the same attributes with the same
// values, so that a change that changes nothing can be told from one that does.
// Letter case and the order of elements count.
func Equal(a, b Resource) bool { return maps.EqualFunc(a, b, equalValue) }

func equalValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalValue)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalValue)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}
