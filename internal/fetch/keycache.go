package fetch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	keySetTTL     = 15 * time.Minute
	keySetMaxAge  = 24 * time.Hour // a provider that fails for longer shuts its people out
	refetchEvery  = 60 * time.Second
	maxCachedSets = 4096
)

// cacheKey says whose keys these are. Two tenants that name the same key set, or publish
// the same kid, never share an entry.
type cacheKey struct{ scope, issuer, jwksURI string }

// keyCache keeps the key set of each connection.
type keyCache struct {
	get func(ctx context.Context, address string) ([]byte, error)
	now func() time.Time

	mu   sync.Mutex
	sets map[cacheKey]*cachedSet
}

func newKeyCache(get func(context.Context, string) ([]byte, error), now func() time.Time) *keyCache {
	return &keyCache{get: get, now: now, sets: map[cacheKey]*cachedSet{}}
}

// cachedSet is the entry of one connection. Whoever holds its turn may fetch; the others
// wait and find what was fetched.
type cachedSet struct {
	cache   *keyCache
	jwksURI string
	set     atomic.Pointer[keySet]
	used    atomic.Int64 // unix seconds

	turn      chan struct{} // guards what follows
	asked     bool          // the first fetch was made
	refetched time.Time     // when the last further fetch began
	failure   error         // of the last fetch
}

func (c *keyCache) entry(key cacheKey) *cachedSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := c.sets[key]
	if entry == nil {
		if len(c.sets) >= maxCachedSets {
			c.dropOldest()
		}
		entry = &cachedSet{cache: c, jwksURI: key.jwksURI, turn: make(chan struct{}, 1)}
		c.sets[key] = entry
	}
	entry.used.Store(c.now().Unix())
	return entry
}

func (c *keyCache) dropOldest() {
	var oldest cacheKey
	least := int64(-1)
	for key, entry := range c.sets {
		if used := entry.used.Load(); least < 0 || used < least {
			oldest, least = key, used
		}
	}
	delete(c.sets, oldest)
}

// current returns the key set, fetching it when there is none or it is older than 15
// minutes and a fetch is due.
func (e *cachedSet) current(ctx context.Context) (*keySet, error) {
	if set := e.set.Load(); set != nil && e.age(set) < keySetTTL {
		return set, nil
	}
	return e.other(ctx, nil)
}

// other returns a set other than tried, fetching it when a fetch is due. It returns tried
// itself when there is no other yet.
func (e *cachedSet) other(ctx context.Context, tried *keySet) (*keySet, error) {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, unreachable("waiting for key set %s: %w", e.jwksURI, ctx.Err())
	}
	defer func() { <-e.turn }()
	set := e.set.Load()
	satisfied := set != nil && set != tried && e.age(set) < keySetTTL
	if !satisfied && e.due() {
		e.fetch(ctx)
	}
	return e.usable()
}

func (e *cachedSet) age(set *keySet) time.Duration { return e.cache.now().Sub(set.fetched) }

// due reports whether the provider may be asked: the first time, and then no more than
// once a minute, whatever tokens people send.
func (e *cachedSet) due() bool {
	return !e.asked || e.cache.now().Sub(e.refetched) >= refetchEvery
}

// fetch asks the provider. The set it publishes replaces the old one; a failure keeps the
// old one. The request that happens to ask may give up, the fetch does not: others wait
// for it.
func (e *cachedSet) fetch(ctx context.Context) {
	if e.asked {
		e.refetched = e.cache.now()
	}
	e.asked = true
	document, err := e.cache.get(context.WithoutCancel(ctx), e.jwksURI)
	if err != nil {
		e.failure = err
		return
	}
	set, err := parseKeySet(document, e.cache.now())
	if err != nil {
		e.failure = unreachable("key set %s: %w", e.jwksURI, err)
		return
	}
	e.failure = nil
	e.set.Store(set)
}

// usable returns the set unless it is missing or too old to be believed.
func (e *cachedSet) usable() (*keySet, error) {
	set := e.set.Load()
	if set != nil && e.age(set) < keySetMaxAge {
		return set, nil
	}
	failure := e.failure
	if failure == nil {
		failure = errors.New("too old")
	}
	return nil, unreachable("key set %s: %s", e.jwksURI, Detail(failure))
}
