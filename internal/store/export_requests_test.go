package store

import "context"

// ExpireLog deletes what the provisioning log keeps no longer.
func (s *Store) ExpireLog(ctx context.Context) error { return s.expireLog(ctx) }
