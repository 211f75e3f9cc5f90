package server_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/storetest"
)

// A filter that no index serves is worked at for as long as a statement may take,
// and then the client is told to make it more selective. Where nothing was
// filtered, it is not the client who can do something about it.
func TestAFilterThatTakesTooLongIsTooMany(t *testing.T) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	alice := w.create("/Users", token, `{"userName":"alice@ringling.example","title":"Rigger"}`)
	slow(t, owner)

	var all sync.WaitGroup
	all.Go(func() {
		a := w.scim("GET", "/Users?filter="+url.QueryEscape(`title co "gg"`), token, "")
		a.refusal(t, "a filter", http.StatusBadRequest, "tooMany")
	})
	for _, path := range []string{"/Users/" + alice, "/Users"} {
		all.Go(func() {
			a := w.scim("GET", path, token, "")
			a.refusal(t, path, http.StatusServiceUnavailable, "")
			if a.header.Get("Retry-After") == "" {
				t.Errorf("GET %s: no Retry-After", path)
			}
		})
	}
	all.Wait()
}

// slow makes every look at users take longer than a statement may.
func slow(t *testing.T, owner string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), `create policy slow on users as restrictive for select using ((select count(*) from pg_sleep(60)) = 1)`)
	if err != nil {
		t.Fatal(err)
	}
}
