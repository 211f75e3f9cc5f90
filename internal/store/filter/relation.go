package filter

import "github.com/muster-id/muster/internal/scim"

// relation is a multi-valued attribute whose elements are rows of memberships.
type relation struct {
	from  string // the rows of living elements that belong to the row filtered
	value string // sub-attribute value, as text
	kind  string // sub-attribute type, as text in the form of scim.Fold
}

var (
	members = relation{
		from: "memberships m" +
			" left join users mu on mu.tenant_id = m.tenant_id and mu.id = m.member_user" +
			" left join groups mg on mg.tenant_id = m.tenant_id and mg.id = m.member_group" +
			" where m.tenant_id = g.tenant_id and m.group_id = g.id" +
			" and (mu.id is not null and mu.deleted_at is null or mg.id is not null and mg.deleted_at is null)",
		value: "coalesce(m.member_user, m.member_group)::text",
		kind:  "case when m.member_user is not null then 'user' else 'group' end",
	}
	directGroups = relation{
		from: "memberships m" +
			" join groups mg on mg.tenant_id = m.tenant_id and mg.id = m.group_id" +
			" where m.tenant_id = u.tenant_id and m.member_user = u.id and mg.deleted_at is null",
		value: "m.group_id::text",
		kind:  "'direct'::text",
	}
)

// related compiles a comparison of r's elements, or a filter on one of them.
func (c *compiler) related(f *scim.Filter, r relation) string {
	switch f.Op {
	case scim.Pr:
		return "exists (select from " + r.from + ")"
	case scim.Has:
		return "exists (select from " + r.from + " and " + c.relatedElement(f.Path.Filter, r) + ")"
	case scim.Ne:
		return "coalesce((select bool_or(" + c.relatedValue(f, r) + ") from " + r.from + "), true)"
	}
	return "exists (select from " + r.from + " and " + c.relatedValue(f, r) + ")"
}

func (c *compiler) relatedElement(f *scim.Filter, r relation) string {
	switch f.Op {
	case scim.And, scim.Or, scim.Not:
		return c.logical(f, func(term *scim.Filter) string { return c.relatedElement(term, r) })
	case scim.Pr:
		return "true"
	}
	return c.relatedValue(f, r)
}

// relatedValue compares value or type of one element. Neither is ever null.
func (c *compiler) relatedValue(f *scim.Filter, r relation) string {
	if f.Ref.Sub == nil {
		return c.fail(f)
	}
	switch f.Ref.Sub.Name {
	case "value":
		if f.Op == scim.Eq {
			return c.relatedID(f, r)
		}
		return c.compare(f, value{text: "(" + r.value + ")"})
	case "type":
		return c.compare(f, value{text: "(" + r.kind + ")"})
	}
	return c.fail(f)
}

// relatedID is written on the columns themselves, so that an index serves it.
func (c *compiler) relatedID(f *scim.Filter, r relation) string {
	id := c.arg(uuidOf(f), "uuid")
	if r == directGroups {
		return "(" + id + " is not null and m.group_id = " + id + ")"
	}
	return "(" + id + " is not null and (m.member_user is not null and m.member_user = " + id +
		" or m.member_group is not null and m.member_group = " + id + "))"
}
