package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

const titled = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"Rigger"}]}`

// One tenant's storm does not slow another. While all connections that the one may
// hold wait for a row that stays locked, and many of its requests for those, whatever
// the other asks is done; and what became of the storm was either done or refused in
// words that its client understands.
func TestOneTenantsStormDoesNotSlowAnother(t *testing.T) {
	const pool, share, clients = 8, 6, 40
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database, func(c *store.Config) { c.PoolSize = pool }))
	w.tenant("acme")
	loud := w.connect("acme", "entra", "lenient")
	contended := w.create("/Users", loud, `{"userName":"contended"}`)
	calm := w.customer("globex")

	release := holdUser(t, owner, "acme", contended)
	s := w.storm(loud, "/Users/"+contended, clients)
	w.busy(share)
	for round := range 10 {
		calm.day(t, round)
		if n := w.store.Stats().Acquired; n > share {
			t.Fatalf("round %d: the storm holds %d connections of %d, and may hold %d", round, n, pool, share)
		}
	}
	if n := s.served.Load(); n > 0 {
		t.Errorf("%d requests of the storm were done while the row was locked: it was none", n)
	}
	release()
	s.end()
	if strange := s.strange.Load(); strange != nil {
		t.Errorf("a request of the storm was answered %v, want 2xx, or 429 or 503 with Retry-After", strange)
	}
	if s.served.Load() == 0 {
		t.Error("no request of the storm was done after the row was free")
	}
}

// A tenant that has used up its requests is told to wait. Another is not.
func TestOneTenantsLimitIsNotAnothers(t *testing.T) {
	w := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) {
		c.Limits.Requests = server.Rate{PerSecond: 0.001, Burst: 20}
	})
	w.tenant("acme")
	loud := w.connect("acme", "entra", "lenient")
	calm := w.customer("globex")
	last := answer{status: http.StatusOK}
	for i := 0; i < 50 && last.status == http.StatusOK; i++ {
		last = w.scim("GET", "/Users", loud, "")
	}
	for round := range 3 {
		last.refusal(t, "the loud tenant", http.StatusTooManyRequests, "")
		last.waits(t, "the loud tenant")
		calm.day(t, round)
		last = w.scim("POST", "/Users", loud, fmt.Sprintf(`{"userName":"late%d"}`, round))
	}
	second := w.connect("acme", "okta", "lenient")
	w.scim("GET", "/Users", second, "").refusal(t, "another token of the loud tenant, the first time", http.StatusTooManyRequests, "")
}

// A customer is a tenant beside the one that a test is about: its client pushes
// people, and its application asks whether they may enter.
type customer struct {
	*world
	slug, token, secret string
}

// customer opens a tenant whose active people may all enter the application sheet.
func (w *world) customer(slug string) customer {
	w.t.Helper()
	w.tenant(slug)
	c := customer{world: w, slug: slug, token: w.connect(slug, "okta", "lenient")}
	var err error
	c.secret, _, err = w.vendor.AddApplication(w.t.Context(), registry.NewApplication{
		ClientID: "sheet", RedirectURIs: []string{"https://sheet.example/callback"}, Tenants: []string{slug}, Roles: []string{"viewer"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	dir, err := w.store.Admin(w.t.Context(), slug, "test", store.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	_, issues, err := dir.PublishRules(w.t.Context(), []byte("version: 1\nrules:\n  - id: everyone\n    everyone: true\n    grant: [sheet.viewer]\n"))
	if err != nil {
		w.t.Fatal(err, issues)
	}
	return c
}

// day does what a customer does all day: somebody is created, changed, looked up
// and let in.
func (c customer) day(t *testing.T, n int) {
	t.Helper()
	ask := func(method, path, authorization, body string, status int, holds string) answer {
		t.Helper()
		a := c.send(method, c.url+"/t/"+c.slug+path, authorization, body)
		if a.status != status || !strings.Contains(a.body, holds) {
			t.Fatalf("day %d of %s: %s %s: got %d, want %d and %s: %.300s", n, c.slug, method, path, a.status, status, holds, a.body)
		}
		return a
	}
	name, token := fmt.Sprintf("calm%d", n), "Bearer "+c.token
	id := ask("POST", "/scim/v2/Users", token, `{"userName":"`+name+`","active":true}`, http.StatusCreated, name).field(t, "id")
	ask("PATCH", "/scim/v2/Users/"+id, token, titled, http.StatusOK, `"Rigger"`)
	ask("GET", "/scim/v2/Users?filter=userName%20eq%20%22"+name+"%22", token, "", http.StatusOK, `"totalResults":1,`)
	ask("POST", "/check", "Basic "+basic("sheet", c.secret), `{"user":"`+id+`"}`, http.StatusOK, `"allowed":true`)
}

// A storm is one tenant's clients, each of which changes the same person without
// end: whatever they are answered they send the next request.
type storm struct {
	clients sync.WaitGroup
	over    atomic.Bool
	served  atomic.Int64 // answered 2xx
	strange atomic.Value // an answer that is neither that nor a refusal for now
}

func (w *world) storm(token, path string, clients int) *storm {
	s := &storm{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	w.t.Cleanup(client.CloseIdleConnections)
	w.t.Cleanup(s.end)
	for i := range clients {
		method, body := "PATCH", titled
		if i%2 == 0 {
			method, body = "PUT", fmt.Sprintf(`{"userName":"contended","title":"%d"}`, i)
		}
		s.clients.Go(func() {
			for last := false; !last; {
				last = s.over.Load() // a client's last request is sent after the storm
				request, err := http.NewRequest(method, w.base("acme")+path, strings.NewReader(body))
				if err != nil {
					s.strange.Store(err.Error())
					return
				}
				request.Header.Set("Authorization", "Bearer "+token)
				request.Header.Set("Content-Type", "application/scim+json")
				s.note(exchange(client, request))
			}
		})
	}
	return s
}

func (s *storm) note(a answer, err error) {
	refused := a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
	switch {
	case err != nil:
		s.strange.Store(err.Error())
	case a.status/100 == 2:
		s.served.Add(1)
	case !refused || a.header.Get("Retry-After") == "":
		s.strange.Store(fmt.Sprintf("%d %v %.300s", a.status, a.header, a.body))
	}
}

// end waits until every client has sent one more request and got its answer.
func (s *storm) end() {
	s.over.Store(true)
	s.clients.Wait()
}

// busy waits until n connections of the pool are held.
func (w *world) busy(n int32) {
	w.t.Helper()
	for ctx := soon(w.t); w.store.Stats().Acquired < n; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil {
			w.t.Fatalf("%d connections are held, want %d", w.store.Stats().Acquired, n)
		}
	}
}

// holdUser keeps a person's row from being changed until release.
func holdUser(t *testing.T, owner, tenant, id string) (release func()) {
	t.Helper()
	conn := storetest.Look(t, owner, tenant)
	tx, err := conn.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `select from users where id = $1 for update`, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
