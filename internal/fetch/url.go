package fetch

import (
	"fmt"
	"net/url"
	"strings"
)

const (
	httpsPort    = 443
	maxURLLength = 2048
)

// privateSuffixes never name a public host (RFC 6761, RFC 6762, RFC 8375, ICANN .internal).
var privateSuffixes = []string{".localhost", ".local", ".internal", ".home.arpa"}

// multiTenantIssuers are the first path segments under which Entra signs in people of any
// organisation: an issuer must name one.
var multiTenantIssuers = map[string]bool{
	"common": true, "organizations": true, "consumers": true,
	"9188040d-6c67-4c5b-b112-36a304b66dad": true, // the tenant of all personal accounts
}

// CheckIssuer reports whether issuer may be the Issuer of a connection: an https URL
// without user, query or fragment, whose host is a public name and whose port is 443.
// Entra's endpoints for people of any organisation are refused.
// It asks nobody. The error is of class [ErrURL].
func (c *Client) CheckIssuer(issuer string) error {
	u, err := c.checkURL(issuer)
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if strings.HasPrefix(strings.ToLower(u.Hostname()), "login.microsoftonline.") && multiTenantIssuers[strings.ToLower(first)] {
		return badURL("issuer %s is for any organisation, not for one", issuer)
	}
	return nil
}

// checkURL applies the grammar of addresses that this package asks.
func (c *Client) checkURL(raw string) (*url.URL, error) {
	u, err := c.checkPageURL(raw)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, badURL("%s has a query", raw)
	}
	return u, nil
}

// checkPageURL applies the grammar to an address that only a browser visits, which may
// have a query (RFC 6749 §3.1).
func (c *Client) checkPageURL(raw string) (*url.URL, error) {
	if len(raw) > maxURLLength || strings.ContainsFunc(raw, isUnsafeInURL) {
		return nil, badURL("%.100q is too long or has characters that no URL has", raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, badURL("%w", err)
	}
	if u.Opaque != "" || u.User != nil || strings.Contains(raw, "#") {
		return nil, badURL("%s is opaque or has a user or a fragment", raw)
	}
	if c.guard.allowLoopback && isLoopbackHost(u.Hostname()) && (u.Scheme == "http" || u.Scheme == "https") {
		return u, nil
	}
	if u.Scheme != "https" {
		return nil, badURL("%s is not https", raw)
	}
	if port := u.Port(); strings.HasSuffix(u.Host, ":") || port != "" && port != fmt.Sprint(httpsPort) {
		return nil, badURL("%s is not on port %d", raw, httpsPort)
	}
	if err := checkHostName(u.Hostname()); err != nil {
		return nil, err
	}
	return u, nil
}

// isUnsafeInURL reports characters that RFC 3986 gives no place and that parsers read
// differently.
func isUnsafeInURL(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"<>^`{|}", r)
}

// checkHostName accepts a DNS name of at least two labels whose last one starts with a
// letter. That leaves no way to write an IP address, in any base.
func checkHostName(host string) error {
	labels := strings.Split(host, ".")
	if len(host) > 253 || len(labels) < 2 {
		return badURL("%q is not a public host name", host)
	}
	for _, label := range labels {
		if !isLabel(label) {
			return badURL("%q is not a host name", host)
		}
	}
	if !isLetter(labels[len(labels)-1][0]) {
		return badURL("%q is an address, not a name", host)
	}
	for _, suffix := range privateSuffixes {
		if strings.HasSuffix(strings.ToLower(host), suffix) {
			return badURL("%q is a private name", host)
		}
	}
	return nil
}

func isLabel(label string) bool {
	if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if !isLetter(c) && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z'
}
