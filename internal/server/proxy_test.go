package server

import (
	"net/netip"
	"strings"
	"testing"
)

// What stands in X-Forwarded-For is read from the right, as far as proxies of ours
// have written it.
func TestTheSenderIsTheRightmostHopThatIsNotOurs(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for _, test := range []struct{ socket, forwarded, want string }{
		{"10.0.0.1:1", "192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:1", "192.0.2.1, 10.0.0.2", "192.0.2.1"},
		{"10.0.0.1:1", "6.6.6.6,192.0.2.1,10.0.0.2", "192.0.2.1"},
		{"10.0.0.1:1", "6.6.6.6\n192.0.2.1", "192.0.2.1"}, // two headers
		{"10.0.0.1:1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"10.0.0.1:1", "192.0.2.1, unknown", "10.0.0.1"},
		{"10.0.0.1:1", "192.0.2.1, _hidden, 10.0.0.2", "10.0.0.2"},
		{"10.0.0.1:1", "192.0.2.1,", "10.0.0.1"},
		{"10.0.0.1:1", "192.0.2.1:4711", "192.0.2.1"},
		{"10.0.0.1:1", "2001:db8:9::1", "2001:db8:9::1"},
		{"10.0.0.1:1", "[2001:db8:9::1]:4711", "2001:db8:9::1"},
		{"10.0.0.1:1", "[2001:db8:9::1]", "2001:db8:9::1"},
		{"10.0.0.1:1", "::ffff:192.0.2.1", "192.0.2.1"},
		{"10.0.0.1:1", "::ffff:10.0.0.9", "10.0.0.9"},
		{"[::ffff:10.0.0.1]:1", "192.0.2.1", "192.0.2.1"},
		{"[2001:db8:1::5]:1", "192.0.2.1", "192.0.2.1"},
		{"192.0.2.9:1", "6.6.6.6", ""},
		{"[2001:db8:2::5]:1", "6.6.6.6", ""},
		{"@", "6.6.6.6", ""},
	} {
		r := from(test.socket)
		for value := range strings.SplitSeq(test.forwarded, "\n") {
			if value != "" {
				r.Header.Add("X-Forwarded-For", value)
			}
		}
		got, ok := sender(r, proxies)
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("%s with %q: got %v %t, want %q", test.socket, test.forwarded, got, ok, test.want)
		}
	}
}
