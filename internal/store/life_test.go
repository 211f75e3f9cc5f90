package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

func TestAPersonsLife(t *testing.T) {
	c := ringling(t)
	ctx := t.Context()
	jamie := c.create("jamie@ringling.example", "oid-jamie")
	if d := c.check(jamie); !d.Allowed || !slices.Equal(d.Roles, []string{"timesheet.viewer"}) || d.Position == "" {
		t.Fatalf("after creation: %+v", d)
	}

	finance, _, err := c.scim().CreateGroup(ctx, group("Finance", jamie))
	if err != nil {
		t.Fatal(err)
	}
	if d := c.check(jamie); !slices.Equal(d.Roles, []string{"timesheet.approver", "timesheet.viewer"}) {
		t.Fatalf("in Finance: %+v", d)
	}

	managers, _, err := c.scim().CreateGroup(ctx, group("Ringling Managers"))
	if err != nil {
		t.Fatal(err)
	}
	add := store.GroupChange{Members: []scim.MemberOp{{Kind: scim.AddMembers, Members: []scim.Member{{Value: jamie.ID.String()}}}}}
	if _, changed, err := c.scim().UpdateGroup(ctx, managers.ID.String(), "", add); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if _, changed, err := c.scim().UpdateGroup(ctx, managers.ID.String(), "", add); err != nil || changed {
		t.Fatalf("adding a member again: changed %v, %v", changed, err)
	}
	if d := c.check(jamie); len(d.Roles) != 3 {
		t.Fatalf("in both: %+v", d)
	}

	remove := store.GroupChange{Members: []scim.MemberOp{{Kind: scim.RemoveMembers, Members: []scim.Member{{Value: jamie.ID.String()}}}}}
	if _, _, err := c.scim().UpdateGroup(ctx, finance.ID.String(), "", remove); err != nil {
		t.Fatal(err)
	}
	if d := c.check(jamie); !slices.Equal(d.Roles, []string{"timesheet.manager", "timesheet.viewer"}) {
		t.Fatalf("out of Finance: %+v", d)
	}

	if _, _, err := c.scim().UpdateUser(ctx, jamie.ID.String(), "", set("active", false)); err != nil {
		t.Fatal(err)
	}
	if d := c.check(jamie); d.Allowed || d.Reason != store.Inactive || d.Roles != nil {
		t.Fatalf("inactive: %+v", d)
	}
	again, created, err := c.scim().CreateUser(ctx, person("jamie@ringling.example", "oid-jamie"))
	if err != nil || created || again.ID != jamie.ID {
		t.Fatalf("rehire: %v created %v, %v", again.ID, created, err)
	}
	if d := c.check(jamie); len(d.Roles) != 2 {
		t.Fatalf("rehired, memberships kept: %+v", d)
	}

	if err := c.scim().DeleteUser(ctx, jamie.ID.String(), ""); err != nil {
		t.Fatal(err)
	}
	if d := c.check(jamie); d.Reason != store.NotProvisioned {
		t.Fatalf("deleted: %+v", d)
	}
	if _, err := c.scim().User(ctx, jamie.ID.String(), false); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("read after delete: %v", err)
	}
	if _, _, err := c.admin().RestoreUser(ctx, jamie.ID); err != nil {
		t.Fatal(err)
	}
	if d := c.check(jamie); len(d.Roles) != 2 {
		t.Fatalf("restored: %+v", d)
	}
	if _, _, err := c.admin().LockUser(ctx, jamie.ID, true); err != nil {
		t.Fatal(err)
	}
	if d := c.check(jamie); d.Reason != store.Locked {
		t.Fatalf("locked: %+v", d)
	}
}

func TestDeletingAGroupEndsWhatItGave(t *testing.T) {
	c := ringling(t)
	ctx := t.Context()
	u := c.create("a@ringling.example", "a")
	g, _, err := c.scim().CreateGroup(ctx, group("Finance", u))
	if err != nil {
		t.Fatal(err)
	}
	renamed := store.GroupChange{Attributes: set("displayName", "Treasury")}
	if _, _, err := c.scim().UpdateGroup(ctx, g.ID.String(), "", renamed); err != nil {
		t.Fatal(err)
	}
	if d := c.check(u); len(d.Roles) != 1 {
		t.Fatalf("after the rename: %+v", d)
	}
	if _, _, err := c.scim().UpdateGroup(ctx, g.ID.String(), "", store.GroupChange{Attributes: set("displayName", "Finance")}); err != nil {
		t.Fatal(err)
	}
	if d := c.check(u); len(d.Roles) != 2 {
		t.Fatalf("after the second rename: %+v", d)
	}
	if err := c.scim().DeleteGroup(ctx, g.ID.String(), ""); err != nil {
		t.Fatal(err)
	}
	if d := c.check(u); len(d.Roles) != 1 {
		t.Fatalf("after the deletion: %+v", d)
	}
}

func TestPublishedRulesHoldAtOnceAndAreWrittenBehind(t *testing.T) {
	c := ringling(t)
	ctx := t.Context()
	u := c.create("a@ringling.example", "a")
	_, issues, err := c.admin().PublishRules(ctx, []byte(`
version: 1
rules:
  - id: everyone
    everyone: true
    grant: [timesheet.manager]
`))
	if err != nil {
		t.Fatal(err, issues)
	}
	if d := c.check(u); !slices.Equal(d.Roles, []string{"timesheet.manager"}) {
		t.Fatalf("right after the publish: %+v", d)
	}
	background, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- c.store.Run(background) }()
	for {
		e, err := c.admin().Explain(ctx, u.ID.String())
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Assignments) != 1 || e.Assignments[0].Role != "timesheet.manager" {
			t.Fatalf("explained: %+v", e.Assignments)
		}
		if !e.Assignments[0].Since.IsZero() {
			break // written
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if d := c.check(u); !slices.Equal(d.Roles, []string{"timesheet.manager"}) || d.RuleSet != 2 {
		t.Fatalf("once written: %+v", d)
	}
}

// What the rules would give somebody who may not hold a role is never told as
// though it were held, whatever the reason.
func TestAnExplanationSaysWhenNoRoleIsInForce(t *testing.T) {
	c := ringling(t)
	u := c.create("a@ringling.example", "a")
	for _, step := range []struct {
		want string
		do   func() error
	}{
		{"", func() error { return nil }},
		{"locked", func() error { _, _, err := c.admin().LockUser(t.Context(), u.ID, true); return err }},
		{"deleted", func() error { return c.scim().DeleteUser(t.Context(), u.ID.String(), "") }},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		e, err := c.admin().Explain(t.Context(), u.ID.String())
		if err != nil || !e.Program {
			t.Fatalf("%q: got %+v %v, want an explanation by rules", step.want, e, err)
		}
		x := e.Explanation
		if held := len(x.Roles) + len(e.Assignments); x.NoneInForce != step.want || step.want != "" && held > 0 {
			t.Errorf("got %q with %v, want %q and no role held", x.NoneInForce, x.Roles, step.want)
		}
		if len(x.Rules) == 0 {
			t.Errorf("%q: no rule is explained", step.want)
		}
	}
}

func TestNobodyIsCreatedInNoConnection(t *testing.T) {
	c := ringling(t)
	var argument *store.ArgumentError
	if _, _, err := c.admin().CreateUser(t.Context(), person("a@ringling.example", "a")); !errors.As(err, &argument) {
		t.Errorf("a user: %v", err)
	}
	if _, _, err := c.admin().CreateGroup(t.Context(), group("Finance")); !errors.As(err, &argument) {
		t.Errorf("a group: %v", err)
	}
}

// The lag is how long a change waited for its number; a pass that finds none has none.
func TestTheLagIsTheAgeOfAChange(t *testing.T) {
	var lags []time.Duration
	_, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server, func(k *store.Config) {
		k.Metrics.Lag = func(lag time.Duration) { lags = append(lags, lag) }
	}))
	c.create("a@ringling.example", "a")
	c.tend() // more than one pass
	if len(lags) < 2 || lags[0] <= 0 || lags[len(lags)-1] != 0 {
		t.Errorf("lags of a pass with changes and of those after it: %v", lags)
	}
}

// newcomer creates somebody who is there, inactive, and has to be new here.
func newcomer(create func(*store.Directory, scim.Document) (store.User, bool, error)) crossing {
	return func(t *testing.T, mine, theirs *stand) {
		name := uuid.NewString()
		there := theirs.create(name)
		if _, _, err := theirs.scim().UpdateUser(t.Context(), there.ID.String(), "", set("active", false)); err != nil {
			t.Fatal(err)
		}
		here, created, err := create(mine.scim(), person(name+"@ringling.example", name))
		if err != nil || !created || here.ID == there.ID {
			t.Fatalf("got %v created %t %v, want a new person", here.ID, created, err)
		}
		if u, err := theirs.scim().User(t.Context(), there.ID.String(), false); err != nil || u.Active {
			t.Errorf("the person there: active %t, %v", u.Active, err)
		}
		for p, u := range map[*stand]store.User{mine: here, theirs: there} {
			if err := p.scim().DeleteUser(t.Context(), u.ID.String(), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Who has to be new is not who is here already: an inactive person stays as they are.
func TestWhoHasToBeNewIsNotBroughtBack(t *testing.T) {
	c := ringling(t)
	ctx := t.Context()
	u := c.create("jamie@ringling.example", "oid-jamie")
	if _, _, err := c.scim().UpdateUser(ctx, u.ID.String(), "", set("active", false)); err != nil {
		t.Fatal(err)
	}
	before, err := c.scim().User(ctx, u.ID.String(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"jamie@ringling.example", "jamie@new.example"} {
		if got, err := c.scim().CreateNewUser(ctx, person(name, "oid-jamie")); !errors.Is(err, store.ErrInactive) || got.ID != uuid.Nil {
			t.Errorf("%s: got %v and %v, want %v", name, got.ID, err, store.ErrInactive)
		}
	}
	after, err := c.scim().User(ctx, u.ID.String(), false)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("they have changed (-before +after): %s %v", diff, err)
	}
	var argument *store.ArgumentError
	if _, err := c.admin().CreateNewUser(ctx, person("a@ringling.example", "a")); !errors.As(err, &argument) {
		t.Errorf("of no connection: got %v, want to be told to name one", err)
	}
}

// A change to a person finds place in the page of their row: no index is written, and the
// table does not grow. One change for each page finds it whatever is running beside: the rows
// from before may go only when no transaction of the cluster can see them.
func TestAChangeStaysInItsPage(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	look := storetest.Look(t, owner, "ringling")
	for i := range 80 {
		doc := person(fmt.Sprintf("person.%d@ringling.example", i), fmt.Sprintf("oid-%d", i))
		doc.Resource["title"] = strings.Repeat("rigger ", 90) // their row is of the usual size, 2 kB
		if _, _, err := c.scim().CreateUser(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	const page = `split_part(ctid::text, ',', 1)`
	people := column[string](t, look, `select distinct on (`+page+`) id::text from users order by `+page)
	pages := func() []string {
		return column[string](t, look, `select `+page+` from users where id = any($1::uuid[]) order by id`, people)
	}
	before := pages()
	for _, id := range people {
		if _, _, err := c.scim().UpdateUser(t.Context(), id, "", set("active", false)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, pages()); diff != "" || len(before) < 10 {
		t.Errorf("one of each of %d pages has changed, and is in another (-before +after):\n%s", len(before), diff)
	}
}

// Who may enter is what the column says. Should the attributes ever say otherwise, who is
// switched off is off.
func TestTheColumnDecidesWhoIsActive(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	look := storetest.Look(t, owner, "ringling")
	u := c.create("jamie@ringling.example", "oid-jamie")
	if _, _, err := c.scim().UpdateUser(t.Context(), u.ID.String(), "", set("active", false)); err != nil {
		t.Fatal(err)
	}
	column[int](t, look, `with put as (update users set active = true returning 1) select count(*)::int from put`)
	if _, changed, err := c.scim().UpdateUser(t.Context(), u.ID.String(), "", set("active", false)); err != nil || !changed {
		t.Errorf("switched off: changed %t, %v", changed, err)
	}
	if active := column[bool](t, look, `select active from users`); len(active) != 1 || active[0] {
		t.Errorf("active in the row: %v, want [false]", active)
	}
}
