package scim

import (
	"cmp"
	"strings"
	"time"
)

// Common is what a filter can ask about a resource beyond its [Resource]: what
// the server computes or keeps as rows. Times have microseconds, as stored.
type Common struct {
	Base         string // the tenant's base URL, under which references stand
	ID           string
	Version      string // the entity tag
	Created      time.Time
	LastModified time.Time
	Active       bool     // of a User: whatever Resource says
	Members      []Member // of a Group
	Groups       []Member // of a User, with Type direct or indirect
}

// Match reports whether r, with what c says of it, matches f, which must be
// bound to rt. It decides what store/filter lets PostgreSQL decide; the two
// agree on every filter and resource:
//
//   - a comparison of a multi-valued attribute holds if it holds for any value;
//   - ne also holds where there is no value;
//   - strings compare by [Fold], or byte by byte where the attribute is caseExact;
//   - pr does not hold for "", [] and objects of nothing but those.
func (f *Filter) Match(rt *ResourceType, r Resource, c Common) bool {
	switch f.Op {
	case And:
		for _, term := range f.Terms {
			if !term.Match(rt, r, c) {
				return false
			}
		}
		return true
	case Or:
		for _, term := range f.Terms {
			if term.Match(rt, r, c) {
				return true
			}
		}
		return false
	case Not:
		return !f.Terms[0].Match(rt, r, c)
	case Has:
		return anyElement(valueOf(f.Ref, rt, r, c), f.Path.Filter.MatchElement)
	}
	return f.matchAttribute(valueOf(f.Ref, rt, r, c))
}

// MatchElement reports whether e, one element of a multi-valued attribute,
// matches f, which must be bound to that attribute by BindElement.
func (f *Filter) MatchElement(e any) bool {
	switch f.Op {
	case And:
		for _, term := range f.Terms {
			if !term.MatchElement(e) {
				return false
			}
		}
		return true
	case Or:
		for _, term := range f.Terms {
			if term.MatchElement(e) {
				return true
			}
		}
		return false
	case Not:
		return !f.Terms[0].MatchElement(e)
	}
	if f.Ref.Sub == nil {
		return f.matchValues(e)
	}
	return f.matchValues(subValue(e, f.Ref.Sub))
}

// matchAttribute decides a comparison or pr, given the value of f.Ref.Attr.
func (f *Filter) matchAttribute(v any) bool {
	if f.Ref.Sub == nil {
		return f.matchValues(v)
	}
	var values []any
	anyElement(v, func(e any) bool {
		anyElement(subValue(e, f.Ref.Sub), func(v any) bool {
			values = append(values, v)
			return false
		})
		return false
	})
	return f.matchValues(values)
}

// matchValues decides a comparison or pr, given the value or values compared.
func (f *Filter) matchValues(v any) bool {
	if f.Op == Pr {
		return assigned(v)
	}
	if f.Op == Ne && !anyElement(v, func(e any) bool { return e != nil }) {
		return true
	}
	return anyElement(v, f.matchValue)
}

// matchValue compares one value with the operand. A value of another type than
// the operand's never matches.
func (f *Filter) matchValue(v any) bool {
	switch operand := f.Operand.(type) {
	case string:
		s, ok := v.(string)
		if !f.Ref.Last().CaseExact {
			s = Fold(s)
		}
		return ok && matchString(f.Op, s, operand)
	case bool:
		b, ok := v.(bool)
		return ok && (b == operand) == (f.Op == Eq)
	case time.Time:
		t, ok := timeOf(v)
		return ok && matchOrder(f.Op, t.Compare(operand))
	case int64:
		n, ok := v.(int64)
		return ok && matchOrder(f.Op, cmp.Compare(n, operand))
	case float64, Decimal:
		order, ok := compareNumbers(v, operand)
		return ok && matchOrder(f.Op, order)
	}
	return false
}

func matchString(op Op, s, operand string) bool {
	switch op {
	case Co:
		return strings.Contains(s, operand)
	case Sw:
		return strings.HasPrefix(s, operand)
	case Ew:
		return strings.HasSuffix(s, operand)
	}
	return matchOrder(op, strings.Compare(s, operand))
}

// matchOrder reports whether op holds where the value compares so to the operand.
func matchOrder(op Op, order int) bool {
	switch op {
	case Eq:
		return order == 0
	case Ne:
		return order != 0
	case Gt:
		return order > 0
	case Ge:
		return order >= 0
	case Lt:
		return order < 0
	case Le:
		return order <= 0
	}
	return false
}

func timeOf(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case string:
		return parseDateTime(v)
	}
	return time.Time{}, false
}

// anyElement reports whether match holds for an element of v, or for v itself
// if it is not a list.
func anyElement(v any, match func(any) bool) bool {
	list, ok := v.([]any)
	if !ok {
		return v != nil && match(v)
	}
	for _, e := range list {
		if match(e) {
			return true
		}
	}
	return false
}

// assigned reports whether v holds anything: pr of RFC 7644 §3.4.2.2, Table 3.
func assigned(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case []any:
		return anyElement(v, assigned)
	case map[string]any:
		for _, sub := range v {
			if assigned(sub) {
				return true
			}
		}
		return false
	}
	return true
}

func subValue(e any, sub *Attribute) any {
	fields, _ := e.(map[string]any)
	return fields[sub.Name]
}

// valueOf returns the value of ref's attribute, or of the whole extension.
func valueOf(ref Ref, rt *ResourceType, r Resource, c Common) any {
	if ref.Absent {
		return nil
	}
	if ref.Extension != nil {
		container, _ := r[ref.Extension.ID].(map[string]any)
		if ref.Whole {
			return container
		}
		return container[ref.Attr.Name]
	}
	if ref.Attr.Declared {
		return r[ref.Attr.Name]
	}
	switch ref.Attr.Path {
	case "id":
		return c.ID
	case "active":
		return c.Active
	case "schemas":
		return anySlice(Schemas(rt, r), func(urn string) any { return urn })
	case "meta":
		return map[string]any{"resourceType": rt.Name, "created": c.Created, "lastModified": c.LastModified,
			"version": c.Version, "location": c.Base + rt.Endpoint + "/" + c.ID}
	case "members":
		return anySlice(c.Members, func(m Member) any { return m.fields(c.Base + "/" + m.Type + "s/") })
	case "groups":
		return anySlice(c.Groups, func(m Member) any { return m.fields(c.Base + "/Groups/") })
	}
	return r[ref.Attr.Name]
}

// fields returns what can be asked about m, which stands under the URL at.
func (m Member) fields(at string) any {
	return map[string]any{"value": m.Value, "type": m.Type, "display": m.Display, "$ref": at + m.Value}
}

func anySlice[T any](list []T, one func(T) any) []any {
	values := make([]any, len(list))
	for i, v := range list {
		values[i] = one(v)
	}
	return values
}
