package store

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
