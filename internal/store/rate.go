package store

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Rate is how many requests a second the tenant was allowed, half a minute ago
// at most; 0: as many as the server allows any.
func (dir *Directory) Rate() int { return dir.store.rateOf(dir.tenant) }

func (s *Store) rateOf(tenant uuid.UUID) int {
	if rates := s.rates.Load(); rates != nil {
		return (*rates)[tenant]
	}
	return 0
}

// readRates reads the rates of the tenants that have one of their own. No
// decision depends on them, so that they need not be of this moment.
func (s *Store) readRates(ctx context.Context) error {
	rates := map[uuid.UUID]int{}
	b := &pgx.Batch{}
	b.Queue(`select id, requests_per_second from tenants where requests_per_second is not null`).Query(func(rows pgx.Rows) error {
		var tenant uuid.UUID
		var perSecond int
		_, err := pgx.ForEachRow(rows, []any{&tenant, &perSecond}, func() error {
			rates[tenant] = perSecond
			return nil
		})
		return err
	})
	err := s.read(ctx, b)
	if err == nil {
		s.rates.Store(&rates)
	}
	return err
}
