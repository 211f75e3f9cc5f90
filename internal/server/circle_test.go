package server_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Who is shut out while a bulk request makes people that refer to one another stays
// out, though the request completes each of them once all are there.
func TestACircleDoesNotOverwriteWhatOthersDid(t *testing.T) {
	beside := &atStatement{sql: "insert into users", nth: 2}
	w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer = beside }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	id := ""
	beside.do = func() {
		_, list, _ := strings.Cut(w.scim("GET", "/Users", token, "").body, `"id":"`)
		id, _, _ = strings.Cut(list, `"`)
		if a := w.scim("PATCH", "/Users/"+id, token, patchOf(`{"op":"replace","path":"active","value":false}`)); a.status != http.StatusOK {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
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

// returning is the user of a circle who was here before, inactive, and first the one
// that comes with them; bulk makes both.
const (
	returning = `{"method":"POST","path":"/Users","bulkId":"back","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"back@new.example",` +
		`"externalId":"back","active":true,"title":"Clown","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:first"}}}}`
	boss = `{"method":"POST","path":"/Users","bulkId":"first","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"first",` +
		`"externalId":"first","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:back"}}}}`
)

// A circle that cannot be done leaves somebody whom it had brought back as they were,
// inactive and with what was known of them, but for what others did meanwhile: what is
// refused has changed nothing (RFC 7644 §3.7.3).
func TestACircleThatFailsRestoresWhomItBroughtBack(t *testing.T) {
	const alien = `{"userName":"first"}` // takes the name
	for story, c := range map[string]struct {
		sql  string // at which somebody else steps in; empty: before the request
		do   func(w *world, token string)
		want string // of title, afterwards
	}{
		"the other cannot be created": {"", func(w *world, token string) { w.create("/Users", token, alien) }, "Rigger"},
		"the other cannot be completed": {"update users set user_name_key", func(w *world, token string) {
			w.patched("first", token, `{"op":"add","path":"nickName","value":"Boss"}`)
		}, "Rigger"},
		"somebody has changed them meanwhile": {"insert into users", func(w *world, token string) {
			w.patched("back", token, `{"op":"replace","path":"title","value":"Rider"}`)
		}, "Rider"},
		"somebody has taken them out meanwhile": {"insert into users", func(w *world, token string) {
			w.patched("back", token, `{"op":"replace","path":"active","value":false}`)
		}, "Rigger"},
	} {
		t.Run(story, func(t *testing.T) {
			beside := &atStatement{sql: c.sql}
			w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer = beside }))
			w.tenant("acme")
			token := w.connect("acme", "entra", "lenient")
			back := w.create("/Users", token, `{"userName":"back","externalId":"back","active":false,"title":"Rigger","nickName":"B","emails":[{"value":"b@x.example"}]}`)
			before := w.known(back, token)
			if c.sql == "" {
				c.do(w, token)
			} else {
				beside.nth, beside.do = 2, func() { c.do(w, token) }
			}
			a := w.scim("POST", "/Bulk", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+returning+`,`+boss+`]}`)
			if a.status != http.StatusOK || strings.Contains(a.body, `"201"`) || strings.Count(a.body, `"method":"POST"`) != 2 {
				t.Fatalf("got %d, want two refusals: %s", a.status, a.body)
			}
			after := w.known(back, token)
			if got := after["title"]; got != c.want {
				t.Errorf("title is %v, want %s", got, c.want)
			}
			delete(before, "title")
			delete(after, "title")
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("what was refused has changed somebody (-before +after): %s\n%s", diff, a.body)
			}
		})
	}
}

// Whose name somebody else has taken meanwhile cannot become who they were: they are
// out again, and the client is told whom to put right.
func TestWhoCannotBeRestoredIsOut(t *testing.T) {
	beside := &atStatement{sql: "update users set user_name_key", nth: 2}
	w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer = beside }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	back := w.create("/Users", token, `{"userName":"back","externalId":"back","active":false}`)
	beside.do = func() {
		if a := w.scim("POST", "/Users", token, `{"userName":"back"}`); a.status != http.StatusCreated {
			t.Errorf("got %d %s", a.status, a.body)
		}
		w.patched("first", token, `{"op":"add","path":"nickName","value":"Boss"}`)
	}
	a := w.scim("POST", "/Bulk", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+returning+`,`+boss+`]}`)
	if !strings.Contains(a.body, `"503"`) || !strings.Contains(a.body, "put right "+w.base("acme")+"/Users/"+back) {
		t.Errorf("got %d, want to be told whom to put right: %s", a.status, a.body)
	}
	if got := w.known(back, token); got["active"] != false {
		t.Errorf("they are let in: %v", got)
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

// patched changes acme's user with an externalId.
func (w *world) patched(externalID, token, operation string) {
	_, list, _ := strings.Cut(w.scim("GET", "/Users?filter=externalId%20eq%20%22"+externalID+"%22", token, "").body, `"id":"`)
	id, _, _ := strings.Cut(list, `"`)
	if a := w.scim("PATCH", "/Users/"+id, token, patchOf(operation)); a.status != http.StatusOK {
		w.t.Errorf("PATCH %s: got %d %s", externalID, a.status, a.body)
	}
}

// atStatement does something when a statement is sent for the nth time.
type atStatement struct {
	sql string
	nth int
	do  func()
}

func (i *atStatement) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (i *atStatement) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (i *atStatement) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (i *atStatement) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (i *atStatement) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		if i.do != nil && strings.Contains(query.SQL, i.sql) {
			if i.nth--; i.nth == 0 {
				i.do()
			}
		}
	}
	return ctx
}
