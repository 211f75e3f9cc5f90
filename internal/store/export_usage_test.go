package store

import "context"

// FlushUsage writes when credentials were last used.
func (s *Store) FlushUsage(ctx context.Context) { s.flushUsage(ctx) }

// Expire deletes what nobody can use any more.
func (s *Store) Expire(ctx context.Context) { s.expire(ctx) }

// ReadRates reads the tenants' own rates.
func (s *Store) ReadRates(ctx context.Context) error { return s.readRates(ctx) }
