package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store/registry"
)

func (p *program) keyCommand() *cobra.Command {
	return group("key", "API keys of a tenant: create", p.keyCreateCommand())
}

func (p *program) keyCreateCommand() *cobra.Command {
	var tenant, name string
	c := p.command(verb{
		use:   "create",
		short: "Make an API key for a tenant",
		long: `Make an API key for a tenant. It is shown once and kept as a hash. The log names it as
the actor of what is done with it; muster token list and revoke know it too.`,
		example: `  muster key create --tenant ringling --name "reports"`,
		run: func(ctx context.Context, _ []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				secret, made, err := v.CreateKey(ctx, tenant, name)
				if err != nil {
					return noTenant(err, tenant)
				}
				return p.printMade("The key", secret, made)
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	c.Flags().StringVar(&name, "name", "", "what it is for, for people and the log")
	return required(c, "tenant", "name")
}
