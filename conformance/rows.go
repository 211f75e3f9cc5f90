package conformance

import (
	"embed"
	"regexp"
	"strings"
)

//go:embed CHECKLIST.md QUIRKS.md DIVERGENCES.md
var lists embed.FS

// A Row is one requirement: of the checklist (A01 to AB10), or a quirk of
// customary clients (Q1 to Q125; those of the checklist's section Q are Q01 to Q07).
type Row struct {
	ID        string
	Section   string // "7643 2.1"; empty for a quirk
	Keyword   string // the word of RFC 2119, "-" for none; empty for a quirk
	Statement string // what must hold; of a quirk: what clients do
	Test      string // request -> expected answer; of a quirk: what the server must do
}

// Checklist returns the rows of CHECKLIST.md in their order, without section Z,
// which is about what is not offered.
func Checklist() []Row {
	var rows []Row
	for _, cells := range table("CHECKLIST.md", 5) {
		if !strings.HasPrefix(cells[0], "Z") {
			rows = append(rows, Row{cells[0], cells[1], cells[2], cells[3], cells[4]})
		}
	}
	return rows
}

// Quirks returns the rows of QUIRKS.md in their order.
func Quirks() []Row {
	var rows []Row
	for _, cells := range table("QUIRKS.md", 3) {
		rows = append(rows, Row{ID: cells[0], Statement: cells[1], Test: cells[2]})
	}
	return rows
}

// A Divergence is a row that this server meets otherwise than it is written.
type Divergence struct {
	Row     string
	Instead string // what is done
	Because string // the row, quirk or section of the design that says so
	Shown   string // the transcript or test
}

// Divergences returns the rows of the table in DIVERGENCES.md whose first cell is a row.
func Divergences() []Divergence {
	var all []Divergence
	for _, cells := range table("DIVERGENCES.md", 4) {
		all = append(all, Divergence{cells[0], cells[1], cells[2], cells[3]})
	}
	return all
}

var rowID = regexp.MustCompile(`^[A-Z]{1,2}[0-9]{1,3}$`)

// table returns the lines of every table of the list that have so many cells and
// begin with the id of a row.
func table(name string, cells int) [][]string {
	text, err := lists.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		row := splitCells(line)
		if len(row) == cells && rowID.MatchString(row[0]) {
			all = append(all, row)
		}
	}
	return all
}

// splitCells parts a line of a Markdown table. `\|` is a bar within a cell.
func splitCells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") || !strings.HasSuffix(line, "|") {
		return nil
	}
	const bar = "\x00"
	line = strings.ReplaceAll(line[1:len(line)-1], `\|`, bar)
	cells := strings.Split(line, "|")
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(strings.TrimSpace(cell), bar, "|")
	}
	return cells
}
