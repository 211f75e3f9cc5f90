package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// from is a request of the peer at an address.
func from(remote string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	return r
}

func TestAnAddressHasItsBurstAndThenItsRate(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	l := newLimiter(Rate{PerSecond: 2, Burst: 3}, func() time.Time { return now })
	for _, step := range []struct {
		story string
		after time.Duration
		peer  string
		want  time.Duration
	}{
		{"the burst", 0, "192.0.2.1:1", 0},
		{"from another port", 0, "192.0.2.1:2", 0},
		{"its last", 0, "192.0.2.1:1", 0},
		{"one too many", 0, "192.0.2.1:1", 500 * time.Millisecond},
		{"what was refused was not counted", 0, "192.0.2.1:1", 500 * time.Millisecond},
		{"the same address in six", 0, "[::ffff:192.0.2.1]:1", 500 * time.Millisecond},
		{"somebody else", 0, "192.0.2.2:1", 0},
		{"half a second later", 500 * time.Millisecond, "192.0.2.1:1", 0},
		{"and again too many", 0, "192.0.2.1:1", 500 * time.Millisecond},
		{"one of a network", 0, "[2001:db8:1:2::1]:1", 0},
		{"another of it", 0, "[2001:db8:1:2:ffff::1]:1", 0},
		{"a third, on another interface", 0, "[2001:db8:1:2::3%eth0]:1", 0},
		{"the network's share is used up", 0, "[2001:db8:1:2::4]:1", 500 * time.Millisecond},
		{"the network beside it", 0, "[2001:db8:1:3::1]:1", 0},
		{"what is no address", 0, "@", 0},
	} {
		now = now.Add(step.after)
		if got := l.wait(from(step.peer)); got != step.want {
			t.Errorf("%s, %s: wait %s, want %s", step.story, step.peer, got, step.want)
		}
	}
}

func TestARateWithoutEndAndOneWithoutRefill(t *testing.T) {
	now := func() time.Time { return time.Time{} }
	free, once := newLimiter(Unlimited(), now), newLimiter(Rate{Burst: 1}, now)
	for i := range 1000 {
		if got := free.wait(from("192.0.2.1:1")); got != 0 {
			t.Fatalf("request %d of what is not limited waits %s", i, got)
		}
	}
	if first, second := once.wait(from("192.0.2.1:1")), once.wait(from("192.0.2.1:1")); first != 0 || second != longestWait {
		t.Errorf("waits are %s and %s, want none and %s", first, second, longestWait)
	}
}

// However many addresses come, as many are remembered, and the one that has been
// quiet for longest is forgotten first (F13 of the abuse catalogue).
func TestALimiterDoesNotGrow(t *testing.T) {
	l := newLimiter(Rate{PerSecond: 0.001, Burst: 1}, func() time.Time { return time.Time{} })
	busy, quiet := from("192.0.2.1:1"), from("192.0.2.2:1")
	l.wait(quiet)
	for i := range 2 * maxBuckets {
		l.wait(from(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)))
		l.wait(busy)
	}
	if known := l.buckets; len(known.known) != maxBuckets || known.recency.Len() != maxBuckets {
		t.Errorf("%d addresses are remembered in %d places, want %d", len(known.known), known.recency.Len(), maxBuckets)
	}
	if l.wait(busy) == 0 {
		t.Error("the address that kept coming was forgotten")
	}
	if l.wait(quiet) != 0 {
		t.Error("the address that came once, long ago, is still remembered")
	}
}

func TestALimiterServesManyAtOnce(t *testing.T) {
	l := newLimiter(Rate{PerSecond: 0.001, Burst: 50}, func() time.Time { return time.Time{} })
	var admitted atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if l.wait(from("192.0.2.1:1")) == 0 {
					admitted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got := admitted.Load(); got != 50 {
		t.Errorf("%d of 800 were admitted, want 50", got)
	}
}
