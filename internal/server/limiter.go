package server

import (
	"container/list"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A Rate is how often something may happen: Burst times at once, and PerSecond
// times a second for as long as it goes on.
type Rate struct {
	PerSecond rate.Limit
	Burst     int
}

// PerSecond is the Rate of n a second, and burst times as many at once.
func PerSecond(n, burst int) Rate { return Rate{PerSecond: rate.Limit(n), Burst: n * burst} }

// Unlimited is the Rate of what may happen at any time.
func Unlimited() Rate { return Rate{PerSecond: rate.Inf} }

// Limits are what one address may do. An address is the other end of the socket,
// or who a trusted proxy heard from: behind a proxy that is not named all requests
// are of one address. A limit of zero has its default.
//
// Neither limit is what keeps a credential from being guessed: all of them have
// 256 random bits. They keep what strangers cause small, and they shut out
// nobody who has a credential that holds.
type Limits struct {
	SignIns  Rate // authorization requests, each of which may store a sign-in: 20 a second, 100 at once
	Failures Rate // credentials and codes that do not hold: 10 a second, 100 at once
}

func (l Limits) withDefaults() Limits {
	if l.SignIns == (Rate{}) {
		l.SignIns = Rate{PerSecond: 20, Burst: 100}
	}
	if l.Failures == (Rate{}) {
		l.Failures = Rate{PerSecond: 10, Burst: 100}
	}
	return l
}

// maxAddresses is how many addresses a limiter remembers, some 300 bytes each.
const maxAddresses = 10_000

// A limiter holds each address to a Rate. It forgets the address that has been
// quiet for longest when there are too many: its memory does not grow.
type limiter struct {
	rate Rate
	now  func() time.Time

	mu      sync.Mutex
	seen    map[netip.Addr]*list.Element // of *visitor
	recency *list.List                   // the latest first
}

// A visitor is one address and what it has left.
type visitor struct {
	address netip.Addr
	bucket  *rate.Limiter
}

func newLimiter(r Rate, now func() time.Time) *limiter {
	r.Burst = max(r.Burst, 1)
	return &limiter{rate: r, now: now, seen: map[netip.Addr]*list.Element{}, recency: list.New()}
}

// longestWait is the most that anybody is told to wait, where a rate never refills.
const longestWait = time.Hour

// wait counts one happening of r's address and returns 0, or returns how long
// the address has to wait until it may happen, and counts nothing.
func (l *limiter) wait(r *http.Request) time.Duration {
	now := l.now()
	reservation := l.bucket(address(r)).ReserveN(now, 1)
	delay := reservation.DelayFrom(now)
	if delay > 0 {
		reservation.CancelAt(now)
	}
	return min(delay, longestWait)
}

func (l *limiter) bucket(address netip.Addr) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.seen[address]; known != nil {
		l.recency.MoveToFront(known)
		return known.Value.(*visitor).bucket
	}
	if len(l.seen) >= maxAddresses {
		oldest := l.recency.Back()
		delete(l.seen, l.recency.Remove(oldest).(*visitor).address)
	}
	v := &visitor{address, rate.NewLimiter(l.rate.PerSecond, l.rate.Burst)}
	l.seen[address] = l.recency.PushFront(v)
	return v.bucket
}

// address is whose requests count together: the peer's, or of IPv6 its /64, which
// is what one subscriber is given. What is no address, as of a socket in the file
// system, counts as one.
func address(r *http.Request) netip.Addr {
	ip, err := netip.ParseAddr(peer(r))
	if err != nil {
		return netip.Addr{}
	}
	ip = normal(ip)
	if ip.Is6() {
		network, _ := ip.Prefix(64)
		return network.Addr()
	}
	return ip
}
