// Package filter turns SCIM filters into SQL conditions.
//
// It is pure. The text of a condition depends on the shape of the filter alone:
// every value and every attribute's name is a parameter. A condition is true or
// false, never null, and agrees with [scim.Filter.Match] on every row.
package filter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// Query is a condition on one row of users, named u, of groups, named g, or of
// resources of a registered type, named r.
type Query struct {
	Where string // in parentheses where it needs them; placeholders from $first on
	Args  []any  // string, bool, time.Time, []string, or nil for what is no UUID
}

// Compile returns the condition that f, bound to rt, puts on a row of rt's
// table. Its first placeholder is $first.
//
// `userName eq`, `externalId eq`, `id eq`, a group's `displayName eq`, members
// and `emails.value eq`, alone or within a value path, are equalities of typed
// columns, which indexes serve under row-level security. All else is evaluated
// on the row's search document, which [scim.SearchJSON] has written. Rows of
// user_values hold the key of every e-mail address of a user that is not empty.
// Members and groups that are deleted do not count.
func Compile(f *scim.Filter, rt *scim.ResourceType, first int) (Query, error) {
	c := &compiler{rt: rt, row: row(rt), next: first}
	where := c.filter(f)
	if c.err != nil {
		return Query{}, c.err
	}
	return Query{where, c.args}, nil
}

func row(rt *scim.ResourceType) string {
	switch rt.Core.ID {
	case scim.UserSchema:
		return "u"
	case scim.GroupSchema:
		return "g"
	}
	return "r"
}

type compiler struct {
	rt   *scim.ResourceType
	row  string // the alias of the table
	next int    // the number of the next placeholder
	args []any
	err  error // the first; what is compiled after it is thrown away
}

// arg returns the placeholder of a parameter with the value v and the given type.
func (c *compiler) arg(v any, kind string) string {
	c.args = append(c.args, v)
	c.next++
	return "$" + strconv.Itoa(c.next-1) + "::" + kind
}

// fail records that f was not bound, or was bound to something that is no row's.
func (c *compiler) fail(f *scim.Filter) string {
	if c.err == nil {
		c.err = fmt.Errorf("filter: %s is not bound to a %s", f, c.rt.Name)
	}
	return "false"
}

func (c *compiler) filter(f *scim.Filter) string {
	switch f.Op {
	case scim.And, scim.Or, scim.Not:
		return c.logical(f, c.filter)
	}
	switch {
	case f.Ref.Whole:
		return present(c.document(f.Ref.Extension.ID).json)
	case f.Ref.Attr == nil:
		return c.fail(f)
	case f.Ref.Extension == nil:
		return c.core(f)
	}
	return c.attribute(f, f.Ref.Extension.ID)
}

// logical joins what term makes of f's terms.
func (c *compiler) logical(f *scim.Filter, term func(*scim.Filter) string) string {
	if f.Op == scim.Not {
		return "not (" + term(f.Terms[0]) + ")"
	}
	terms := make([]string, len(f.Terms))
	for i, t := range f.Terms {
		terms[i] = term(t)
	}
	return "(" + strings.Join(terms, " "+f.Op.String()+" ") + ")"
}

// core compiles a comparison of a core or common attribute, or of one of its
// elements. Those with a column of their own are compared there.
func (c *compiler) core(f *scim.Filter) string {
	if f.Ref.Attr.Declared {
		return c.attribute(f)
	}
	switch f.Ref.Attr.Path {
	case "id":
		return c.id(f)
	case "schemas":
		return c.schemas(f)
	case "meta":
		return c.meta(f)
	case "externalId":
		return c.textColumn(f, "external_id")
	case "members":
		return c.related(f, members)
	case "groups":
		return c.related(f, directGroups)
	case "active":
		return c.active(f)
	case "userName":
		return c.textColumn(f, "user_name_key")
	case "displayName":
		if c.rt.Name == "Group" {
			return c.textColumn(f, "display_name_key")
		}
	case "emails":
		return c.emails(f)
	}
	return c.attribute(f)
}
