package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// held is a throttle whose time stands still, and which says how long it would have slept.
func held(r Rate) (t *throttle, now *time.Time, slept *[]time.Duration, counted map[string]int) {
	now, slept, counted = new(time.Time), new([]time.Duration), map[string]int{}
	*now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	t = newThrottle(r, func() time.Time { return *now }, func(outcome string) { counted[outcome]++ })
	t.sleep = func(ctx context.Context, d time.Duration) error {
		*slept = append(*slept, d)
		return ctx.Err()
	}
	return t, now, slept, counted
}

// A tenant has its burst; a little more is slowed; more is refused, and what is
// refused counts nothing. Another tenant has its own.
func TestATenantIsSlowedAndThenRefused(t *testing.T) {
	th, now, slept, counted := held(Rate{PerSecond: 2, Burst: 3})
	charge := func(tenant string) time.Duration {
		t.Helper()
		wait, err := th.charge(t.Context(), tenant, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	for i := range 3 + 4 { // the burst, and what two seconds let in
		if wait := charge("acme"); wait != 0 {
			t.Fatalf("request %d has to wait %s", i, wait)
		}
	}
	if want := []time.Duration{500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second}; !slices.Equal(*slept, want) {
		t.Errorf("requests were held back for %v, want %v", *slept, want)
	}
	for range 100 {
		if wait := charge("acme"); wait != 2500*time.Millisecond {
			t.Fatalf("one too many has to wait %s, want 2.5s: what is refused counts nothing", wait)
		}
	}
	if wait := charge("globex"); wait != 0 || len(*slept) != 4 {
		t.Errorf("another tenant has to wait %s, or was slowed", wait)
	}
	*now = now.Add(500 * time.Millisecond)
	if wait := charge("acme"); wait != 0 {
		t.Errorf("half a second later: has to wait %s", wait)
	}
	if counted["slowed"] != 5 || counted["refused"] != 100 {
		t.Errorf("counted %v, want 5 slowed and 100 refused", counted)
	}
}

// A request with many operations is admitted like any other, and paid for by the next.
func TestManyOperationsArePaidForLater(t *testing.T) {
	th, now, slept, _ := held(Rate{PerSecond: 100, Burst: 200})
	for _, step := range []struct {
		story string
		after time.Duration
		n     int
		want  time.Duration
	}{
		{"a bulk of 1,000", 0, 1000, 0},
		{"the next request", 0, 1, 8010 * time.Millisecond},
		{"the next bulk", 0, 1000, 8010 * time.Millisecond},
		{"no operations at all", 0, 0, 0},
		{"seven seconds later", 7010 * time.Millisecond, 1, 0},
	} {
		*now = now.Add(step.after)
		if wait, err := th.charge(t.Context(), "acme", 0, step.n); wait != step.want || err != nil {
			t.Errorf("%s: has to wait %s %v, want %s", step.story, wait, err, step.want)
		}
	}
	if want := []time.Duration{time.Second}; !slices.Equal(*slept, want) {
		t.Errorf("held back for %v, want %v", *slept, want)
	}
}

// A tenant's own rate counts at once, in either direction, and for nobody else.
func TestATenantsOwnRate(t *testing.T) {
	th, now, _, _ := held(PerSecond(1, 1))
	admitted := func(tenant string, own int) (n int) {
		t.Helper()
		for {
			wait, err := th.charge(t.Context(), tenant, own, 1)
			if err != nil {
				t.Fatal(err)
			}
			if wait > 0 {
				return n
			}
			n++
		}
	}
	if got := admitted("acme", 0); got != 1+2 {
		t.Errorf("of the server's rate %d were admitted, want 3: one, and what two seconds let in", got)
	}
	*now = now.Add(time.Hour)
	if got := admitted("acme", 50); got < 100 || got > 200 {
		t.Errorf("of its own rate %d were admitted, want about 100 and what two seconds let in", got)
	}
	*now = now.Add(time.Hour)
	if got := admitted("acme", 0); got != 3 {
		t.Errorf("back at the server's rate %d were admitted, want 3", got)
	}
	if got := admitted("globex", 0); got != 3 {
		t.Errorf("of another tenant %d were admitted, want 3", got)
	}
	free, _, slept, _ := held(Unlimited())
	for range 1000 {
		if wait, err := free.charge(t.Context(), "acme", 0, 1000); wait != 0 || err != nil || len(*slept) > 0 {
			t.Fatalf("what is not limited has to wait %s %v", wait, err)
		}
	}
}

// A client that goes away while it is held back is let go.
func TestWhoeverGoesAwayIsLetGo(t *testing.T) {
	th := newThrottle(Rate{PerSecond: 1, Burst: 1}, time.Now, func(string) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := th.charge(t.Context(), "acme", 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := th.charge(ctx, "acme", 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if err := sleep(t.Context(), time.Nanosecond); err != nil {
		t.Errorf("slept: %v", err)
	}
}

// Many at once get what one after the other would get: a refusal beside them loses nothing.
func TestAThrottleServesManyAtOnce(t *testing.T) {
	th, now, _, _ := held(Rate{PerSecond: 10, Burst: 50})
	th.sleep = func(context.Context, time.Duration) error { return nil }
	th.counted = func(string) {}
	flood := func() int64 {
		var admitted atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1000 {
					if wait, _ := th.charge(t.Context(), "acme", 0, 1); wait == 0 {
						admitted.Add(1)
					}
				}
			})
		}
		all.Wait()
		return admitted.Load()
	}
	if got := flood(); got != 50+20 {
		t.Errorf("%d of 8000 were admitted, want 70", got)
	}
	*now = now.Add(3 * time.Second)
	if got := flood(); got != 30 {
		t.Errorf("three seconds later %d were admitted, want 30", got)
	}
}

// However many tenants come, as many are remembered.
func TestAThrottleDoesNotGrow(t *testing.T) {
	th, _, _, _ := held(Rate{PerSecond: 1, Burst: 1})
	for i := range 2 * maxBuckets {
		if _, err := th.charge(t.Context(), fmt.Sprint(i), 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(th.buckets.known); n != maxBuckets {
		t.Errorf("%d tenants are remembered, want %d", n, maxBuckets)
	}
}
