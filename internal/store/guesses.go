package store

import (
	"sync"

	"github.com/google/uuid"
)

// guesses are ids of which a process remembers something that may hold no longer. They are
// bounded, some 50 bytes each. No decision rests on one: it says what to try first, and in
// whose share of the pool.
type guesses struct {
	mu  sync.Mutex
	ids map[uuid.UUID]bool
}

func (g *guesses) has(id uuid.UUID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ids[id]
}

// add remembers id. Beyond so many it takes another's place.
func (g *guesses) add(id uuid.UUID, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ids == nil {
		g.ids = map[uuid.UUID]bool{}
	}
	if len(g.ids) >= most && !g.ids[id] {
		for other := range g.ids {
			delete(g.ids, other)
			break
		}
	}
	g.ids[id] = true
}

func (g *guesses) drop(id uuid.UUID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.ids, id)
}
