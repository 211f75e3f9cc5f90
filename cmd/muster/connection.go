package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

func (p *program) connectionCommand() *cobra.Command {
	return group("connection", "Identity providers of a tenant: add, set, list, disable, enable",
		p.connectionAddCommand(), p.connectionSetCommand(), p.connectionListCommand(),
		p.switchConnectionCommand("disable", true, "Shut out everybody who comes by a connection, and its SCIM tokens, at once"),
		p.switchConnectionCommand("enable", false, "Open a disabled connection again"))
}

// connectionFlags are what add and set take.
type connectionFlags struct {
	tenant     string
	secretFile string
	c          registry.Connection
}

func (f *connectionFlags) add(c *cobra.Command) *cobra.Command {
	flags := c.Flags()
	flags.StringVar(&f.tenant, "tenant", "", "slug of the tenant")
	flags.StringVar(&f.c.Kind, "kind", "", "entra, okta or generic")
	flags.StringVar(&f.c.Profile, "profile", "", "lenient (customary deviations of clients are understood) or strict")
	flags.StringVar(&f.c.Issuer, "issuer", "", "issuer of the identity provider, as its discovery document writes it")
	flags.StringVar(&f.c.ClientID, "client-id", "", "our client id at the identity provider")
	flags.StringVar(&f.secretFile, "client-secret-file", "", "file whose first line is our client secret there; - for standard input")
	flags.StringVar(&f.c.MatchClaim, "match-claim", "", "claim that names a person for good (default: oid for entra, else sub)")
	return required(c, "tenant")
}

const connectionText = `People are matched by a claim of the ID Token and their externalId, both of which the
identity provider must never give to somebody else: for Entra oid and objectId, for
Okta sub and user.id. Joins by e-mail or userName are refused.`

func (p *program) connectionAddCommand() *cobra.Command {
	f := &connectionFlags{}
	return f.add(p.command(verb{
		use:   "add NAME",
		short: "Add an identity provider to a tenant",
		long: `Add an identity provider to a tenant: for SCIM only, or with --issuer and --client-id
also for people to sign in. It prints the addresses to enter at the identity provider.

` + connectionText,
		example: `  muster connection add entra --tenant ringling --kind entra \
    --issuer https://login.microsoftonline.com/14b22432-9ef3-4455-8787-e54dc6ac8ecc/v2.0 \
    --client-id 6731de76-14a6-49ae-97bc-6eba6914391e --client-secret-file secret.txt`,
		run: func(ctx context.Context, args []string) (err error) {
			c := f.c
			if c.Name = args[0]; c.Kind == "" {
				return usagef("which identity provider is it? give --kind entra, okta or generic")
			}
			if c.Secret, err = p.readSecret(f.secretFile, "client secret"); err != nil {
				return err
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				added, err := v.AddConnection(ctx, f.tenant, c)
				if err != nil {
					return noTenant(err, f.tenant)
				}
				return p.printConnection(f.tenant, added)
			})
		},
	}))
}

func (p *program) connectionSetCommand() *cobra.Command {
	f := &connectionFlags{}
	return f.add(p.command(verb{
		use:   "set NAME",
		short: "Change a connection",
		long: `Change a connection; what is not given stays. Another issuer or client needs the client
secret again, so that no secret reaches an address that it was not given for.

` + connectionText,
		example: `  muster connection set entra --tenant ringling --profile strict
  muster connection set entra --tenant ringling --client-secret-file - < new-secret.txt`,
		run: func(ctx context.Context, args []string) error {
			secret, err := p.readSecret(f.secretFile, "client secret")
			if err != nil {
				return err
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				set, err := v.SetConnection(ctx, f.tenant, args[0], func(c *registry.Connection) error {
					c.Secret = secret
					f.overlay(c)
					return nil
				})
				if err != nil {
					return noConnection(err, f.tenant, args[0])
				}
				return p.printConnection(f.tenant, set)
			})
		},
	}))
}

// overlay replaces what was given.
func (f *connectionFlags) overlay(c *registry.Connection) {
	for _, field := range []struct {
		to   *string
		from string
	}{
		{&c.Kind, f.c.Kind}, {&c.Profile, f.c.Profile}, {&c.Issuer, f.c.Issuer},
		{&c.ClientID, f.c.ClientID}, {&c.MatchClaim, f.c.MatchClaim},
	} {
		if field.from != "" {
			*field.to = field.from
		}
	}
}

func noConnection(err error, tenant, connection string) error {
	return missing(err, "there is no connection %q of a tenant %q; muster connection list --tenant %s shows them", connection, tenant, tenant)
}

func (p *program) connectionListCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     "list",
		short:   "List a tenant's connections",
		example: `  muster connection list --tenant ringling`,
		run: func(ctx context.Context, _ []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				list, err := v.Connections(ctx, tenant)
				if err != nil {
					return noTenant(err, tenant)
				}
				return p.print(present(list), func(t *table) { connectionRows(t, list) })
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

func connectionRows(t *table, list []registry.Connection) {
	t.row("CONNECTION", "KIND", "PROFILE", "STATE", "MATCH", "SECRET", "ISSUER")
	for _, c := range list {
		t.row(c.Name, c.Kind, c.Profile, c.State, c.MatchClaim+" = "+c.MatchAttribute, c.HasSecret, c.Issuer)
	}
}

func (p *program) switchConnectionCommand(name string, off bool, short string) *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     name + " NAME",
		short:   short,
		example: `  muster connection ` + name + ` entra --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			return p.withStore(ctx, func(st *store.Store) error {
				err := st.Revoke(ctx, p.actorName(), store.Switch{Tenant: tenant, Connection: args[0], Off: off})
				if err != nil {
					return noConnection(err, tenant, args[0])
				}
				found, err := st.Vendor(p.actorName()).Connection(ctx, tenant, args[0])
				if err != nil {
					return err
				}
				return p.print(found, func(t *table) { connectionRows(t, []registry.Connection{found}) })
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

// A shownConnection is a connection and what to enter at the identity provider.
type shownConnection struct {
	registry.Connection
	SCIMURL     string `json:"scim_url,omitempty"`
	RedirectURI string `json:"redirect_uri,omitempty"`
}

// printConnection prints a connection with its addresses, where the public URL
// is known to this command.
func (p *program) printConnection(tenant string, c registry.Connection) error {
	shown := shownConnection{Connection: c}
	if public := p.settings.PublicURL; public != "" {
		shown.SCIMURL = scimURL(public, tenant)
		shown.RedirectURI = login.CallbackURL(public, tenant, c.ID.String())
	}
	return p.print(shown, func(t *table) {
		connectionRows(t, []registry.Connection{c})
		t.row()
		if shown.SCIMURL == "" {
			t.row("Give MUSTER_PUBLIC_URL to see the addresses to enter at the identity provider.")
			return
		}
		t.row("Enter at the identity provider:")
		t.row("  SCIM URL", shown.SCIMURL)
		t.row("  redirect URI", shown.RedirectURI)
		t.row("  SCIM token", "muster token create --tenant "+tenant+" --connection "+c.Name+" --name …")
	})
}

func scimURL(public, tenant string) string { return public + "/t/" + tenant + "/scim/v2" }
