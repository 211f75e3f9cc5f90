package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A running write notes the backends that it uses, by way of its context: its
// own, and the one that looks for its outcome, which may be the same.
type running struct {
	name   string
	cancel context.CancelFunc
	result chan error

	mu       sync.Mutex
	backends []string
}

type runningKey struct{}

// start runs do.
func start(t *testing.T, name string, do func(context.Context) error) *running {
	r := &running{name: name, result: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), runningKey{}, r))
	r.cancel = cancel
	t.Cleanup(cancel)
	go func() { r.result <- do(ctx) }()
	return r
}

// uses reports whether the write has used the backend.
func (r *running) uses(backend string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.backends, backend)
}

// backends tells each write which connections it uses.
type backends struct{}

func (backends) note(ctx context.Context, conn *pgx.Conn) context.Context {
	if r, ok := ctx.Value(runningKey{}).(*running); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.backends = append(r.backends, fmt.Sprint(conn.PgConn().PID()))
	}
	return ctx
}

func (b backends) TraceQueryStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return b.note(ctx, conn)
}

func (b backends) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return b.note(ctx, conn)
}

func (backends) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (backends) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (backends) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// await returns once a COMMIT of r waits, another than earlier. Where r ends
// before, it returns false and what r came to.
func (r *running) await(s *storetest.Standby, earlier storetest.Wait) (w storetest.Wait, waits bool, err error) {
	for {
		select {
		case err := <-r.result:
			return storetest.Wait{}, false, err
		case <-time.After(5 * time.Millisecond):
		}
		for _, w := range s.Waits() {
			if w != earlier && r.uses(w.Backend) {
				return w, true, nil
			}
		}
	}
}

// A fault befalls a backend while its COMMIT waits.
type fault struct {
	name   string
	strike func(s *storetest.Standby, pid string, cancel context.CancelFunc)
}

var faults = []fault{
	{"cancelled", func(s *storetest.Standby, pid string, _ context.CancelFunc) {
		s.Psql(`select pg_cancel_backend(` + pid + `)`)
	}},
	{"terminated", func(s *storetest.Standby, pid string, _ context.CancelFunc) {
		s.Psql(`select pg_terminate_backend(` + pid + `)`)
	}},
	{"given up by its caller", func(_ *storetest.Standby, _ string, cancel context.CancelFunc) { cancel() }},
	{"timed out", func(*storetest.Standby, string, context.CancelFunc) {}}, // by the store's own limit
}

// A write is one acknowledged operation on a person of its own.
type write struct {
	name    string
	resolve bool // its outcome can be found by its request id
	prepare func(c *circus, n int) func(ctx context.Context) error
}

var writes = []write{
	{"CreateUser", true, func(c *circus, n int) func(context.Context) error {
		dir := c.scim()
		return func(ctx context.Context) error {
			u, created, err := dir.CreateUser(ctx, person(fmt.Sprintf("new-%d@ringling.example", n), fmt.Sprint("new-", n)))
			return expect(err, created && u.Version == 1 && !u.Created.IsZero(), u)
		}
	}},
	{"UpdateUser", true, func(c *circus, n int) func(context.Context) error {
		dir, u := c.scim(), c.create(fmt.Sprintf("patched-%d@ringling.example", n), fmt.Sprint("patched-", n))
		return func(ctx context.Context) error {
			u, changed, err := dir.UpdateUser(ctx, u.ID.String(), "", set("active", false))
			return expect(err, changed && u.Version == 2 && !u.Active, u)
		}
	}},
	{"UpdateGroup", true, func(c *circus, n int) func(context.Context) error {
		u := c.create(fmt.Sprintf("member-%d@ringling.example", n), fmt.Sprint("member-", n))
		g, _, err := c.scim().CreateGroup(c.t.Context(), group(fmt.Sprint("Group ", n)))
		if err != nil {
			c.t.Fatal(err)
		}
		dir := c.scim()
		return func(ctx context.Context) error {
			_, changed, err := dir.UpdateGroup(ctx, g.ID.String(), "", store.GroupChange{Members: members(scim.AddMembers, u)})
			return expect(err, changed, g)
		}
	}},
	{"MintCode", false, func(c *circus, n int) func(context.Context) error {
		c.create(fmt.Sprintf("visitor-%d@ringling.example", n), fmt.Sprint("visitor-", n))
		journey := c.begin(c.store)
		return func(ctx context.Context) error {
			d, code, err := c.store.MintCode(ctx, journey, identity(fmt.Sprint("visitor-", n)))
			if err != nil && (code != "" || d.Allowed) {
				return fmt.Errorf("with the error %w came %+v and the code %q", err, d, code)
			}
			return err
		}
	}},
	{"MintToken", false, func(c *circus, n int) func(context.Context) error {
		c.create(fmt.Sprintf("guest-%d@ringling.example", n), fmt.Sprint("guest-", n))
		_, code := c.signIn(c.store, identity(fmt.Sprint("guest-", n)))
		return func(ctx context.Context) error {
			d, g, err := c.store.MintToken(ctx, c.redemption(code))
			if err != nil && (d.Allowed || g.Subject() != uuid.Nil.String() || len(g.Roles()) > 0) {
				return fmt.Errorf("with the error %w came %+v and the grant %+v", err, d, g)
			}
			return err
		}
	}},
	{"Revoke", false, func(c *circus, n int) func(context.Context) error {
		slug := fmt.Sprint("tenant-", n)
		must[registry.Tenant](c.t)(c.vendor.CreateTenant(c.t.Context(), registry.NewTenant{Slug: slug}))
		return func(ctx context.Context) error {
			return c.store.Revoke(ctx, "test", store.Switch{Tenant: slug, Off: true})
		}
	}},
}

// expect turns an acknowledgement of something else into an error.
func expect(err error, ok bool, got any) error {
	if err == nil && !ok {
		return fmt.Errorf("acknowledged was %+v", got)
	}
	return err
}

func openStandby(t *testing.T) (*storetest.Standby, *circus, string) {
	cluster, owner, server := storetest.Durable(t)
	c := ringlingOn(t, storetest.Open(t, server, func(c *store.Config) { c.PoolSize, c.Tracer = 64, backends{} }))
	return storetest.AbsentStandby(t, cluster), c, owner
}

// While nobody can know whether a commit will last, nothing is acknowledged,
// whatever becomes of the backend that waits: the answer is "not known", which
// doors say as 503, and no code and no Grant comes with it. Afterwards the
// effect is there, whole, and the client's repetition meets it.
func TestACommitOfUnknownOutcomeIsNotAcknowledged(t *testing.T) {
	s, c, owner := openStandby(t)
	var prepared []func(context.Context) error
	for w, write := range writes {
		for f := range faults {
			prepared = append(prepared, write.prepare(c, w*len(faults)+f))
		}
	}
	s.Require()
	var all []*running
	for i, do := range prepared {
		write, fault := writes[i/len(faults)], faults[i%len(faults)]
		r := start(t, write.name+", "+fault.name, do)
		w, waits, err := r.await(s, storetest.Wait{})
		if !waits {
			t.Fatalf("%s: came to %v, and did not wait for the standby", r.name, err)
		}
		fault.strike(s, w.Backend, r.cancel)
		all = append(all, r)
	}
	for _, r := range all {
		if err := <-r.result; !errors.Is(err, store.ErrUnknownOutcome) {
			t.Errorf("%s: got %v, want %v", r.name, err, store.ErrUnknownOutcome)
		}
	}
	s.Lift()
	conn := storetest.Look(t, owner, "ringling")
	var created, inactive, joined int
	err := conn.QueryRow(t.Context(), `select
		(select count(*) from users where external_id like 'new-%'),
		(select count(*) from users where external_id like 'patched-%' and not active),
		(select count(*) from memberships)`).Scan(&created, &inactive, &joined)
	if want := len(faults); err != nil || created != want || inactive != want || joined != want {
		t.Errorf("afterwards %d are created, %d inactive, %d members, want %d each: %v", created, inactive, joined, want, err)
	}
	_, _, err = c.scim().CreateUser(t.Context(), person("NEW-0@ringling.example", "another"))
	if taken := (*store.TakenError)(nil); !errors.As(err, &taken) {
		t.Errorf("created again: %v, want that the name is taken", err)
	}
	storetest.Audit(t, owner, "ringling", ruleGrants)
}

// Once the standby is no longer required, or there, the outcome is found by the
// request's id, and the answer is the one that the commit would have had.
func TestAnUnknownOutcomeIsFoundByTheRequestsID(t *testing.T) {
	s, c, owner := openStandby(t)
	n := 0
	for _, write := range writes {
		for _, fault := range faults {
			if !write.resolve || fault.name == "given up by its caller" { // who does not wait for what is found
				continue
			}
			found := false
			// The search for the outcome is bounded: on a machine that stalls for
			// longer, one more write is tried.
			for try := 0; !found && try < 5; try++ {
				n++
				err := strikeAndLift(t, s, write.prepare(c, n), fault)
				if err != nil && !errors.Is(err, store.ErrUnknownOutcome) {
					t.Fatalf("%s, %s: %v", write.name, fault.name, err)
				}
				found = err == nil
			}
			if !found {
				t.Errorf("%s, %s: the outcome was never found", write.name, fault.name)
			}
		}
	}
	storetest.Audit(t, owner, "ringling", ruleGrants)
}

// strikeAndLift lets do's commit wait, strikes it, and lifts the requirement
// once the search for its outcome waits too.
func strikeAndLift(t *testing.T, s *storetest.Standby, do func(context.Context) error, f fault) error {
	t.Helper()
	s.Require()
	r := start(t, f.name, do)
	w, waits, err := r.await(s, storetest.Wait{})
	if waits {
		f.strike(s, w.Backend, nil)
		_, waits, err = r.await(s, w)
	}
	s.Lift()
	switch {
	case waits:
		return <-r.result
	case err == nil:
		return errors.New("acknowledged while the standby was required and absent")
	}
	return err
}
