package filter

import (
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// relation is a multi-valued attribute whose elements are rows of memberships.
type relation struct {
	from    string // the rows of living elements that belong to the row filtered
	id      string // the element's, by which answers are in order
	kind    string // sub-attribute type, as text in the form of scim.Fold
	display string // sub-attribute display, likewise
	at      string // the path under the base URL, before the id
}

var (
	membersOfGroup = relation{
		from: "memberships m" +
			" left join users mu on mu.tenant_id = m.tenant_id and mu.id = m.member_user" +
			" left join groups mg on mg.tenant_id = m.tenant_id and mg.id = m.member_group" +
			" where m.tenant_id = g.tenant_id and m.group_id = g.id" +
			" and (mu.id is not null and mu.deleted_at is null or mg.id is not null and mg.deleted_at is null)",
		id:      "coalesce(m.member_user, m.member_group)",
		kind:    "case when m.member_user is not null then 'user' else 'group' end",
		display: "coalesce(mg.display_name_key, mu.search ->> 'displayName', mu.search ->> 'userName', '')",
		at:      "case when m.member_user is not null then '/Users/' else '/Groups/' end",
	}
	// groupsOfUser also reaches the groups that the user is in through others.
	groupsOfUser = relation{
		from: "(with recursive held(group_id, direct) as (" +
			"select m.group_id, true from memberships m where m.tenant_id = u.tenant_id and m.member_user = u.id" +
			" union" +
			" select m.group_id, false from held h join memberships m on m.tenant_id = u.tenant_id and m.member_group = h.group_id" +
			") select group_id, bool_or(direct) as direct from held group by group_id) m" +
			" join groups mg on mg.tenant_id = u.tenant_id and mg.id = m.group_id" +
			" where mg.deleted_at is null",
		id:      "m.group_id",
		kind:    "case when m.direct then 'direct' else 'indirect' end",
		display: "mg.display_name_key",
		at:      "'/Groups/'",
	}
)

// members compiles a comparison of a group's members, or a filter on one.
func (c *compiler) members(f *scim.Filter) string { return c.related(f, membersOfGroup) }

// groups compiles a comparison of a user's groups, or a filter on one. Where it
// asks for one group, that group's members are looked up, and whatever else is
// asked is evaluated on them.
func (c *compiler) groups(f *scim.Filter) string {
	if asksFor(f, "value") {
		return c.inGroup(f)
	}
	if f.Op == scim.Has {
		if asked := termThat(f.Path.Filter, func(f *scim.Filter) bool { return asksFor(f, "value") }); asked != nil {
			return "(" + c.inGroup(asked) + " and " + c.related(f, groupsOfUser) + ")"
		}
	}
	return c.related(f, groupsOfUser)
}

// inGroup holds for the members of one living group and of all groups in it,
// which are found once, whoever is asked about.
func (c *compiler) inGroup(f *scim.Filter) string {
	id := c.arg(uuidIn(f.Operand), "uuid")
	const tenant = "current_setting('muster.tenant')::uuid"
	return "exists (select from memberships m where m.tenant_id = u.tenant_id and m.member_user = u.id and m.group_id = any(array(" +
		"with recursive below(id) as (" +
		"select x.id from groups x where x.tenant_id = " + tenant + " and x.id = " + id + " and x.deleted_at is null" +
		" union select m.member_group from below b join memberships m on m.tenant_id = " + tenant +
		" and m.group_id = b.id where m.member_group is not null) select id from below)))"
}

// related compiles a comparison of r's elements, or a filter on one of them.
func (c *compiler) related(f *scim.Filter, r relation) string {
	switch {
	case f.Op == scim.Pr && f.Ref.Sub == nil:
		return "exists (select from " + r.from + ")"
	case f.Op == scim.Has:
		return "exists (select from " + r.from + " and " + c.relatedElement(f.Path.Filter, r) + ")"
	case f.Op == scim.Ne:
		return "coalesce((select bool_or(" + c.relatedValue(f, r) + ") from " + r.from + "), true)"
	}
	return "exists (select from " + r.from + " and " + c.relatedValue(f, r) + ")"
}

func (c *compiler) relatedElement(f *scim.Filter, r relation) string {
	switch f.Op {
	case scim.And, scim.Or, scim.Not:
		return c.logical(f, func(term *scim.Filter) string { return c.relatedElement(term, r) })
	}
	return c.relatedValue(f, r)
}

// relatedValue compares a sub-attribute of one element. None is ever null, and
// none but a name is ever empty.
func (c *compiler) relatedValue(f *scim.Filter, r relation) string {
	sub := f.Ref.Sub
	switch {
	case sub == nil:
		return c.fail(f)
	case f.Op == scim.Pr && sub.Name == "display":
		return "(" + r.display + " <> '')"
	case f.Op == scim.Pr:
		return "true"
	case f.Op == scim.Eq && r == membersOfGroup && sub.Name == "value":
		return c.memberID(f)
	}
	return c.compare(f, value{text: "(" + c.relatedText(sub.Name, r) + ")"})
}

// relatedText is the sub-attribute called name of an element.
func (c *compiler) relatedText(name string, r relation) string {
	switch name {
	case "type":
		return r.kind
	case "display":
		return r.display
	case "$ref":
		return c.arg(c.base, "text") + " || " + r.at + " || " + r.id + "::text"
	}
	return r.id + "::text"
}

// memberID is written on the columns themselves, so that an index serves it.
func (c *compiler) memberID(f *scim.Filter) string {
	id := c.arg(uuidIn(f.Operand), "uuid")
	return "(" + id + " is not null and (m.member_user is not null and m.member_user = " + id +
		" or m.member_group is not null and m.member_group = " + id + "))"
}

// asksFor reports whether f asks for one value of the sub-attribute called name.
func asksFor(f *scim.Filter, name string) bool {
	return f.Op == scim.Eq && f.Ref.Sub != nil && f.Ref.Sub.Name == name
}

// termThat returns a term of f without which f does not hold and of which ok
// holds, or nil.
func termThat(f *scim.Filter, ok func(*scim.Filter) bool) *scim.Filter {
	if ok(f) {
		return f
	}
	if f.Op != scim.And {
		return nil
	}
	for _, term := range f.Terms {
		if ok(term) {
			return term
		}
	}
	return nil
}

// uuidUnder returns the id that a URL ends in which begins with prefix, or nil.
func uuidUnder(operand any, prefix string) any {
	url, _ := operand.(string)
	id, ok := strings.CutPrefix(url, prefix)
	if !ok {
		return nil
	}
	return uuidIn(id)
}
