package scimhttp

import (
	"context"
	"net/http"
	"time"
)

// A Charge counts n requests of a tenant, or of its people, whose own rate is perSecond a
// second (0: it has none), and returns 0 when they may be served, or how long the client
// has to wait. An error is ctx's.
type Charge func(ctx context.Context, payer string, perSecond, n int) (wait time.Duration, err error)

// chargeNobody lets all requests pass.
func chargeNobody(context.Context, string, int, int) (time.Duration, error) { return 0, nil }

// A limitError says that the tenant sends more than it may.
type limitError struct{ wait time.Duration }

func (e *limitError) Error() string { return "the tenant sends too many requests" }

// charge counts n requests, or operations of one, of the credential's tenant, and holds
// a few too many back for a moment. Far too many are refused: 429, and nothing was done.
// Each request is charged once before it is looked at; what consists of several
// operations charges for the others before it begins.
//
// A tenant's people, at /Me, have as much as its provisioning clients together, and none
// of theirs: nobody who may read their own record can keep a directory from being pushed.
func (c *call) charge(n int) error {
	payer, perSecond := "", 0
	switch {
	case c.self != nil:
		payer, perSecond = c.self.Tenant()+"/Me", c.self.Rate()
	case c.dir != nil:
		payer, perSecond = c.dir.Tenant(), c.dir.Rate()
	default:
		return nil
	}
	wait, err := c.door.charge(c.context(), payer, perSecond, n)
	if wait > 0 {
		return &limitError{wait: wait}
	}
	return err
}

// limited is the refusal of what is too much for the moment. It says nothing that a
// client does not know which was admitted a moment ago, so that the credential is not
// looked at again for it: a storm that is refused costs the database nothing.
func limited(wait time.Duration, detail string) refusal {
	return refusal{fault: refuse(http.StatusTooManyRequests, "%s; nothing was changed", detail), retry: wait, limited: true}
}

// busyWait is when a tenant may try again of which too many requests wait.
const busyWait = time.Second
