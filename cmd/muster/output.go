package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// print writes value as JSON where JSON is asked for, else what table writes.
func (p *program) print(value any, table func(t *table)) error {
	if p.json {
		encoder := json.NewEncoder(p.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(value)
	}
	t := newTable(p.out)
	table(t)
	return t.writer.Flush()
}

// A table aligns columns for people.
type table struct{ writer *tabwriter.Writer }

func newTable(w io.Writer) *table {
	return &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
}

// row writes one line; times, absent ones and lists as people read them. Text
// that came from a directory cannot move the cursor.
func (t *table) row(cells ...any) {
	for i, cell := range cells {
		text := cellText(cell)
		if i < len(cells)-1 {
			text += "\t"
		}
		io.WriteString(t.writer, text)
	}
	io.WriteString(t.writer, "\n")
}

func cellText(cell any) string {
	switch cell := cell.(type) {
	case time.Time:
		if cell.IsZero() {
			return "–"
		}
		return cell.UTC().Format("2006-01-02 15:04 MST")
	case *time.Time:
		if cell == nil {
			return "–"
		}
		return cellText(*cell)
	case bool:
		if cell {
			return "yes"
		}
		return "no"
	case []string:
		return cellText(strings.Join(cell, ", "))
	}
	text := printable(fmt.Sprint(cell))
	if text == "" {
		return "–"
	}
	return text
}

// printable replaces what would move the cursor, end a line, change colours, hide or reorder text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '·'
		}
		return r
	}, text)
}

// printableLines is printable for text of several lines.
func printableLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(printable(strings.TrimRight(line, "\n")) + "\n")
	}
	return b.String()
}

// say tells people what goes on, beside the command's own output.
func (p *program) say(format string, args ...any) { fmt.Fprintf(p.errs, format+"\n", args...) }

// toTerminal reports whether somebody watches what is written to w.
func toTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// present makes JSON of no entries [], not null.
func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
