package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

func (p *program) appCommand() *cobra.Command {
	return group("app", "Applications that people sign in to: add, allow, list, disable, enable",
		p.appAddCommand(), p.appAllowCommand(), p.appListCommand(),
		p.switchAppCommand("disable", true, "Shut everybody out of an application, at once"),
		p.switchAppCommand("enable", false, "Open a disabled application again"))
}

// A madeApplication is an application with its secret, the only time it is shown.
type madeApplication struct {
	Secret string `json:"secret,omitempty"`
	registry.Application
}

func (p *program) appAddCommand() *cobra.Command {
	n := registry.NewApplication{}
	c := p.command(verb{
		use:   "add CLIENT-ID",
		short: "Register an application, its roles, and whose people may enter",
		long: `Register an application, its roles, and whose people may enter. The client id is also the
prefix of its roles: role approver of timesheet is timesheet.approver. A privileged role
can be granted only to groups that a rule names by id. The client secret is shown once.`,
		example: `  muster app add timesheet --name Timesheet --redirect-uri https://timesheet.example/callback \
    --tenant ringling --tenant cirque --role viewer --role approver --role manager`,
		run: func(ctx context.Context, args []string) error {
			n.ClientID = args[0]
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				secret, a, err := v.AddApplication(ctx, n)
				if err != nil {
					return noTenantOf(err)
				}
				err = p.print(madeApplication{secret, a}, func(t *table) { applicationRows(t, []registry.Application{a}, nil) })
				if err == nil && secret != "" && !p.json {
					p.showOnce("The client secret", secret)
				}
				return err
			})
		},
	})
	flags := c.Flags()
	flags.StringVar(&n.Name, "name", "", "name for people (default: the client id)")
	flags.StringVar(&n.Audience, "audience", "", "aud of its tokens (default: the client id)")
	flags.StringArrayVar(&n.RedirectURIs, "redirect-uri", nil, "where people come back to, compared byte by byte; may be repeated")
	flags.StringSliceVar(&n.Tenants, "tenant", nil, "slug of a tenant whose people may enter; may be repeated")
	flags.StringSliceVar(&n.Roles, "role", nil, "role without the prefix; may be repeated")
	flags.StringSliceVar(&n.Privileged, "privileged-role", nil, "role that only a group named by id gives; may be repeated")
	flags.BoolVar(&n.Public, "public", false, "no client secret: PKCE alone")
	flags.BoolVar(&n.AllowNoRole, "allow-no-role", false, "people without a role may enter too")
	return c
}

func (p *program) appAllowCommand() *cobra.Command {
	var slugs []string
	c := p.command(verb{
		use:   "allow CLIENT-ID",
		short: "Let the people of more tenants into an application",
		long: `Let the people of more tenants into an application that exists. Their rules may grant all
of its roles at once; a tenant that may enter already stays as it is.`,
		example: `  muster app allow timesheet --tenant acme`,
		run: func(ctx context.Context, args []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				a, err := v.AllowTenant(ctx, args[0], slugs...)
				if err != nil {
					return missing(noTenantOf(err), "there is no application %q; muster app list shows them", args[0])
				}
				tenants, err := v.Tenants(ctx)
				if err != nil {
					return err
				}
				return p.print(a, func(t *table) { applicationRows(t, []registry.Application{a}, tenants) })
			})
		},
	})
	c.Flags().StringSliceVar(&slugs, "tenant", nil, "slug of a tenant whose people may enter too; may be repeated")
	return required(c, "tenant")
}

func (p *program) appListCommand() *cobra.Command {
	return p.command(verb{
		use:     "list",
		short:   "List all applications",
		example: `  muster app list`,
		run: func(ctx context.Context, _ []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				list, err := v.Applications(ctx)
				if err != nil {
					return err
				}
				tenants, err := v.Tenants(ctx)
				if err != nil {
					return err
				}
				return p.print(present(list), func(t *table) { applicationRows(t, list, tenants) })
			})
		},
	})
}

// applicationRows names the tenants by slug where tenants are given.
func applicationRows(t *table, list []registry.Application, tenants []registry.Tenant) {
	slugs := map[uuid.UUID]string{}
	for _, tenant := range tenants {
		slugs[tenant.ID] = tenant.Slug
	}
	head := []any{"APPLICATION", "NAME", "STATE", "SECRET", "REDIRECT URIS"}
	if tenants != nil {
		head = append(head, "TENANTS")
	}
	t.row(head...)
	for _, a := range list {
		row := []any{a.ClientID, a.Name, a.State, !a.Public, a.RedirectURIs}
		if tenants != nil {
			var names []string
			for _, id := range a.Tenants {
				names = append(names, slugs[id])
			}
			row = append(row, names)
		}
		t.row(row...)
	}
}

func (p *program) switchAppCommand(name string, off bool, short string) *cobra.Command {
	return p.command(verb{
		use:     name + " CLIENT-ID",
		short:   short,
		example: `  muster app ` + name + ` timesheet`,
		run: func(ctx context.Context, args []string) error {
			return p.withStore(ctx, func(st *store.Store) error {
				err := st.Revoke(ctx, p.actorName(), store.Switch{Client: args[0], Off: off})
				if err != nil {
					return missing(err, "there is no application %q; muster app list shows them", args[0])
				}
				a, err := st.Application(ctx, args[0])
				if err != nil {
					return err
				}
				return p.print(a, func(t *table) { applicationRows(t, []registry.Application{a}, nil) })
			})
		},
	})
}
