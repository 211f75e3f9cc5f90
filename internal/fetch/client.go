package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	exchangeTimeout = 5 * time.Second
	maxBody         = 512 << 10
	maxHeader       = 64 << 10
)

// Config is how a Client is made. Its zero value is the strict one.
type Config struct {
	// AllowLoopback also permits http and any port on loopback addresses, for --local
	// and tests. Private networks stay forbidden.
	AllowLoopback bool
	// RootCAs verifies servers; nil means the system's. Verification cannot be turned off.
	RootCAs *x509.CertPool
	// Resolver looks up hosts; nil means the system's.
	Resolver Resolver
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Client makes every outbound request. It is safe for concurrent use.
type Client struct {
	guard    *guard
	http     *http.Client
	metadata *cache[Metadata]
	keys     *cache[keySet]
	now      func() time.Time
	timeout  time.Duration
}

// NewClient returns a Client. Close it to drop its idle connections.
func NewClient(config Config) *Client {
	guard := &guard{allowLoopback: config.AllowLoopback, resolver: config.Resolver, connect: connectAllowed}
	if guard.resolver == nil {
		guard.resolver = net.DefaultResolver
	}
	c := &Client{guard: guard, now: config.Now, timeout: exchangeTimeout}
	if c.now == nil {
		c.now = time.Now
	}
	c.http = &http.Client{
		Transport: newTransport(guard, config.RootCAs),
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the 3xx itself is then refused
		},
	}
	c.metadata = newCache(c.loadMetadata, c.now)
	c.keys = newCache(c.loadKeys, c.now)
	return c
}

func newTransport(guard *guard, roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		DialContext:            guard.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    exchangeTimeout,
		ResponseHeaderTimeout:  exchangeTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // what is limited is what is read
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        30 * time.Second,
	}
}

// Close drops idle connections. Requests under way finish.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// get returns the body of address. Anything but 200 is an error.
func (c *Client) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, badURL("%w", err)
	}
	status, body, err := c.do(request)
	if err == nil && status != http.StatusOK {
		err = unreachable("GET %s: status %d", address, status)
	}
	return body, err
}

// do sends request within the limits of the package and returns status and body.
func (c *Client) do(request *http.Request) (int, []byte, error) {
	if _, err := c.checkURL(request.URL.String()); err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(request.Context(), c.timeout)
	defer cancel()
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "Muster")
	response, err := c.http.Do(request.WithContext(ctx))
	if err != nil {
		return 0, nil, unreachable("%w", err)
	}
	defer response.Body.Close()
	body, err := readLimited(response.Body)
	if err != nil {
		return 0, nil, unreachable("%s %s: %w", request.Method, request.URL, err)
	}
	return response.StatusCode, body, nil
}

func readLimited(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("answer exceeds %d bytes", maxBody)
	}
	return body, nil
}

// clip bounds text of others that goes into a log.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
