package main

import (
	"context"
	"io"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/store"
)

// A shownExplanation says which roles follow for a person, and the reason of
// every rule.
type shownExplanation struct {
	User        uuid.UUID            `json:"user"`
	RuleSet     int64                `json:"rule_set"`
	Published   bool                 `json:"published"` // a readable rule set is
	Assignments []store.Assignment   `json:"assignments"`
	Explanation *rolemap.Explanation `json:"explanation,omitempty"`
}

func (p *program) explainCommand() *cobra.Command {
	f := &personFlags{}
	return f.add(p.command(verb{
		use:   "explain USER",
		short: "Say why a person has the roles that they have, and why not others",
		long: `Say, rule by rule, why a person has the roles that they have and why not others: every
clause with its value and what it looked at, the decisive ones marked *.
` + personText,
		example: `  muster explain jamie.morgan@ringling.example --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			return p.withPerson(ctx, f, "explain", args[0], func(dir *store.Directory, u store.User) error {
				return p.explain(ctx, dir, u)
			})
		},
	}))
}

func (p *program) explain(ctx context.Context, dir *store.Directory, u store.User) error {
	e, err := dir.Explain(ctx, u.ID.String())
	if err != nil {
		return err
	}
	shown := shownExplanation{User: u.ID, RuleSet: e.RuleSet, Published: e.Program, Assignments: present(e.Assignments)}
	if e.Program {
		shown.Explanation = &e.Explanation
	}
	return p.print(shown, func(t *table) {
		t.row("user", u.ID)
		t.row("state", state(u))
		t.row("rule set", e.RuleSet)
		t.row()
		assignmentRows(t, e.Assignments)
		t.row()
		switch {
		case e.Program:
			io.WriteString(t.writer, printableLines(e.Explanation.String()))
		case e.RuleSet == 0:
			t.row("no rule set is published: nobody of the tenant holds a role")
		default:
			t.row("the published rule set cannot be read: no rule of it grants anything; muster rules publish makes another the tenant's")
		}
	})
}
