package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/history"
)

// A logQuery is what the log was asked, as flags say.
type logQuery struct {
	connection string
	user       string
	status     string
	since      time.Duration
	limit      int
	follow     bool
}

func (p *program) logCommand() *cobra.Command {
	f := &logQuery{}
	c := p.command(verb{
		use:   "log TENANT [REQUEST]",
		short: "Show what a tenant's identity provider asked, and what came of it",
		long: `Show the SCIM requests of a tenant's identity provider, the newest first: what came, what was
understood, what changed and the answer. With the id of a request, which stands in the
answer's X-Request-Id, show that one whole, with what is wrong about it.

Q70 and its like number customary deviations from SCIM that were repaired or ignored; they
are listed in conformance/QUIRKS.md, and a request that is shown whole says what was done.

Passwords, tokens and whatever is named like a secret were never kept; long bodies are cut.
Requests expire after --request-days of the server.`,
		example: `  muster log ringling --status 4xx
  muster log ringling --user jamie.morgan@ringling.example --since 24h
  muster log ringling --follow
  muster log ringling 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50`,
		run: func(ctx context.Context, args []string) error {
			return p.withDirectory(ctx, args[0], "log", func(dir *store.Directory) error {
				dir, err := (&personFlags{tenant: args[0], connection: f.connection}).narrow(dir)
				if err != nil {
					return err
				}
				if len(args) == 2 {
					return p.showRequest(ctx, dir, args[1])
				}
				return p.showLog(ctx, dir, f)
			})
		},
	})
	c.Flags().StringVar(&f.connection, "connection", "", "of one connection only")
	c.Flags().StringVar(&f.user, "user", "", "only about this person or group: id, userName, externalId, or any text in the request")
	c.Flags().StringVar(&f.status, "status", "", "only with this status: 409, or a class of them: 4xx")
	c.Flags().DurationVar(&f.since, "since", 0, "how far back to look; 0: as far as the log goes")
	c.Flags().IntVar(&f.limit, "limit", 50, "how many to show")
	c.Flags().BoolVar(&f.follow, "follow", false, "show requests as they come, until interrupted")
	return c
}

// query is what f asks of the log.
func (f *logQuery) query(ctx context.Context, dir *store.Directory) (history.Query, error) {
	if f.since < 0 {
		return history.Query{}, usagef("--since %s: give a time back from now, such as 24h", f.since)
	}
	q := history.Query{User: f.user, Status: f.status, Limit: f.limit}
	if f.since > 0 {
		q.Since = time.Now().Add(-f.since)
	}
	if f.user == "" {
		return q, nil
	}
	u, err := dir.FindUser(ctx, f.user)
	if _, several := errors.AsType[*store.ArgumentError](err); several || errors.Is(err, store.ErrNotFound) {
		return q, nil // then by text
	}
	q.Of = u.ID
	return q, err
}

func (p *program) showLog(ctx context.Context, dir *store.Directory, f *logQuery) error {
	q, err := f.query(ctx, dir)
	if err != nil {
		return err
	}
	if f.follow {
		return p.followLog(ctx, dir, q)
	}
	list, err := dir.History().Requests(ctx, q)
	if err != nil {
		return historyError(err)
	}
	return p.print(list, func(t *table) {
		t.row("TIME", "STATUS", "METHOD", "WHAT", "CAME OF IT", "CONNECTION", "REQUEST")
		for _, r := range list {
			t.row(requestCells(r)...)
		}
		if slices.ContainsFunc(list, func(r history.Request) bool { return len(r.Notes) > 0 }) {
			t.row()
			t.row("Q and a number: a customary deviation, of conformance/QUIRKS.md. muster log " + dir.Tenant() + " REQUEST says what was done about it.")
		}
	})
}

func requestCells(r history.Request) []any {
	return []any{r.At.UTC().Format("01-02 15:04:05"), r.Status, r.Method, shortPath(r), cameOfIt(r), r.Connection, r.ID}
}

// shortPath is a request's address without the tenant's base.
func shortPath(r history.Request) string {
	path := r.Path
	if _, rest, found := strings.Cut(path, "/scim/v2"); found {
		path = rest
	}
	if r.Query != "" {
		path += "?" + r.Query
	}
	return cut(path, 80)
}

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// cameOfIt says in a few words how a request was understood and answered.
func cameOfIt(r history.Request) string {
	var said []string
	switch {
	case r.Detail != "":
		said = append(said, r.Detail)
	case r.Found != nil:
		said = append(said, fmt.Sprintf("%d found", *r.Found))
	}
	var quirks []string
	for _, n := range r.Notes {
		if !slices.Contains(quirks, n.Quirk) {
			quirks = append(quirks, n.Quirk)
		}
	}
	if len(quirks) > 0 {
		said = append(said, "repaired or ignored: "+strings.Join(quirks, " "))
	}
	return cut(strings.Join(said, "; "), 100)
}

const (
	followPause   = time.Second
	followOverlap = 10 * time.Second // a read is written up to a second after it came, in no order
)

// followLog shows requests as they come, the oldest first, until ctx ends.
func (p *program) followLog(ctx context.Context, dir *store.Directory, q history.Query) error {
	shown := map[uuid.UUID]time.Time{}
	q.Since, q.Limit = time.Now().Add(-followOverlap), history.MostRequests
	for {
		list, err := dir.History().Requests(ctx, q)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return historyError(err)
		}
		slices.Reverse(list)
		for _, r := range list {
			if _, known := shown[r.ID]; !known {
				shown[r.ID] = r.At
				if err := p.writeLine(r); err != nil {
					return err
				}
			}
		}
		q.Since = time.Now().Add(-followOverlap)
		for id, at := range shown {
			if at.Before(q.Since.Add(-followOverlap)) {
				delete(shown, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPause):
		}
	}
}

func (p *program) writeLine(r history.Request) error {
	if p.json {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.out, "%s\n", line)
		return err
	}
	cells := requestCells(r)
	for i := range cells {
		cells[i] = cellText(cells[i])
	}
	_, err := fmt.Fprintf(p.out, "%s  %s  %s  %s  %s  %s  %s\n", cells...)
	return err
}

func (p *program) showRequest(ctx context.Context, dir *store.Directory, ref string) error {
	id, err := uuid.Parse(ref)
	if err != nil {
		return usagef("%q is no request id: it is what X-Request-Id says, such as 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50", printable(ref))
	}
	r, err := dir.History().Request(ctx, id)
	if errors.Is(err, history.ErrNotFound) {
		return &missingError{fmt.Sprintf("the log of tenant %q holds no request %s: it may have expired", dir.Tenant(), id)}
	}
	if err != nil {
		return err
	}
	if p.json {
		return p.print(r, nil)
	}
	return writeRequest(p.out, r)
}

// writeRequest shows a request whole: what came, what was understood, what
// changed, the answer, and what is wrong about it.
func writeRequest(w io.Writer, r history.Request) error {
	field(w, "request", r.ID.String())
	field(w, "came", r.At.UTC().Format(time.RFC3339Nano))
	field(w, "from", strings.TrimSpace(fmt.Sprintf("%s, %s %s", r.Connection, r.Holder(), r.Agent)))
	field(w, "asked", strings.TrimSuffix(fmt.Sprintf("%s %s?%s", r.Method, r.Path, r.Query), "?"))
	if r.Body != "" {
		fmt.Fprintf(w, "\n%s\n\n", strings.TrimRight(printableLines(indented(string(r.Body))), "\n"))
	}
	for _, n := range r.Notes {
		field(w, "understood", fmt.Sprintf("%s %s: %s", n.Quirk, n.Path, n.Reason))
	}
	for _, c := range r.Changes {
		field(w, "changed", fmt.Sprintf("%s %s %s", c.Kind, c.Subject, cut(string(c.Body), 2000)))
		if c.Roles != nil {
			field(w, "roles", cut(string(c.Roles), 2000))
		}
	}
	answer := fmt.Sprintf("%d %s %s", r.Status, r.ScimType, r.Detail)
	if r.Found != nil {
		answer += fmt.Sprintf(" %d found", *r.Found)
	}
	field(w, "answered", fmt.Sprintf("%s, after %.1f ms", strings.TrimSpace(answer), r.Took))
	for _, id := range r.Diagnoses {
		d := history.Lookup(id)
		field(w, "diagnosis", id+": "+d.Title+". "+d.Text)
	}
	for _, evidence := range r.Evidence {
		field(w, "evidence", evidence)
	}
	return nil
}

// indented is JSON on several lines, and any other text as it is.
func indented(text string) string {
	var v json.RawMessage
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	lines, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return text
	}
	return string(lines)
}
