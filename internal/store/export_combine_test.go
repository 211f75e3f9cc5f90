package store

import "github.com/google/uuid"

// Waiting is how many changes of users stand in line behind another of their credential.
func (s *Store) Waiting() int { return s.edits.waiting() + s.additions.waiting() }

func (c *combiner[K, J]) waiting() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.lines {
		n += len(line)
	}
	return n
}

// SharedWork is how long those who share a transaction are evaluated.
const SharedWork = sharedWork

// FillLines takes every place where a tenant's changes wait to share a transaction.
func (s *Store) FillLines(tenant uuid.UUID) (empty func()) { return s.lines.fill(tenant) }
