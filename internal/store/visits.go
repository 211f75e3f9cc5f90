package store

import (
	"errors"

	"github.com/google/uuid"
)

// maxVisits bounds the sessions that a process remembers.
const maxVisits = 20_000

// visits are the sessions whose people were let in when this process last looked. That
// decides nothing but whom a request counts against.
type visits struct{ open guesses }

func (v *visits) held(session uuid.UUID) bool { return v.open.has(session) }

// note remembers what came of a look at a session: nil, or why nobody was let in. What
// failed for another reason says nothing.
func (v *visits) note(session uuid.UUID, err error) {
	switch {
	case errors.Is(err, ErrUnauthenticated):
		v.open.drop(session)
	case err == nil:
		v.open.add(session, maxVisits)
	}
}
