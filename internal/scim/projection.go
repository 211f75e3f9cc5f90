package scim

import (
	"slices"
	"strings"
)

// Projection is which attributes an answer shows (RFC 7644 §3.9). The zero
// Projection shows what is returned by default.
type Projection struct {
	rt       *ResourceType
	only     bool                // show the named attributes, else all but them
	named    map[*Attribute]bool // attributes and sub-attributes
	partly   map[*Attribute]bool // complex attributes of which a sub-attribute is named
	extended map[*Schema]bool    // extensions named as a whole

	specified Specified // shown unless names are given or exclude it
}

// maxProjection bounds each of the two parameters, in bytes.
const maxProjection = 8 << 10

// ParseProjection reads the parameters `attributes` and `excludedAttributes`:
// lists of names parted by commas (RFC 7644 §3.9), with URN or without, in any
// letter case. A name may hold a filter in brackets, `emails[type eq "work"]`,
// which is not applied (Q36). Unknown names are ignored. To give both
// parameters is refused: 400 invalidValue.
func ParseProjection(rt *ResourceType, attributes, excluded string) (Projection, error) {
	switch {
	case attributes != "" && excluded != "":
		return Projection{}, BadValue("attributes and excludedAttributes exclude each other")
	case len(attributes)+len(excluded) > maxProjection:
		return Projection{}, BadValue("attributes and excludedAttributes may have %d bytes", maxProjection)
	case attributes == "" && excluded == "":
		return Projection{}, nil
	}
	p := Projection{
		rt:       rt,
		only:     attributes != "",
		named:    make(map[*Attribute]bool),
		partly:   make(map[*Attribute]bool),
		extended: make(map[*Schema]bool),
	}
	for rest := attributes + excluded; rest != ""; {
		var name string
		name, rest = cutName(rest)
		if ref, err := rt.Resolve(name); err == nil {
			p.add(ref)
		}
	}
	return p, nil
}

// cutName takes the first name off a list, without what it has in brackets.
func cutName(list string) (name, rest string) {
	var b strings.Builder
	brackets, quoted := 0, false
	for i := range len(list) {
		switch c := list[i]; {
		case c == '"' && brackets > 0 && list[i-1] != '\\':
			quoted = !quoted
		case quoted:
		case c == '[':
			brackets++
		case c == ']' && brackets > 0:
			brackets--
		case c == ',' && brackets == 0:
			return strings.TrimSpace(b.String()), list[i+1:]
		case brackets == 0:
			b.WriteByte(c)
		}
	}
	return strings.TrimSpace(b.String()), ""
}

func (p Projection) add(ref Ref) {
	switch {
	case ref.Whole:
		p.extended[ref.Extension] = true
	case ref.Sub != nil:
		p.named[ref.Sub] = true
		p.partly[ref.Attr] = true
	default:
		p.named[ref.Attr] = true
	}
}

// Specifying returns p for the answer to a write, which also shows what the write
// specified.
func (p Projection) Specifying(s Specified) Projection {
	p.specified = s
	return p
}

// All reports whether p shows all that is returned by default.
func (p Projection) All() bool { return p.rt == nil }

// Includes reports whether p shows the attribute or sub-attribute that name
// means, such as "meta", "groups" or "members.display". It is for attributes
// that a Resource does not hold; `id` and `schemas` are always shown.
func (p Projection) Includes(name string) bool {
	if p.All() {
		return true
	}
	ref, err := p.rt.Resolve(name)
	switch {
	case err != nil:
		return false
	case ref.Whole:
		return slices.ContainsFunc(ref.Extension.Attributes, func(a *Attribute) bool { return p.shows(ref.Extension, a) })
	case !p.shows(ref.Extension, ref.Attr):
		return false
	}
	return ref.Sub == nil || p.showsSub(ref.Extension, ref.Attr, ref.Sub)
}

// Apply returns the attributes of r that p shows; r is unchanged.
func (p Projection) Apply(rt *ResourceType, r Resource) Resource {
	shown := Resource(p.pick(rt.Core, nil, r))
	for _, ext := range rt.Extensions {
		container, ok := r[ext.ID].(map[string]any)
		if !ok {
			continue
		}
		if picked := p.pick(ext, ext, container); len(picked) > 0 {
			shown[ext.ID] = picked
		}
	}
	return shown
}

func (p Projection) pick(s, ext *Schema, values map[string]any) map[string]any {
	shown := make(map[string]any, len(values))
	for name, v := range values {
		a := s.byName[name]
		if a == nil || !p.shows(ext, a) {
			continue
		}
		if picked := p.pickSub(ext, a, v); picked != nil {
			shown[name] = picked
		}
	}
	return shown
}

// shows reports whether at least a part of a is shown (RFC 7643 §7, returned).
func (p Projection) shows(ext *Schema, a *Attribute) bool {
	named := p.named[a] || p.extended[ext]
	switch a.Returned {
	case ReturnedAlways:
		return true
	case ReturnedNever:
		return false
	case ReturnedRequest:
		if !p.only {
			return p.specified[a] && !named
		}
		return named || p.partly[a]
	}
	if p.only {
		return named || p.partly[a] || a.Name == "schemas"
	}
	return !named || a.Name == "schemas"
}

func (p Projection) showsSub(ext *Schema, a, sub *Attribute) bool {
	named := p.named[sub]
	switch sub.Returned {
	case ReturnedAlways:
		return true
	case ReturnedNever:
		return false
	case ReturnedRequest:
		return named == p.only && (named || p.specified[sub])
	}
	if p.only {
		return named || p.named[a] || p.extended[ext]
	}
	return !named
}

// pickSub returns what is shown of a value of a, nil if nothing.
func (p Projection) pickSub(ext *Schema, a *Attribute, v any) any {
	if !p.partly[a] && !a.partial {
		return v
	}
	switch v := v.(type) {
	case []any:
		var shown []any
		for _, e := range v {
			if picked := p.pickSub(ext, a, e); picked != nil {
				shown = append(shown, picked)
			}
		}
		if len(shown) > 0 {
			return shown
		}
	case map[string]any:
		shown := make(map[string]any, len(v))
		for name, e := range v {
			if sub := a.byName[name]; sub != nil && p.showsSub(ext, a, sub) {
				shown[name] = e
			}
		}
		if len(shown) > 0 {
			return shown
		}
	}
	return nil
}
