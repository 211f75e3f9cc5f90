package registry

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// How long an access token of a client lives: what identity providers demand
// (Q9 of the quirks), at least an hour and at most six.
const (
	MinAccess = time.Hour
	MaxAccess = 6 * time.Hour
)

// A Client is how an identity provider authenticates by OAuth 2.0 for one
// connection: it fetches short-lived access tokens, by a secret (RFC 6749
// §2.3.1) or by assertions that it signs itself (RFC 7523 §2.2).
type Client struct {
	ID         uuid.UUID      `json:"client_id"`
	Connection string         `json:"connection"`
	Name       string         `json:"name"`
	ReadOnly   bool           `json:"read_only"`
	Lifetime   int            `json:"token_seconds"` // of its access tokens
	Trust      Trust          `json:"assertions,omitzero"`
	CreatedBy  string         `json:"created_by"`
	CreatedAt  time.Time      `json:"created_at"`
	LastUsedAt *time.Time     `json:"last_used_at,omitempty"` // of any of its tokens
	RevokedAt  *time.Time     `json:"revoked_at,omitempty"`
	Secrets    []ClientSecret `json:"secrets"`
}

// A Trust says which assertions prove a client (RFC 7523 §3). All of it is
// compared byte for byte.
type Trust struct {
	Issuer  string `json:"issuer,omitempty"`  // who signs; the client itself: its client id
	Subject string `json:"subject,omitempty"` // whom the issuer means by it; default: the client id
	// JWKSURI is where the issuer's keys are; empty: where its discovery document says.
	JWKSURI string `json:"jwks_uri,omitempty"`
	// Audiences are the names by which the issuer may call us: some have several.
	Audiences []string `json:"audiences,omitempty"`
}

func (t Trust) given() bool {
	return t.Issuer != "" || t.Subject != "" || t.JWKSURI != "" || len(t.Audiences) > 0
}

func (t Trust) equal(other Trust) bool {
	return t.Issuer == other.Issuer && t.Subject == other.Subject && t.JWKSURI == other.JWKSURI && slices.Equal(t.Audiences, other.Audiences)
}

// check fills in what follows from the rest, for the client with the given id.
func (t *Trust) check(client uuid.UUID, local bool) error {
	if !t.given() {
		return nil
	}
	own := client.String()
	if t.Issuer == "" {
		t.Issuer = own
	}
	if t.Subject == "" {
		t.Subject = own
	}
	switch {
	case len(t.Audiences) == 0 || len(t.Audiences) > maxAudiences:
		return bad("give 1 to %d audiences: the names by which the issuer calls this server, such as api://…", maxAudiences)
	case !visible(t.Subject) || slices.ContainsFunc(t.Audiences, func(s string) bool { return !visible(s) }):
		return bad("subject and audiences are visible ASCII of at most %d bytes", maxVisible)
	case t.Issuer == own && t.Subject != own:
		return bad("a client that signs for itself is its own subject (RFC 7523 §3): leave the subject out, or name the issuer")
	case t.Issuer == own && t.JWKSURI == "":
		return bad("a client that signs for itself needs the address of its keys")
	}
	if t.Issuer != own {
		if err := checkIssuer(t.Issuer, local); err != nil {
			return err
		}
	}
	return checkKeys(t.JWKSURI, local)
}

const (
	maxAudiences = 10
	maxVisible   = 512
)

func visible(s string) bool {
	return s != "" && len(s) <= maxVisible && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// checkKeys holds the address of keys to what is demanded of an issuer.
func checkKeys(address string, local bool) error {
	u, err := url.Parse(address)
	if address != "" && (err != nil || u.Path == "" || checkIssuer(address, local) != nil) {
		return bad("keys at %q: use an https URL without user, query or fragment", address)
	}
	return nil
}

// check refuses a client that could not work, or would work for somebody else.
func (c *Client) check(local bool) error {
	if c.Lifetime == 0 {
		c.Lifetime = int(MinAccess.Seconds())
	}
	switch {
	case c.Name == "":
		return bad("a name is needed, so that the log can say who acted")
	case c.Lifetime < int(MinAccess.Seconds()) || c.Lifetime > int(MaxAccess.Seconds()):
		return bad("access tokens live one to six hours")
	}
	return c.Trust.check(c.ID, local)
}

// AddClient adds a client to a connection, and with a lifetime its first
// secret, which is answered the only time it is shown.
func (v *Vendor) AddClient(ctx context.Context, slug string, c Client, secretLifetime time.Duration) (string, Client, error) {
	c.ID = newID()
	if err := c.check(v.kernel.Local); err != nil {
		return "", Client{}, err
	}
	if secretLifetime == 0 && !c.Trust.given() {
		return "", Client{}, bad("a client needs a secret, or an issuer whose assertions prove it")
	}
	var plain string
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		if err := v.insertClient(ctx, tx, t, &c); err != nil || secretLifetime == 0 {
			return err
		}
		made, hidden, err := v.addSecret(ctx, tx, t, c.ID, secretLifetime)
		plain, c.Secrets = hidden, []ClientSecret{made}
		return err
	})
	return plain, c, err
}

func (v *Vendor) insertClient(ctx context.Context, tx pgx.Tx, t Tenant, c *Client) error {
	of, err := connections(ctx, tx, t.ID, `and name = $2`, c.Connection)
	if err != nil {
		return err
	}
	if len(of) == 0 {
		return ErrNotFound
	}
	err = tx.QueryRow(ctx, `
		insert into clients (tenant_id, id, connection_id, name, read_only, token_seconds, issuer, subject, jwks_uri, audiences, created_by)
		values ($1, $2, $3, $4, $5, $6, nullif($7, ''), nullif($8, ''), nullif($9, ''), coalesce($10::text[], '{}'), $11) returning created_by, created_at`,
		t.ID, c.ID, of[0].ID, c.Name, c.ReadOnly, c.Lifetime, c.Trust.Issuer, c.Trust.Subject, c.Trust.JWKSURI, c.Trust.Audiences, v.actor).
		Scan(&c.CreatedBy, &c.CreatedAt)
	if err != nil {
		return err
	}
	return v.record(ctx, tx, t.ID, c.ID, "client.added", c)
}

// Clients lists a tenant's clients, the newest first, with their secrets: all
// of them, whoever made them.
func (v *Vendor) Clients(ctx context.Context, slug string) ([]Client, error) {
	var list []Client
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) (err error) {
		if list, err = clients(ctx, tx, t.ID, `order by l.created_at desc, l.id desc`); err != nil {
			return err
		}
		for i := range list {
			if list[i].Secrets, err = secrets(ctx, tx, t.ID, `and client = $2 order by created_at desc, id desc`, list[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// SetClient changes a client. Unless its name is all that changes, the access
// tokens that it has end: they were given out under other conditions.
func (v *Vendor) SetClient(ctx context.Context, slug string, id uuid.UUID, change func(*Client) error) (Client, error) {
	var c Client
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		before, err := livingClient(ctx, tx, t.ID, id)
		if err != nil {
			return err
		}
		c = before
		c.Trust.Audiences = slices.Clone(before.Trust.Audiences)
		if err := change(&c); err != nil {
			return err
		}
		c.ID, c.Connection = before.ID, before.Connection
		if err := c.check(v.kernel.Local); err != nil {
			return err
		}
		return v.saveClient(ctx, tx, t, before, c)
	})
	return c, err
}

func (v *Vendor) saveClient(ctx context.Context, tx pgx.Tx, t Tenant, before, c Client) error {
	ended := 0
	if c.ReadOnly != before.ReadOnly || c.Lifetime != before.Lifetime || !c.Trust.equal(before.Trust) {
		ended = 1
	}
	_, err := tx.Exec(ctx, `
		update clients set name = $3, read_only = $4, token_seconds = $5, epoch = epoch + $10,
			issuer = nullif($6, ''), subject = nullif($7, ''), jwks_uri = nullif($8, ''), audiences = coalesce($9::text[], '{}')
		where tenant_id = $1 and id = $2`,
		t.ID, c.ID, c.Name, c.ReadOnly, c.Lifetime, c.Trust.Issuer, c.Trust.Subject, c.Trust.JWKSURI, c.Trust.Audiences, ended)
	if err != nil {
		return err
	}
	return v.record(ctx, tx, t.ID, c.ID, "client.changed", c)
}

// RemoveClient ends a client, its secrets and its access tokens. Once it
// returns, no server accepts any of them.
func (v *Vendor) RemoveClient(ctx context.Context, slug string, id uuid.UUID) error {
	return v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		c, err := livingClient(ctx, tx, t.ID, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update clients set revoked_at = now(), epoch = epoch + 1 where tenant_id = $1 and id = $2`, t.ID, id)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, t.ID, id, "client.removed", c)
	})
}

func clients(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, rest string, args ...any) ([]Client, error) {
	rows, err := tx.Query(ctx, `
		select l.id, c.name, l.name, l.read_only, l.token_seconds, coalesce(l.issuer, ''), coalesce(l.subject, ''), coalesce(l.jwks_uri, ''),
			l.audiences, l.created_by, l.created_at, l.last_used_at, l.revoked_at
		from clients l
		join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
		where l.tenant_id = $1 `+rest, append([]any{tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Client, err error) {
		return c, row.Scan(&c.ID, &c.Connection, &c.Name, &c.ReadOnly, &c.Lifetime, &c.Trust.Issuer, &c.Trust.Subject, &c.Trust.JWKSURI,
			&c.Trust.Audiences, &c.CreatedBy, &c.CreatedAt, &c.LastUsedAt, &c.RevokedAt)
	})
}

// livingClient locks and answers a client that was not removed.
func livingClient(ctx context.Context, tx pgx.Tx, tenant, id uuid.UUID) (Client, error) {
	list, err := clients(ctx, tx, tenant, `and l.id = $2 and l.revoked_at is null for update of l`, id)
	if err != nil {
		return Client{}, err
	}
	if len(list) == 0 {
		return Client{}, ErrNotFound
	}
	return list[0], nil
}
