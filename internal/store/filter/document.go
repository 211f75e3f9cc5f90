package filter

import (
	"strconv"
	"time"

	"github.com/muster-id/muster/internal/scim"
)

// value is an SQL expression of something in a search document. It is null
// where there is nothing.
type value struct {
	text string // as text
	json string // as jsonb
}

// document returns what stands at a path of the search document.
func (c *compiler) document(path ...string) value {
	at := c.arg(path, "text[]")
	return value{
		text: "(" + c.table.row + ".search #>> " + at + ")",
		json: "(" + c.table.row + ".search #> " + at + ")",
	}
}

// of returns what stands under a name in the object v.
func (c *compiler) of(v value, name string) value {
	at := c.arg(name, "text")
	return value{text: "(" + v.json + " ->> " + at + ")", json: "(" + v.json + " -> " + at + ")"}
}

// elements returns a FROM item of the elements of v, and one of them. What is
// no array is its own only element.
func elements(v value, alias string) (from string, element value) {
	e := alias + ".v"
	return "jsonb_path_query(" + v.json + ", '$[*]') " + alias + "(v)", value{text: "(" + e + " #>> '{}')", json: e}
}

// present is pr: a string that is not empty, a number or a boolean, at any depth.
func present(json string) string {
	return "coalesce(jsonb_path_exists(" + json +
		`, '$.** ? (@.type() == "string" && @ != "" || @.type() == "number" || @.type() == "boolean")'), false)`
}

// attribute compiles a comparison of an attribute that stands in the search
// document, within container if it is an extension's, or a filter on its elements.
func (c *compiler) attribute(f *scim.Filter, container ...string) string {
	attr, sub := f.Ref.Attr, f.Ref.Sub
	path := append(container, attr.Name)
	switch {
	case f.Op == scim.Has:
		from, e := elements(c.document(path...), "e")
		return "exists (select from " + from + " where " + c.element(f.Path.Filter, e) + ")"
	case sub == nil:
		return c.values(f, c.document(path...), attr.Multi)
	case !attr.Multi:
		return c.values(f, c.document(append(path, sub.Name)...), sub.Multi)
	}
	from, e := elements(c.document(path...), "e")
	v := c.of(e, sub.Name)
	if sub.Multi {
		inner, s := elements(v, "s")
		from, v = from+", "+inner, s
	}
	return c.anyOf(f, from, v)
}

// element compiles a filter between brackets for one element.
func (c *compiler) element(f *scim.Filter, e value) string {
	switch f.Op {
	case scim.And, scim.Or, scim.Not:
		return c.logical(f, func(term *scim.Filter) string { return c.element(term, e) })
	}
	if f.Ref.Sub == nil {
		return c.values(f, e, false)
	}
	return c.values(f, c.of(e, f.Ref.Sub.Name), f.Ref.Sub.Multi)
}

// values compiles a comparison of v, or of v's elements.
func (c *compiler) values(f *scim.Filter, v value, multi bool) string {
	switch {
	case f.Op == scim.Pr:
		return present(v.json)
	case multi:
		from, s := elements(v, "s")
		return c.anyOf(f, from, s)
	}
	return c.settled(f, v)
}

// anyOf holds if f does for any v that is not null among the rows of from; ne
// also if there is none.
func (c *compiler) anyOf(f *scim.Filter, from string, v value) string {
	switch f.Op {
	case scim.Pr:
		return "exists (select from " + from + " where " + present(v.json) + ")"
	case scim.Ne:
		return "coalesce((select bool_or(" + c.compare(f, v) + ") from " + from + "), true)"
	}
	return "exists (select from " + from + " where " + c.compare(f, v) + ")"
}

// settled is compare for a single value; without one only ne holds.
func (c *compiler) settled(f *scim.Filter, v value) string {
	return "coalesce(" + c.compare(f, v) + ", " + strconv.FormatBool(f.Op == scim.Ne) + ")"
}

var symbols = map[scim.Op]string{
	scim.Eq: " = ", scim.Ne: " <> ", scim.Gt: " > ", scim.Ge: " >= ", scim.Lt: " < ", scim.Le: " <= ",
}

// compare compares v with f's operand. It is null where v is.
func (c *compiler) compare(f *scim.Filter, v value) string {
	switch operand := f.Operand.(type) {
	case string:
		return compareText(f.Op, v.text, c.arg(operand, "text"))
	case bool:
		return "(" + v.json + symbols[f.Op] + "to_jsonb(" + c.arg(operand, "boolean") + "))"
	case int64:
		return c.compareNumber(f.Op, v, strconv.FormatInt(operand, 10))
	case float64:
		return c.compareNumber(f.Op, v, strconv.FormatFloat(operand, 'g', -1, 64))
	case scim.Decimal:
		return c.compareNumber(f.Op, v, string(operand))
	case time.Time: // a date that could not be read stands there as it was sent
		const width = "30"
		return "(length(" + v.text + ") = " + width + " and " +
			v.text + ` collate "C"` + symbols[f.Op] + c.arg(scim.SearchTime(operand), "text") + ")"
	}
	return c.fail(f)
}

func (c *compiler) compareNumber(op scim.Op, v value, operand string) string {
	return "(" + v.json + symbols[op] + "to_jsonb(" + c.arg(operand, "text") + "::numeric))"
}

// compareText orders by bytes, as Go does. Nothing in an operand is a wildcard.
func compareText(op scim.Op, text, operand string) string {
	switch op {
	case scim.Co:
		return "strpos(" + text + ", " + operand + ") > 0"
	case scim.Sw:
		return "starts_with(" + text + ", " + operand + ")"
	case scim.Ew:
		return "right(" + text + ", length(" + operand + ")) = " + operand
	case scim.Eq, scim.Ne:
		return text + symbols[op] + operand
	}
	return text + ` collate "C"` + symbols[op] + operand
}
