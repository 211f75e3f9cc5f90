package server_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/conformance"
)

// coverage holds the rows that were shown against the lists: every row is shown, or
// DIVERGENCES.md says which row, quirk or section of the design is followed in its
// place; and none is both.
func (c *conforming) coverage(t *testing.T) {
	checklist, quirks := conformance.Checklist(), conformance.Quirks()
	rows := map[string]bool{}
	for _, row := range slices.Concat(checklist, quirks) {
		rows[row.ID] = true
	}
	for _, divergence := range conformance.Divergences() {
		c.divergence(t, divergence, rows)
	}
	for row := range c.covered.Rows() {
		if !rows[row] {
			t.Errorf("%s is shown, and no row of a list", row)
		}
	}
	for row := range rows {
		if !c.covered.Shown(row) && !conformance.Diverges(row) {
			t.Errorf("%s is not shown", row)
		}
	}
	printCoverage(t, c.covered.Summary("checklist", checklist)+" (section Z is not offered)\n"+
		c.covered.Summary("quirks", quirks)+"\n")
}

var reason = regexp.MustCompile(`\b[A-Z]{1,2}[0-9]{1,3}\b`)

// divergence checks that a row is met otherwise for a reason that stands somewhere, and
// is not shown as well.
func (c *conforming) divergence(t *testing.T, d conformance.Divergence, rows map[string]bool) {
	t.Helper()
	if !rows[d.Row] {
		t.Errorf("DIVERGENCES.md: %s is no row", d.Row)
	}
	if c.covered.Shown(d.Row) {
		t.Errorf("DIVERGENCES.md: %s is shown as it is written", d.Row)
	}
	stands := strings.Contains(d.Because, "design §")
	for _, name := range reason.FindAllString(d.Because, -1) {
		stands = stands || rows[name] && name != d.Row
	}
	if !stands {
		t.Errorf("DIVERGENCES.md: %s contradicts no row, quirk or section of the design: %q", d.Row, d.Because)
	}
}

// printCoverage writes the summary where `make test` prints it from: go test shows what
// a test prints only with -v.
func printCoverage(t *testing.T, summary string) {
	t.Helper()
	t.Log("\n" + summary)
	if file := os.Getenv("MUSTER_COVERAGE"); file != "" {
		if err := os.WriteFile(file, []byte(summary), 0o644); err != nil {
			t.Error(err)
		}
	}
}
