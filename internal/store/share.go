package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxWaiting is how many requests wait for a connection of one share. More are
// ErrBusy at once: what waits takes memory.
const maxWaiting = 256

// A share is whose part of the pool some work takes: that of a tenant, three quarters,
// or, a quarter, of whoever comes to its address and has proved nothing yet. So
// nobody's storm keeps others waiting for longer than one of them takes, and a storm
// of strangers keeps nobody from proving themselves at another tenant's address.
// Addresses that name no tenant, or none that this process knows of, have one such
// quarter together, however many names there are.
type share struct {
	tenant uuid.UUID // uuid.Nil: of no tenant
	proved bool
}

// shareKey is where a context says whose share of the pool its work takes.
type shareKey struct{}

// InShare returns the context in which the Directory's requests take their tenant's
// share of the pool, once the credential is known to hold, and until then the
// strangers' at its address.
func (dir *Directory) InShare(ctx context.Context) context.Context {
	return inShare(ctx, dir.tenant, dir.Held())
}

// unproved is the context of a request to a tenant's address until it is known whose
// it is.
func (s *Store) unproved(ctx context.Context, slug string) context.Context {
	tenant, _ := s.slugs.Load(slug)
	id, _ := tenant.(uuid.UUID) // uuid.Nil: not known
	return inShare(ctx, id, false)
}

func inShare(ctx context.Context, tenant uuid.UUID, proved bool) context.Context {
	return context.WithValue(ctx, shareKey{}, share{tenant, proved})
}

// divide says how many of the pool's connections one share may hold.
func (s *Store) divide(pool int) {
	s.shares.most, s.shares.waiting = max(1, pool*3/4), maxWaiting
	s.strangers.most, s.strangers.waiting = max(1, pool/4), maxWaiting
	s.lines.waiting = maxWaiting
}

// place waits for a place in a share.
func (s *Store) place(ctx context.Context, of share) (leave func(), err error) {
	if of.proved {
		return s.shares.take(ctx, of.tenant)
	}
	return s.strangers.take(ctx, of.tenant)
}

// A lease is a connection of the pool, and the place in a share of it.
type lease struct {
	*pgxpool.Conn
	leave func()
}

// Release gives back both.
func (l lease) Release() {
	l.Conn.Release()
	l.leave()
}

// acquire waits for a place in the share that ctx names, then for a connection.
// Background work and commands have no share: there is one of them at a time.
func (s *Store) acquire(ctx context.Context) (lease, error) {
	leave := func() {}
	if of, ok := ctx.Value(shareKey{}).(share); ok {
		var err error
		if leave, err = s.place(ctx, of); err != nil {
			return lease{}, err
		}
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		leave()
		return lease{}, err
	}
	return lease{conn, leave}, nil
}
