package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/registry"
)

// A Client is an OAuth client of a connection as one token request finds it. It
// gets an access token once it has proved itself.
type Client struct {
	Connection uuid.UUID
	Kind       string // of the connection
	Tenant     string // slug
	ReadOnly   bool
	Trust      registry.Trust // which assertions prove it; zero: none

	store                                   *Store
	tenant, id                              uuid.UUID
	tenantEpoch, connectionEpoch, thisEpoch int64
	lifetime                                time.Duration // of its access tokens
	shut                                    string        // why it gets none, whatever it proves; empty: it may
	secrets                                 []clientSecret
	proof                                   proof
}

// A clientSecret is one of a client's secrets.
type clientSecret struct {
	id    uuid.UUID
	hash  []byte
	ended string // why it may not be used now; empty: it may
}

// knownSecrets bounds the secrets of a client that are looked at, those that may be used
// first, then the newest: of these it can be said why they do not hold.
const knownSecrets = 50

// A proof is by what a client proved itself: a secret, or an assertion.
type proof struct {
	given     bool
	secret    uuid.NullUUID
	assertion []byte    // hash of its id; nil: it has none
	until     time.Time // when nobody would accept the assertion any more
}

// A ClientToken is what a client is given, the only time it is shown.
type ClientToken struct {
	Token    string
	Lifetime time.Duration
}

// Client finds an OAuth client at a tenant's address. An unknown tenant and an unknown
// client are one answer, ErrUnauthenticated, after one round trip. A client that was
// removed, or whose connection is disabled or tenant suspended, proves nothing to anybody,
// and can be named in the log.
func (s *Store) Client(ctx context.Context, tenant, clientID string) (*Client, error) {
	if !registry.IsSlug(tenant) {
		return nil, ErrUnauthenticated
	}
	ctx = s.unproved(ctx, tenant)
	id, err := parseID(clientID)
	if err != nil {
		id = uuid.Nil // nobody's, and asked for like any other
	}
	c := &Client{store: s, Tenant: tenant, id: id}
	known, ok := s.slugs.Load(tenant)
	if ok {
		c.tenant = known.(uuid.UUID)
		return c, c.read(ctx, func(*pgx.Batch) {})
	}
	// Looked for beside the questions of a client, asked of nobody's tenant: one
	// that does not exist costs what one costs whose client is not known.
	found := uuid.Nil
	err = c.read(ctx, func(b *pgx.Batch) {
		b.Queue(`select id from tenants where slug = $1`, tenant).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&found}, func() error { return nil })
			return err
		})
	})
	if found == uuid.Nil {
		return nil, err
	}
	s.slugs.Store(tenant, found)
	c.tenant = found
	return c, c.read(inShare(ctx, found, false), func(*pgx.Batch) {})
}

// read reads what the client is and has, in one round trip with what more queues.
func (c *Client) read(ctx context.Context, more func(*pgx.Batch)) error {
	var exists bool
	var seconds int64
	b := &pgx.Batch{}
	nameTenant(b, c.tenant.String(), everyConnection)
	b.Queue(`
		select l.connection_id, c.kind, l.read_only, l.token_seconds, t.epoch, c.epoch, l.epoch,
			coalesce(l.issuer, ''), coalesce(l.subject, ''), coalesce(l.jwks_uri, ''), l.audiences,
			case when t.state <> 'active' then 'the tenant is suspended' when c.state <> 'active' then 'the connection is disabled'
				when l.revoked_at is not null then 'the client was removed' else '' end
		from clients l
		join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
		join tenants t on t.id = l.tenant_id
		where l.tenant_id = $1 and l.id = $2`, c.tenant, c.id).
		Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&c.Connection, &c.Kind, &c.ReadOnly, &seconds, &c.tenantEpoch, &c.connectionEpoch, &c.thisEpoch,
				&c.Trust.Issuer, &c.Trust.Subject, &c.Trust.JWKSURI, &c.Trust.Audiences, &c.shut}, func() error {
				exists = true
				return nil
			})
			return err
		})
	b.Queue(`
		select id, hash, case when revoked_at is not null then 'the secret was revoked' when expires_at <= now() then 'the secret has expired' else '' end
		from client_secrets where tenant_id = $1 and client = $2
		order by revoked_at is null and expires_at > now() desc, created_at desc limit $3`, c.tenant, c.id, knownSecrets).
		Query(func(rows pgx.Rows) (err error) {
			c.secrets, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s clientSecret, err error) {
				return s, row.Scan(&s.id, &s.hash, &s.ended)
			})
			return err
		})
	more(b)
	err := c.store.read(ctx, b)
	if err == nil && !exists {
		err = ErrUnauthenticated
	}
	c.lifetime = time.Duration(seconds) * time.Second
	return err
}

// Rate is how many requests a second the client's tenant is allowed: see
// [Directory.Rate].
func (c *Client) Rate() int { return c.store.rateOf(c.tenant) }

// Shut is why the client gets no token whatever it proves: an ErrUnauthenticated, or nil.
func (c *Client) Shut() error { return unauthenticated(c.shut) }

// unauthenticated is ErrUnauthenticated for a reason, of which whoever asked learns
// nothing; "": nil.
func unauthenticated(why string) error {
	if why == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrUnauthenticated, why)
}

// ProveSecret proves the client by one of its secrets, or is ErrUnauthenticated, which
// says why to the log. It takes as long for a wrong one as for a right one.
func (c *Client) ProveSecret(secret string) error {
	sum := sha256.Sum256([]byte(secret))
	found := clientSecret{ended: "the client has no such secret"}
	for _, known := range c.secrets {
		if subtle.ConstantTimeCompare(known.hash, sum[:]) == 1 {
			found = known
		}
	}
	if err := cmp.Or(c.Shut(), unauthenticated(found.ended)); err != nil {
		return err
	}
	c.proof = proof{given: true, secret: uuid.NullUUID{UUID: found.id, Valid: true}}
	return nil
}

// ProveAssertion proves the client by an assertion that the caller has verified
// against its Trust. id, if it has one, is accepted once; until is when nobody
// would accept it any more.
func (c *Client) ProveAssertion(id string, until time.Time) {
	c.proof = proof{given: c.shut == "", until: until}
	if id != "" {
		c.proof.assertion = hash(id)
	}
}

// Refused keeps in the provisioning log that the client got no token, and why. code is
// of OAuth (RFC 6749 §5.2).
func (c *Client) Refused(r Request, status int, code string, why error) {
	if r.ID == uuid.Nil {
		return
	}
	row := requestRow{tenant: c.tenant, connection: c.Connection, credential: c.id}.came(r)
	row.forToken, row.status, row.scimType, row.detail = true, int16(status), code, keep(why.Error(), longestDetail)
	c.store.keepRequest(row)
}

// Token gives a client that has proved itself an access token, which opens its
// connection until it expires, or the client, its secret, the connection or the
// tenant is ended: that is looked at at every use. An assertion that was brought
// before is ErrUnauthenticated.
func (c *Client) Token(ctx context.Context) (ClientToken, error) {
	if !c.proof.given {
		return ClientToken{}, ErrUnauthenticated
	}
	token := registry.AccessPrefix + random()
	err := c.store.write(inShare(ctx, c.tenant, true), func() *pgx.Batch {
		b := &pgx.Batch{}
		nameTenant(b, c.tenant.String(), everyConnection)
		c.proof.queue(b, c)
		b.Queue(`
			insert into client_tokens (tenant_id, id, connection_id, client, secret, hash, tenant_epoch, connection_epoch, client_epoch, expires_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10)`,
			c.tenant, newID(), c.Connection, c.id, c.proof.secret, hash(token), c.tenantEpoch, c.connectionEpoch, c.thisEpoch, c.lifetime)
		return b
	})
	if state(err) == "23505" { // the assertion's id: a token's hash comes twice to nobody
		err = unauthenticated("the assertion was brought before")
	}
	if err != nil {
		return ClientToken{}, err
	}
	return ClientToken{Token: token, Lifetime: c.lifetime}, nil
}

// queue uses the proof up, and notes its use.
func (p proof) queue(b *pgx.Batch, c *Client) {
	if p.assertion != nil {
		b.Queue(`
			insert into client_assertions (tenant_id, connection_id, client, hash, expires_at)
			values ($1, $2, $3, $4, $5)`, c.tenant, c.Connection, c.id, p.assertion, p.until)
	}
	if p.secret.Valid {
		b.Queue(`
			update client_secrets set last_used_at = now()
			where tenant_id = $1 and id = $2 and (last_used_at is null or last_used_at < now() - interval '1 minute')`, c.tenant, p.secret.UUID)
	}
}

// expiredRows is how many expired rows one pass deletes of a table and tenant.
const expiredRows = 10_000

// expireClientTokens deletes access tokens, and assertions that nobody would
// accept any more: an hour later, for clocks that differ.
func expireClientTokens(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		delete from client_tokens where tenant_id = $1 and id in (
			select id from client_tokens where tenant_id = $1 and expires_at < now() limit $2)`, tenant, expiredRows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		delete from client_assertions where tenant_id = $1 and (client, hash) in (
			select client, hash from client_assertions where tenant_id = $1 and expires_at < now() - interval '1 hour' limit $2)`, tenant, expiredRows)
	return err
}

// saveUse notes when a token, or a token of a client, was last used.
func saveUse(ctx context.Context, tx pgx.Tx, use usedCredential, holder uuid.UUID) error {
	tag, err := tx.Exec(ctx, `
		update credentials set last_used_at = $3
		where tenant_id = $1 and id = $2 and (last_used_at is null or last_used_at < $3)`, use.tenant, holder, use.at)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	_, err = tx.Exec(ctx, `
		update clients set last_used_at = $3
		where tenant_id = $1 and id = $2 and (last_used_at is null or last_used_at < $3)`, use.tenant, holder, use.at)
	return err
}
