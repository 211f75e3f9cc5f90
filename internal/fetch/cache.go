package fetch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	cacheTTL     = 15 * time.Minute
	cacheMaxAge  = 24 * time.Hour // a provider that fails for longer shuts its people out
	refetchEvery = 60 * time.Second
	maxCached    = 4096
)

// cacheKey says whose document this is. Two tenants that name the same address, or
// publish the same kid, never share an entry.
type cacheKey struct{ scope, issuer, address string }

// cache keeps one document of each connection: its discovery document or its key set.
type cache[T any] struct {
	load func(context.Context, cacheKey) (T, error)
	now  func() time.Time

	mu      sync.Mutex
	entries map[cacheKey]*cached[T]
}

func newCache[T any](load func(context.Context, cacheKey) (T, error), now func() time.Time) *cache[T] {
	return &cache[T]{load: load, now: now, entries: map[cacheKey]*cached[T]{}}
}

// document is what a provider published at one moment. It never changes.
type document[T any] struct {
	value   T
	fetched time.Time
}

// cached is the entry of one connection. Whoever holds its turn may fetch; the others
// wait and find what was fetched.
type cached[T any] struct {
	cache *cache[T]
	key   cacheKey
	last  atomic.Pointer[document[T]]
	used  atomic.Int64 // unix seconds

	turn      chan struct{} // guards what follows
	asked     bool          // the first fetch was made
	refetched time.Time     // when the last further fetch began
	failure   error         // of the last fetch
}

func (c *cache[T]) entry(key cacheKey) *cached[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.entries[key]
	if entry == nil {
		if len(c.entries) >= maxCached {
			c.dropOldest()
		}
		entry = &cached[T]{cache: c, key: key, turn: make(chan struct{}, 1)}
		c.entries[key] = entry
	}
	entry.used.Store(c.now().Unix())
	return entry
}

func (c *cache[T]) dropOldest() {
	var oldest cacheKey
	least := int64(-1)
	for key, entry := range c.entries {
		if used := entry.used.Load(); least < 0 || used < least {
			oldest, least = key, used
		}
	}
	delete(c.entries, oldest)
}

// current returns the document, fetching it when there is none or it is older than 15
// minutes and a fetch is due.
func (e *cached[T]) current(ctx context.Context) (*document[T], error) {
	if last := e.last.Load(); last != nil && e.age(last) < cacheTTL {
		return last, nil
	}
	return e.other(ctx, nil)
}

// other returns a document other than tried, fetching it when a fetch is due. It returns
// tried itself when there is no other yet.
func (e *cached[T]) other(ctx context.Context, tried *document[T]) (*document[T], error) {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unreachable("waiting for %s: %w", e.key.address, ctx.Err())
	}
	defer func() { <-e.turn }()
	last := e.last.Load()
	satisfied := last != nil && last != tried && e.age(last) < cacheTTL
	if !satisfied && e.due() {
		e.fetch(ctx)
	}
	return e.usable()
}

func (e *cached[T]) age(d *document[T]) time.Duration { return e.cache.now().Sub(d.fetched) }

// due reports whether the provider may be asked: the first time, once more, and then no
// more than once a minute, whatever people send.
func (e *cached[T]) due() bool {
	return !e.asked || e.cache.now().Sub(e.refetched) >= refetchEvery
}

// fetch asks the provider. What it publishes replaces the old document; a failure keeps the
// old one. The request that happens to ask may give up, the fetch does not: others wait
// for it.
func (e *cached[T]) fetch(ctx context.Context) {
	if e.asked {
		e.refetched = e.cache.now()
	}
	e.asked = true
	value, err := e.cache.load(context.WithoutCancel(ctx), e.key)
	e.failure = err
	if err == nil {
		e.last.Store(&document[T]{value, e.cache.now()})
	}
}

// usable returns the document unless it is missing or too old to be believed.
func (e *cached[T]) usable() (*document[T], error) {
	last := e.last.Load()
	if last != nil && e.age(last) < cacheMaxAge {
		return last, nil
	}
	failure := e.failure
	if failure == nil {
		failure = errors.New("too old")
	}
	return nil, unreachable("%s: %s", e.key.address, Detail(failure))
}
