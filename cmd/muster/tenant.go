package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

func (p *program) tenantCommand() *cobra.Command {
	return group("tenant", "Customers: create, set, list, suspend, resume",
		p.tenantCreateCommand(), p.tenantSetCommand(), p.tenantListCommand(),
		p.switchTenantCommand("suspend", true, "Shut everybody of a tenant out, at once",
			"Shut everybody of a tenant out, at once: sign-ins and checks are refused, every session ends,\nand the tenant's SCIM tokens open nothing until it is resumed."),
		p.switchTenantCommand("resume", false, "Let a suspended tenant in again",
			"Let a suspended tenant in again. Sessions of before stay ended: people sign in anew."))
}

func (p *program) tenantCreateCommand() *cobra.Command {
	n := registry.NewTenant{}
	c := p.command(verb{
		use:   "create SLUG",
		short: "Add a tenant",
		long: `Add a tenant. Its slug stands in every address of it and is never used again.
Name its e-mail domains only once the vendor has verified that they belong to it: people
are sent to its identity provider by them.`,
		example: `  muster tenant create ringling --name "Ringling Circus" --domain ringling.example`,
		run: func(ctx context.Context, args []string) error {
			n.Slug = args[0]
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				t, err := v.CreateTenant(ctx, n)
				if err != nil {
					return err
				}
				return p.printTenants(t, []registry.Tenant{t})
			})
		},
	})
	c.Flags().StringVar(&n.Name, "name", "", "name for people (default: the slug)")
	c.Flags().StringSliceVar(&n.Domains, "domain", nil, "verified e-mail domain; may be repeated")
	return c
}

func (p *program) tenantSetCommand() *cobra.Command {
	var rate int
	c := p.command(verb{
		use:   "set SLUG",
		short: "Set how many requests a second a tenant's provisioning clients may send",
		long: `Set how many requests a second a tenant's provisioning clients may send, and twice as many
at once; 0 is what the server allows any (--requests-per-second). A few more are answered
more slowly, many more with 429. Servers that run follow within half a minute.`,
		example: `  muster tenant set ringling --rate 250`,
		run: func(ctx context.Context, args []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				t, err := v.SetRate(ctx, args[0], rate)
				if err != nil {
					return noTenant(err, args[0])
				}
				return p.printTenants(t, []registry.Tenant{t})
			})
		},
	})
	c.Flags().IntVar(&rate, "rate", 0, "requests a second; 0: as the server allows any")
	return required(c, "rate")
}

func (p *program) tenantListCommand() *cobra.Command {
	return p.command(verb{
		use:     "list",
		short:   "List all tenants",
		example: `  muster tenant list --json`,
		run: func(ctx context.Context, _ []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				tenants, err := v.Tenants(ctx)
				if err != nil {
					return err
				}
				return p.printTenants(present(tenants), tenants)
			})
		},
	})
}

func (p *program) switchTenantCommand(name string, off bool, short, long string) *cobra.Command {
	return p.command(verb{
		use:     name + " SLUG",
		short:   short,
		long:    long,
		example: `  muster tenant ` + name + ` ringling --actor ops:dana`,
		run: func(ctx context.Context, args []string) error {
			return p.withStore(ctx, func(st *store.Store) error {
				err := st.Revoke(ctx, p.actorName(), store.Switch{Tenant: args[0], Off: off})
				if err != nil {
					return noTenant(err, args[0])
				}
				t, err := st.Vendor(p.actorName()).Tenant(ctx, args[0])
				if err != nil {
					return err
				}
				return p.printTenants(t, []registry.Tenant{t})
			})
		},
	})
}

func (p *program) printTenants(value any, tenants []registry.Tenant) error {
	return p.print(value, func(t *table) {
		t.row("TENANT", "NAME", "STATE", "RATE", "CREATED")
		for _, tenant := range tenants {
			rate := "default"
			if tenant.Rate > 0 {
				rate = strconv.Itoa(tenant.Rate)
			}
			t.row(tenant.Slug, tenant.Name, tenant.State, rate, tenant.Created)
		}
	})
}
