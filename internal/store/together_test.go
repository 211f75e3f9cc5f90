package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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

// Of people who are changed together, some are in groups that are in groups: their roles
// are of all of those, and their answers name each once.
func TestPeopleOfNestedGroupsAreChangedTogether(t *testing.T) {
	j := newJam(t)
	p := j.people(4)
	crew, _, err := j.scim().CreateGroup(t.Context(), group("Ring Crew", p[1], p[2]))
	if err != nil {
		t.Fatal(err)
	}
	finance := group("Finance", p[2])
	finance.Members = append(finance.Members, scim.Member{Value: crew.ID.String()})
	if _, _, err := j.scim().CreateGroup(t.Context(), finance); err != nil {
		t.Fatal(err)
	}
	again := func(u store.User, groups int) func() error {
		on, back := j.off(u), j.scim()
		if err := on(); err != nil {
			t.Fatal(err)
		}
		return func() error {
			got, changed, err := back.UpdateUser(t.Context(), u.ID.String(), "", set("active", true))
			return expect(err, changed && len(got.Groups) == groups, got)
		}
	}
	errs := j.together(again(p[0], 0), nothing, again(p[1], 2), again(p[2], 2), again(p[3], 0))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	for i, roles := range []int{1, 2, 2, 1} {
		if d := j.check(p[i]); len(d.Roles) != roles {
			t.Errorf("person %d has %v, want %d roles", i, d.Roles, roles)
		}
	}
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
		add("returned@ringling.example", "p1", func(u store.User, created bool, err error) error {
			return expect(err, !created && u.ID == p[1].ID && u.Active, u)
		}))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// Another transaction has what a change needs: the person's row, or the name that they are
// to have. Changes of others that come with it are acknowledged meanwhile, and so is what
// comes later.
func TestWhatIsHeldElsewhereKeepsNobodyElseWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		hold   string
		change func(j *jam, u store.User) func() error
	}{
		"their row": {`select from users where id = $1 for update`, func(j *jam, u store.User) func() error { return j.off(u) }},
		"their name": {`insert into users (tenant_id, connection_id, id, user_name_key, active, resource, search)
			select tenant_id, connection_id, gen_random_uuid(), 'wanted@ringling.example', true, '{}', '{}' from users where id = $1`,
			func(j *jam, u store.User) func() error {
				dir := j.scim()
				return func() error {
					got, changed, err := dir.UpdateUser(t.Context(), u.ID.String(), "", set("userName", "wanted@ringling.example"))
					return expect(err, changed, got)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJam(t)
			p := j.people(5)
			tx := must[pgx.Tx](t)(storetest.Look(t, j.owner, "ringling").Begin(t.Context()))
			if _, err := tx.Exec(t.Context(), c.hold, p[2].ID); err != nil {
				t.Fatal(err)
			}
			held := make(chan error, 1)
			change := c.change(j, p[2])
			errs := j.together(j.off(p[0]), nothing, j.off(p[1]), func() error {
				go func() { held <- change() }()
				return nil
			}, j.off(p[3]))
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			awaitLocks(t, j.looker, 1)
			if err := j.off(p[4])(); err != nil {
				t.Error(err)
			}
			select {
			case err := <-held:
				t.Errorf("what is held elsewhere was not waited for: %v", err)
			default:
			}
			j.shutOut(p[0], p[1], p[3], p[4])
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-held; err != nil {
				t.Error(err)
			}
			storetest.Audit(t, j.owner, "ringling", ruleGrants)
		})
	}
}

// A change that takes long keeps nobody's row locked but its own person's: who comes after
// it goes alone.
func TestWhatTakesLongIsNotWaitedFor(t *testing.T) {
	long := 2 * store.SharedWork
	j := newJam(t)
	p := j.people(4)
	dir := j.scim()
	slow := func() error {
		_, _, err := dir.UpdateUser(t.Context(), p[1].ID.String(), "", func(r scim.Resource) (scim.Resource, []scim.Note, error) {
			time.Sleep(long)
			return set("active", false)(r)
		})
		return err
	}
	if err := errors.Join(j.together(j.off(p[0]), nothing, slow, j.off(p[2]), j.off(p[3]))...); err != nil {
		t.Error(err)
	}
	if transactions, changes := j.transactions("user.updated", p[1:]...); transactions != 3 || changes != 3 {
		t.Errorf("%d changes in %d transactions, want 3 in 3", changes, transactions)
	}
	j.shutOut(p...)

	var mu sync.Mutex
	var users []store.User
	add := func(name string, sleep time.Duration) func() error {
		dir := j.scim()
		dir.Record().Body(func() string {
			time.Sleep(sleep)
			return ""
		})
		return func() error {
			u, created, err := dir.CreateUser(t.Context(), person(name+"@ringling.example", name))
			mu.Lock()
			defer mu.Unlock()
			users = append(users, u)
			return expect(err, created, u)
		}
	}
	if err := errors.Join(j.together(add("first", 0), nothing, add("a", long), add("b", 0), add("c", 0))...); err != nil {
		t.Error(err)
	}
	if transactions, changes := j.transactions("user.created", users...); transactions != 4 || changes != 4 {
		t.Errorf("%d people in %d transactions, want 4 in 4", changes, transactions)
	}
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// A person whose stored attributes cannot be read is nobody else's trouble.
func TestAnUnreadablePersonIsNobodyElsesTrouble(t *testing.T) {
	j := newJam(t)
	p := j.people(4)
	if _, err := j.looker.Exec(t.Context(), `update users set resource = '{"userName": null}' where id = $1`, p[2].ID); err != nil {
		t.Fatal(err)
	}
	unread := j.off(p[2])
	errs := j.together(j.off(p[0]), nothing, j.off(p[1]), func() error {
		if unread() == nil {
			return errors.New("who cannot be read was changed")
		}
		return nil
	}, j.off(p[3]))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if transactions, changes := j.transactions("user.updated", p[1], p[3]); transactions != 1 || changes != 2 {
		t.Errorf("%d changes in %d transactions, want 2 in 1", changes, transactions)
	}
}

// A request that came before its token was known to hold leads others when it is: they are
// in the tenant's share, and a full one of strangers refuses none of them.
func TestAFullShareOfStrangersRefusesNobodyProved(t *testing.T) {
	j := newJam(t)
	p := j.people(4)
	tenant := must[registry.Tenant](t)(j.vendor.Tenant(t.Context(), "ringling"))
	dir := j.scim()
	dir.Refused() // as after a restart
	early := dir.InShare(t.Context())
	if err := dir.Enter(early); err != nil {
		t.Fatal(err)
	}
	empty := func() {}
	errs := j.together(j.off(p[0]), func() { empty = j.store.FillStrangers(tenant.ID) },
		func() error {
			_, _, err := j.scim().UpdateUser(early, p[1].ID.String(), "", set("active", false))
			return err
		},
		func() error {
			dir := j.scim()
			_, _, err := dir.UpdateUser(dir.InShare(t.Context()), p[2].ID.String(), "", set("active", false))
			return err
		})
	empty()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	j.shutOut(p[:3]...)
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

// Requests that have read the rules of before, and of after, a publication do not share.
func TestOldAndNewRulesShareNoTransaction(t *testing.T) {
	j := newJam(t)
	p := j.people(4)
	title := func(u store.User) func() error {
		dir := j.scim()
		return func() error {
			_, changed, err := dir.UpdateUser(t.Context(), u.ID.String(), "", set("title", "Rigger"))
			return expect(err, changed, u)
		}
	}
	old := []func() error{title(p[2]), title(p[3])}
	j.publish("version: 1\nrules:\n  - id: riggers\n    when: |\n      user.title == 'Rigger'\n    grant: [timesheet.manager]\n")
	fresh := []func() error{title(p[0]), title(p[1])}
	release := j.hold()
	results := make(chan error, len(p))
	for i, do := range []func() error{fresh[0], old[0]} { // each leads its own line
		go func() { results <- do() }()
		awaitLocks(t, j.looker, i+1)
	}
	for i, do := range []func() error{fresh[1], old[1]} {
		go func() { results <- do() }()
		for j.store.Waiting() <= i {
			time.Sleep(time.Millisecond)
		}
	}
	release()
	for range p {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	for i, u := range p {
		if d := j.check(u); len(d.Roles) != 1 || d.Roles[0] != "timesheet.manager" {
			t.Errorf("person %d: %+v", i, d)
		}
	}
}

// Whoever leads may give up: what it does for others goes on.
func TestALeaderThatGivesUpEndsNobodyElsesChange(t *testing.T) {
	j := newJam(t)
	p := j.people(4)
	ctx, cancel := context.WithCancel(t.Context())
	dir := j.scim()
	leads := func() error {
		_, _, err := dir.UpdateUser(ctx, p[1].ID.String(), "", func(r scim.Resource) (scim.Resource, []scim.Note, error) {
			cancel()
			return set("active", false)(r)
		})
		return err
	}
	if err := errors.Join(j.together(j.off(p[0]), nothing, leads, j.off(p[2]), j.off(p[3]))...); err != nil {
		t.Error(err)
	}
	if transactions, changes := j.transactions("user.updated", p[1:]...); transactions != 1 || changes != 3 {
		t.Errorf("%d changes in %d transactions, want 3 in 1", changes, transactions)
	}
}

// Who finds no place in line goes alone.
func TestAFullLineKeepsNobodyOut(t *testing.T) {
	j := newJam(t)
	p := j.people(2)
	empty := j.store.FillLines(must[registry.Tenant](t)(j.vendor.Tenant(t.Context(), "ringling")).ID)
	defer empty()
	release := j.hold()
	results := make(chan error, len(p))
	for i, u := range p {
		off := j.off(u)
		go func() { results <- off() }()
		awaitLocks(t, j.looker, i+1)
	}
	release()
	for range p {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	j.shutOut(p...)
}

// Two credentials add the same people in opposite order: nobody waits in a circle.
func TestConcurrentAdditionsOfTheSamePeopleDoNotDeadlock(t *testing.T) {
	j := newJam(t)
	other, _, err := j.vendor.CreateToken(t.Context(), "ringling", "entra", registry.NewToken{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{j.token, other} { // both are known to hold
		if err := must[*store.Directory](t)(j.store.SCIM(t.Context(), "ringling", token, store.Request{})).Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const people = 12
	for round := range 5 {
		release := j.hold()
		var all sync.WaitGroup
		var added atomic.Int64
		add := func(token, name string) {
			dir := must[*store.Directory](t)(j.store.SCIM(t.Context(), "ringling", token, store.Request{ID: uuid.New(), Method: "POST", Path: "/Users"}))
			all.Go(func() {
				_, err := dir.CreateNewUser(t.Context(), person(name, name))
				if taken := (*store.TakenError)(nil); err == nil {
					added.Add(1)
				} else if !errors.As(err, &taken) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		for i, token := range []string{j.token, other} {
			add(token, fmt.Sprintf("first-%d-%d", round, i))
			awaitLocks(t, j.looker, i+1)
		}
		for n := range people {
			add(j.token, fmt.Sprintf("p-%d-%02d", round, n))
			add(other, fmt.Sprintf("p-%d-%02d", round, people-1-n))
			for j.store.Waiting() < 2*(n+1) {
				time.Sleep(time.Millisecond)
			}
		}
		release()
		all.Wait()
		if added.Load() != people+2 {
			t.Errorf("%d people were added, want %d", added.Load(), people+2)
		}
	}
	var deadlocks int
	_, err = j.looker.Exec(t.Context(), `select pg_stat_force_next_flush()`)
	if err == nil {
		err = j.looker.QueryRow(t.Context(), `select deadlocks from pg_stat_database where datname = current_database()`).Scan(&deadlocks)
	}
	if err != nil || deadlocks > 0 {
		t.Errorf("%d deadlocks: %v", deadlocks, err)
	}
	storetest.Audit(t, j.owner, "ringling", ruleGrants)
}

// While nobody can know whether the commit of several will last, none of them is
// acknowledged; once it can be known, each finds its own by its request.
func TestACommitOfSeveralOfUnknownOutcome(t *testing.T) {
	for name, lifted := range map[string]bool{"stays unknown": false, "is found": true} {
		t.Run(name, func(t *testing.T) {
			s, c, owner := openStandby(t)
			j := &jam{circus: c, owner: owner, holder: storetest.Look(t, owner, "ringling"), looker: storetest.Look(t, owner, "ringling")}
			p := j.people(5)
			release := j.hold()
			unchanged, results := make(chan error, 2), make(chan error, len(p))
			for i, u := range []store.User{p[0], p[4]} { // what changes nothing has no outcome that is not known
				dir := c.scim()
				go func() {
					_, changed, err := dir.UpdateUser(t.Context(), u.ID.String(), "", set("active", true))
					unchanged <- expect(err, !changed, u)
				}()
				awaitLocks(t, j.looker, 1)
				for c.store.Waiting() < i {
					time.Sleep(time.Millisecond)
				}
			}
			for i, u := range p[1:4] {
				off := j.off(u)
				go func() { results <- off() }()
				for c.store.Waiting() <= i+1 {
					time.Sleep(time.Millisecond)
				}
			}
			s.Require()
			release()
			if err := <-unchanged; err != nil {
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
			if err := <-unchanged; err != nil {
				t.Errorf("whom nothing was changed of: %v", err)
			}
			for range p[1:4] {
				switch err := <-results; {
				case lifted && err != nil:
					t.Errorf("acknowledged: %v", err)
				case !lifted && !errors.Is(err, store.ErrUnknownOutcome):
					t.Errorf("got %v, want %v", err, store.ErrUnknownOutcome)
				}
			}
			s.Lift()
			j.shutOut(p[1:4]...)
			storetest.Audit(t, owner, "ringling", ruleGrants)
		})
	}
}
