package fetch

import "net/netip"

// globalUnicast6 is the only part of IPv6 that is routed publicly (RFC 4291 §2.4). Outside
// it lie loopback, unique-local, link- and site-local, multicast, NAT64, and every form
// that wraps an IPv4 address in a low prefix.
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// reserved lists what is not public inside IPv4 and inside 2000::/3
// (IANA special-purpose address registries).
var reserved = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// public reports whether addr belongs to the public internet. IPv4 addresses written as
// IPv6 (::ffff:a.b.c.d) are not: who means IPv4 dials IPv4.
func public(addr netip.Addr) bool {
	if addr.Zone() != "" || !addr.IsValid() {
		return false
	}
	if addr.Is6() && !globalUnicast6.Contains(addr) {
		return false
	}
	for _, prefix := range reserved {
		if prefix.Contains(addr) {
			return false
		}
	}
	return true
}
