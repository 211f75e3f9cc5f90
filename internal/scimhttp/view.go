package scimhttp

import (
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// A view is what an answer shows of resources of one type: what attributes and
// excludedAttributes ask for (RFC 7644 §3.9), made ready once per request.
type view struct {
	rt         *scim.ResourceType
	projection scim.Projection
	whole      bool  // the stored bytes are shown as they are
	named      bool  // the client names what it wants to see
	meta       parts // of meta
	rows       parts // of groups or members, which are kept as rows
}

// parts are the sub-attributes that are shown of a complex attribute; nil when
// it is not shown at all.
type parts []string

var (
	metaParts = parts{"resourceType", "created", "lastModified", "location", "version"}
	rowParts  = parts{"value", "$ref", "type", "display"}
)

// rows names the attribute of rt that is kept as rows, "" where there is none.
func rows(rt *scim.ResourceType) string {
	switch rt.Core.ID {
	case scim.UserSchema:
		return "groups"
	case scim.GroupSchema:
		return "members"
	}
	return ""
}

func newView(rt *scim.ResourceType, values map[string]string) (view, error) {
	attributes, excluded := values["attributes"], values["excludedattributes"]
	projection, err := scim.ParseProjection(rt, attributes, excluded)
	if err != nil {
		return view{}, err
	}
	v := view{
		rt:         rt,
		projection: projection,
		whole:      rt.ReturnsAll() && (projection.All() || excluded != "" && strings.EqualFold(excluded, rows(rt))),
		named:      attributes != "",
	}
	v.meta = v.shown("meta", metaParts)
	v.rows = v.shown(rows(rt), rowParts)
	return v, nil
}

// specifying is v for the answer to a write, which also shows what the write gave.
func (v view) specifying(given scim.Specified) view {
	v.projection = v.projection.Specifying(given)
	return v
}

func (v view) shown(name string, all parts) parts {
	switch {
	case v.projection.All():
		return all
	case !v.projection.Includes(name):
		return nil
	}
	shown := parts{}
	for _, part := range all {
		if v.projection.Includes(name + "." + part) {
			shown = append(shown, part)
		}
	}
	return shown
}
