package filter

import "github.com/muster-id/muster/internal/scim"

// emails compiles a filter on e-mail addresses. Where it asks for one address,
// user_values finds the few users who have it; a value path is then evaluated
// on their search documents.
func (c *compiler) emails(f *scim.Filter) string {
	if asksAddress(f) {
		return c.hasEmail(f)
	}
	if f.Op != scim.Has {
		return c.attribute(f)
	}
	asked := termThat(f.Path.Filter, asksAddress)
	if asked == nil {
		return c.attribute(f)
	}
	return "(" + c.hasEmail(asked) + " and " + c.attribute(f) + ")"
}

// hasEmail names every column of the table's key, so that it is one look-up
// whether PostgreSQL begins with the users or with the address.
func (c *compiler) hasEmail(f *scim.Filter) string {
	return "exists (select from user_values v" +
		" where v.tenant_id = u.tenant_id and v.connection_id = u.connection_id and v.user_id = u.id" +
		" and v.attribute = 'emails.value' and v.value_key = " + c.arg(f.Operand, "text") + ")"
}

// asksAddress reports whether f asks for one address. The empty one, which a
// strict connection may store, is in no index.
func asksAddress(f *scim.Filter) bool {
	return asksFor(f, "value") && f.Operand != ""
}
