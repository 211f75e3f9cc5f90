package server

import (
	"net/http"
	"net/netip"
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

// Limits are what one address and one tenant may do. An address is the other end
// of the socket, or who a trusted proxy heard from: behind a proxy that is not named
// all requests are of one address. A limit of zero has its default.
//
// Neither limit of an address is what keeps a credential from being guessed: all of
// them have 256 random bits. They keep what strangers cause small, and they shut out
// nobody who has a credential that holds. The limit of a tenant counts the requests
// of credentials that hold, and nobody else's. Each process counts for itself.
type Limits struct {
	SignIns  Rate // authorization requests, each of which may store a sign-in: 20 a second, 100 at once
	Failures Rate // credentials and codes that do not hold: 10 a second, 100 at once

	// Requests are those of a tenant's provisioning clients, and of Bulk each
	// operation, and apart from them those of its people at /Me: 100 a second, 200 at
	// once. Entra sends up to 25 a second and takes a refusal badly, so that it is four
	// times that, and a little more is slowed.
	Requests Rate
}

func (l Limits) withDefaults() Limits {
	for _, limit := range []struct {
		set    *Rate
		normal Rate
	}{
		{&l.SignIns, PerSecond(20, 5)}, {&l.Failures, PerSecond(10, 10)}, {&l.Requests, PerSecond(100, 2)},
	} {
		if *limit.set == (Rate{}) {
			*limit.set = limit.normal
		}
	}
	return l
}

// A limiter holds each address to a Rate.
type limiter struct {
	rate    Rate
	now     func() time.Time
	buckets *buckets[netip.Addr]
}

func newLimiter(r Rate, now func() time.Time) *limiter {
	return &limiter{rate: r, now: now, buckets: newBuckets[netip.Addr]()}
}

// wait counts one happening of r's address and returns 0, or returns how long
// the address has to wait until it may happen, and counts nothing.
func (l *limiter) wait(r *http.Request) time.Duration {
	delay, _ := l.buckets.of(address(r), l.rate, l.now()).take(l.now(), 1, 0)
	return delay
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
