package registry

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Prefixes of the secrets that Muster makes: they say what was leaked, and let
// a malformed one be refused without asking the database.
const (
	SCIMPrefix   = "muster_scim_"
	APIPrefix    = "muster_api_"
	ClientPrefix = "muster_app_"
)

// SecretLength is the length of a secret behind its prefix: 256 bits in base64url.
const SecretLength = 43

// A Credential opens one door of one tenant. The secret itself is not kept.
type Credential struct {
	ID         uuid.UUID  `json:"id"`
	Connection string     `json:"connection,omitempty"`
	Kind       string     `json:"kind"` // scim | api
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // its first characters, to recognise it
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
}

// NewToken is what a SCIM token is made of.
type NewToken struct {
	Name      string
	ExpiresAt time.Time // zero: it does not expire
}

// CreateToken makes a SCIM bearer token for one connection and answers it, the
// only time it is shown.
func (v *Vendor) CreateToken(ctx context.Context, slug, connection string, n NewToken) (string, Credential, error) {
	var plain string
	var c Credential
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		found, err := connections(ctx, tx, t.ID, `and name = $2`, connection)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		plain, c, err = v.addCredential(ctx, tx, t, found[0], "scim", SCIMPrefix, n)
		return err
	})
	return plain, c, err
}

// CreateKey makes an API key for a tenant and answers it, the only time it is shown.
func (v *Vendor) CreateKey(ctx context.Context, slug, name string) (string, Credential, error) {
	var plain string
	var c Credential
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) (err error) {
		plain, c, err = v.addCredential(ctx, tx, t, Connection{}, "api", APIPrefix, NewToken{Name: name})
		return err
	})
	return plain, c, err
}

func (v *Vendor) addCredential(ctx context.Context, tx pgx.Tx, t Tenant, of Connection, kind, prefix string, n NewToken) (string, Credential, error) {
	if n.Name == "" {
		return "", Credential{}, bad("a name is needed, so that the log can say who acted")
	}
	plain, hash, shown := secret(prefix)
	c := Credential{ID: newID(), Connection: of.Name, Kind: kind, Name: n.Name, Prefix: shown, CreatedBy: v.actor}
	if !n.ExpiresAt.IsZero() {
		c.ExpiresAt = &n.ExpiresAt
	}
	err := tx.QueryRow(ctx, `
		insert into credentials (tenant_id, id, connection_id, kind, name, hash, prefix, expires_at, created_by)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning created_at`,
		t.ID, c.ID, uuid.NullUUID{UUID: of.ID, Valid: of.ID != uuid.Nil}, kind, c.Name, hash, shown, c.ExpiresAt, v.actor).Scan(&c.CreatedAt)
	if err != nil {
		return "", Credential{}, err
	}
	return plain, c, v.record(ctx, tx, t.ID, c.ID, "credential.created", c)
}

// Tokens lists a tenant's credentials, the newest first: all of them, whoever
// made them.
func (v *Vendor) Tokens(ctx context.Context, slug string) ([]Credential, error) {
	var list []Credential
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) (err error) {
		list, err = credentials(ctx, tx, t.ID, `order by k.created_at desc, k.id desc`)
		return err
	})
	return list, err
}

func credentials(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, rest string, args ...any) ([]Credential, error) {
	rows, err := tx.Query(ctx, `
		select k.id, coalesce(c.name, ''), k.kind, k.name, k.prefix, k.created_by, k.created_at, k.expires_at, k.revoked_at, k.last_used_at
		from credentials k
		left join connections c on c.tenant_id = k.tenant_id and c.id = k.connection_id
		where k.tenant_id = $1 `+rest, append([]any{tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Credential])
}

// RotateToken makes a successor of a SCIM token. The old one stays valid for
// overlap, so that the identity provider can be changed without a gap.
func (v *Vendor) RotateToken(ctx context.Context, slug string, id uuid.UUID, overlap time.Duration) (string, Credential, error) {
	var plain string
	var next Credential
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		old, err := living(ctx, tx, t.ID, id)
		if err != nil {
			return err
		}
		of, err := connections(ctx, tx, t.ID, `and name = $2`, old.Connection)
		if err != nil {
			return err
		}
		if old.Kind != "scim" || len(of) == 0 {
			return bad("only SCIM tokens are rotated; make a new key instead")
		}
		plain, next, err = v.addCredential(ctx, tx, t, of[0], "scim", SCIMPrefix, NewToken{Name: old.Name})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			update credentials set expires_at = least(expires_at, now() + $3)
			where tenant_id = $1 and id = $2`, t.ID, id, overlap)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, t.ID, id, "credential.rotated", map[string]string{"successor": next.ID.String(), "overlap": overlap.String()})
	})
	return plain, next, err
}

// RevokeToken ends a credential. Once it returns, no server accepts it.
func (v *Vendor) RevokeToken(ctx context.Context, slug string, id uuid.UUID) error {
	return v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		c, err := living(ctx, tx, t.ID, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update credentials set revoked_at = now() where tenant_id = $1 and id = $2`, t.ID, id)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, t.ID, id, "credential.revoked", c)
	})
}

// living locks and answers a credential that is not revoked.
func living(ctx context.Context, tx pgx.Tx, tenant, id uuid.UUID) (Credential, error) {
	list, err := credentials(ctx, tx, tenant, `and k.id = $2 and k.revoked_at is null for update of k`, id)
	if err != nil {
		return Credential{}, err
	}
	if len(list) == 0 {
		return Credential{}, ErrNotFound
	}
	return list[0], nil
}
