package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/history"
)

// A consultation is what the doctor was asked, as flags say.
type consultation struct {
	since      time.Duration
	all        bool
	connection string
	paste      string
}

func (p *program) doctorCommand() *cobra.Command {
	f := &consultation{}
	c := p.command(verb{
		use:   "doctor TENANT",
		short: "Say what is wrong with how a tenant is provisioned, and what to change",
		long: `Say in plain words what is wrong between a tenant and its identity provider: what
happens, what it leads to, and the setting to change there. It looks at the SCIM requests
of the last seven days, at most the newest 20,000, at sign-ins that failed, and at the
groups that the published rules name.

With --paste it reads an entry that somebody copied from the identity provider's own log,
and shows what came of it here: of Entra's provisioning log (JSON, or CSV with its header
line) or of Okta's System Log (JSON); - is standard input.`,
		example: `  muster doctor ringling
  muster doctor ringling --since 24h --connection entra --json
  muster doctor ringling --paste event.json`,
		run: func(ctx context.Context, args []string) error {
			return p.withDirectory(ctx, args[0], "doctor", func(dir *store.Directory) error {
				dir, err := (&personFlags{tenant: args[0], connection: f.connection}).narrow(dir)
				if err != nil {
					return err
				}
				if f.paste != "" {
					return p.explainPaste(ctx, dir, f.paste)
				}
				return p.consult(ctx, dir, f)
			})
		},
	})
	c.Flags().DurationVar(&f.since, "since", 7*24*time.Hour, "how far back to look")
	c.Flags().BoolVar(&f.all, "all", false, "look at everything that is kept")
	c.Flags().StringVar(&f.connection, "connection", "", "look at one connection only")
	c.Flags().StringVar(&f.paste, "paste", "", "file with an entry of the identity provider's own log; - for standard input")
	return c
}

// A shownConsultation is what the doctor found.
type shownConsultation struct {
	Tenant   string            `json:"tenant"`
	Since    *time.Time        `json:"since,omitempty"` // absent: everything that is kept
	Requests int               `json:"requests"`
	Findings []history.Finding `json:"findings"`
}

func (p *program) consult(ctx context.Context, dir *store.Directory, f *consultation) error {
	if f.since <= 0 {
		return usagef("--since %s: give a time back from now, such as 24h", f.since)
	}
	shown := shownConsultation{Tenant: dir.Tenant()}
	asked := history.Consultation{}
	if !f.all {
		asked.Since = time.Now().Add(-f.since)
		shown.Since = &asked.Since
	}
	var err error
	if shown.Findings, shown.Requests, err = dir.History().Diagnose(ctx, asked); err != nil {
		return err
	}
	if p.json {
		return p.print(shown, nil)
	}
	return shown.write(p.out)
}

func (c shownConsultation) write(w io.Writer) error {
	since := "of all that are kept"
	if c.Since != nil {
		since = "since " + cellText(*c.Since)
	}
	fmt.Fprintf(w, "%s: %s, from %s %s\n", c.Tenant, counted(len(c.Findings), "diagnosis", "diagnoses"), counted(c.Requests, "request", "requests"), since)
	if c.Requests == history.MostRequests {
		fmt.Fprintf(w, "More requests came than the doctor looks at: give a shorter --since.\n")
	}
	for _, f := range c.Findings {
		fmt.Fprintf(w, "\n%s\n", printable(f.Title))
		field(w, "diagnosis", f.ID)
		field(w, "connection", f.Connection)
		field(w, "seen", times(f))
		field(w, "what", f.Text)
		field(w, "change", f.Remedy)
		for _, evidence := range f.Evidence {
			field(w, "evidence", evidence)
		}
		for _, id := range f.Requests {
			field(w, "request", id.String())
		}
	}
	if len(c.Findings) > 0 {
		fmt.Fprintf(w, "\nmuster log %s REQUEST shows a request whole.\n", c.Tenant)
	}
	return nil
}

func times(f history.Finding) string {
	if f.Count == 1 {
		return "once, " + cellText(f.Last)
	}
	return fmt.Sprintf("%d times, %s to %s", f.Count, cellText(f.First), cellText(f.Last))
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// width is how long a line for people gets.
const width = 100

// field writes a name and a text, which is wrapped behind it.
func field(w io.Writer, name, text string) {
	const indent = 14
	line := fmt.Sprintf("  %-*s", indent-2, name)
	used := indent
	for i, word := range strings.Fields(printable(text)) {
		if i > 0 && used+1+len([]rune(word)) > width {
			fmt.Fprintln(w, line)
			line, used = strings.Repeat(" ", indent), indent
		} else if i > 0 {
			line += " "
			used++
		}
		line += word
		used += len([]rune(word))
	}
	fmt.Fprintln(w, line)
}

// longestPaste bounds what is read of a file, one byte more than can be read.
const longestPaste = 1<<20 + 1

func (p *program) explainPaste(ctx context.Context, dir *store.Directory, path string) error {
	text, err := p.readPaste(path)
	if err != nil {
		return err
	}
	events, err := history.ParseEvents(text)
	if err != nil {
		return historyError(err)
	}
	explained, err := dir.History().Explain(ctx, events)
	if err != nil {
		return err
	}
	if p.json {
		return p.print(explained, nil)
	}
	for _, x := range explained {
		writeExplanation(p.out, x)
	}
	return nil
}

func (p *program) readPaste(path string) ([]byte, error) {
	in := p.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usagef("--paste: %v", err)
		}
		defer file.Close()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, longestPaste))
}

func writeExplanation(w io.Writer, x history.Explanation) {
	e := x.Event
	fmt.Fprintf(w, "%s of %s: %s\n", printable(e.Action), cellText(e.At), printable(e.Status))
	field(w, "about", strings.Join(slices.Concat(e.About, e.Called), ", "))
	if e.Code != "" || e.Reason != "" {
		field(w, "it says", strings.Join(strings.Fields(e.Code+" "+e.Reason), " "))
	}
	if x.Meaning != "" {
		field(w, "that means", x.Meaning)
	}
	field(w, "here", x.Verdict)
	for _, r := range x.Requests {
		field(w, "request", fmt.Sprintf("%s %s %s %s → %d %s", r.ID, cellText(r.At), r.Method, shortPath(r), r.Status, r.Detail))
		for _, id := range r.Diagnoses {
			field(w, "", "diagnosis "+id)
		}
	}
	fmt.Fprintln(w)
}

// historyError gives an error of the log the program's exit codes.
func historyError(err error) error {
	if argument, ok := errors.AsType[*history.ArgumentError](err); ok {
		return usagef("%s", argument.Message)
	}
	return err
}
