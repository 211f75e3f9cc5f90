package filter

import (
	"time"

	"github.com/muster-id/muster/internal/scim"
)

func (c *compiler) textColumn(f *scim.Filter, name string) string {
	column := c.table.row + "." + name
	switch f.Op {
	case scim.Pr:
		return "(" + column + " is not null and " + column + " <> '')"
	case scim.Eq: // so written that an index serves it, also within "not"
		return "(" + column + " is not null and " + column + " = " + c.arg(f.Operand, "text") + ")"
	}
	return c.settled(f, value{text: column})
}

// id compares the row's id. Only equality uses the index; a string that is no
// UUID as the server writes them equals none.
func (c *compiler) id(f *scim.Filter) string {
	column := c.table.row + ".id"
	switch f.Op {
	case scim.Pr:
		return "true"
	case scim.Eq:
		id := c.arg(uuidIn(f.Operand), "uuid")
		return "(" + id + " is not null and " + column + " = " + id + ")"
	case scim.Ne:
		return "(" + column + " is distinct from " + c.arg(uuidIn(f.Operand), "uuid") + ")"
	}
	return c.settled(f, value{text: column + "::text"})
}

// uuidIn returns an operand, or nil if it is no UUID in lower case.
func uuidIn(operand any) any {
	s, _ := operand.(string)
	if len(s) != 36 {
		return nil
	}
	for i := range len(s) {
		switch hyphen := i == 8 || i == 13 || i == 18 || i == 23; {
		case hyphen != (s[i] == '-'):
			return nil
		case !hyphen && (s[i] < '0' || '9' < s[i]) && (s[i] < 'a' || 'f' < s[i]):
			return nil
		}
	}
	return s
}

func (c *compiler) active(f *scim.Filter) string {
	column := c.table.row + ".active"
	switch f.Op {
	case scim.Pr:
		return "true"
	case scim.Ne:
		return "(" + column + " <> " + c.arg(f.Operand, "boolean") + ")"
	}
	return "(" + column + " = " + c.arg(f.Operand, "boolean") + ")"
}

// schemas asks for the schemas that fit f, which only their names decide.
func (c *compiler) schemas(f *scim.Filter) string {
	if f.Op == scim.Pr {
		return "true"
	}
	fitting := []string{}
	if f.MatchElement(c.rt.Core.ID) {
		fitting = append(fitting, c.rt.Core.ID)
	}
	for _, ext := range c.rt.Extensions {
		if f.MatchElement(ext.ID) {
			fitting = append(fitting, ext.ID)
		}
	}
	return "exists (select from unnest(" + c.arg(fitting, "text[]") + ") s(urn)" +
		" where s.urn = " + c.arg(c.rt.Core.ID, "text") + " or " + c.table.row + ".search -> s.urn is not null)"
}

func (c *compiler) meta(f *scim.Filter) string {
	switch {
	case f.Op == scim.Pr:
		return "true"
	case f.Ref.Sub == nil:
		return c.fail(f)
	}
	switch name := f.Ref.Sub.Name; {
	case name == "created":
		return c.timeColumn(f, c.table.row+".created_at")
	case name == "lastModified":
		return c.timeColumn(f, c.table.row+".modified_at")
	case name == "location" && f.Op == scim.Eq:
		id := c.arg(uuidUnder(f.Operand, c.base+c.rt.Endpoint+"/"), "uuid")
		return "(" + id + " is not null and " + c.table.row + ".id = " + id + ")"
	}
	return c.settled(f, value{text: c.metaText(f.Ref.Sub.Name)})
}

// metaText is the sub-attribute of meta called name, other than the times.
func (c *compiler) metaText(name string) string {
	switch name {
	case "version":
		return "('W/\"' || " + c.table.version + " || '\"')"
	case "location":
		return "(" + c.arg(c.base+c.rt.Endpoint+"/", "text") + " || " + c.table.row + ".id)"
	}
	return c.arg(c.rt.Name, "text")
}

// timeColumn compares a column of microseconds with an operand that may be
// finer: with the microsecond before it or the one after.
func (c *compiler) timeColumn(f *scim.Filter, column string) string {
	operand, ok := f.Operand.(time.Time)
	if !ok {
		return c.fail(f)
	}
	before := operand.Truncate(time.Microsecond)
	after := operand.Add(time.Microsecond - 1).Truncate(time.Microsecond)
	switch f.Op {
	case scim.Eq:
		return "(" + column + " between " + c.arg(after, "timestamptz") + " and " + c.arg(before, "timestamptz") + ")"
	case scim.Ne:
		return "(" + column + " not between " + c.arg(after, "timestamptz") + " and " + c.arg(before, "timestamptz") + ")"
	case scim.Ge, scim.Lt:
		return "(" + column + symbols[f.Op] + c.arg(after, "timestamptz") + ")"
	}
	return "(" + column + symbols[f.Op] + c.arg(before, "timestamptz") + ")"
}
