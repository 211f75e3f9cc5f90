package server_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/conformance"
)

// coverage holds the rows that were shown against the lists: every row is shown, or
// DIVERGENCES.md says which row, quirk or section of the design is followed in its
// place, or it is still pending; and no row is two of these.
func (c *conforming) coverage(t *testing.T) {
	checklist, quirks := conformance.Checklist(), conformance.Quirks()
	pending, rows := pendingRows(t), map[string]bool{}
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
		if slices.Contains(pending, row) {
			t.Errorf("%s is shown: take it out of conformance/pending", row)
		}
	}
	for row := range rows {
		if !c.covered.Shown(row) && !conformance.Diverges(row) && !slices.Contains(pending, row) {
			t.Errorf("%s is not shown", row)
		}
	}
	for _, row := range pending {
		if !rows[row] {
			t.Errorf("conformance/pending names %s, which is no row", row)
		}
		if conformance.Diverges(row) {
			t.Errorf("conformance/pending names %s, which DIVERGENCES.md names too", row)
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

// pendingRows are the rows that no transcript shows yet.
func pendingRows(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../conformance/pending/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, strings.Fields(string(text))...)
	}
	return rows
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
