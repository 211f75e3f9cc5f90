package store

import (
	"context"

	"github.com/google/uuid"
)

// Tend does the background work of one tick for a tenant.
func (s *Store) Tend(ctx context.Context, tenant uuid.UUID) {
	s.tend(ctx, map[uuid.UUID]bool{tenant: true})
}
