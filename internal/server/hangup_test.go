package server_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Clients that hang up while the database works for them, or while they wait for a
// connection to it, are no failure of ours, and nobody is woken for it.
func TestClientsThatHangUpAreNoOutage(t *testing.T) {
	const clients = 8
	owner, server := storetest.Database(t)
	w := start(t, storetest.Open(t, server, func(c *store.Config) { c.PoolSize = 4 }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	id := w.create("/Users", token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"jamie@acme.example"}`)
	release := holdUser(t, owner, "acme", id)
	defer release()

	ctx, hangUp := context.WithCancel(t.Context())
	var gone sync.WaitGroup
	for range clients {
		request, err := http.NewRequestWithContext(ctx, "DELETE", w.base("acme")+"/Users/"+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		gone.Go(func() {
			if _, err := http.DefaultTransport.RoundTrip(request); err == nil {
				t.Error("a request was answered")
			}
		})
	}
	w.busy(3)                          // the tenant's share: the others wait
	time.Sleep(100 * time.Millisecond) // for them to come
	hangUp()
	gone.Wait()
	for within := soon(t); strings.Count(w.log.String(), `"method":"DELETE"`) < clients; time.Sleep(time.Millisecond) {
		if within.Err() != nil {
			t.Fatalf("not every request has ended:\n%s", w.log.String())
		}
	}
	if log := w.log.String(); strings.Contains(log, `"level":"ERROR"`) || strings.Count(log, `"status":499`) != clients {
		t.Errorf("the log says:\n%s", log)
	}
	if a := w.scim("GET", "/Users/"+id, token, ""); a.status != http.StatusOK {
		t.Errorf("the person: %d", a.status)
	}
}
