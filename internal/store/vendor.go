package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/registry"
)

// Vendor is the receiver of what spans tenants, in the name of actor.
func (s *Store) Vendor(actor string) *registry.Vendor {
	return registry.New(registry.Kernel{
		Transact: s.vendorTransact, Name: nameIn, Changed: s.woke, Encrypt: s.seal.Encrypt, Decrypt: s.seal.Decrypt, Local: s.local,
	}, actor)
}

// vendorTransact is a transaction of the registry: what it changes is numbered
// soon after.
func (s *Store) vendorTransact(ctx context.Context, tenant uuid.UUID, do func(pgx.Tx) error) error {
	err := s.vendorTransactQuietly(ctx, tenant, do)
	if err == nil && tenant != uuid.Nil {
		s.woke(tenant)
	}
	return err
}

// vendorTransactQuietly runs do in a transaction under the commit outcome
// rules. It makes as many trips as do makes: nothing here is on a request's path.
func (s *Store) vendorTransactQuietly(ctx context.Context, tenant uuid.UUID, do func(pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer conn.Release()
	delete(conn.Conn().PgConn().CustomData(), warnings)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return writeError(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // no effect after Commit
	if tenant != uuid.Nil {
		if err := nameIn(ctx, tx, tenant); err != nil {
			return writeError(err)
		}
	}
	if err := do(tx); err != nil {
		return lost(ctx, conn, err)
	}
	return commitOutcome(conn, tx.Commit(ctx))
}

// nameIn names a tenant and all its connections for the rest of a transaction.
func nameIn(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	return tx.SendBatch(ctx, b).Close()
}

// Application finds an application by its client id.
func (s *Store) Application(ctx context.Context, clientID string) (registry.Application, error) {
	a, err := s.Vendor("").Application(ctx, clientID)
	return a, registryError(err)
}

// SigningKey answers the key that signs tokens now.
func (s *Store) SigningKey(ctx context.Context) (registry.SigningKey, error) {
	return s.Vendor("").SigningKey(ctx)
}

// PublicKeys lists the public keys of all tokens that may be in use.
func (s *Store) PublicKeys(ctx context.Context) ([]registry.SigningKey, error) {
	return s.Vendor("").PublicKeys(ctx)
}

// registryError gives the registry's answers the store's names.
func registryError(err error) error {
	var argument *registry.ArgumentError
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return ErrNotFound
	case errors.As(err, &argument):
		return &ArgumentError{Message: argument.Message}
	}
	return err
}
