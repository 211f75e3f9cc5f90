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
	SCIMPrefix   = "muster_scim_"   // a SCIM token that an admin handed over
	AccessPrefix = "muster_oauth_"  // a SCIM token that a client fetched
	SecretPrefix = "muster_secret_" // a client's secret
	APIPrefix    = "muster_api_"
	ClientPrefix = "muster_app_" // an application's secret
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
	ReadOnly   bool       `json:"read_only"`
	Writes     []string   `json:"writes,omitempty"` // names of the resource types that it may change; none: all
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	ReplacedBy *uuid.UUID `json:"replaced_by,omitempty"` // its successor
}

// NewToken is what a SCIM token is made of.
type NewToken struct {
	Name      string
	ExpiresAt time.Time // zero: it does not expire
	ReadOnly  bool      // it changes nothing
	Writes    []string  // names of the resource types that it may change, "User"; none: all
}

// A Rotation says how a token gives way to its successor.
type Rotation struct {
	Overlap  time.Duration // how long the old one stays valid
	Lifetime time.Duration // of the successor; 0: that of the old one, which may be for ever
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
	if err := checkWrites(ctx, tx, t, n); err != nil {
		return "", Credential{}, err
	}
	plain, hash, shown := secret(prefix)
	c := Credential{ID: newID(), Connection: of.Name, Kind: kind, Name: n.Name, Prefix: shown, ReadOnly: n.ReadOnly, Writes: n.Writes, CreatedBy: v.actor}
	if !n.ExpiresAt.IsZero() {
		c.ExpiresAt = &n.ExpiresAt
	}
	err := tx.QueryRow(ctx, `
		insert into credentials (tenant_id, id, connection_id, kind, name, hash, prefix, expires_at, created_by, read_only, writes)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11::text[], '{}')) returning created_at`,
		t.ID, c.ID, uuid.NullUUID{UUID: of.ID, Valid: of.ID != uuid.Nil}, kind, c.Name, hash, shown, c.ExpiresAt, v.actor, c.ReadOnly, c.Writes).Scan(&c.CreatedAt)
	if err != nil {
		return "", Credential{}, err
	}
	return plain, c, v.record(ctx, tx, t.ID, c.ID, "credential.created", c)
}

// checkWrites refuses rights that say nothing: of types that the tenant has not.
func checkWrites(ctx context.Context, tx pgx.Tx, t Tenant, n NewToken) error {
	if n.ReadOnly && len(n.Writes) > 0 {
		return bad("a token that only reads writes no type")
	}
	for _, name := range n.Writes {
		known := name == "User" || name == "Group"
		if !known {
			err := tx.QueryRow(ctx, `select exists (select from resource_types where tenant_id = $1 and name = $2)`, t.ID, name).Scan(&known)
			if err != nil {
				return err
			}
		}
		if !known {
			return bad("%q is no resource type of the tenant: User, Group, or one that muster resource-type list shows", name)
		}
	}
	return nil
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
		select k.id, coalesce(c.name, ''), k.kind, k.name, k.prefix, k.read_only, coalesce(k.writes, '{}'), k.created_by, k.created_at, k.expires_at, k.revoked_at,
			k.last_used_at, k.replaced_by
		from credentials k
		left join connections c on c.tenant_id = k.tenant_id and c.id = k.connection_id
		where k.tenant_id = $1 `+rest, append([]any{tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Credential])
}

// RotateToken makes a successor of a SCIM token: for the same connection, with
// the same rights, and to live as long. The old one stays valid for the overlap,
// so that the identity provider can be changed without a gap. It is rotated once.
func (v *Vendor) RotateToken(ctx context.Context, slug string, id uuid.UUID, r Rotation) (string, Credential, error) {
	var plain string
	var next Credential
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		old, err := living(ctx, tx, t.ID, id)
		if err != nil {
			return err
		}
		of, err := connections(ctx, tx, t.ID, `and name = $2`, old.Connection)
		switch {
		case err != nil:
			return err
		case old.Kind != "scim" || len(of) == 0:
			return bad("only SCIM tokens are rotated; make a new key instead")
		case old.ReplacedBy != nil:
			return bad("the token was rotated before: its successor is %s", old.ReplacedBy)
		}
		plain, next, err = v.addCredential(ctx, tx, t, of[0], "scim", SCIMPrefix, r.successor(old))
		if err != nil {
			return err
		}
		return v.replace(ctx, tx, t, old, next, r.Overlap)
	})
	return plain, next, err
}

// successor is what follows old. A token that was to expire is not followed by
// one that never does.
func (r Rotation) successor(old Credential) NewToken {
	if r.Lifetime == 0 && old.ExpiresAt != nil {
		r.Lifetime = old.ExpiresAt.Sub(old.CreatedAt)
	}
	n := NewToken{Name: old.Name, ReadOnly: old.ReadOnly, Writes: old.Writes}
	if r.Lifetime != 0 {
		n.ExpiresAt = time.Now().Add(r.Lifetime)
	}
	return n
}

func (v *Vendor) replace(ctx context.Context, tx pgx.Tx, t Tenant, old, next Credential, overlap time.Duration) error {
	_, err := tx.Exec(ctx, `
		update credentials set expires_at = least(expires_at, now() + $3), replaced_by = $4
		where tenant_id = $1 and id = $2`, t.ID, old.ID, overlap, next.ID)
	if err != nil {
		return err
	}
	return v.record(ctx, tx, t.ID, old.ID, "credential.rotated", map[string]string{"successor": next.ID.String(), "overlap": overlap.String()})
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
