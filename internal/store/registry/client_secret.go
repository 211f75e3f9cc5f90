package registry

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// MaxSecretLife is how long a client's secret lives at most (Q9: identity
	// providers demand one to three years).
	MaxSecretLife = 3 * 365 * 24 * time.Hour

	// maxSecrets is how many of a client's secrets may be in use at once: each
	// is compared with what a client brings.
	maxSecrets = 10
)

// A ClientSecret is one of a client's secrets. The secret itself is not kept.
type ClientSecret struct {
	ID         uuid.UUID  `json:"id"`
	Prefix     string     `json:"prefix"` // its first characters, to recognise it
	CreatedBy  string     `json:"created_by"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"` // to fetch an access token; to the minute
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
}

// AddClientSecret makes one more secret of a client and answers it, the only
// time it is shown. The others stay valid: the new one is entered at the
// identity provider before the old one is revoked.
func (v *Vendor) AddClientSecret(ctx context.Context, slug string, client uuid.UUID, lifetime time.Duration) (string, ClientSecret, error) {
	var plain string
	var made ClientSecret
	err := v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		if _, err := livingClient(ctx, tx, t.ID, client); err != nil {
			return err
		}
		usable, err := secrets(ctx, tx, t.ID, `and client = $2 and revoked_at is null and expires_at > now()`, client)
		if err != nil {
			return err
		}
		if len(usable) >= maxSecrets {
			return bad("the client has %d secrets in use: revoke one first", len(usable))
		}
		made, plain, err = v.addSecret(ctx, tx, t, client, lifetime)
		return err
	})
	return plain, made, err
}

func (v *Vendor) addSecret(ctx context.Context, tx pgx.Tx, t Tenant, client uuid.UUID, lifetime time.Duration) (made ClientSecret, plain string, err error) {
	if lifetime <= 0 || lifetime > MaxSecretLife {
		return ClientSecret{}, "", bad("a secret lives at most three years (%s), and not for ever", MaxSecretLife)
	}
	plain, hash, shown := secret(SecretPrefix)
	made = ClientSecret{ID: newID(), Prefix: shown, CreatedBy: v.actor}
	err = tx.QueryRow(ctx, `
		insert into client_secrets (tenant_id, id, connection_id, client, hash, prefix, expires_at, created_by)
		select tenant_id, $3, connection_id, id, $4, $5, now() + $6, $7 from clients where tenant_id = $1 and id = $2
		returning created_at, expires_at`, t.ID, client, made.ID, hash, shown, lifetime, v.actor).Scan(&made.CreatedAt, &made.ExpiresAt)
	if err != nil {
		return ClientSecret{}, "", err
	}
	return made, plain, v.record(ctx, tx, t.ID, client, "client.secret_added", made)
}

// RevokeClientSecret ends a secret and every access token that was fetched with
// it. Once it returns, no server accepts them.
func (v *Vendor) RevokeClientSecret(ctx context.Context, slug string, id uuid.UUID) error {
	return v.in(ctx, slug, func(tx pgx.Tx, t Tenant) error {
		var client uuid.UUID
		err := tx.QueryRow(ctx, `
			update client_secrets set revoked_at = now()
			where tenant_id = $1 and id = $2 and revoked_at is null
			returning client`, t.ID, id).Scan(&client)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		return v.record(ctx, tx, t.ID, client, "client.secret_revoked", map[string]string{"secret": id.String()})
	})
}

func secrets(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, rest string, args ...any) ([]ClientSecret, error) {
	rows, err := tx.Query(ctx, `
		select id, prefix, created_by, created_at, expires_at, last_used_at, revoked_at
		from client_secrets where tenant_id = $1 `+rest, append([]any{tenant}, args...)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ClientSecret])
}
