package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

func (p *program) userCommand() *cobra.Command {
	return group("user", "One person of a tenant: show, lock, unlock, restore",
		p.userShowCommand(),
		p.changeUserCommand("lock", "Shut a person out at once, whatever the directory says",
			"Shut a person out at once, whatever the customer's directory says: sign-ins and checks are\nrefused, every session ends. The directory neither sees nor clears it.",
			func(ctx context.Context, dir *store.Directory, u store.User) (store.User, bool, error) {
				return dir.LockUser(ctx, u.ID, true)
			}),
		p.changeUserCommand("unlock", "Let a locked person in again", "",
			func(ctx context.Context, dir *store.Directory, u store.User) (store.User, bool, error) {
				return dir.LockUser(ctx, u.ID, false)
			}),
		p.changeUserCommand("restore", "Bring a deleted person back: same id, same memberships",
			"Bring a deleted person back: same id, same memberships, roles as the rules say now.\nIt is refused where the userName belongs to somebody else by now, and where nobody is deleted.",
			func(ctx context.Context, dir *store.Directory, u store.User) (store.User, bool, error) {
				if !u.Deleted {
					return u, false, usagef("user %s is not deleted: there is nothing to restore. Somebody deleted who had the same userName is named by id", u.ID)
				}
				return dir.RestoreUser(ctx, u.ID)
			}))
}

// A shownUser is a person as the command line shows them.
type shownUser struct {
	ID          uuid.UUID          `json:"id"`
	Tenant      string             `json:"tenant"`
	Active      bool               `json:"active"`
	Locked      bool               `json:"locked"`
	Deleted     bool               `json:"deleted"`
	Version     int64              `json:"version"`
	Created     time.Time          `json:"created"`
	Modified    time.Time          `json:"modified"`
	Resource    json.RawMessage    `json:"resource"`
	Groups      []string           `json:"groups"`
	Assignments []store.Assignment `json:"assignments"`

	attributes scim.Resource
}

// personFlags say in which tenant, and if need be connection, a person is
// looked for.
type personFlags struct{ tenant, connection string }

func (f *personFlags) add(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&f.tenant, "tenant", "", "slug of the tenant")
	c.Flags().StringVar(&f.connection, "connection", "", "name of the connection, where two know the same name")
	return required(c, "tenant")
}

// withPerson finds a person by id, userName or externalId, for do.
func (p *program) withPerson(ctx context.Context, f *personFlags, command, ref string, do func(*store.Directory, store.User) error) error {
	return p.withDirectory(ctx, f.tenant, command, func(dir *store.Directory) error {
		dir, err := f.narrow(dir)
		if err != nil {
			return err
		}
		u, err := dir.FindUser(ctx, ref)
		if err != nil {
			return noPerson(err, f.tenant, ref)
		}
		return do(dir, u)
	})
}

func (f *personFlags) narrow(dir *store.Directory) (*store.Directory, error) {
	if f.connection == "" {
		return dir, nil
	}
	narrowed, err := dir.WithConnection(f.connection)
	return narrowed, noConnection(err, f.tenant, f.connection)
}

func noPerson(err error, tenant, ref string) error {
	return missing(err, "tenant %q has nobody with id, userName or externalId %q", tenant, printable(ref))
}

const personText = "A person is named by id, userName or externalId."

func (p *program) userShowCommand() *cobra.Command {
	f := &personFlags{}
	return f.add(p.command(verb{
		use:     "show USER",
		short:   "Show a person, their groups, and the roles that they hold",
		long:    "Show a person, deleted ones too, their groups, and the roles that they hold.\n" + personText,
		example: `  muster user show jamie.morgan@ringling.example --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			return p.withPerson(ctx, f, "user show", args[0], func(dir *store.Directory, u store.User) error {
				return p.printUser(ctx, dir, u)
			})
		},
	}))
}

func (p *program) changeUserCommand(name, short, long string, change func(context.Context, *store.Directory, store.User) (store.User, bool, error)) *cobra.Command {
	f := &personFlags{}
	if long == "" {
		long = short + "."
	}
	return f.add(p.command(verb{
		use:     name + " USER",
		short:   short,
		long:    long + "\n" + personText,
		example: `  muster user ` + name + ` jamie.morgan@ringling.example --tenant ringling --actor ops:dana`,
		run: func(ctx context.Context, args []string) error {
			return p.withPerson(ctx, f, "user "+name, args[0], func(dir *store.Directory, u store.User) error {
				changed, did, err := change(ctx, dir, u)
				if err != nil {
					return noPerson(err, f.tenant, args[0])
				}
				if !did {
					p.say("it stands so already: nothing was changed")
				}
				return p.printUser(ctx, dir, changed)
			})
		},
	}))
}

func (p *program) printUser(ctx context.Context, dir *store.Directory, u store.User) error {
	shown, err := showUser(ctx, dir, u)
	if err != nil {
		return err
	}
	return p.print(shown, func(t *table) {
		t.row("user", u.ID)
		t.row("tenant", shown.Tenant)
		for _, name := range []string{"userName", "displayName", "title"} {
			if text, ok := shown.attributes[name].(string); ok {
				t.row(name, text)
			}
		}
		t.row("externalId", u.ExternalID)
		t.row("state", state(u))
		t.row("modified", u.Modified)
		t.row("groups", shown.Groups)
		t.row()
		assignmentRows(t, shown.Assignments)
	})
}

// state is all that shuts a person out: each has to end before they may enter.
func state(u store.User) string {
	var out []string
	if u.Locked {
		out = append(out, "locked")
	}
	switch {
	case u.Deleted:
		out = append(out, "deleted")
	case !u.Active:
		out = append(out, "inactive")
	}
	if len(out) == 0 {
		return "active"
	}
	return strings.Join(out, ", ")
}

// showUser reads what belongs to the person: groups, and roles as they follow now.
func showUser(ctx context.Context, dir *store.Directory, u store.User) (shownUser, error) {
	shown := shownUser{
		ID: u.ID, Tenant: dir.Tenant(), Active: u.Active, Locked: u.Locked, Deleted: u.Deleted, Version: u.Version,
		Created: u.Created, Modified: u.Modified, Resource: u.JSON, Groups: []string{}, Assignments: []store.Assignment{},
	}
	var err error
	if shown.attributes, err = u.Resource(dir.UserType()); err != nil {
		return shown, err
	}
	if u.Deleted {
		return shown, nil
	}
	whole, err := dir.User(ctx, u.ID.String(), true)
	if err != nil {
		return shown, err
	}
	for _, g := range whole.Groups {
		shown.Groups = append(shown.Groups, g.Display)
	}
	explained, err := dir.Explain(ctx, u.ID.String())
	if err == nil && explained.Assignments != nil {
		shown.Assignments = explained.Assignments
	}
	return shown, err
}

func assignmentRows(t *table, list []store.Assignment) {
	if len(list) == 0 {
		t.row("no role")
		return
	}
	t.row("ROLE", "SCOPE", "RULE", "RULE SET", "BECAUSE")
	for _, a := range list {
		t.row(a.Role, a.Scope, a.Rule, a.RuleSet, facts(a))
	}
}

// facts are what gave the assignment.
func facts(a store.Assignment) []string {
	var list []string
	if err := json.Unmarshal([]byte(a.Facts), &list); err != nil {
		return []string{string(a.Facts)}
	}
	return list
}
