package conformance

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Coverage collects which rows have been shown.
type Coverage struct{ shown map[string]bool }

// Show notes that the row has been shown.
func (c *Coverage) Show(row string) {
	if c.shown == nil {
		c.shown = map[string]bool{}
	}
	c.shown[row] = true
}

// Shown says whether the row has been shown.
func (c *Coverage) Shown(row string) bool { return c.shown[row] }

// Rows are the rows that have been shown.
func (c *Coverage) Rows() iter.Seq[string] { return maps.Keys(c.shown) }

// Summary says in a line how many rows of a list have been shown, which are met
// otherwise by DIVERGENCES.md, and which are left.
func (c *Coverage) Summary(list string, rows []Row) string {
	var diverging, left []string
	for _, row := range rows {
		switch {
		case c.shown[row.ID]:
		case Diverges(row.ID):
			diverging = append(diverging, row.ID)
		default:
			left = append(left, row.ID)
		}
	}
	covered := len(rows) - len(diverging) - len(left)
	return fmt.Sprintf("%s: %d of %d rows covered; met otherwise: %s; not covered: %s",
		list, covered, len(rows), listed(diverging), listed(left))
}

func listed(rows []string) string {
	if len(rows) == 0 {
		return "none"
	}
	return strings.Join(rows, " ")
}

// Diverges says whether DIVERGENCES.md names the row as met otherwise.
func Diverges(id string) bool {
	return slices.ContainsFunc(Divergences(), func(d Divergence) bool { return d.Row == id })
}
