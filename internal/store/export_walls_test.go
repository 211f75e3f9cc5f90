package store

import "context"

// Named is the tenant that a connection of the pool names outside a transaction.
func (s *Store) Named(ctx context.Context) (tenant string, err error) {
	err = s.pool.QueryRow(ctx, `select coalesce(current_setting('muster.tenant', true), '') || coalesce(current_setting('muster.connection', true), '')`).Scan(&tenant)
	return tenant, err
}
