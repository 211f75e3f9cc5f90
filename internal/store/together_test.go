package store_test

import (
	"context"
	"errors"
	"fmt"
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

// A jam is a circus whose clients' changes can be held up, so that others come to stand in
// line behind the first of them.
type jam struct {
	*circus
	owner          string
	holder, looker *pgx.Conn
}

func newJam(t *testing.T) *jam {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	return &jam{circus: c, owner: owner, holder: storetest.Look(t, owner, "ringling"), looker: storetest.Look(t, owner, "ringling")}
}

// hold holds up every change of the tenant until what it answers is called.
func (j *jam) hold() (release func()) {
	const rules = `(hashtextextended('rules ' || current_setting('muster.tenant') || $1, 0))`
	lock(j.t, j.holder, `select pg_advisory_lock`+rules, "")
	return func() { lock(j.t, j.holder, `select pg_advisory_unlock`+rules, "") }
}

// together runs first, which is held up, then others, until all stand in line behind it;
// meanwhile, then lets go. It answers what came of the others.
func (j *jam) together(first func() error, meanwhile func(), others ...func() error) []error {
	j.t.Helper()
	var all sync.WaitGroup
	release := j.hold()
	all.Go(func() {
		if err := first(); err != nil {
			j.t.Errorf("who came first: %v", err)
		}
	})
	awaitLocks(j.t, j.looker, 1)
	errs := make([]error, len(others))
	for i, do := range others {
		all.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					errs[i] = fmt.Errorf("panic: %v", v)
				}
			}()
			errs[i] = do()
		})
		for j.store.Waiting() <= i {
			time.Sleep(time.Millisecond)
		}
	}
	meanwhile()
	release()
	all.Wait()
	return errs
}

func nothing() {}

// people makes so many.
func (j *jam) people(n int) (users []store.User) {
	for i := range n {
		users = append(users, j.create(fmt.Sprintf("p%d@ringling.example", i), fmt.Sprint("p", i)))
	}
	return users
}

// off switches a person off, as one request of the client.
func (j *jam) off(u store.User) func() error {
	dir := j.scim()
	return func() error {
		got, changed, err := dir.UpdateUser(j.t.Context(), u.ID.String(), "", set("active", false))
		return expect(err, changed && !got.Active && got.Version == u.Version+1, got)
	}
}

// transactions is how many wrote the changes of the people, and how many changes of a kind
// there are.
func (j *jam) transactions(kind string, of ...store.User) (transactions, changes int) {
	j.t.Helper()
	ids := make([]uuid.UUID, len(of))
	for i, u := range of {
		ids[i] = u.ID
	}
	err := j.looker.QueryRow(j.t.Context(), `select count(distinct xid), count(*) from changes where kind = $1 and subject = any($2)`, kind, ids).
		Scan(&transactions, &changes)
	if err != nil {
		j.t.Fatal(err)
	}
	return transactions, changes
}

func (j *jam) shutOut(who ...store.User) {
	j.t.Helper()
	for i, u := range who {
		if d := j.check(u); d.Allowed || d.Reason != store.Inactive {
			j.t.Errorf("person %d, switched off: %+v", i, d)
		}
	}
}

// What one credential asks for at once is one transaction, with a change, roles and a row
// of the provisioning log for each; another credential's requests are not in it.
func TestChangesAtOnceShareATransaction(t *testing.T) {
	j := newJam(t)
	p := j.people(6)
	other, _, err := j.vendor.CreateToken(t.Context(), "ringling", "entra", registry.NewToken{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	beside := make(chan error, 1)
	errs := j.together(j.off(p[0]), func() {
		dir := must[*store.Directory](t)(j.store.SCIM(t.Context(), "ringling", other, store.Request{ID: uuid.New(), Method: "PATCH", Path: "/Users"}))
		go func() {
			_, _, err := dir.UpdateUser(t.Context(), p[5].ID.String(), "", set("active", false))
			beside <- err
		}()
		awaitLocks(t, j.looker, 2)
	}, j.off(p[1]), j.off(p[2]), j.off(p[3]), j.off(p[4]))
	if err := errors.Join(append(errs, <-beside)...); err != nil {
		t.Fatal(err)
	}
	if transactions, changes := j.transactions("user.updated", p[1:5]...); transactions != 1 || changes != 4 {
		t.Errorf("%d changes in %d transactions, want 4 in 1", changes, transactions)
	}
	if transactions, changes := j.transactions("user.updated", p...); transactions != 3 || changes != 6 {
		t.Errorf("%d changes in %d transactions, want 6 in 3", changes, transactions)
	}
	var logged int
	err = j.looker.QueryRow(t.Context(), `
		select count(*) from provisioning_requests r
		where exists (select from changes c where c.tenant_id = r.tenant_id and c.request_id = r.id and c.subject = r.subject and c.kind = 'user.updated')`).Scan(&logged)
	if err != nil || logged != 6 {
		t.Errorf("%d of 6 requests are in the provisioning log: %v", logged, err)
	}
	j.shutOut(p...)
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// People who are added at once, too.
func TestAdditionsAtOnceShareATransaction(t *testing.T) {
	j := newJam(t)
	var mu sync.Mutex
	var users []store.User
	add := func(name string) func() error {
		dir := j.scim()
		return func() error {
			u, created, err := dir.CreateUser(t.Context(), person(name+"@ringling.example", name))
			mu.Lock()
			defer mu.Unlock()
			users = append(users, u)
			return expect(err, created && u.Version == 1 && !u.Created.IsZero(), u)
		}
	}
	errs := j.together(add("a"), nothing, add("b"), add("c"), add("d"))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if transactions, changes := j.transactions("user.created", users...); transactions != 2 || changes != 4 {
		t.Errorf("%d people in %d transactions, want 4 in 2", changes, transactions)
	}
	for _, u := range users {
		if d := j.check(u); !d.Allowed {
			t.Errorf("%s: %+v", u.JSON, d)
		}
	}
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// Who is refused takes nobody along, whether that is known before anything is written, or
// by what the database says, or by a panic: each gets the answer that it would get alone.
func TestWhoIsRefusedTakesNobodyAlong(t *testing.T) {
	stale := func(j *jam, u store.User) func() error {
		dir := j.scim()
		return func() error {
			_, _, err := dir.UpdateUser(t.Context(), u.ID.String(), `W/"7"`, set("active", false))
			return met(err, store.ErrStale)
		}
	}
	refused := errors.New("the client is wrong")
	wrong := func(j *jam, u store.User) func() error {
		dir := j.scim()
		return func() error {
			_, _, err := dir.UpdateUser(t.Context(), u.ID.String(), "", func(scim.Resource) (scim.Resource, []scim.Note, error) { return nil, nil, refused })
			return met(err, refused)
		}
	}
	unchanged := func(j *jam, u store.User) func() error {
		dir := j.scim()
		return func() error {
			got, changed, err := dir.UpdateUser(t.Context(), u.ID.String(), "", set("active", true))
			return expect(err, !changed && got.Version == u.Version, got)
		}
	}
	nobody := func(j *jam, _ store.User) func() error {
		dir := j.scim()
		return func() error {
			_, _, err := dir.UpdateUser(t.Context(), uuid.NewString(), "", set("active", false))
			return met(err, store.ErrNotFound)
		}
	}
	taken := func(j *jam, u store.User) func() error {
		dir := j.scim()
		return func() error {
			_, _, err := dir.UpdateUser(t.Context(), u.ID.String(), "", set("userName", "P0@ringling.example"))
			if taken := (*store.TakenError)(nil); errors.As(err, &taken) {
				return nil
			}
			return fmt.Errorf("got %w, want that the name is taken", err)
		}
	}
	panics := func(j *jam, u store.User) func() error {
		dir := j.scim()
		return func() (err error) {
			defer func() {
				if recover() == nil {
					err = errors.New("its panic is somebody else's")
				}
			}()
			_, _, err = dir.UpdateUser(t.Context(), u.ID.String(), "", func(scim.Resource) (scim.Resource, []scim.Note, error) { panic("of this request") })
			return err
		}
	}
	for name, c := range map[string]struct {
		who          func(*jam, store.User) func() error
		transactions int // of the two others
	}{
		"a stale version": {stale, 1}, "a refused edit": {wrong, 1}, "nothing to change": {unchanged, 1}, "nobody there": {nobody, 1},
		"a taken name": {taken, 2}, "a panic": {panics, 2},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJam(t)
			p := j.people(4)
			errs := j.together(j.off(p[0]), nothing, j.off(p[1]), c.who(j, p[2]), j.off(p[3]))
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
			if transactions, changes := j.transactions("user.updated", p[1], p[3]); transactions != c.transactions || changes != 2 {
				t.Errorf("%d changes of the others in %d transactions, want 2 in %d", changes, transactions, c.transactions)
			}
			if _, changes := j.transactions("user.updated", p[2]); changes != 0 {
				t.Errorf("%d changes of who was refused", changes)
			}
			j.shutOut(p[0], p[1], p[3])
			storetest.Audit(t, j.owner, "ringling", ruleGrants)
		})
	}
}

func met(err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("got %v, want %w", err, want)
	}
	return nil
}

// Of people who are added at once, one has a name that is taken and one comes back.
func TestWhoComesBackAmongAdditions(t *testing.T) {
	j := newJam(t)
	p := j.people(2)
	if err := j.off(p[1])(); err != nil {
		t.Fatal(err)
	}
	add := func(name, externalID string, want func(u store.User, created bool, err error) error) func() error {
		dir := j.scim()
		return func() error { return want(dir.CreateUser(t.Context(), person(name, externalID))) }
	}
	isNew := func(u store.User, created bool, err error) error { return expect(err, created && u.Active, u) }
	errs := j.together(add("first@ringling.example", "first", isNew), nothing,
		add("second@ringling.example", "second", isNew),
		add("P0@ringling.example", "another", func(_ store.User, _ bool, err error) error {
			if taken := (*store.TakenError)(nil); errors.As(err, &taken) {
				return nil
			}
			return fmt.Errorf("got %w, want that the name is taken", err)
		}),
		add("p1@ringling.example", "p1", func(u store.User, created bool, err error) error {
			return expect(err, !created && u.ID == p[1].ID && u.Active, u)
		}))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// Another transaction has a person's row. Changes of others that come with the one that
// waits for it are acknowledged meanwhile, and so is what comes later.
func TestWhoIsHeldElsewhereKeepsNobodyWaiting(t *testing.T) {
	j := newJam(t)
	p := j.people(5)
	tx, err := j.looker.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `select from users where id = $1 for update`, p[2].ID); err != nil {
		t.Fatal(err)
	}
	looker := storetest.Look(t, j.owner, "ringling")
	held := make(chan error, 1)
	off := j.off(p[2])
	j.looker = looker
	errs := j.together(j.off(p[0]), nothing, j.off(p[1]), func() error {
		go func() { held <- off() }()
		return nil
	}, j.off(p[3]))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	awaitLocks(t, looker, 1)
	if err := j.off(p[4])(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-held:
		t.Errorf("who is held elsewhere was not waited for: %v", err)
	default:
	}
	j.shutOut(p[0], p[1], p[3], p[4])
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
	j.shutOut(p[2])
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// Changes of one person are made one after another, in the order in which they came.
func TestChangesOfOnePersonAreMadeInTheirOrder(t *testing.T) {
	j := newJam(t)
	p := j.people(2)
	name := func(title string, version int64) func() error {
		dir := j.scim()
		return func() error {
			got, changed, err := dir.UpdateUser(t.Context(), p[1].ID.String(), "", set("title", title))
			return expect(err, changed && got.Version == version, got)
		}
	}
	errs := j.together(j.off(p[0]), nothing, name("first", 2), name("second", 3), name("third", 4))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if transactions, changes := j.transactions("user.updated", p[1]); transactions != 3 || changes != 3 {
		t.Errorf("%d changes in %d transactions, want 3 in 3", changes, transactions)
	}
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// A token that is revoked while changes stand in line changes nothing, of nobody.
func TestARevokedTokenChangesNothingFromTheLine(t *testing.T) {
	j := newJam(t)
	p := j.people(4)
	tokens := must[[]registry.Credential](t)(j.vendor.Tokens(t.Context(), "ringling"))
	refused := func(u store.User) func() error {
		off := j.off(u)
		return func() error { return met(off(), store.ErrUnauthenticated) }
	}
	errs := j.together(refused(p[0]), func() {
		for _, token := range tokens {
			if err := j.vendor.RevokeToken(t.Context(), "ringling", token.ID); err != nil {
				t.Fatal(err)
			}
		}
	}, refused(p[1]), refused(p[2]), refused(p[3]))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if _, changes := j.transactions("user.updated", p...); changes != 0 {
		t.Errorf("%d changes by a revoked token", changes)
	}
}

// Rules that are published while changes stand in line are those by which the changes
// derive roles.
func TestRulesPublishedBeforeTheLineMovesHold(t *testing.T) {
	j := newJam(t)
	p := j.people(4)
	title := func(u store.User) func() error {
		dir := j.scim()
		return func() error {
			_, changed, err := dir.UpdateUser(t.Context(), u.ID.String(), "", set("title", "Rigger"))
			return expect(err, changed, u)
		}
	}
	published := make(chan error, 1)
	errs := j.together(title(p[0]), func() {
		go func() {
			_, _, err := j.admin().PublishRules(context.Background(), []byte("version: 1\nrules:\n  - id: riggers\n    when: |\n      user.title == 'Rigger'\n    grant: [timesheet.manager]\n"))
			published <- err
		}()
		awaitLocks(t, j.looker, 2)
	}, title(p[1]), title(p[2]), title(p[3]))
	if err := errors.Join(append(errs, <-published)...); err != nil {
		t.Fatal(err)
	}
	for i, u := range p {
		if d := j.check(u); !d.Allowed || len(d.Roles) != 1 || d.Roles[0] != "timesheet.manager" {
			t.Errorf("person %d: %+v", i, d)
		}
	}
}

// While nobody can know whether the commit of several will last, none of them is
// acknowledged; once it can be known, each finds its own by its request.
func TestACommitOfSeveralOfUnknownOutcome(t *testing.T) {
	for name, lifted := range map[string]bool{"stays unknown": false, "is found": true} {
		t.Run(name, func(t *testing.T) {
			s, c, owner := openStandby(t)
			j := &jam{circus: c, owner: owner, holder: storetest.Look(t, owner, "ringling"), looker: storetest.Look(t, owner, "ringling")}
			p := j.people(4)
			release := j.hold()
			results := make(chan error, len(p))
			dir := c.scim()
			go func() { // changes nothing, so it waits for no standby
				_, _, err := dir.UpdateUser(t.Context(), p[0].ID.String(), "", set("active", true))
				results <- err
			}()
			awaitLocks(t, j.looker, 1)
			for i, u := range p[1:] {
				off := j.off(u)
				go func() { results <- off() }()
				for c.store.Waiting() <= i {
					time.Sleep(time.Millisecond)
				}
			}
			s.Require()
			release()
			if err := <-results; err != nil {
				t.Fatalf("who came first: %v", err)
			}
			waits := s.Waits()
			for ; len(waits) == 0; waits = s.Waits() {
				time.Sleep(5 * time.Millisecond)
			}
			if len(waits) != 1 {
				t.Fatalf("%d commits wait, want one of three", len(waits))
			}
			s.Psql(`select pg_terminate_backend(` + waits[0].Backend + `)`)
			if lifted {
				s.Lift()
			}
			for range p[1:] {
				switch err := <-results; {
				case lifted && err != nil:
					t.Errorf("acknowledged: %v", err)
				case !lifted && !errors.Is(err, store.ErrUnknownOutcome):
					t.Errorf("got %v, want %v", err, store.ErrUnknownOutcome)
				}
			}
			s.Lift()
			j.shutOut(p[1:]...)
			storetest.Audit(t, owner, "ringling", ruleGrants)
		})
	}
}
