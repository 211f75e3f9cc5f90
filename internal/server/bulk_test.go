package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// bulkOf is a bulk request of these operations.
func bulkOf(operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

// createOf is an operation that creates a user.
func createOf(bulkID, name, more string) string {
	return fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":%q,"data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q%s}}`, bulkID, name, more)
}

func createsOf(n int) (operations []string) {
	for i := range n {
		operations = append(operations, createOf(fmt.Sprint(i), fmt.Sprintf("user-%d", i), ""))
	}
	return operations
}

// statuses are those of the operations of a bulk answer.
func (a answer) statuses(t *testing.T) (statuses []string) {
	t.Helper()
	var body struct{ Operations []struct{ Status string } }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK {
		t.Fatalf("got %d %s, want the answer to a bulk request", a.status, a.body)
	}
	for _, operation := range body.Operations {
		statuses = append(statuses, operation.Status)
	}
	return statuses
}

func (w *world) users(token string) int {
	w.t.Helper()
	return w.scim("GET", "/Users?count=0", token, "").total(w.t)
}

// What the time of a request does not suffice for is not begun, and said so: no
// operation is cut off amid its commit.
func TestABulkRequestBeginsNothingThatItsTimeDoesNotSufficeFor(t *testing.T) {
	w, token := open(t)
	circle := func(a, b string) string {
		return createOf(a, a, `,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:`+b+`"}}`)
	}
	operations := append(createsOf(2), circle("a", "b"), circle("b", "a"))
	for _, time := range []struct {
		left time.Duration
		want string
		then int
	}{{7 * time.Second, "503", 0}, {25 * time.Second, "201", 4}} {
		ctx, cancel := context.WithTimeout(t.Context(), time.left)
		request := httptest.NewRequestWithContext(ctx, "POST", "/t/acme/scim/v2/Bulk", strings.NewReader(bulkOf(operations...)))
		request.Header.Set("Authorization", "Bearer "+token)
		recorder := httptest.NewRecorder()
		w.router.ServeHTTP(recorder, request)
		cancel()
		got := answer{recorder.Code, recorder.Header(), recorder.Body.String()}
		if got := got.statuses(t); !slices.Equal(got, slices.Repeat([]string{time.want}, len(operations))) {
			t.Errorf("with %s left: got %v, want %s throughout", time.left, got, time.want)
		}
		if n := w.users(token); n != time.then {
			t.Errorf("with %s left: %d users are there, want %d", time.left, n, time.then)
		}
	}
}

// A client that has gone gets nothing more done.
func TestABulkRequestEndsWithItsClient(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	inserts := &interrupt{at: 3, do: leave}
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database, func(c *store.Config) { c.Tracer = inserts }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	request := httptest.NewRequestWithContext(ctx, "POST", "/t/acme/scim/v2/Bulk", strings.NewReader(bulkOf(createsOf(20)...)))
	request.Header.Set("Authorization", "Bearer "+token)
	w.router.ServeHTTP(httptest.NewRecorder(), request)
	if n := w.users(token); n > 3 {
		t.Errorf("%d users are there, want 3 at most", n)
	}
	if begun := len(slices.DeleteFunc(w.logged(t, owner), func(row string) bool { return !strings.HasPrefix(row, "POST /Users ") })); begun > 3 {
		t.Errorf("%d operations were begun, want 3 at most", begun)
	}
}

// logged are the rows of acme's provisioning log, "POST /Users 201", in alphabetical order.
func (w *world) logged(t *testing.T, owner string) []string {
	t.Helper()
	if err := w.store.FlushRequests(soon(t)); err != nil {
		t.Fatal(err)
	}
	rows, err := storetest.Look(t, owner, "acme").Query(t.Context(), `select method || ' ' || split_part(path, '/scim/v2', 2) || ' ' || status from provisioning_requests`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

// An interrupt does something when users are inserted for the nth time.
type interrupt struct {
	at    int64
	do    func()
	count atomic.Int64
}

func (i *interrupt) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (i *interrupt) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (i *interrupt) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (i *interrupt) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (i *interrupt) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, query := range data.Batch.QueuedQueries {
		if strings.Contains(query.SQL, "insert into users") && i.count.Add(1) == i.at {
			i.do()
		}
	}
	return ctx
}

// The transaction of each operation looks at the credential: what one that is
// revoked in the meantime asks for is refused, from the next operation on.
func TestATokenThatIsRevokedAmidABulkRequest(t *testing.T) {
	var w *world
	var id uuid.UUID
	inserts := &interrupt{at: 4, do: func() {
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
	a := w.scim("POST", "/Bulk", token, bulkOf(createsOf(6)...))
	if got, want := a.statuses(t), []string{"201", "201", "201", "401", "401", "401"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := w.users(other); n != 3 {
		t.Errorf("%d users are there, want 3", n)
	}
}

// A credential that only reads is refused the whole request: it has nothing that
// such a one may do.
func TestABulkRequestOfACredentialThatOnlyReads(t *testing.T) {
	w, token := open(t)
	reader, _, err := w.vendor.CreateToken(soon(t), "acme", "entra", registry.NewToken{Name: "reader", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	w.scim("POST", "/Bulk", reader, bulkOf(createsOf(2)...)).refusal(t, "a bulk request", http.StatusForbidden, "")
	if n := w.users(token); n != 0 {
		t.Errorf("%d users are there, want none", n)
	}
}

// Where one of those who refer to one another cannot be created, none is there, and
// what refers to them is refused.
func TestABrokenCircleLetsNobodyIn(t *testing.T) {
	w, token := open(t)
	w.create("/Users", token, `{"userName":"taken"}`)
	manager := func(id string) string {
		return `,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:` + id + `"}}`
	}
	a := w.scim("POST", "/Bulk", token, bulkOf(
		createOf("new", "new", manager("next")),
		createOf("next", "next", `,"externalId":"e1","active":true`+manager("taken")),
		createOf("taken", "taken", manager("new")),
		`{"method":"DELETE","path":"/Users/bulkId:next"}`))
	if got, want := a.statuses(t), []string{"409", "409", "409", "409"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: %s", got, want, a.body)
	}
	if n := w.users(token); n != 1 {
		t.Errorf("%d users are there, want the one who was", n)
	}
	// With nobody in the way it comes to what was asked for.
	a = w.scim("POST", "/Bulk", token, bulkOf(createOf("new", "new", manager("next")), createOf("next", "next", `,"externalId":"e1","active":true`+manager("new"))))
	if got, want := a.statuses(t), []string{"201", "201"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: %s", got, want, a.body)
	}
	if a := w.scim("GET", "/Users/"+w.idOf("e1", token), token, ""); !strings.Contains(a.body, `"active":true`) || !strings.Contains(a.body, `"manager":{"value":"`) {
		t.Errorf("who is there: %s", a.body)
	}
}

// Whoever is shut out by an operation of a bulk request is shut out when it is
// answered, as by a request of its own.
func TestABulkRequestShutsOutAtOnce(t *testing.T) {
	p := openPortal(t)
	for name, operation := range map[string]string{
		"PATCH":  `{"method":"PATCH","path":"/Users/%s","data":` + patchOf(`{"op":"replace","path":"active","value":false}`) + `}`,
		"PUT":    `{"method":"PUT","path":"/Users/%s","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"put@ringling.example","externalId":"oid-put","active":false}}`,
		"DELETE": `{"method":"DELETE","path":"/Users/%s"}`,
	} {
		id := p.provision(strings.ToLower(name))
		access, _ := p.signIn(strings.ToLower(name), "portal")
		if a := p.scim("GET", "/Me", access, ""); a.status != http.StatusOK {
			t.Fatalf("%s: before: %d %s", name, a.status, a.body)
		}
		a := p.scim("POST", "/Bulk", p.token, bulkOf(fmt.Sprintf(operation, id)))
		if status := a.statuses(t)[0]; !strings.HasPrefix(status, "2") {
			t.Fatalf("%s: %s", name, a.body)
		}
		p.scim("GET", "/Me", access, "").refusal(t, name, http.StatusUnauthorized, "")
	}
}

// While nobody can know whether a commit will last, its operation is answered 503
// and no other is said to have failed for it; the client's repetition converges.
func TestAnOperationWhoseOutcomeIsUnknownIsAnsweredUnavailable(t *testing.T) {
	cluster, _, database := storetest.Durable(t)
	standby := storetest.AbsentStandby(t, cluster)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	w.create("/Users", token, `{"userName":"taken"}`)
	request := bulkOf(createOf("1", "alex", ""), createOf("2", "taken", ""), createOf("3", "jamie", ""))
	standby.Require()
	if got, want := w.scim("POST", "/Bulk", token, request).statuses(t), []string{"503", "409", "503"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	standby.Lift()
	if got, want := w.scim("POST", "/Bulk", token, request).statuses(t), []string{"409", "409", "409"}; !slices.Equal(got, want) {
		t.Errorf("again: got %v, want %v: all of them are there", got, want)
	}
	if n := w.users(token); n != 3 {
		t.Errorf("%d users are there, want 3", n)
	}
}

// Each operation has a row of its own in the provisioning log, as if it had come
// alone, beside that of the request.
func TestOperationsAreInTheProvisioningLog(t *testing.T) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	const nothing = `{"op":"replace","path":"userName","value":"alex"}`
	a := w.scim("POST", "/Bulk", token, bulkOf(createOf("1", "alex", ""), createOf("2", "ALEX", ""),
		`{"method":"PATCH","path":"/Users/bulkId:1","data":`+patchOf(nothing)+`}`, `{"method":"DELETE","path":"/Users/bulkId:1"}`,
		`{"method":"DELETE","path":"/Users?filter=password eq \"Canary\""}`, `{"method":"GET"}`))
	a.statuses(t)
	got := w.logged(t, owner)
	want := []string{"DELETE (redacted) 400", "DELETE /Users/bulkId:1 204", "GET  405",
		"PATCH /Users/bulkId:1 200", "POST /Bulk 200", "POST /Users 201", "POST /Users 409"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// What a bulk request did counts against the tenant's rate, operation by operation.
func TestABulkRequestIsChargedForItsOperations(t *testing.T) {
	w := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) { c.Limits.Requests = server.Rate{PerSecond: 1, Burst: 20} })
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	for range 3 {
		if a := w.scim("POST", "/Bulk", token, bulkOf(createOf("1", "alex", ""))); a.status != http.StatusOK {
			t.Fatalf("a small one: got %d %s", a.status, a.body)
		}
	}
	w.scim("POST", "/Bulk", token, bulkOf(createsOf(100)...)).statuses(t)
	w.scim("GET", "/Users", token, "").refusal(t, "after 100 operations", http.StatusTooManyRequests, "")
}

// Who has been completed is gone again where the completion of another fails.
func TestACircleThatCannotBeCompletedIsTakenBack(t *testing.T) {
	w := start(t, storetest.New(t))
	w.tenant("acme")
	token := w.connect("acme", "entra", "strict")
	manager := func(id string) string {
		return `,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:` + id + `"}}`
	}
	a := w.scim("POST", "/Bulk", token, bulkOf(
		createOf("first", "first", `,"active":true`+manager("second")),
		createOf("second", "second", `,"timezone":"bulkId:second"`+manager("first")))) // an id, once it is known, is no time zone
	if got, want := a.statuses(t), []string{"409", "400"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: %s", got, want, a.body)
	}
	if n := w.users(token); n != 0 {
		t.Errorf("%d users are there, want none", n)
	}
}
