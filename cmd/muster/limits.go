package main

import (
	"net/netip"

	"github.com/muster-id/muster/internal/server"
)

// limits are what one address and one tenant may do; zero is the server's default.
func (s *settings) limits() server.Limits {
	return server.Limits{
		SignIns:  server.PerSecond(s.SignInsPerSecond, 5),
		Failures: server.PerSecond(s.FailuresPerSecond, 10),
		Requests: server.PerSecond(s.RequestsPerSecond, 2),
	}
}

// trustedProxies reads networks, and addresses that are networks of one.
func (s *settings) trustedProxies() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range listed(s.TrustedProxies) {
		network, err := netip.ParsePrefix(text)
		if address, bad := netip.ParseAddr(text); bad == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil || network.Addr().Is4In6():
			return nil, usagef("trusted proxy %q: use networks, 10.0.0.0/8 or fd00::/8, with commas between them", text)
		case network.Bits() == 0:
			return nil, usagef("trusted proxy %q is everybody: name the networks of your load balancers, or anybody could say who they are", text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}
