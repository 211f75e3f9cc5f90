package conformance

import (
	"strings"
	"testing"
)

func TestSummaryNamesWhatIsLeft(t *testing.T) {
	var c Coverage
	c.Show("A01")
	c.Show("A03")
	rows := []Row{{ID: "A01"}, {ID: "A02"}, {ID: "A03"}, {ID: "C11"}}
	got := c.Summary("checklist", rows)
	if want := "checklist: 2 of 4 rows covered; met otherwise: C11; not covered: A02"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Show("A02")
	if got := c.Summary("checklist", rows); !strings.HasSuffix(got, "not covered: none") {
		t.Errorf("got %q, want nothing left", got)
	}
}

// The last table of DIVERGENCES.md is read; a bar within a cell is written \|.
func TestSplitCells(t *testing.T) {
	for line, want := range map[string]string{
		`| A01 | b \| c |  d|`: "A01/b | c/d",
		"|---|---|":            "---/---",
		"A01 | b":              "",
		"":                     "",
	} {
		if got := strings.Join(splitCells(line), "/"); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	if !Diverges("C11") || Diverges("A01") {
		t.Error("C11 is met otherwise, A01 as it is written")
	}
}
