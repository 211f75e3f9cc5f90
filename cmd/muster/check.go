package main

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store"
)

// A shownDecision is a Decision as applications get it from the server.
type shownDecision struct {
	Allowed    bool                `json:"allowed"`
	Reason     store.Reason        `json:"reason,omitempty"`
	User       *uuid.UUID          `json:"user,omitempty"`
	UserName   string              `json:"user_name,omitempty"`
	Roles      []string            `json:"roles"`
	RoleScopes map[string][]string `json:"role_scopes,omitempty"`
	RuleSet    int64               `json:"rule_set"`
	Position   string              `json:"position,omitempty"`
	Detail     string              `json:"detail,omitempty"`
}

// checkFlags are what check takes.
type checkFlags struct {
	tenant, app, secretFile     string
	connection, issuer, subject string
	atLeast                     string
}

func (p *program) checkCommand() *cobra.Command {
	f := &checkFlags{}
	c := p.command(verb{
		use:   "check [USER]",
		short: "Ask whether a person may enter an application now, and as what",
		long: `Ask what the application would be told: may this person enter now, and as what? It needs
the application's own client secret. The person is named by id, userName or externalId,
or by --connection, --issuer and --subject of a sign-in. Exit code 3 where the answer
is no; the reasons are tenant_suspended, application_disabled, connection_disabled,
ambiguous_identity, join_mismatch, not_provisioned, locked, inactive, expired,
rules_unreadable, no_role and too_many_roles.`,
		example: `  muster check jamie.morgan@ringling.example --tenant ringling --app timesheet --secret-file timesheet.secret
  muster check --tenant cirque --app timesheet --secret-file - \
    --connection okta --issuer https://cirque.okta.com --subject 00uk7p2qIhyOVWycwBwQ < timesheet.secret`,
		run: func(ctx context.Context, args []string) error { return p.check(ctx, f, args) },
	})
	flags := c.Flags()
	flags.StringVar(&f.tenant, "tenant", "", "slug of the tenant")
	flags.StringVar(&f.app, "app", "", "client id of the application")
	flags.StringVar(&f.secretFile, "secret-file", "", "file whose first line is the application's client secret; - for standard input")
	flags.StringVar(&f.connection, "connection", "", "name of the connection of an identity")
	flags.StringVar(&f.issuer, "issuer", "", "issuer of an identity")
	flags.StringVar(&f.subject, "subject", "", "subject of an identity")
	flags.StringVar(&f.atLeast, "at-least", "", "a position that the answer must have seen")
	return required(c, "tenant", "app", "secret-file")
}

func (p *program) check(ctx context.Context, f *checkFlags, args []string) error {
	identity := f.issuer != "" || f.subject != ""
	if identity == (len(args) == 1) || identity && (f.issuer == "" || f.subject == "" || f.connection == "") {
		return usagef("name one person: by USER, or by --connection, --issuer and --subject together")
	}
	secret, err := p.readSecret(f.secretFile, "client secret")
	if err != nil {
		return err
	}
	request := store.CheckRequest{Tenant: f.tenant, ClientID: f.app, Secret: secret, AtLeast: f.atLeast}
	return p.withStore(ctx, func(st *store.Store) error {
		if identity {
			request.Connection, request.Issuer, request.Subject = f.connection, f.issuer, f.subject
		} else if request.UserID, err = p.userID(ctx, st, f, args[0]); err != nil {
			return err
		}
		d, err := st.Check(ctx, request)
		if err != nil {
			return checkError(err)
		}
		return p.printDecision(d)
	})
}

// userID is the id of whom ref names; the ref itself where it names nobody,
// whom Check then does not know either.
func (p *program) userID(ctx context.Context, st *store.Store, f *checkFlags, ref string) (string, error) {
	dir, err := st.Admin(ctx, f.tenant, p.actorName(), store.Request{ID: uuid.Must(uuid.NewV7()), Method: "CLI", Path: "muster check"})
	if err != nil {
		return "", noTenant(err, f.tenant)
	}
	if dir, err = (&personFlags{f.tenant, f.connection}).narrow(dir); err != nil {
		return "", err
	}
	u, err := dir.FindUser(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return ref, nil
	}
	return u.ID.String(), err
}

func checkError(err error) error {
	switch {
	case errors.Is(err, store.ErrUnauthenticated):
		return usagef("the application was not let in: its client id or secret is wrong, or its people are not this tenant's; muster app list shows whose they are")
	case errors.Is(err, store.ErrNotYet):
		return errors.New("the position of --at-least is not visible yet, or not of this database: try again")
	}
	return err
}

func (p *program) printDecision(d store.Decision) error {
	shown := shownDecision{
		Allowed: d.Allowed, Reason: d.Reason, UserName: d.UserName, Roles: present(d.Roles), RoleScopes: d.RoleScopes,
		RuleSet: d.RuleSet, Position: d.Position, Detail: d.Detail,
	}
	if d.UserID != uuid.Nil {
		shown.User = &d.UserID
	}
	err := p.print(shown, func(t *table) {
		t.row("allowed", d.Allowed)
		if !d.Allowed {
			t.row("reason", d.Reason)
		}
		if d.Detail != "" {
			t.row("detail", d.Detail)
		}
		if shown.User != nil {
			t.row("user", d.UserID)
			t.row("userName", d.UserName)
		}
		t.row("roles", d.Roles)
		for role, scopes := range d.RoleScopes {
			t.row("roles", role+" for "+cellText(scopes))
		}
		t.row("rule set", d.RuleSet)
	})
	if err == nil && !d.Allowed {
		err = errRefused
	}
	return err
}
