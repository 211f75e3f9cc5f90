package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store/registry"
)

// A madeSecret is a client's secret, the only time it is shown.
type madeSecret struct {
	Secret string `json:"secret"`
	registry.ClientSecret
}

func (p *program) clientSecretAddCommand() *cobra.Command {
	var tenant string
	var lifetime time.Duration
	c := p.command(verb{
		use:   "add CLIENT-ID",
		short: "Make one more secret of a client",
		long: `Make one more secret of a client. It is shown once and kept as a hash. The others stay
valid: enter the new one at the identity provider, see in muster client list that it is
used, then revoke the old one.`,
		example: `  muster client secret add 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50 --tenant ringling --expires-in 17520h`,
		run: func(ctx context.Context, args []string) error {
			id, err := clientID(args[0])
			if err != nil {
				return err
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				secret, made, err := v.AddClientSecret(ctx, tenant, id, lifetime)
				if err != nil {
					return noClient(err, tenant, args[0])
				}
				err = p.print(madeSecret{secret, made}, func(t *table) {
					t.row("SECRET", "BEGINS WITH", "MADE BY", "EXPIRES")
					t.row(made.ID, made.Prefix+"…", made.CreatedBy, made.ExpiresAt)
				})
				if err == nil && !p.json {
					p.showOnce("The client secret", secret)
				}
				return err
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	c.Flags().DurationVar(&lifetime, "expires-in", aYear, "lifetime, at most three years")
	return required(c, "tenant")
}

func (p *program) clientSecretRevokeCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     "revoke SECRET",
		short:   "End a secret and the access tokens fetched with it; once this returns no server accepts them",
		example: `  muster client secret revoke 0199f1c3-1111-7a10-8b1e-5f0c2d3e4f50 --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return usagef("%q is no secret's id; muster client list shows them", printable(args[0]))
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				if err := v.RevokeClientSecret(ctx, tenant, id); err != nil {
					return missing(err, "no tenant %q has a client secret %s that is not revoked; muster client list --tenant %s shows them", tenant, args[0], tenant)
				}
				return p.print(map[string]any{"id": id, "revoked": true}, func(t *table) { t.row("revoked", id) })
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}
