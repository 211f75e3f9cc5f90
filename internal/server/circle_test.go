package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Who is shut out while a bulk request makes people that refer to one another stays
// out, though the request completes each of them once all are there.
func TestACircleDoesNotOverwriteWhatOthersDid(t *testing.T) {
	var w *world
	var token, id string
	beside := &interrupt{at: 2, do: func() {
		_, list, _ := strings.Cut(w.scim("GET", "/Users", token, "").body, `"id":"`)
		id, _, _ = strings.Cut(list, `"`)
		if a := w.scim("PATCH", "/Users/"+id, token, patchOf(`{"op":"replace","path":"active","value":false}`)); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}}
	w = start(t, storetest.New(t, func(c *store.Config) { c.Tracer = beside }))
	w.tenant("acme")
	token = w.connect("acme", "entra", "lenient")
	person := func(name, manager string) string {
		return `{"method":"POST","path":"/Users","bulkId":"` + name + `","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"` + name +
			`","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:` + manager + `"}}}}`
	}
	a := w.scim("POST", "/Bulk", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+person("a", "b")+`,`+person("b", "a")+`]}`)
	if id == "" || a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if got := w.scim("GET", "/Users/"+id, token, ""); got.status == http.StatusOK && !strings.Contains(got.body, `"active":false`) {
		t.Errorf("%s is let in again: %s", id, a.body)
	}
}

// returning is the user of a circle who may have been here before, and boss the one
// that comes with them.
const (
	returning = `{"method":"POST","path":"/Users","bulkId":"back","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"back@new.example",` +
		`"externalId":"back","active":true,"title":"Clown","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:first"}}}}`
	boss = `{"method":"POST","path":"/Users","bulkId":"first","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"first",` +
		`"externalId":"first","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:back"}}}}`
)

// Nobody comes back in a circle: who was out could otherwise be in where it cannot be
// completed, and stay in. All of it is refused, nothing of the person is changed, and
// the client is told what to do instead.
func TestNobodyComesBackInACircle(t *testing.T) {
	w, token := open(t)
	back := w.create("/Users", token, `{"userName":"back","externalId":"back","active":false,"title":"Rigger"}`)
	before := w.scim("GET", "/Users/"+back, token, "").body
	for story, operations := range map[string][]string{
		"they are the first":            {returning, boss},
		"they are the last":             {boss, returning},
		"they refer to themselves only": {strings.Replace(returning, "bulkId:first", "bulkId:back", 1)},
	} {
		a := w.scim("POST", "/Bulk", token, bulkOf(operations...))
		for _, status := range a.statuses(t) {
			if status != "409" {
				t.Errorf("%s: got %s, want refusals: %s", story, status, a.body)
			}
		}
		if !strings.Contains(a.body, `"uniqueness"`) || !strings.Contains(a.body, "is inactive") {
			t.Errorf("%s: the client is not told why: %s", story, a.body)
		}
		if after := w.scim("GET", "/Users/"+back, token, "").body; after != before {
			t.Errorf("%s: they were %s and are %s", story, before, after)
		}
		if n := w.users(token); n != 1 {
			t.Errorf("%s: %d users are there, want the one who was", story, n)
		}
	}
	alone := strings.Replace(returning, `,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:first"}}`, "", 1)
	if a := w.scim("POST", "/Bulk", token, bulkOf(alone, boss)); !slices.Equal(a.statuses(t), []string{"201", "201"}) || w.known(back, token)["active"] != true {
		t.Errorf("without the reference: %s", a.body)
	}
}

// What a circle that fails has made is gone again, also where that takes another try,
// or somebody else was faster.
func TestWhatACircleHasMadeIsTakenBack(t *testing.T) {
	for story, c := range map[string]struct {
		times int64 // how often something happens before they are deleted
		do    func(w *world, token, database string, conn *pgx.Conn)
	}{
		"the connection breaks, and breaks again": {2, func(w *world, _, database string, conn *pgx.Conn) { terminate(w.t, database, conn) }},
		"the schemas change": {1, func(w *world, _, _ string, _ *pgx.Conn) {
			if _, err := w.declare("acme", "User", []byte(`{"id":"urn:example:hr","name":"HR","attributes":[{"name":"badge"}]}`)); err != nil {
				w.t.Error(err)
			}
		}},
		"somebody else deletes them": {1, func(w *world, _, _ string, _ *pgx.Conn) {
			token, _, err := w.vendor.CreateToken(soon(w.t), "acme", "entra", registry.NewToken{Name: "other"})
			if err != nil {
				w.t.Error(err)
			}
			if a := w.scim("DELETE", "/Users/"+w.idOf("first", token), token, ""); a.status != http.StatusNoContent {
				w.t.Errorf("got %d %s", a.status, a.body)
			}
		}},
	} {
		t.Run(story, func(t *testing.T) {
			_, database := storetest.Database(t)
			var w *world
			var token string
			deletions := &atStatement{sql: "= $4 for no key update skip locked"}
			deletions.do = func(nth int64, conn *pgx.Conn) {
				if nth <= c.times {
					c.do(w, token, database, conn)
				}
			}
			w = start(t, storetest.Open(t, database, func(c *store.Config) { c.Tracer = deletions }))
			w.tenant("acme")
			token = w.connect("acme", "entra", "lenient")
			w.create("/Users", token, `{"userName":"taken"}`)
			a := w.scim("POST", "/Bulk", token, bulkOf(boss, strings.Replace(returning, "back@new.example", "taken", 1)))
			if got, want := a.statuses(t), []string{"409", "409"}; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v: %s", got, want, a.body)
			}
			if n, tried := w.users(token), deletions.count.Load(); n != 1 || tried != c.times+1 {
				t.Errorf("%d users are there after %d tries, want the one who was, after %d", n, tried, c.times+1)
			}
		})
	}
}

// Who cannot be taken back, here because the token is revoked meanwhile, is named.
func TestWhoCannotBeTakenBackIsNamed(t *testing.T) {
	var w *world
	var id uuid.UUID
	inserts := &interrupt{at: 2, do: func() {
		if err := w.vendor.RevokeToken(context.Background(), "acme", id); err != nil {
			t.Error(err)
		}
	}}
	w = start(t, storetest.New(t, func(c *store.Config) { c.Tracer = inserts }))
	w.tenant("acme")
	other := w.connect("acme", "entra", "lenient")
	token, credential, err := w.vendor.CreateToken(soon(t), "acme", "entra", registry.NewToken{Name: "revoked"})
	if err != nil {
		t.Fatal(err)
	}
	id = credential.ID
	a := w.scim("POST", "/Bulk", token, bulkOf(boss, returning))
	if got, want := a.statuses(t), []string{"503", "401"}; !slices.Equal(got, want) || !strings.Contains(a.body, "delete "+w.base("acme")+"/Users/"+w.idOf("first", other)) {
		t.Errorf("got %v, want %v and to be told whom to delete: %s", got, want, a.body)
	}
}

// Of a creation whose outcome is not known that is said, and the others speak for
// themselves only.
func TestACreationOfUnknownOutcomeInACircle(t *testing.T) {
	_, database := storetest.Database(t)
	inserts := &atStatement{sql: "insert into users"}
	inserts.do = func(nth int64, conn *pgx.Conn) {
		if nth == 2 {
			terminate(t, database, conn)
		}
	}
	w := start(t, storetest.Open(t, database, func(c *store.Config) { c.Tracer = inserts }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	a := w.scim("POST", "/Bulk", token, bulkOf(boss, returning))
	if got, want := a.statuses(t), []string{"409", "503"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: %s", got, want, a.body)
	}
	if !strings.Contains(a.body, "could not all be done: this one was not") || !strings.Contains(a.body, "it is not known whether the change is durable") {
		t.Errorf("more is said than is known: %s", a.body)
	}
}

// known is a user of acme's without its version.
func (w *world) known(id, token string) map[string]any {
	w.t.Helper()
	var user map[string]any
	if a := w.scim("GET", "/Users/"+id, token, ""); a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &user) != nil {
		w.t.Fatalf("GET: got %d %s", a.status, a.body)
	}
	delete(user, "meta")
	return user
}

// idOf is the id of acme's user with an externalId.
func (w *world) idOf(externalID, token string) (id string) {
	_, list, _ := strings.Cut(w.scim("GET", "/Users?filter=externalId%20eq%20%22"+externalID+"%22", token, "").body, `"id":"`)
	id, _, _ = strings.Cut(list, `"`)
	return id
}

// terminate ends the database's side of a connection.
func terminate(t *testing.T, database string, conn *pgx.Conn) {
	t.Helper()
	const patience = 5000 // milliseconds

	own, err := pgx.Connect(soon(t), database) // a role may end its own backends
	if err == nil {
		defer own.Close(context.Background())
		_, err = own.Exec(soon(t), `select pg_terminate_backend($1, $2)`, conn.PgConn().PID(), patience)
	}
	if err != nil {
		t.Error(err)
	}
}

// atStatement does something before a statement is sent, each time.
type atStatement struct {
	sql   string
	do    func(nth int64, conn *pgx.Conn)
	count atomic.Int64
}

func (i *atStatement) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (i *atStatement) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (i *atStatement) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (i *atStatement) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (i *atStatement) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		if strings.Contains(query.SQL, i.sql) {
			i.do(i.count.Add(1), conn)
		}
	}
	return ctx
}
