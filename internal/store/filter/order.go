package filter

import (
	"strconv"

	"github.com/muster-id/muster/internal/scim"
)

// sortLength is how many characters of a string count where rows are sorted by
// it, so that a cursor, which holds them, stays short.
const sortLength = 256

// sortKey is what rows are sorted by: first by the key, then by their id.
type sortKey struct {
	sql      string // "": the id is the key
	kind     string // type in SQL: text, timestamptz or jsonb
	optional bool   // null where there is no value
	absent   bool   // null everywhere
	unique   bool   // the id decides nothing
}

// made is the order of a list that asks for none: that in which the rows of
// the connection were made. Rows of all connections have an index by id only,
// which is nearly the same.
func (c *compiler) made(narrowed bool) sortKey {
	if !narrowed {
		return sortKey{}
	}
	return sortKey{sql: c.table.row + ".created_at", kind: "timestamptz"}
}

// sortKey is the key of rows that are sorted by what ref names; kind is that of
// other rows of the list, for those that have no such attribute.
func (c *compiler) sortKey(ref scim.Ref, kind string, narrowed bool) sortKey {
	if ref.Absent {
		return absentKey(kind)
	}
	if ref.Extension != nil {
		return c.documentKey(ref, ref.Extension.ID, ref.Attr.Name)
	}
	name := ref.Attr.Path
	switch column := c.table.columnOf(name); {
	case ref.Attr.Declared:
		return c.documentKey(ref, name)
	case name == "id":
		return sortKey{}
	case name == "schemas":
		return textKey(c.arg(c.rt.Core.ID, "text"))
	case name == "meta":
		return c.metaKey(ref)
	case column != "":
		return sortKey{sql: c.table.row + "." + column, kind: "text", optional: name == "externalId", unique: narrowed && name == c.table.key}
	case c.table == groups && name == "members":
		return c.relatedKey(ref, membersOfGroup)
	case c.table == users && name == "groups":
		return c.relatedKey(ref, groupsOfUser)
	case c.table == users && name == "active":
		return sortKey{sql: "to_jsonb(u.active)", kind: "jsonb"}
	}
	return c.documentKey(ref, name)
}

func absentKey(kind string) sortKey {
	k := sortKey{sql: "null::" + kind, kind: kind}
	if kind == "text" {
		k = textKey("null::text")
	}
	k.optional, k.absent = true, true
	return k
}

func textKey(sql string) sortKey { return sortKey{sql: "(" + sql + `) collate "C"`, kind: "text"} }

func (c *compiler) metaKey(ref scim.Ref) sortKey {
	switch ref.Sub.Name {
	case "created":
		return c.made(true)
	case "lastModified":
		return sortKey{sql: c.table.row + ".modified_at", kind: "timestamptz"}
	}
	return textKey(c.metaText(ref.Sub.Name))
}

// relatedKey is a sub-attribute of the first of r's elements.
func (c *compiler) relatedKey(ref scim.Ref, r relation) sortKey {
	k := textKey("select left(" + c.relatedText(ref.Sub.Name, r) + ", " + strconv.Itoa(sortLength) + ") from " + r.from + " order by " + r.id + " limit 1")
	k.optional = true
	return k
}

// documentKey is a value of the search document: of several the primary one's,
// else the first one's.
func (c *compiler) documentKey(ref scim.Ref, path ...string) sortKey {
	if ref.Sub != nil && !ref.Attr.Multi {
		path = append(path, ref.Sub.Name)
	}
	v := c.document(path...)
	if ref.Attr.Multi {
		v = chosen("coalesce(jsonb_path_query_first(" + v.json + `, '$[*] ? (@.primary == true)'), ` + v.json + " -> 0)")
		if ref.Sub != nil {
			v = c.of(v, ref.Sub.Name)
		}
	}
	if ref.Sub != nil && ref.Sub.Multi {
		v = chosen(v.json + " -> 0")
	}
	return typedKey(ref.Last().Type, v)
}

// chosen is the element of a list that json selects.
func chosen(json string) value {
	return value{text: "((" + json + ") #>> '{}')", json: "(" + json + ")"}
}

// typedKey is a value in the order of its type. What a schema of another time
// has left there of another type is no value.
func typedKey(t scim.Type, v value) sortKey {
	k := sortKey{kind: "jsonb", optional: true}
	switch t {
	case scim.TypeBoolean:
		k.sql = "case when jsonb_typeof(" + v.json + ") = 'boolean' then " + v.json + " end"
	case scim.TypeInteger, scim.TypeDecimal:
		k.sql = "case when jsonb_typeof(" + v.json + ") = 'number' then " + v.json + " end"
	case scim.TypeDateTime: // a date that could not be read stands there as it was sent
		k = textKey("case when length(" + v.text + ") = 30 then " + v.text + " end")
	default:
		k = textKey("left(" + v.text + ", " + strconv.Itoa(sortLength) + ")")
	}
	k.optional = true
	return k
}
