package main

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/store/registry"
)

func (p *program) tokenCommand() *cobra.Command {
	return group("token", "SCIM tokens of a tenant's connections: create, list, rotate, revoke",
		p.tokenCreateCommand(), p.tokenListCommand(), p.tokenRotateCommand(), p.tokenRevokeCommand())
}

// A madeCredential is a credential with its secret, the only time it is shown.
type madeCredential struct {
	Secret string `json:"secret"`
	registry.Credential
}

func (p *program) printMade(what, secret string, c registry.Credential) error {
	err := p.print(madeCredential{secret, c}, func(t *table) { credentialRows(t, []registry.Credential{c}) })
	if err == nil && !p.json {
		p.showOnce(what, secret)
	}
	return err
}

func credentialRows(t *table, list []registry.Credential) {
	t.row("ID", "KIND", "NAME", "CONNECTION", "BEGINS WITH", "STATE", "WRITES", "MADE BY", "LAST USED", "EXPIRES", "REPLACED BY")
	for _, c := range list {
		replaced := ""
		if c.ReplacedBy != nil {
			replaced = c.ReplacedBy.String()
		}
		t.row(c.ID, c.Kind, c.Name, c.Connection, c.Prefix+"…", lifeOf(c.ExpiresAt, c.RevokedAt, time.Now()), writes(c), c.CreatedBy, c.LastUsedAt, c.ExpiresAt, replaced)
	}
}

// writes says what a credential may change.
func writes(c registry.Credential) string {
	switch {
	case c.ReadOnly:
		return "nothing"
	case len(c.Writes) > 0:
		return strings.Join(c.Writes, ", ")
	}
	return "all"
}

// soon is how long before the end of a token or secret somebody should be told.
const soon = 30 * 24 * time.Hour

// lifeOf says in a word what can be done with a token or secret.
func lifeOf(expires, revoked *time.Time, now time.Time) string {
	switch {
	case revoked != nil:
		return "revoked"
	case expires == nil || expires.Sub(now) > soon:
		return "active"
	case expires.After(now):
		return "expires soon"
	}
	return "expired"
}

func (p *program) tokenCreateCommand() *cobra.Command {
	var tenant, connection string
	var n registry.NewToken
	var lifetime time.Duration
	c := p.command(verb{
		use:   "create",
		short: "Make a SCIM token for a connection",
		long: `Make the bearer token with which an identity provider pushes people. It is shown once and
kept as a hash. It opens its connection of its tenant and nothing else. Where the identity
provider can fetch its own tokens, muster client add is the better way.`,
		example: `  muster token create --tenant ringling --connection entra --name "Entra provisioning" --expires-in 8760h`,
		run: func(ctx context.Context, _ []string) error {
			if lifetime < 0 {
				return usagef("--expires-in %s is in the past", lifetime)
			}
			if lifetime > 0 {
				n.ExpiresAt = time.Now().Add(lifetime)
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				secret, made, err := v.CreateToken(ctx, tenant, connection, n)
				if err != nil {
					return noConnection(err, tenant, connection)
				}
				return p.printMade("The token", secret, made)
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	c.Flags().StringVar(&connection, "connection", "", "name of the connection")
	c.Flags().StringVar(&n.Name, "name", "", "what it is for, for people and the log")
	c.Flags().BoolVar(&n.ReadOnly, "read-only", false, "it changes nothing")
	c.Flags().StringSliceVar(&n.Writes, "writes", nil, "resource types that it may change, such as User; default all")
	c.Flags().DurationVar(&lifetime, "expires-in", 0, "lifetime, such as 8760h; 0: it does not expire")
	return required(c, "tenant", "connection", "name")
}

func (p *program) tokenListCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     "list",
		short:   "List all tokens and keys of a tenant, whoever made them",
		example: `  muster token list --tenant ringling`,
		run: func(ctx context.Context, _ []string) error {
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				list, err := v.Tokens(ctx, tenant)
				if err != nil {
					return noTenant(err, tenant)
				}
				return p.print(present(list), func(t *table) { credentialRows(t, list) })
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

func (p *program) tokenRotateCommand() *cobra.Command {
	var tenant string
	var r registry.Rotation
	c := p.command(verb{
		use:   "rotate ID",
		short: "Make the successor of a SCIM token",
		long: `Make the successor of a SCIM token: for the same connection, with the same rights, and
unless --expires-in says otherwise to live as long. The old one stays valid for the overlap,
in which the new one is entered at the identity provider; muster token list shows which of
them was used last.`,
		example: `  muster token rotate 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50 --tenant ringling --overlap 24h`,
		run: func(ctx context.Context, args []string) error {
			id, err := credentialID(args[0])
			if err != nil {
				return err
			}
			if r.Overlap < 0 || r.Lifetime < 0 {
				return usagef("--overlap and --expires-in are not negative; an overlap of 0s ends the old token at once")
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				secret, made, err := v.RotateToken(ctx, tenant, id, r)
				if err != nil {
					return noCredential(err, tenant, args[0])
				}
				return p.printMade("The new token", secret, made)
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	c.Flags().DurationVar(&r.Overlap, "overlap", 24*time.Hour, "how long the old token stays valid")
	c.Flags().DurationVar(&r.Lifetime, "expires-in", 0, "lifetime of the new token (default: that of the old one, from its making to its end)")
	return required(c, "tenant")
}

func (p *program) tokenRevokeCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     "revoke ID",
		short:   "End a token or key; once this returns no server accepts it",
		example: `  muster token revoke 0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50 --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			id, err := credentialID(args[0])
			if err != nil {
				return err
			}
			return p.withVendor(ctx, func(v *registry.Vendor) error {
				if err := v.RevokeToken(ctx, tenant, id); err != nil {
					return noCredential(err, tenant, args[0])
				}
				return p.print(map[string]any{"id": id, "revoked": true}, func(t *table) { t.row("revoked", id) })
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

func credentialID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, usagef("%q is no id; muster token list shows them", printable(text))
	}
	return id, nil
}

func noCredential(err error, tenant, id string) error {
	return missing(err, "no tenant %q has a token %s that is not revoked; muster token list --tenant %s shows them", tenant, id, tenant)
}
