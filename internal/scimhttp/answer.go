package scimhttp

import (
	"bytes"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// A resource is a user or a group on its way out. Its attributes leave the
// database as JSON in their final order and form; schemas, id, meta and the
// attribute that is kept as rows are spliced around them.
type resource struct {
	rt       *scim.ResourceType
	id       string
	version  int64 // 0: not known
	created  time.Time
	modified time.Time
	stored   []byte
	rows     []row
	hasRows  bool // rows were read, be there none
}

// A row is one of a user's groups (RFC 7643 §4.1.2) or of a group's members (§4.2).
type row struct{ id, endpoint, kind, display string }

func (c *call) user(u store.User) resource { return userOf(c.dir.UserType(), u) }

func userOf(rt *scim.ResourceType, u store.User) resource {
	return resource{
		rt: rt, id: u.ID.String(), version: u.Version,
		created: u.Created, modified: u.Modified, stored: u.JSON,
		rows: groupRows(u.Groups), hasRows: len(u.Groups) > 0,
	}
}

func groupRows(groups []store.GroupRef) []row {
	rows := make([]row, len(groups))
	for i, g := range groups {
		kind := "direct"
		if !g.Direct {
			kind = "indirect"
		}
		rows[i] = row{g.ID.String(), "/Groups/", kind, g.Display}
	}
	return rows
}

func (c *call) group(g store.Group) resource {
	return resource{
		rt: c.dir.GroupType(), id: g.ID.String(), version: g.Version,
		created: g.Created, modified: g.Modified, stored: g.JSON,
		rows: memberRows(g.Members), hasRows: g.Members != nil,
	}
}

func memberRows(members []store.Member) []row {
	rows := make([]row, len(members))
	for i, m := range members {
		rows[i] = row{m.ID.String(), "/" + m.Type + "s/", m.Type, m.Display}
	}
	return rows
}

func (r resource) location(base string) string { return base + r.rt.Endpoint + "/" + r.id }

// etag is the version as an entity tag (RFC 7644 §3.14), "" when it is not known.
func (r resource) etag() string {
	if r.version == 0 {
		return ""
	}
	return `W/"` + strconv.FormatInt(r.version, 10) + `"`
}

// append writes the resource as v shows it. When that is everything, the stored bytes
// are copied and never parsed.
func (r resource) append(dst []byte, base string, v view) ([]byte, error) {
	attributes, err := r.attributes(base, v)
	if err != nil {
		return dst, err
	}
	dst = r.appendSchemas(append(dst, '{'))
	dst = append(dst, `,"id":"`...)
	dst = append(dst, r.id...)
	dst = append(dst, '"')
	if len(attributes) > len("{}") {
		dst = append(dst, ',')
		dst = append(dst, attributes[1:len(attributes)-1]...)
	}
	if r.hasRows && v.rows != nil {
		dst = r.appendRows(dst, base, v.rows)
	}
	if v.meta != nil {
		dst = r.appendMeta(dst, base, v.meta)
	}
	return append(dst, '}'), nil
}

// attributes are what v shows of what is stored, as a JSON object.
func (r resource) attributes(base string, v view) ([]byte, error) {
	stored := r.stored
	if id, at := r.manager(); at > 0 {
		refer := appendString([]byte(`,"$ref":`), base+"/Users/"+id)
		stored = slices.Concat(stored[:at], refer, stored[at:])
	}
	if v.whole {
		return stored, nil
	}
	tree, err := scim.ParseStored(r.rt, stored)
	if err != nil {
		return nil, err
	}
	return scim.AppendJSON(nil, r.rt, v.projection.Apply(r.rt, tree)), nil
}

// manager is the id of a manager that was given without its address (RFC 7643 §4.3),
// and where in the stored bytes the address belongs; 0 where there is none. What is
// no id of ours refers to nobody here. The value comes first of what is stored, and
// the name of an extension or attribute can stand there as a key only, because quotes
// within a string are escaped.
func (r resource) manager() (id string, at int) {
	const key, length = `"manager":{"value":"`, 36
	begin := bytes.Index(r.stored, []byte(`"`+scim.EnterpriseSchema+`":{`))
	if begin < 0 {
		return "", 0
	}
	enterprise := r.stored[begin:]
	for _, other := range r.rt.Extensions {
		if next := bytes.Index(enterprise[1:], []byte(`"`+other.ID+`":{`)); next >= 0 {
			enterprise = enterprise[:1+next]
		}
	}
	_, value, given := bytes.Cut(enterprise, []byte(key))
	if !given || len(value) <= length || value[length] != '"' || uuid.Validate(string(value[:length])) != nil ||
		bytes.HasPrefix(value[length+1:], []byte(`,"$ref":`)) {
		return "", 0
	}
	return string(value[:length]), begin + len(enterprise) - len(value) + length + 1
}

// appendSchemas writes schemas as computed from what is stored: an extension's
// name can stand in the stored bytes as a key only, because quotes within a
// string are escaped.
func (r resource) appendSchemas(dst []byte) []byte {
	dst = append(dst, `"schemas":["`...)
	dst = append(dst, r.rt.Core.ID...)
	for _, extension := range r.rt.Extensions {
		if bytes.Contains(r.stored, []byte(`"`+extension.ID+`":`)) {
			dst = append(dst, `","`...)
			dst = append(dst, extension.ID...)
		}
	}
	return append(dst, `"]`...)
}

func (r resource) appendMeta(dst []byte, base string, shown parts) []byte {
	return appendObject(append(dst, `,"meta":`...), shown, []field{
		{"resourceType", r.rt.Name},
		{"created", r.created.UTC().Format(time.RFC3339Nano)},
		{"lastModified", r.modified.UTC().Format(time.RFC3339Nano)},
		{"location", r.location(base)},
		{"version", r.etag()},
	})
}

func (r resource) appendRows(dst []byte, base string, shown parts) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, rows(r.rt)...)
	dst = append(dst, `":[`...)
	for i, row := range r.rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendObject(dst, shown, []field{
			{"value", row.id}, {"$ref", base + row.endpoint + row.id}, {"type", row.kind}, {"display", row.display},
		})
	}
	return append(dst, ']')
}

type field struct{ name, value string }

// appendObject writes the fields that are shown and have a value.
func appendObject(dst []byte, shown parts, fields []field) []byte {
	dst = append(dst, '{')
	first := true
	for _, f := range fields {
		if f.value == "" || !slices.Contains(shown, f.name) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '"')
		dst = append(dst, f.name...)
		dst = append(dst, `":`...)
		dst = appendString(dst, f.value)
	}
	return append(dst, '}')
}

// appendString writes a JSON string. What the store holds is valid UTF-8.
func appendString(dst []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		return append(dst, `""`...)
	}
	return quoted
}

// one answers a single resource with its location and version. What it shows is at
// that location, which RFC 7643 §3.1 wants to be said in both headers.
func (c *call) one(status int, r resource, v view) error {
	body, err := r.append(make([]byte, 0, len(r.stored)+512), c.base(), v)
	if err != nil {
		return err
	}
	c.answer.Header().Set("Location", r.location(c.base()))
	c.answer.Header().Set("Content-Location", r.location(c.base()))
	if etag := r.etag(); etag != "" {
		c.answer.Header().Set("ETag", etag)
	}
	write(c.answer, status, body)
	return nil
}
