package server

import (
	"context"
	"time"
)

// patience is how long a request of a tenant that sends too many is held back before
// it is refused. Provisioning clients take a slow answer better than a refusal: some
// leave what was refused to their next cycle.
const patience = 2 * time.Second

// A throttle holds each tenant to a Rate: its own, or the server's. It keeps nothing
// of a request that it holds back but the request itself, and holds back no more of a
// tenant's than its rate lets in within its patience.
type throttle struct {
	rate    Rate
	now     func() time.Time
	sleep   func(context.Context, time.Duration) error
	counted func(outcome string)
	buckets *buckets[string]
}

func newThrottle(r Rate, now func() time.Time, counted func(outcome string)) *throttle {
	return &throttle{rate: r, now: now, sleep: sleep, counted: counted, buckets: newBuckets[string]()}
}

// charge counts n requests of a tenant, whose own rate is perSecond a second; 0: it
// has none. It returns 0 when they may be served, or counts nothing and returns how
// long the client has to wait. An error is ctx's.
func (t *throttle) charge(ctx context.Context, tenant string, perSecond, n int) (wait time.Duration, err error) {
	if n <= 0 {
		return 0, nil
	}
	r := t.rate
	if perSecond > 0 {
		r = PerSecond(perSecond, 2)
	}
	now := t.now()
	delay, ok := t.buckets.of(tenant, r, now).take(now, n, patience)
	switch {
	case !ok:
		t.counted("refused")
		return delay, nil
	case delay > 0:
		t.counted("slowed")
		return 0, t.sleep(ctx, delay)
	}
	return 0, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
