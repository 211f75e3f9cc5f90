package filter

import (
	"slices"

	"github.com/muster-id/muster/internal/scim"
)

// A table is where the resources of a type are kept.
type table struct {
	name    string
	row     string // the alias of a row of it
	version string // the number of a row's version
	key     string // the attribute by which no two living rows of a connection are alike, "" for none
	column  string // of that attribute, in the form of the search document
}

// GroupVersion is the version of a group g: a base and the number of its newer
// changes, so that members do not wait for one another on a counter (design §5).
const GroupVersion = `g.version + (select count(*) from changes c where c.tenant_id = g.tenant_id and c.subject = g.id and c.xid >= g.folded)`

var (
	users     = table{name: "users", row: "u", version: "u.version", key: "userName", column: "user_name_key"}
	groups    = table{name: "groups", row: "g", version: "(" + GroupVersion + ")", key: "displayName", column: "display_name_key"}
	resources = table{name: "resources", row: "r", version: "r.version"} // of all other types
)

func tableOf(rt *scim.ResourceType) table {
	switch rt.Name {
	case "User":
		return users
	case "Group":
		return groups
	}
	return resources
}

// singles reports whether f asks for the one living resource of a connection that has
// a value which no other has, and maybe for more.
func (t table) singles(f *scim.Filter) bool {
	switch {
	case f == nil:
		return false
	case f.Op == scim.And:
		return slices.ContainsFunc(f.Terms, t.singles)
	}
	a := f.Ref.Attr
	return f.Op == scim.Eq && a != nil && !a.Declared && f.Ref.Extension == nil && (a.Path == "id" || t.key != "" && a.Path == t.key)
}

// columnOf returns the column that holds an attribute in the form of the search
// document, "" if there is none.
func (t table) columnOf(attribute string) string {
	switch attribute {
	case "externalId":
		return "external_id"
	case t.key:
		return t.column
	}
	return ""
}
