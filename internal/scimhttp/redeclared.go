package scimhttp

import (
	"errors"

	"github.com/muster-id/muster/internal/store"
)

// readings is how often a request is read, because the tenant's schemas change
// while it is.
const readings = 3

// current does what depends on the tenant's schemas, and does it anew where
// they have changed since the Directory took them: nothing was done then, and
// the Directory has the new ones.
func (c *call) current(do func() error) error {
	err := do()
	for range readings - 1 {
		if !errors.Is(err, store.ErrRedeclared) {
			break
		}
		err = do()
	}
	return err
}

// verified is err, for a credential that holds. Whatever the client did wrong is
// said only to that one, and only if it is wrong by the tenant's schemas as they
// are now: the handler may have refused of itself, or the store before it asked
// the database.
func (c *call) verified(err error) error {
	if err == nil || errors.Is(err, store.ErrRedeclared) || !wireError(err, c.door.requestID(c.request)).tells() {
		return err
	}
	if unheld := c.enter(); unheld != nil {
		return unheld
	}
	return err
}
