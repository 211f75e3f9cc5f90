package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// maxAddresses bounds how many addresses of one host are tried.
const maxAddresses = 4

// Resolver looks up the addresses of a host. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// guard opens connections to public addresses, and to loopback where that is allowed.
type guard struct {
	allowLoopback bool
	resolver      Resolver
	connect       func(ctx context.Context, network, address string, allowed func(netip.AddrPort) bool) (net.Conn, error)
}

// dial resolves the host of address once, judges every answer, and connects to those very
// answers: a name that resolves differently a moment later changes nothing.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	allowed := g.rule(host)
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, addr := range addrs[:min(len(addrs), maxAddresses)] {
		conn, err := g.connect(ctx, network, net.JoinHostPort(addr.String(), port), allowed)
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// resolve returns the addresses of host. One forbidden address among them forbids all: an
// honest public host has none.
func (g *guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := g.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	allowed := g.addressRule(host)
	for i, addr := range addrs {
		addrs[i] = addr.Unmap() // net.Resolver hands out A records in IPv6 form
		if !allowed(addrs[i]) {
			return nil, fmt.Errorf("%s resolves to %s, which may not be dialled", host, addr)
		}
	}
	return addrs, nil
}

func (g *guard) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	return g.resolver.LookupNetIP(ctx, "ip", host)
}

// addressRule tells which addresses may stand behind host: loopback ones behind a loopback
// name where that is allowed, public ones behind any other.
func (g *guard) addressRule(host string) func(netip.Addr) bool {
	if g.allowLoopback && isLoopbackHost(host) {
		return netip.Addr.IsLoopback
	}
	return public
}

// rule is addressRule with the port: any on loopback, 443 elsewhere.
func (g *guard) rule(host string) func(netip.AddrPort) bool {
	anyPort := g.allowLoopback && isLoopbackHost(host)
	allowed := g.addressRule(host)
	return func(target netip.AddrPort) bool {
		return allowed(target.Addr()) && (anyPort || target.Port() == httpsPort)
	}
}

// connectAllowed dials address and, at the last moment before the kernel connects, holds
// the address really dialled against the rule.
func connectAllowed(ctx context.Context, network, address string, allowed func(netip.AddrPort) bool) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout: exchangeTimeout,
		Control: func(_, dialled string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(dialled)
			if err != nil || !allowed(target) {
				return fmt.Errorf("%s may not be dialled", dialled)
			}
			return nil
		},
	}
	return dialer.DialContext(ctx, network, address)
}

// isLoopbackHost reports whether host names this machine by a literal or as "localhost".
func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() && !addr.Is4In6()
}
