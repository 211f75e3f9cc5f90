package scim

// Resource is a user's or group's attributes as a tree: string, bool, int64,
// float64, [Decimal], map[string]any (complex) and []any (multi-valued). Keys are the
// schema's canonical names; an extension is a map under its URN. schemas, id,
// meta, a user's groups and a group's members are not in it: they are computed
// or kept as rows. externalId is.
type Resource map[string]any

// Member is an element of a group's members (RFC 7643 §4.2).
type Member struct {
	Value   string // the member's id
	Type    string // "User", "Group" or ""
	Display string
}

// Document is the body of a create or replace request.
type Document struct {
	Resource   Resource
	Members    []Member // of a Group, in the order sent
	HasMembers bool     // members was there, be it empty or null
	HasActive  bool     // active was there with a value
	Notes      []Note
}

// Schemas returns the URNs of the schemas that r has attributes of: the core
// schema always, then each extension that is there (RFC 7643 §3.3).
func Schemas(rt *ResourceType, r Resource) []string {
	urns := []string{rt.Core.ID}
	for _, ext := range rt.Extensions {
		if _, ok := r[ext.ID]; ok {
			urns = append(urns, ext.ID)
		}
	}
	return urns
}
