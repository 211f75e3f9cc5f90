package server_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// While nobody can know whether a commit will last, the answer is 503 with
// Retry-After; the client's repetition converges once it can be known.
func TestUnknownOutcomeIsAnsweredUnavailable(t *testing.T) {
	cluster, _, database := storetest.Durable(t)
	standby := storetest.AbsentStandby(t, cluster)
	w := start(t, storetest.Open(t, database, func(c *store.Config) { c.PoolSize = 24 }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	jamie, robin := w.create("/Users", token, `{"userName":"jamie"}`), w.create("/Users", token, `{"userName":"robin"}`)
	group := w.create("/Groups", token, `{"displayName":"Crew"}`)
	requests := []struct{ method, path, body string }{
		{"POST", "/Users", `{"userName":"alex"}`},
		{"PATCH", "/Users/" + jamie, patchOf(`{"op":"replace","path":"active","value":false}`)},
		{"PUT", "/Users/" + robin, `{"userName":"robin","title":"Clown"}`},
		{"PATCH", "/Groups/" + group, patchOf(`{"op":"add","path":"members","value":[{"value":"` + robin + `"}]}`)},
		{"POST", "/Groups", `{"displayName":"Artists"}`},
	}
	standby.Require()
	var wg sync.WaitGroup
	for _, r := range requests {
		wg.Go(func() {
			a := w.scim(r.method, r.path, token, r.body)
			a.refusal(t, r.method+" "+r.path, http.StatusServiceUnavailable, "")
			if a.header.Get("Retry-After") == "" {
				t.Errorf("%s %s: no Retry-After", r.method, r.path)
			}
		})
	}
	wg.Wait()
	standby.Lift()
	for i, want := range []int{http.StatusConflict, http.StatusOK, http.StatusOK, http.StatusNoContent, http.StatusConflict} {
		r := requests[i]
		if a := w.scim(r.method, r.path, token, r.body); a.status != want {
			t.Errorf("again, %s %s: got %d, want %d: %s", r.method, r.path, a.status, want, a.body)
		}
	}
}
