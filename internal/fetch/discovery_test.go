package fetch

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"
)

// silent is a resolver that knows one host, and of any other never hears again.
type silent struct{ known string }

func (s silent) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if host == s.known {
		return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A discovery document may name hosts whose name servers do not answer. Nobody waits
// for them longer than for a request, also where the fetch outlives who asked for it.
func TestEndpointsThatDoNotResolveAreNotWaitedFor(t *testing.T) {
	var document []byte
	i := newInternet(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(document) }))
	document = []byte(`{"issuer":"https://example.com","authorization_endpoint":"https://example.com/a",` +
		`"token_endpoint":"https://tarpit.example/t","jwks_uri":"https://tarpit.example/k"}`)
	c := i.client(t, Config{Resolver: silent{known: "example.com"}})
	c.timeout = time.Second

	outcome := make(chan error, 1)
	go func() {
		_, err := c.Metadata(context.Background(), "ringling/entra", "https://example.com")
		outcome <- err
	}()
	select {
	case err := <-outcome:
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("error = %v, want ErrUnreachable", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("still waiting after a minute for what may take a second")
	}
}
