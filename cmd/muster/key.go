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
		long: `Make an API key for a tenant, ahead of the administration API, which is to come. Until then
nothing accepts it: SCIM takes tokens (muster token create) and OAuth clients (muster client
add), and check takes an application's secret. It is shown once and kept as a hash; muster
token list shows it, and muster token revoke ends it.`,
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
