package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// believe gives a request that comes through proxies of ours the address of who
// sent it to the first of them. Nobody else's word is taken for an address.
func believe(proxies []netip.Prefix) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sender, ok := sender(r, proxies); ok {
				forwarded := *r
				forwarded.RemoteAddr = sender.String()
				r = &forwarded
			}
			next.ServeHTTP(w, r)
		})
	}
}

// sender answers the right-most hop of X-Forwarded-For that is not one of the
// proxies: each of them appends who it heard from, and what stands further left
// anybody could have written. Where a hop is no address, it is the proxy that
// wrote it. False: the request does not come from a proxy.
func sender(r *http.Request, proxies []netip.Prefix) (netip.Addr, bool) {
	known, ok := hop(peer(r))
	if !ok || !within(proxies, known) {
		return netip.Addr{}, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		address, ok := hop(strings.TrimSpace(text))
		if !ok {
			break
		}
		if known = address; !within(proxies, known) {
			break
		}
	}
	return known, true
}

// hop reads an address, with or without a port as proxies write it.
func hop(text string) (netip.Addr, bool) {
	if target, err := netip.ParseAddrPort(text); err == nil {
		return normal(target.Addr()), true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return normal(address), err == nil
}

// normal is an address as it is compared: IPv4 is IPv4, and without an interface.
func normal(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

func within(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(address) })
}
