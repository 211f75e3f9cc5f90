package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Strangers come to the addresses of two tenants and to many that are no tenant's, more
// than may wait there, and the database answers none of them. They hold a few of the
// connections, and at a third tenant's address whoever has something to prove proves it.
func TestStrangersAtOneAddressShutNobodyOutOfAnother(t *testing.T) {
	const pool, held = 8, 3 * 2 // by the strangers at each tenant, and by those at no tenant
	stall := &stalled{names: []string{"nobody"}, open: make(chan struct{})}
	w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer, c.PoolSize = stall, pool }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	secret, c := w.client("entra")
	w.askAsStranger("acme") // so that this process knows the tenant's name
	throngs := []*throng{w.throng(func(n int) string { return fmt.Sprint("nobody", n) })}
	for _, slug := range []string{"globex", "initech"} {
		w.tenant(slug)
		w.askAsStranger(slug)
		throngs = append(throngs, w.throng(func(int) string { return slug }))
		stall.tenant(w, slug)
	}
	t.Cleanup(stall.release)
	for _, strangers := range throngs {
		strangers.come(t)
	}
	w.busy(held)
	fetched := w.ask("", post(c, secret)).token(t, "a client")
	for what, first := range map[string]string{"a token": token, "a token that a client fetched": fetched} {
		if a := w.scim("GET", "/Users", first, ""); a.status != http.StatusOK {
			t.Errorf("%s, the first time: got %d: %s", what, a.status, a.body)
		}
	}
	if n := w.store.Stats().Acquired; n != held {
		t.Errorf("strangers hold %d connections of %d, want %d", n, pool, held)
	}
	stall.release()
	for _, strangers := range throngs {
		strangers.leave(t)
	}
}

// The first request that a token brings to a process proves it in the strangers' share of
// the pool and does its work in its tenant's: as many of them work at once as of any other.
func TestFirstRequestsWorkInTheirTenantsShare(t *testing.T) {
	const pool, share = 8, 6
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database, func(c *store.Config) { c.PoolSize = pool }))
	w.tenant("acme")
	contended := w.create("/Users", w.connect("acme", "entra", "lenient"), `{"userName":"contended"}`)
	var tokens []string
	for n := range share {
		token, _, err := w.vendor.CreateToken(soon(t), "acme", "entra", registry.NewToken{Name: fmt.Sprint("token", n)})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	release := holdUser(t, owner, "acme", contended)
	var first sync.WaitGroup
	for _, token := range tokens {
		first.Go(func() {
			if a := w.by(other, "PATCH", "/t/acme/scim/v2/Users/"+contended, "Bearer "+token, titled); a.status != http.StatusOK {
				t.Errorf("got %d: %s", a.status, a.body)
			}
		})
	}
	w.busy(share)
	release()
	first.Wait()
}

// askAsStranger sends a request with a token that was never given out.
func (w *world) askAsStranger(tenant string) answer {
	return w.by(other, "GET", "/t/"+tenant+"/scim/v2/Users", "Bearer "+registry.SCIMPrefix+strings.Repeat("A", registry.SecretLength), "")
}

// A throng is strangers who come at once, more than may wait at one address.
type throng struct {
	world   *world
	address func(n int) (tenant string) // to which the nth of them comes
	people  sync.WaitGroup
	refused atomic.Int64 // who found no place to wait in
	strange atomic.Value // an answer that is neither that nor a refusal of the token
}

func (w *world) throng(address func(n int) string) *throng {
	return &throng{world: w, address: address}
}

// come returns once every place is taken, to wait in too.
func (c *throng) come(t *testing.T) {
	t.Helper()
	for n := range 300 {
		c.people.Go(func() {
			a := c.world.askAsStranger(c.address(n))
			switch {
			case a.status == http.StatusUnauthorized:
			case a.header.Get("Retry-After") != "":
				c.refused.Add(1)
			default:
				c.strange.Store(fmt.Sprintf("%d %.300s", a.status, a.body))
			}
		})
	}
	for ctx := soon(t); c.refused.Load() == 0; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatal("all strangers wait: want some refused")
		}
	}
}

// leave waits until everybody got an answer.
func (c *throng) leave(t *testing.T) {
	t.Helper()
	c.people.Wait()
	if strange := c.strange.Load(); strange != nil {
		t.Errorf("a stranger was answered %v, want 401, or 429 or 503 with Retry-After", strange)
	}
}

// stalled keeps from the database what names certain tenants, until it is released.
type stalled struct {
	mu    sync.Mutex
	names []string // how an id or slug of them begins
	open  chan struct{}
	once  sync.Once
}

func (s *stalled) release() { s.once.Do(func() { close(s.open) }) }

func (s *stalled) tenant(w *world, slug string) {
	w.t.Helper()
	tenant, err := w.vendor.Tenant(w.t.Context(), slug)
	if err != nil {
		w.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, tenant.ID.String())
}

func (s *stalled) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (s *stalled) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (s *stalled) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (s *stalled) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (s *stalled) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		for _, argument := range query.Arguments {
			if text, ok := argument.(string); ok && s.stalls(text) {
				<-s.open
			}
		}
	}
	return ctx
}

func (s *stalled) stalls(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.names {
		if strings.HasPrefix(text, name) {
			return true
		}
	}
	return false
}
