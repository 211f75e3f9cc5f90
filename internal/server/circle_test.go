package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Who is shut out while a bulk request makes people that refer to one another stays
// out, though the request completes each of them once all are there.
func TestACircleDoesNotOverwriteWhatOthersDid(t *testing.T) {
	beside := &atInsert{nth: 2}
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

// atInsert does something when users are inserted for the nth time.
type atInsert struct {
	nth int
	do  func()
}

func (i *atInsert) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (i *atInsert) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (i *atInsert) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (i *atInsert) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (i *atInsert) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		if strings.Contains(query.SQL, "insert into users") {
			if i.nth--; i.nth == 0 {
				i.do()
			}
		}
	}
	return ctx
}
