package store

import "context"

// Named is the tenants that the pool's open connections name outside a transaction.
func (s *Store) Named(ctx context.Context) (tenants []string, err error) {
	if err := s.pool.Ping(ctx); err != nil { // so that there is one
		return nil, err
	}
	for _, conn := range s.pool.AcquireAllIdle(ctx) {
		defer conn.Release()
		var tenant string
		err := conn.QueryRow(ctx, `select coalesce(current_setting('muster.tenant', true), '') || coalesce(current_setting('muster.connection', true), '')`).Scan(&tenant)
		if err != nil {
			return nil, err
		}
		tenants = append(tenants, tenant)
	}
	return tenants, nil
}
