package rolemap

import (
	"maps"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// Reads reports whether a change of these attributes can change what follows
// for the person. A path is as rules write it below user ("enterprise.department",
// "emails.value") or begins with an extension's URN; "active" always counts.
func (p *Program) Reads(changed []string) bool {
	for _, path := range changed {
		path = strings.ToLower(p.ruleWords(path))
		if path == "active" || path == "" {
			return true
		}
		for _, read := range p.reads.attributes {
			if overlap(path, strings.ToLower(read)) {
				return true
			}
		}
	}
	return false
}

// ruleWords turns "urn:…:enterprise:2.0:User:department" into
// "enterprise.department".
func (p *Program) ruleWords(path string) string {
	for _, ext := range p.schema.Extensions {
		rest, ok := cutURN(path, ext.ID)
		if !ok {
			continue
		}
		container := "custom"
		if ext.ID == scim.EnterpriseSchema {
			container = "enterprise"
		}
		return strings.TrimRight(container+"."+rest, ".")
	}
	if rest, ok := cutURN(path, p.schema.Core.ID); ok {
		return rest
	}
	return path
}

// cutURN takes a schema's URN, in any letter case, off the front of a path. One
// URN may be the beginning of another.
func cutURN(path, urn string) (rest string, found bool) {
	if len(path) < len(urn) || !strings.EqualFold(path[:len(urn)], urn) {
		return path, false
	}
	rest = strings.TrimLeft(path[len(urn):], ":.")
	return rest, rest == "" || len(rest) < len(path)-len(urn)
}

// overlap reports whether one path is the other or lies below it.
func overlap(a, b string) bool {
	return a == "" || b == "" || strings.HasPrefix(a+".", b+".") || strings.HasPrefix(b+".", a+".")
}

// ReadsGroup reports whether being in g can matter to anybody. It is true when
// that is unsure. For a rename ask for the group before and after.
func (p *Program) ReadsGroup(g Group) bool {
	if !slices.Contains(p.connections, g.Connection) {
		return false
	}
	if p.reads.anyGroup || slices.Contains(p.reads.ids, g.ID) || len(p.groupRolesOf(g)) > 0 {
		return true
	}
	key, err := scim.Key(g.DisplayName)
	if err != nil {
		return p.reads.byName // its presence alone turns "not in" into "cannot tell"
	}
	return slices.ContainsFunc(p.reads.names, func(name string) bool { return p.keys[name] == key })
}

// ReadsToday reports whether time alone can change what follows.
func (p *Program) ReadsToday() bool { return p.reads.today }

// Connections returns the names of the connections whose groups count.
func (p *Program) Connections() []string {
	return slices.DeleteFunc(slices.Clone(p.connections), func(name string) bool { return name == "" })
}

// WithAllowed returns the program for a tenant that may grant these roles now,
// so that a compiled set can be kept while the tenant's roles change.
func (p *Program) WithAllowed(roles map[string]bool) *Program {
	q := *p
	q.allowed = maps.Clone(roles)
	return &q
}
