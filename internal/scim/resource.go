package scim

// Resource is a user's or group's attributes as a tree: string, bool, int64,
// float64, map[string]any (complex) and []any (multi-valued). Keys are the
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

// Decode reads the body of a create or replace request (RFC 7644 §3.3, §3.5.1).
func Decode(rt *ResourceType, body []byte, p Profile) (Document, error) {
	panic("being written")
}

// AppendJSON appends r as one JSON object, attributes in schema order.
func AppendJSON(dst []byte, rt *ResourceType, r Resource) []byte { panic("being written") }

// ParseStored reads what AppendJSON wrote.
func ParseStored(rt *ResourceType, stored []byte) (Resource, error) { panic("being written") }

// SearchJSON appends the document that filters are evaluated on.
func SearchJSON(dst []byte, rt *ResourceType, r Resource) []byte { panic("being written") }

// Schemas returns the URNs of the schemas that r has attributes of.
func Schemas(rt *ResourceType, r Resource) []string { panic("being written") }
