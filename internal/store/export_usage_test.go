package store

import "context"

// FlushUsage writes when credentials were last used.
func (s *Store) FlushUsage(ctx context.Context) { s.flushUsage(ctx) }
