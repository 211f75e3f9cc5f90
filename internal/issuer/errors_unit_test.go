package issuer

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
)

// A reason that an error carries for the log is not in the answer; what is worth asking
// again says when.
func TestWireError(t *testing.T) {
	i := &Issuer{config: Config{RequestID: func(*http.Request) uuid.UUID { return uuid.Nil }}}
	for _, test := range []struct {
		err         error
		status      int
		code        string
		again, ours bool
	}{
		{fmt.Errorf("%w: the secret has expired", store.ErrUnauthenticated), http.StatusUnauthorized, "invalid_client", false, false},
		{fmt.Errorf("%w: %w", store.ErrUnavailable, store.ErrBusy), http.StatusServiceUnavailable, "temporarily_unavailable", true, false},
		{fmt.Errorf("%w: reset", store.ErrUnavailable), http.StatusServiceUnavailable, "temporarily_unavailable", true, true},
		{fmt.Errorf("anything else"), http.StatusInternalServerError, "server_error", false, true},
	} {
		f := i.wireError(nil, test.err)
		if f.status != test.status || f.code != test.code || f.retry > 0 != test.again || f.ours != test.ours {
			t.Errorf("%v: got %+v, want %d %s, worth asking again: %t, ours: %t", test.err, f, test.status, test.code, test.again, test.ours)
		}
		if f.status == http.StatusUnauthorized && *f != *errInvalidClient {
			t.Errorf("%v: the answer is %+v", test.err, f)
		}
	}
}
