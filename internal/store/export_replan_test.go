package store

import "context"

// Growth is growth, and Replan what the background does every second.
type Growth = growth

func (s *Store) Replan(ctx context.Context, before *Growth) error { return s.replan(ctx, before) }

// Backend names the connection that the next statement comes by, where there is one.
func (s *Store) Backend(ctx context.Context) (pid int, err error) {
	err = s.pool.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid)
	return pid, err
}
