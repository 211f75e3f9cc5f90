package store

import "github.com/google/uuid"

// FillShare takes every place of a tenant's share of the pool, those to wait in too, and
// answers what gives them back.
func (s *Store) FillShare(tenant uuid.UUID) (empty func()) { return s.shares.fill(tenant) }

// FillStrangers does so with the share of whoever has proved nothing at a tenant's
// address; uuid.Nil: at one that is no tenant's.
func (s *Store) FillStrangers(tenant uuid.UUID) (empty func()) { return s.strangers.fill(tenant) }

// ForgetSettings makes the next request read the tenant's settings.
func (s *Store) ForgetSettings(tenant uuid.UUID) { s.settings.forget(tenant) }

// ForgetNames makes the next request look up the tenant's name.
func (s *Store) ForgetNames() { s.slugs.Clear() }

func (t *turns) fill(tenant uuid.UUID) (empty func()) {
	q := t.join(tenant)
	all := t.most + t.waiting - 1
	count := func(n int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		q.users += n
	}
	count(all)
	return func() {
		count(-all)
		t.quit(tenant, q)
	}
}
