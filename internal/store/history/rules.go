package history

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
)

// ruled is the connection that a finding about rules is of: the first whose
// groups count.
func (w *window) ruled() *connection {
	for _, c := range w.ordered() {
		for _, id := range w.rules.Connections {
			if c.ID == id {
				return c
			}
		}
	}
	return nil
}

// absent calls do with the names in rules that no living group has, and how
// their groups were called after, if they are here under another name.
func (w *window) absent(do func(name string, became *groupName)) {
	if w.ruled() == nil {
		return
	}
	for _, name := range w.rules.Groups {
		key, err := scim.Key(name)
		if _, here := w.groups[key]; err == nil && !here {
			do(name, w.renamed(key))
		}
	}
}

// renamed is the newest sight of a living group that had the name with this key.
func (w *window) renamed(key string) *groupName {
	for i, h := range w.histories {
		was, err := scim.Key(h.name)
		now, _ := scim.Key(h.now)
		if err == nil && was == key && now != key && !h.deleted {
			return &w.histories[i]
		}
	}
	return nil
}

func renamedGroups(w *window) []hit {
	var hits []hit
	w.absent(func(name string, became *groupName) {
		if became == nil {
			return
		}
		h := hit{connection: w.connections[became.connection], at: became.at, evidence: fmt.Sprintf("%q is now called %q", name, became.now)}
		if rename := w.rename(became); rename != nil {
			h.request, h.at = rename.ID, rename.At
		}
		if h.connection != nil {
			hits = append(hits, h)
		}
	})
	return hits
}

// rename is the request by which a group got the name that it has now.
func (w *window) rename(became *groupName) *reading {
	var of *uuid.UUID
	for _, h := range w.histories { // the newest first
		if h.name == became.now && h.connection == became.connection {
			of = &h.request
			break
		}
	}
	for _, rd := range w.requests {
		if of != nil && rd.ID == *of {
			return rd
		}
	}
	return nil
}

// missingGroups speaks once groups are pushed at all: before the first there is
// nothing wrong with the rules.
func missingGroups(w *window) []hit {
	c := w.ruled()
	pushed := false
	for _, rd := range w.requests {
		pushed = pushed || rd.connection == c && rd.done() && rd.writes("Groups")
	}
	var hits []hit
	w.absent(func(name string, became *groupName) {
		if became == nil && pushed {
			hits = append(hits, hit{connection: c, at: w.now, evidence: fmt.Sprintf("no group is called %q", name)})
		}
	})
	return hits
}

// emptyGroups: a group that a rule names has nobody in it, although members of
// others arrived after it was made.
func emptyGroups(w *window) []hit {
	var hits []hit
	for _, g := range w.groups {
		c := w.connections[g.connection]
		if c != nil && !g.members && w.pushesMembers(c, g) {
			hits = append(hits, hit{connection: c, at: w.now, evidence: fmt.Sprintf("group %q has no members", g.name)})
		}
	}
	return hits
}

// pushesMembers reports whether members of another group came after g was made.
func (w *window) pushesMembers(c *connection, g groupFact) bool {
	return slices.ContainsFunc(w.requests, func(rd *reading) bool {
		other := rd.Subject != nil && *rd.Subject != g.id
		return rd.connection == c && other && rd.done() && rd.writes("Groups") && rd.sends("members") && rd.At.After(g.created)
	})
}

func failingRules(w *window) []hit {
	var hits []hit
	for _, f := range w.rules.Failing {
		what := "rule " + f.Rule
		if f.Rule == "" {
			what = "all rules together"
		}
		if c := w.ruled(); c != nil {
			hits = append(hits, hit{connection: c, at: w.now, evidence: fmt.Sprintf("%s, for %d of %d people: %s", what, f.People, f.Of, f.Message)})
		}
	}
	return hits
}

func unreadableRules(w *window) []hit {
	ordered := w.ordered()
	if w.rules.Fault == "" || len(ordered) == 0 {
		return nil
	}
	return []hit{{connection: cmp.Or(w.ruled(), ordered[0]), at: w.now, evidence: w.rules.Fault}}
}
