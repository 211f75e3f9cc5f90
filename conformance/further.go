package conformance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A service provider may have schemas, resource types and extensions beside those that
// a transcript expects (RFC 7643 §3.3, §6, §7). A run on a live one leaves them out
// before an answer is compared, so that the expectations stay exact in all else.

// furtherBy are the lists of discovery documents that others may add to, and the
// members by which their elements are told apart.
var furtherBy = map[string]string{"Resources": "id", "schemaExtensions": "schema"}

// withoutFurther leaves out of the answer to a step that reads resource types or
// schemas what its expectation does not name, in whatever order it comes. Anything that
// cannot be told apart stays.
func (c captures) withoutFurther(step Step, answer Answer) Answer {
	read := strings.HasPrefix(step.Request.Target, "/ResourceTypes") || strings.HasPrefix(step.Request.Target, "/Schemas")
	if !read || step.Request.Method != http.MethodGet {
		return answer
	}
	want, err := decode([]byte(step.Want.Body))
	if err != nil {
		return answer
	}
	got, err := decode([]byte(answer.Body))
	if err != nil {
		return answer
	}
	c.leaveOut(want, got)
	if body, err := json.Marshal(got); err == nil {
		answer.Body = string(body)
	}
	return answer
}

// leaveOut changes got, which is to be compared with want.
func (c captures) leaveOut(want, got any) {
	pattern, ok := want.(map[string]any)
	object, isObject := got.(map[string]any)
	if !ok || !isObject {
		return
	}
	if _, extended := pattern["schemaExtensions"]; !extended {
		delete(object, "schemaExtensions") // all of them are further ones
	}
	for name, member := range furtherBy {
		wanted, ok := pattern[name].([]any)
		elements, isList := object[name].([]any)
		if !ok || !isList {
			continue
		}
		kept, ok := c.keep(wanted, elements, member)
		if !ok {
			continue
		}
		object[name] = kept
		if name == "Resources" {
			count(object, "totalResults", len(kept)-len(elements))
			count(object, "itemsPerPage", len(kept)-len(elements))
		}
	}
}

// keep returns the elements that are wanted, in the order of the pattern, and all others
// after them where the pattern says that more may follow. It returns false where the
// pattern does not say which they are.
func (c captures) keep(wanted, elements []any, member string) ([]any, bool) {
	rest, kept := slices.Clone(elements), []any{}
	for i, want := range wanted {
		if want == anything && i == len(wanted)-1 {
			return append(kept, rest...), true
		}
		pattern, _ := want.(map[string]any)
		name, _ := pattern[member].(string)
		name, known := c.fillKnown(name)
		if name == "" || name == anything || !known {
			return nil, false
		}
		at := slices.IndexFunc(rest, func(element any) bool {
			object, _ := element.(map[string]any)
			return object[member] == name
		})
		if at < 0 {
			continue // the comparison tells
		}
		c.leaveOut(want, rest[at])
		kept, rest = append(kept, rest[at]), slices.Delete(rest, at, at+1)
	}
	return kept, true
}

// count adds to a number of the object, if it has one.
func count(object map[string]any, name string, more int) {
	number, _ := object[name].(json.Number)
	if n, err := strconv.Atoi(number.String()); err == nil {
		object[name] = json.Number(strconv.Itoa(n + more))
	}
}
