package scimhttp

import (
	"context"
	"fmt"
	"testing"

	"github.com/muster-id/muster/internal/store"
)

// A deletion is tried again only where nothing was done for a reason that passes: what
// may have been done is not taken for done because it is not found the next time.
func TestWhatPasses(t *testing.T) {
	for err, want := range map[error]bool{
		store.ErrBusy: true, store.ErrUnavailable: true, store.ErrRedeclared: true,
		nil: false, store.ErrUnknownOutcome: false, store.ErrNotFound: false, store.ErrUnauthenticated: false, context.Canceled: false,
	} {
		if got := passing(err); got != want {
			t.Errorf("%v: got %t, want %t", err, got, want)
		}
		if got := passing(fmt.Errorf("deletion: %w", err)); got != want {
			t.Errorf("%v, wrapped: got %t, want %t", err, got, want)
		}
	}
}
