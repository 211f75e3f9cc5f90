package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// answers is a resolver that gives each host its lists of addresses in turn, the last for ever.
type answers struct {
	mu    sync.Mutex
	hosts map[string][][]string
}

func (a *answers) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lists := a.hosts[host]
	if len(lists) == 0 {
		return nil, &net.DNSError{Name: host, IsNotFound: true}
	}
	if len(lists) > 1 {
		a.hosts[host] = lists[1:]
	}
	var addrs []netip.Addr
	for _, text := range lists[0] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

// internet stands for the public internet: whatever address is dialled with permission is
// answered by one TLS server, and noted.
type internet struct {
	*httptest.Server
	mu     sync.Mutex
	dialed []string
}

func newInternet(t *testing.T, handler http.Handler) *internet {
	t.Helper()
	i := &internet{Server: httptest.NewTLSServer(handler)}
	t.Cleanup(i.Close)
	return i
}

// client reaches the internet through the real guard; only the last step is replaced.
func (i *internet) client(t *testing.T, config Config) *Client {
	t.Helper()
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AddCert(i.Certificate())
	c := NewClient(config)
	c.guard.connect = i.connect
	t.Cleanup(c.Close)
	return c
}

func (i *internet) connect(ctx context.Context, network, address string, allowed func(netip.AddrPort) bool) (net.Conn, error) {
	if !allowed(netip.MustParseAddrPort(address)) {
		return nil, fmt.Errorf("%s may not be dialled", address)
	}
	i.mu.Lock()
	i.dialed = append(i.dialed, address)
	i.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, i.Listener.Addr().String())
}

func TestAbuse_S02_addresses(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
		"100::1", "2001::1", "2001:1ff:ffff::", "2001:db8::1", "2002:7f00:1::", "3fff::1", "3fff:fff::1",
		"4000::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1",
	} {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("%s passes as public", text)
		}
	}
	for _, text := range []string{
		"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1",
		"198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700:4700::1111", "2001:200::1", "2a00:1450::1", "3ffe::1",
	} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("%s does not pass as public", text)
		}
	}
	if public(netip.Addr{}) {
		t.Error("the zero address passes as public")
	}
}

func TestAbuse_S01(t *testing.T) {
	var hits atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer canary.Close()
	port := canary.Listener.Addr().(*net.TCPAddr).Port

	c := NewClient(Config{Resolver: &answers{hosts: map[string][][]string{
		"inward.example": {{"127.0.0.1"}}, "meta.example": {{"169.254.169.254"}}, "mapped.example": {{"::ffff:127.0.0.1"}},
	}}})
	defer c.Close()
	for _, issuer := range []string{
		"https://127.0.0.1", fmt.Sprintf("https://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port),
		"https://169.254.169.254", "https://[::1]", "https://[fd00::1]", "https://localhost", "https://db.internal",
		"https://printer.local", "https://inward.example", "https://meta.example", "https://mapped.example",
	} {
		if _, err := c.Discover(context.Background(), issuer); err == nil {
			t.Errorf("%s was asked", issuer)
		}
	}
	if c.guard.rule("idp.example")(netip.MustParseAddrPort("93.184.215.14:8443")) {
		t.Error("a public address may be dialled on port 8443")
	}
	// Even a dial that slips past every earlier check ends at the socket.
	target := canary.Listener.Addr().String()
	if conn, err := connectAllowed(context.Background(), "tcp", target, c.guard.rule("inward.example")); err == nil {
		conn.Close()
		t.Errorf("%s was dialled", target)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the canary was hit %d times", n)
	}
}

func TestAbuse_S02(t *testing.T) {
	for _, address := range []string{"64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::ffff:10.0.0.1", "fec0::1", "::127.0.0.1"} {
		i := newInternet(t, http.NotFoundHandler())
		c := i.client(t, Config{Resolver: &answers{hosts: map[string][][]string{"idp.example": {{address}}}}})
		if _, err := c.Discover(context.Background(), "https://idp.example"); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: error = %v, want ErrUnreachable", address, err)
		}
		if len(i.dialed) > 0 {
			t.Errorf("%s: dialled %v", address, i.dialed)
		}
	}
}

func TestAbuse_S03(t *testing.T) {
	for name, lists := range map[string][][]string{
		"rebinding":             {{"93.184.215.14"}, {"127.0.0.1"}},
		"public and private":    {{"93.184.215.14", "10.0.0.1"}},
		"private and public":    {{"10.0.0.1", "93.184.215.14"}},
		"public and link-local": {{"2606:4700::1", "fe80::1"}},
	} {
		i := newInternet(t, http.NotFoundHandler())
		i.Config.SetKeepAlivesEnabled(false) // every request dials again
		c := i.client(t, Config{Resolver: &answers{hosts: map[string][][]string{"example.com": lists}}})
		for range 3 {
			c.Discover(context.Background(), "https://example.com")
		}
		for _, address := range i.dialed {
			if address != "93.184.215.14:443" || name != "rebinding" {
				t.Errorf("%s: dialled %s", name, address)
			}
		}
	}
}

func TestAPublicProviderIsReachedAtTheAddressThatWasJudged(t *testing.T) {
	i := newInternet(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, map[string]any{
			"issuer": "https://example.com/tenant/v2.0", "authorization_endpoint": "https://example.com/authorize?p=policy",
			"token_endpoint": "https://example.com/token", "jwks_uri": "https://example.com/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none", "ES256"},
			"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "client_secret_post"},
		})
	}))
	c := i.client(t, Config{Resolver: &answers{hosts: map[string][][]string{"example.com": {{"::ffff:93.184.215.14", "2606:4700::1"}}}}})
	metadata, err := c.Discover(context.Background(), "https://example.com/tenant/v2.0")
	if err != nil {
		t.Fatal(Detail(err))
	}
	if !slices.Equal(i.dialed, []string{"93.184.215.14:443"}) {
		t.Errorf("dialled %v", i.dialed)
	}
	if got := metadata.Algorithms(); !slices.Equal(got, []string{"RS256", "ES256"}) {
		t.Errorf("Algorithms = %v", got)
	}
	if got := metadata.TokenAuthMethod(); got != ClientSecretPost {
		t.Errorf("TokenAuthMethod = %q", got)
	}
}

func TestAbuse_S04(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var hits atomic.Int64
		target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
		p := newProvider(t)
		c := localClient(t, newClock())
		redirect := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, status) }
		p.discovery, p.token = redirect, redirect
		p.serveKeys(redirect)

		if _, err := c.Discover(context.Background(), p.URL); err == nil {
			t.Errorf("%d at discovery was followed or accepted", status)
		}
		if _, err := verify(t, c, p, sign(t, rsaKey("k", 0), p.claims(nil), nil)); err == nil {
			t.Errorf("%d at the key set was followed or accepted", status)
		}
		if _, err := c.Exchange(context.Background(), p.tokenRequest()); err == nil {
			t.Errorf("%d at the token endpoint was followed or accepted", status)
		}
		if n := hits.Load(); n != 0 {
			t.Errorf("%d: the target of the redirect was hit %d times", status, n)
		}
		target.Close()
	}
}

func TestAbuse_S05(t *testing.T) {
	resolver := &answers{hosts: map[string][][]string{"example.com": {{"93.184.215.14"}}, "keys.example": {{"10.0.0.1"}}}}
	for name, change := range map[string][2]string{
		"keys at a literal":        {"jwks_uri", "https://10.0.0.1/keys"},
		"keys at a private host":   {"jwks_uri", "https://keys.example/keys"},
		"keys over http":           {"jwks_uri", "http://example.com/keys"},
		"keys missing":             {"jwks_uri", ""},
		"token at metadata":        {"token_endpoint", "https://169.254.169.254/token"},
		"token on another port":    {"token_endpoint", "https://example.com:8443/token"},
		"authorize over http":      {"authorization_endpoint", "http://example.com/authorize"},
		"authorize is a script":    {"authorization_endpoint", "javascript:alert(1)"},
		"userinfo over http":       {"userinfo_endpoint", "http://example.com/me"},
		"end of session elsewhere": {"end_session_endpoint", "https://127.0.0.1/bye"},
		"another issuer":           {"issuer", "https://example.com/"},
	} {
		document := map[string]any{
			"issuer": "https://example.com", "authorization_endpoint": "https://example.com/authorize",
			"token_endpoint": "https://example.com/token", "jwks_uri": "https://example.com/keys",
		}
		document[change[0]] = change[1]
		i := newInternet(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, document) }))
		c := i.client(t, Config{Resolver: resolver})
		if _, err := c.Discover(context.Background(), "https://example.com"); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: error = %v, want ErrUnreachable", name, err)
		}
	}
}

func TestAbuse_S06(t *testing.T) {
	c := NewClient(Config{})
	defer c.Close()
	for _, issuer := range []string{
		"", "idp.example", "//idp.example", "https:idp.example", "https://", "https://2130706433", "https://0x7f.1", "https://0x7f000001",
		"https://127.1", "https://1.2.3.4", "https://8.8.8.8", "https://[2606:4700::1]", "https://a@127.0.0.1", "https://a:b@idp.example",
		"https://idp.example:22", "https://idp.example:0443", "https://idp.example:", "https://idp.example?x=1", "https://idp.example?",
		"https://idp.example#f", "https://idp.example#", "http://idp.example", "file:///etc/passwd", "gopher://idp.example", "HTTPS:\\\\idp.example",
		"https://idp.example\\@evil.example", "https://idp.example/\x00", "https://idp.example/ x", "https://ıdp.example", "https://idp。example",
		"https://-idp.example", "https://idp..example", "https://idp.example.", "https://idp_.example", "https://intranet", "https://x.localhost",
		"https://idp.example/" + strings.Repeat("a", maxURLLength), "https://" + strings.Repeat("a", 64) + ".example", "https://127.0.0.1.0x1",
	} {
		if err := c.CheckIssuer(issuer); !errors.Is(err, ErrURL) {
			t.Errorf("%.60q: error = %v, want ErrURL", issuer, err)
		}
	}
	for _, issuer := range []string{
		"https://idp.example", "https://idp.example:443/", "https://ADFS.contoso.example/adfs", "https://xn--bcher-kva.example/t/1",
		"https://login.microsoftonline.com/6babcaad-604b-40ac-a9d7-9fd97c0b779f/v2.0", "https://acme.okta.com/oauth2/default",
	} {
		if err := c.CheckIssuer(issuer); err != nil {
			t.Errorf("%q: %s", issuer, Detail(err))
		}
	}
}

func TestAbuse_F07(t *testing.T) {
	c := NewClient(Config{})
	defer c.Close()
	for _, tenant := range []string{"common", "organizations", "consumers", "COMMON", "9188040d-6c67-4c5b-b112-36a304b66dad"} {
		issuer := "https://login.microsoftonline.com/" + tenant + "/v2.0"
		if err := c.CheckIssuer(issuer); !errors.Is(err, ErrURL) {
			t.Errorf("%s: error = %v, want ErrURL", issuer, err)
		}
	}
}

func TestAbuse_S08(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	notFound := httptest.NewServer(http.NotFoundHandler())
	defer notFound.Close()
	selfSigned := httptest.NewTLSServer(http.NotFoundHandler())
	defer selfSigned.Close()
	c := localClient(t, newClock())
	texts := map[string]bool{}
	for _, issuer := range []string{closed.URL, notFound.URL, selfSigned.URL} {
		_, err := c.Discover(context.Background(), issuer)
		if err == nil {
			t.Fatalf("%s was accepted", issuer)
		}
		texts[err.Error()] = true
		if strings.Contains(err.Error(), "127.0.0.1") || !strings.Contains(Detail(err), "127.0.0.1") {
			t.Errorf("text %q, detail %q: only the detail may name the address", err, Detail(err))
		}
	}
	if len(texts) != 1 {
		t.Errorf("the failures can be told apart: %v", texts)
	}
}

func TestAbuse_S11(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	c := localClient(t, newClock())
	_, err := c.get(context.Background(), server.URL)
	if unknown := (x509.UnknownAuthorityError{}); !errors.As(err, &unknown) {
		t.Errorf("self-signed server: %s", Detail(err))
	}

	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	defer old.Close()
	roots := x509.NewCertPool()
	roots.AddCert(old.Certificate())
	c = NewClient(Config{AllowLoopback: true, RootCAs: roots})
	defer c.Close()
	if _, err := c.get(context.Background(), old.URL); err == nil || !strings.Contains(Detail(err), "protocol version") {
		t.Errorf("TLS 1.1 server: %s", Detail(err))
	}
}

func TestAllowLoopbackOpensLoopbackAndNothingElse(t *testing.T) {
	c := NewClient(Config{AllowLoopback: true, Resolver: &answers{hosts: map[string][][]string{
		"localhost": {{"10.0.0.1"}}, "inward.example": {{"127.0.0.1"}},
	}}})
	defer c.Close()
	for _, address := range []string{
		"http://10.0.0.1", "https://10.0.0.1", "https://192.168.0.1:443", "https://169.254.169.254", "http://idp.example",
		"https://idp.example:8443", "https://[fd00::1]", "http://[::ffff:127.0.0.1]", "ftp://127.0.0.1", "http://127.0.0.1.example",
	} {
		if _, err := c.checkURL(address); !errors.Is(err, ErrURL) {
			t.Errorf("%s: error = %v, want ErrURL", address, err)
		}
	}
	for _, host := range []string{"localhost", "inward.example"} {
		if addrs, err := c.guard.resolve(context.Background(), host); err == nil {
			t.Errorf("%s may be dialled at %v", host, addrs)
		}
	}
	for _, address := range []string{"http://127.0.0.1:9101/t", "https://127.0.0.2", "http://localhost:80", "http://[::1]:8080"} {
		if _, err := c.checkURL(address); err != nil {
			t.Errorf("%s: %s", address, Detail(err))
		}
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	var hits atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	i := newInternet(t, http.NotFoundHandler())
	c := i.client(t, Config{Resolver: &answers{hosts: map[string][][]string{"example.com": {{"93.184.215.14"}}}}})
	c.Discover(context.Background(), "https://example.com")
	if hits.Load() != 0 || len(i.dialed) != 1 {
		t.Errorf("the proxy was hit %d times, dialled %v", hits.Load(), i.dialed)
	}
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("the transport has a proxy function")
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://idp.example", "https://0x7f.1", "https://a@b.c", "https://[::1]", "https://x.example:443/p"} {
		f.Add(seed)
	}
	c := NewClient(Config{})
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := c.checkURL(raw)
		if err != nil {
			return
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil || u.Scheme != "https" || u.User != nil {
			t.Errorf("%q was accepted as %v", raw, u)
		}
	})
}
