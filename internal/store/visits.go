package store

import (
	"errors"
	"sync"

	"github.com/google/uuid"
)

// maxVisits bounds the sessions that a process remembers, some 50 bytes each. One
// beyond it takes another's place.
const maxVisits = 20_000

// visits are the sessions whose people were let in when this process last looked. That
// decides nothing but whom a request counts against.
type visits struct {
	mu   sync.Mutex
	open map[uuid.UUID]bool
}

func (v *visits) held(session uuid.UUID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open[session]
}

// note remembers what came of a look at a session: nil, or why nobody was let in. What
// failed for another reason says nothing.
func (v *visits) note(session uuid.UUID, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case errors.Is(err, ErrUnauthenticated):
		delete(v.open, session)
	case err == nil && !v.open[session]:
		v.add(session)
	}
}

func (v *visits) add(session uuid.UUID) {
	if v.open == nil {
		v.open = map[uuid.UUID]bool{}
	}
	if len(v.open) >= maxVisits {
		for other := range v.open {
			delete(v.open, other)
			break
		}
	}
	v.open[session] = true
}
