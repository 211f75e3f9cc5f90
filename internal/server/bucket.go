package server

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets is how many addresses or tenants are remembered, some 300 bytes each.
const maxBuckets = 10_000

// longestWait is the most that anybody is told to wait, where a rate never refills.
const longestWait = time.Hour

// buckets hold what each of many has left of its Rate. They forget the one that
// has been quiet for longest when there are too many: their memory does not grow.
type buckets[K comparable] struct {
	mu      sync.Mutex
	known   map[K]*list.Element // of *bucket[K]
	recency *list.List          // the latest first
}

func newBuckets[K comparable]() *buckets[K] {
	return &buckets[K]{known: map[K]*list.Element{}, recency: list.New()}
}

// of returns the bucket of key, which from now on fills at r.
func (b *buckets[K]) of(key K, r Rate, now time.Time) *bucket[K] {
	r.Burst = max(r.Burst, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if found := b.known[key]; found != nil {
		b.recency.MoveToFront(found)
		return found.Value.(*bucket[K]).refill(r, now)
	}
	if len(b.known) >= maxBuckets {
		oldest := b.recency.Back()
		delete(b.known, b.recency.Remove(oldest).(*bucket[K]).key)
	}
	made := &bucket[K]{key: key, rate: r, limiter: rate.NewLimiter(r.PerSecond, r.Burst)}
	b.known[key] = b.recency.PushFront(made)
	return made
}

// A bucket is what one address or tenant has left.
type bucket[K comparable] struct {
	key K

	mu      sync.Mutex // a reservation and its cancellation are one step
	rate    Rate
	limiter *rate.Limiter
}

func (b *bucket[K]) refill(r Rate, now time.Time) *bucket[K] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate != r {
		b.rate = r
		b.limiter.SetLimitAt(now, r.PerSecond)
		b.limiter.SetBurstAt(now, r.Burst)
	}
	return b
}

// take takes n and returns when they may be used: at once, or within patience. Where
// the first of them would be there later, it takes nothing, and returns when and
// false. More than there are leave a debt that later ones have to wait for.
func (b *bucket[K]) take(now time.Time, n int, patience time.Duration) (delay time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.limiter.ReserveN(now, 1)
	if delay = first.DelayFrom(now); delay > patience {
		first.CancelAt(now)
		return min(delay, longestWait), false
	}
	for n--; n > 0 && b.rate.PerSecond != rate.Inf; n -= b.rate.Burst {
		b.limiter.ReserveN(now, min(n, b.rate.Burst))
	}
	return delay, true
}
