// Package registry keeps what the vendor and the tenants' admins set up:
// tenants, connections, credentials, applications and keys.
//
// Every write names its actor and is recorded in the tenant's log. Secrets are
// shown once, when they are made: tokens and client secrets of applications are
// kept as SHA-256 of 256 random bits, secrets that must be read again are
// envelope-encrypted.
package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/muster-id/muster/internal/store/log"
)

// ErrNotFound: there is no such tenant, connection, credential or application.
var ErrNotFound = errors.New("not found")

// A TenantError: there is no tenant of that slug, among others that were named
// at once. It is an ErrNotFound.
type TenantError struct{ Slug string }

func (e *TenantError) Error() string { return fmt.Sprintf("tenant %q does not exist", e.Slug) }

func (e *TenantError) Unwrap() error { return ErrNotFound }

// An ArgumentError is a mistake in what was asked for, in words for an admin.
type ArgumentError struct{ Message string }

func (e *ArgumentError) Error() string { return e.Message }

func bad(format string, args ...any) error { return &ArgumentError{fmt.Sprintf(format, args...)} }

// A Kernel is what the registry needs of the store.
type Kernel struct {
	// Transact runs do in one transaction that sees the named tenant's rows
	// (uuid.Nil: global tables only) and returns nil only once it is durable.
	Transact func(ctx context.Context, tenant uuid.UUID, do func(pgx.Tx) error) error
	// Name names the tenant whose rows the rest of the transaction sees.
	Name func(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error
	// Changed says that a transaction which named the tenant is durable.
	Changed func(tenant uuid.UUID)
	// Encrypt and Decrypt keep a secret at its place (table, column, row).
	Encrypt, Decrypt func(secret []byte, place string) ([]byte, error)
	// Local permits issuers on loopback.
	Local bool
}

// A Vendor is the receiver of everything that spans tenants, in the name of
// one actor.
type Vendor struct {
	kernel Kernel
	actor  string
}

// New returns the Vendor that acts as actor.
func New(kernel Kernel, actor string) *Vendor {
	return &Vendor{kernel: kernel, actor: actor}
}

// record appends what the vendor did to the tenant's log. Nothing is done in
// nobody's name.
func (v *Vendor) record(ctx context.Context, tx pgx.Tx, tenant, subject uuid.UUID, kind string, body any) error {
	if v.actor == "" {
		return bad("say who acts: the log names somebody for every change")
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	log.Queue(b, log.Change{
		Tenant: tenant, Subject: subject, Kind: kind, Actor: v.actor, Request: newID(), Body: text,
	})
	return tx.SendBatch(ctx, b).Close()
}

// raiseDerivation makes every assignment of the tenant stale. It waits for the
// changes that were derived by the counter of before: none may end after it.
func raiseDerivation(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('rules ' || $1::text, 0))`, tenant.String())
	if err == nil {
		_, err = tx.Exec(ctx, `update tenants set derivation = derivation + 1 where id = $1`, tenant)
	}
	return err
}

// newID returns a UUIDv7: ids sort by the time they were made.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// secret makes a secret of 256 random bits behind a visible prefix, its hash,
// and the part that may be shown later.
func secret(kind string) (plain string, hash []byte, shown string) {
	var b [32]byte
	rand.Read(b[:])
	plain = kind + base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(plain))
	return plain, sum[:], plain[:len(kind)+6]
}

// taken reports whether err is a clash with a unique index.
func taken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}
