// Package filter turns what a SCIM client asks of a list into SQL: conditions
// from filters, orders, and pages of both.
//
// It is pure. The text depends on the shape of what is asked alone: every value
// and every attribute's name is a parameter. A condition is true or false,
// never null, and agrees with [scim.Filter.Match] on every row.
package filter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// Query is a condition on one row of the table that holds resources of a type.
type Query struct {
	Where string // in parentheses where it needs them; placeholders from $first on
	Args  []any  // string, bool, time.Time, []string, or nil for what is no UUID
}

// Compile returns the condition that f, bound to rt, puts on a row of rt's
// table. Its first placeholder is $first. base is the tenant's base URL, under
// which references stand.
//
// `userName eq`, `externalId eq`, `id eq`, a group's `displayName eq`, members,
// groups and `emails.value eq`, alone or within a value path, and `eq` of what a
// tenant has declared unique are equalities of typed columns, which indexes serve
// under row-level security. All else is
// evaluated on the row's search document, which [scim.SearchJSON] has written.
// Rows of user_values hold the key of every e-mail address of a user that is
// not empty, rows of unique_values every claim of a living resource. Members and groups that are deleted do not count.
func Compile(f *scim.Filter, rt *scim.ResourceType, base string, first int) (Query, error) {
	c := newCompiler(base, first)
	where := c.rowsOf(rt).filter(f)
	if c.err != nil {
		return Query{}, c.err
	}
	return Query{where, c.args}, nil
}

// compiler compiles for the rows of one table at a time.
type compiler struct {
	rt    *scim.ResourceType
	table table
	*parameters
}

// parameters are those of one statement.
type parameters struct {
	base string // URL
	next int    // the number of the next placeholder
	args []any
	err  error // the first; what is compiled after it is thrown away
}

func newCompiler(base string, first int) *compiler {
	return &compiler{parameters: &parameters{base: base, next: first}}
}

// rowsOf returns a compiler for resources of type rt within the same statement.
func (c *compiler) rowsOf(rt *scim.ResourceType) *compiler {
	return &compiler{rt: rt, table: tableOf(rt), parameters: c.parameters}
}

// arg returns the placeholder of a parameter with the value v and the given type.
func (p *parameters) arg(v any, kind string) string {
	p.args = append(p.args, v)
	p.next++
	return "$" + strconv.Itoa(p.next-1) + "::" + kind
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
	if claim, ok := f.Claim(c.rt); ok {
		return c.claimed(claim)
	}
	switch {
	case f.Ref.Absent: // and so without a value
		return strconv.FormatBool(f.Op == scim.Ne)
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
// elements. Those with a column or rows of their own are compared there.
func (c *compiler) core(f *scim.Filter) string {
	name := f.Ref.Attr.Path
	column := c.table.columnOf(name)
	switch {
	case f.Ref.Attr.Declared: // by a tenant: it stands in the document, whatever its name
		return c.attribute(f)
	case name == "id":
		return c.id(f)
	case name == "schemas":
		return c.schemas(f)
	case name == "meta":
		return c.meta(f)
	case column != "":
		return c.textColumn(f, column)
	case c.table == groups && name == "members":
		return c.members(f)
	case c.table == users && name == "groups":
		return c.groups(f)
	case c.table == users && name == "active":
		return c.active(f)
	case c.table == users && name == "emails":
		return c.emails(f)
	}
	return c.attribute(f)
}
