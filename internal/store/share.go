package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxWaiting is how many requests of one tenant wait for a connection. More are
// ErrBusy at once: what waits takes memory.
const maxWaiting = 256

// shareKey is where a context says whose share of the pool its work takes.
type shareKey struct{}

// InShare returns the context in which the Directory's requests take no more
// connections than one tenant may hold: three quarters of the pool. So nobody's
// storm keeps others waiting for longer than one of them takes. Those whose
// credential is not known to hold share one more such part.
func (dir *Directory) InShare(ctx context.Context) context.Context {
	if !dir.Held() {
		return withShare(ctx, uuid.Nil)
	}
	return withShare(ctx, dir.tenant)
}

func withShare(ctx context.Context, of uuid.UUID) context.Context {
	return context.WithValue(ctx, shareKey{}, of)
}

// largestShare is how many of a pool's connections one tenant may hold.
func largestShare(pool int) int { return max(1, pool*3/4) }

// A lease is a connection of the pool, and the place in its tenant's share.
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
	if tenant, ok := ctx.Value(shareKey{}).(uuid.UUID); ok {
		var err error
		if leave, err = s.shares.take(ctx, tenant); err != nil {
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
