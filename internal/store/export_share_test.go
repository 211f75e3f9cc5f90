package store

import "github.com/google/uuid"

// FillShare takes every place of a tenant's share of the pool, those to wait in too, and
// answers what gives them back. uuid.Nil is nobody's.
func (s *Store) FillShare(tenant uuid.UUID) (empty func()) {
	q := s.shares.join(tenant)
	all := s.shares.most + s.shares.waiting - 1
	count := func(n int) {
		s.shares.mu.Lock()
		defer s.shares.mu.Unlock()
		q.users += n
	}
	count(all)
	return func() {
		count(-all)
		s.shares.quit(tenant, q)
	}
}
