package main

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store/registry"
)

// aYear is how long a client's secret lives unless another time is given.
const aYear = 365 * 24 * time.Hour

func (p *program) clientCommand() *cobra.Command {
	return group("client", "OAuth clients by which identity providers provision: add, list, set, remove, secret",
		p.clientAddCommand(), p.clientListCommand(), p.clientSetCommand(), p.clientRemoveCommand(),
		group("secret", "Secrets of a client: add, revoke", p.clientSecretAddCommand(), p.clientSecretRevokeCommand()))
}

// clientFlags are what add and set take.
type clientFlags struct {
	tenant   string
	c        registry.Client
	lifetime time.Duration
}

func (f *clientFlags) add(c *cobra.Command) *cobra.Command {
	flags := c.Flags()
	flags.StringVar(&f.tenant, "tenant", "", "slug of the tenant")
	flags.StringVar(&f.c.Name, "name", "", "what it is for, for people and the log")
	flags.BoolVar(&f.c.ReadOnly, "read-only", false, "its access tokens change nothing")
	flags.DurationVar(&f.lifetime, "token-lifetime", time.Hour, "lifetime of its access tokens, 1h to 6h")
	flags.StringVar(&f.c.Trust.Issuer, "issuer", "", "issuer of the assertions that prove it (default: the client itself)")
	flags.StringVar(&f.c.Trust.Subject, "subject", "", "subject of the assertions: for Entra the object id of its provisioning client (default: the client id)")
	flags.StringArrayVar(&f.c.Trust.Audiences, "audience", nil, "audience of the assertions; may be repeated: any one of them will do")
	flags.StringVar(&f.c.Trust.JWKSURI, "jwks-uri", "", "where the issuer's keys are (default: as its discovery document says)")
	return required(c, "tenant")
}

func (p *program) clientAddCommand() *cobra.Command {
	f := &clientFlags{}
	var connection string
	var secretLife time.Duration
	c := f.add(p.command(verb{
		use:   "add",
		short: "Let an identity provider fetch its own access tokens for a connection",
		long: `Let an identity provider fetch its own access tokens for a connection, by the client
credentials grant of OAuth 2.0. It proves itself by a secret, which is shown once, or, with
--audience, by assertions that its issuer signs: Entra's workload identity federation, or
private_key_jwt. It opens its connection of its tenant and nothing else.`,
		example: `  muster client add --tenant ringling --connection entra --name "Entra provisioning"
  muster client add --tenant ringling --connection entra --name "Entra workload identity" --secret-expires-in 0 \
    --issuer https://login.microsoftonline.com/14b22432-9ef3-4455-8787-e54dc6ac8ecc/v2.0 \
    --subject 6d1b6fd1-3f8c-4b5c-8f2e-0a1b2c3d4e5f --audience api://6731de76-14a6-49ae-97bc-6eba6914391e`,
		run: func(ctx context.Context, _ []string) error {
			n := f.c
			n.Connection, n.Lifetime = connection, int(f.lifetime.Seconds())
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				secret, made, err := v.AddClient(ctx, f.tenant, n, secretLife)
				if err != nil {
					return noConnection(err, f.tenant, connection)
				}
				return p.printClient(f.tenant, secret, made)
			})
		},
	}))
	c.Flags().StringVar(&connection, "connection", "", "name of the connection")
	c.Flags().DurationVar(&secretLife, "secret-expires-in", aYear, "lifetime of its first secret, at most three years; 0: it has none")
	return required(c, "connection", "name")
}

func (p *program) clientListCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     "list",
		short:   "List all clients of a tenant and their secrets, whoever made them",
		example: `  muster client list --tenant ringling`,
		run: func(ctx context.Context, _ []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				list, err := v.Clients(ctx, tenant)
				if err != nil {
					return noTenant(err, tenant)
				}
				return p.print(present(list), func(t *table) { clientRows(t, list) })
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

// clientRows prints clients, and below each its secrets.
func clientRows(t *table, list []registry.Client) {
	t.row("CLIENT ID", "NAME", "CONNECTION", "READ ONLY", "ASSERTIONS BY", "MADE BY", "LAST USED", "REMOVED")
	for _, c := range list {
		t.row(c.ID, c.Name, c.Connection, c.ReadOnly, c.Trust.Issuer, c.CreatedBy, c.LastUsedAt, c.RevokedAt)
	}
	t.row()
	t.row("SECRET", "OF CLIENT", "BEGINS WITH", "STATE", "MADE BY", "LAST USED", "EXPIRES")
	for _, c := range list {
		for _, s := range c.Secrets {
			t.row(s.ID, c.Name, s.Prefix+"…", lifeOf(&s.ExpiresAt, s.RevokedAt, time.Now()), s.CreatedBy, s.LastUsedAt, s.ExpiresAt)
		}
	}
}

func (p *program) clientSetCommand() *cobra.Command {
	f := &clientFlags{}
	var untrust bool
	var c *cobra.Command
	c = f.add(p.command(verb{
		use:   "set CLIENT-ID",
		short: "Change a client",
		long: `Change a client; what is not given stays. Unless its name is all that changes, the access
tokens that it has end, and it fetches new ones.`,
		example: `  muster client set 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50 --tenant ringling --token-lifetime 6h
  muster client set 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50 --tenant ringling --no-assertions`,
		run: func(ctx context.Context, args []string) error {
			id, err := clientID(args[0])
			if err != nil {
				return err
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				set, err := v.SetClient(ctx, f.tenant, id, func(was *registry.Client) error {
					if untrust {
						was.Trust = registry.Trust{}
					}
					f.overlay(c.Flags().Changed, was)
					return nil
				})
				if err == nil {
					set, err = withSecrets(ctx, v, f.tenant, set)
				}
				if err != nil {
					return noClient(err, f.tenant, args[0])
				}
				return p.printClient(f.tenant, "", set)
			})
		},
	}))
	c.Flags().BoolVar(&untrust, "no-assertions", false, "it proves itself by a secret only")
	return c
}

// withSecrets is the client as the list has it, beside its secrets.
func withSecrets(ctx context.Context, v *registry.Vendor, tenant string, c registry.Client) (registry.Client, error) {
	list, err := v.Clients(ctx, tenant)
	if i := slices.IndexFunc(list, func(listed registry.Client) bool { return listed.ID == c.ID }); i >= 0 {
		return list[i], nil
	}
	return c, err
}

// overlay replaces what was given.
func (f *clientFlags) overlay(given func(flag string) bool, c *registry.Client) {
	for flag, set := range map[string]func(){
		"name":           func() { c.Name = f.c.Name },
		"read-only":      func() { c.ReadOnly = f.c.ReadOnly },
		"token-lifetime": func() { c.Lifetime = int(f.lifetime.Seconds()) },
		"issuer":         func() { c.Trust.Issuer = f.c.Trust.Issuer },
		"subject":        func() { c.Trust.Subject = f.c.Trust.Subject },
		"audience":       func() { c.Trust.Audiences = f.c.Trust.Audiences },
		"jwks-uri":       func() { c.Trust.JWKSURI = f.c.Trust.JWKSURI },
	} {
		if given(flag) {
			set()
		}
	}
}

func (p *program) clientRemoveCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     "remove CLIENT-ID",
		short:   "End a client, its secrets and its access tokens; once this returns no server accepts them",
		example: `  muster client remove 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50 --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			id, err := clientID(args[0])
			if err != nil {
				return err
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				if err := v.RemoveClient(ctx, tenant, id); err != nil {
					return noClient(err, tenant, args[0])
				}
				return p.print(map[string]any{"client_id": id, "removed": true}, func(t *table) { t.row("removed", id) })
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

// A madeClient is a client, its first secret, and what to enter at the identity
// provider.
type madeClient struct {
	Secret string `json:"secret,omitempty"`
	registry.Client
	TokenURL string `json:"token_endpoint,omitempty"`
	SCIMURL  string `json:"scim_url,omitempty"`
}

func (p *program) printClient(tenant, secret string, c registry.Client) error {
	c.Secrets = present(c.Secrets)
	made := madeClient{Secret: secret, Client: c}
	if public := p.settings.PublicURL; public != "" {
		made.TokenURL, made.SCIMURL = public+"/t/"+tenant+"/oauth/token", scimURL(public, tenant)
	}
	err := p.print(made, func(t *table) {
		clientRows(t, []registry.Client{c})
		t.row()
		if made.TokenURL == "" {
			t.row("Give MUSTER_PUBLIC_URL to see the addresses to enter at the identity provider.")
			return
		}
		t.row("Enter at the identity provider:")
		t.row("  SCIM URL", made.SCIMURL)
		t.row("  token endpoint", made.TokenURL)
		t.row("  client id", c.ID)
	})
	if err == nil && secret != "" && !p.json {
		p.showOnce("The client secret", secret)
	}
	return err
}

func clientID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, usagef("%q is no client id; muster client list shows them", printable(text))
	}
	return id, nil
}

func noClient(err error, tenant, id string) error {
	return missing(err, "no tenant %q has a client %s that is not removed; muster client list --tenant %s shows them", tenant, id, tenant)
}
