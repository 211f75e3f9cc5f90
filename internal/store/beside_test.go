package store_test

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Deleting a group that stands in a group ends what it gave through that one.
func TestDeletingANestedGroupEndsWhatItGave(t *testing.T) {
	c := ringling(t)
	u := c.create("a@ringling.example", "a")
	inner, _, err := c.scim().CreateGroup(t.Context(), group("Inner", u))
	if err != nil {
		t.Fatal(err)
	}
	outer := group("Finance")
	outer.Members = []scim.Member{{Value: inner.ID.String()}}
	if _, _, err := c.scim().CreateGroup(t.Context(), outer); err != nil {
		t.Fatal(err)
	}
	if d := c.check(u); len(d.Roles) != 2 {
		t.Fatalf("before: %v", d.Roles)
	}
	if err := c.scim().DeleteGroup(t.Context(), inner.ID.String(), ""); err != nil {
		t.Fatal(err)
	}
	if d := c.check(u); slices.Contains(d.Roles, "timesheet.approver") {
		t.Errorf("a role outlived its cause: %v", d.Roles)
	}
}

// A deleted person is restored while the group they were in is renamed, deleted
// or loses them: no role of it comes back without the group.
func TestConcurrentRestoreBringsNoRoleWithoutItsCause(t *testing.T) {
	_, server := storetest.Database(t)
	s := storetest.Open(t, server)
	c := ringlingOn(t, s)
	lost := map[string]int{}
	for i := range 60 {
		name := []string{"rename", "delete", "remove"}[i%3]
		u := c.create("a@ringling.example", "a")
		g, _, err := c.scim().CreateGroup(t.Context(), group("Finance", u))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.scim().DeleteUser(t.Context(), u.ID.String(), ""); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := c.admin().RestoreUser(t.Context(), u.ID); err != nil {
				t.Error("restore", err)
			}
		})
		wg.Go(func() {
			time.Sleep(time.Duration(i%7) * 100 * time.Microsecond)
			var err error
			switch name {
			case "rename":
				_, _, err = c.scim().UpdateGroup(t.Context(), g.ID.String(), "", store.GroupChange{Attributes: set("displayName", "Treasury")})
			case "delete":
				err = c.scim().DeleteGroup(t.Context(), g.ID.String(), "")
			case "remove":
				_, _, err = c.scim().UpdateGroup(t.Context(), g.ID.String(), "", store.GroupChange{Members: members(scim.RemoveMembers, u)})
			}
			if err != nil {
				t.Error(name, err)
			}
		})
		wg.Wait()
		if slices.Contains(c.check(u).Roles, "timesheet.approver") {
			lost[name]++
		}
		if err := c.scim().DeleteUser(t.Context(), u.ID.String(), ""); err != nil {
			t.Fatal(err)
		}
		if name != "delete" {
			if err := c.scim().DeleteGroup(t.Context(), g.ID.String(), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(lost) > 0 {
		t.Errorf("roles without a cause, of 20 tries each: %v", lost)
	}
}

// A sign-in that was proved at the old issuer does not enter once the issuer has
// changed, nor does a code that was minted before.
func TestASignInAtAReplacedIssuerIsRefused(t *testing.T) {
	c := ringling(t)
	c.create("a@ringling.example", "oid-a")
	journey := c.begin(c.store)
	_, code := c.signIn(c.store, identity("oid-a"))
	_, err := c.vendor.SetConnection(t.Context(), "ringling", "entra", func(k *registry.Connection) error {
		k.Issuer, k.ClientID, k.Secret = "http://127.0.0.1:2", "other", "s2"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := c.store.MintCode(t.Context(), journey, identity("oid-a"))
	if err != nil || d.Allowed || d.Reason != store.Expired {
		t.Errorf("the journey: %+v, %v", d, err)
	}
	d, _, err = c.store.MintToken(t.Context(), c.redemption(code))
	if err != nil || d.Allowed || d.Reason != store.Expired {
		t.Errorf("the code: %+v, %v", d, err)
	}
}

// Rules are published while the background pass for the ones before is half way:
// in the end everybody has been written by the newest.
func TestThePassLeavesNobodyBehindWhenRulesMove(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	for n := range 450 {
		name := "p" + string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + "@r.example"
		c.create(name, name)
	}
	c.publish(rules + "\n# one")
	tenant := must[registry.Tenant](t)(c.vendor.Tenant(t.Context(), "ringling"))
	c.store.Tend(t.Context(), tenant.ID) // one batch
	c.publish("version: 1\nrules:\n  - id: everyone\n    everyone: true\n    grant: [timesheet.manager]\n")
	for range 20 {
		c.store.Tend(t.Context(), tenant.ID)
	}
	conn := storetest.Look(t, owner, "ringling")
	var stale, wrong int
	if err := conn.QueryRow(t.Context(), `select count(*) from users u join tenants t on t.id = u.tenant_id where u.derived is distinct from t.derivation`).Scan(&stale); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(t.Context(), `select count(*) from assignments where until_change is null and role <> 'timesheet.manager'`).Scan(&wrong); err != nil {
		t.Fatal(err)
	}
	if stale > 0 || wrong > 0 {
		t.Errorf("the pass ended with %d people stale and %d assignments of old rules", stale, wrong)
	}
}

// Renames of a group of more people than one change derives, beside a busy
// background: they wait for one another, and never in a circle.
func TestConcurrentWideChangesAndTheBackgroundDoNotDeadlock(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server, func(k *store.Config) { k.PoolSize = 8 }))
	var all []store.User
	for n := range 520 {
		name := "p" + string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + "@r.example"
		all = append(all, c.create(name, name))
	}
	g, _, err := c.scim().CreateGroup(t.Context(), group("Finance", all...))
	if err != nil {
		t.Fatal(err)
	}
	tenant := must[registry.Tenant](t)(c.vendor.Tenant(t.Context(), "ringling"))
	stop := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.store.Tend(t.Context(), tenant.ID)
			}
		}
	})
	for i := range 40 {
		name := []string{"Treasury", "Finance"}[i%2]
		if _, _, err := c.scim().UpdateGroup(t.Context(), g.ID.String(), "", store.GroupChange{Attributes: set("displayName", name)}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	conn := storetest.Look(t, owner, "ringling")
	var deadlocks int
	err = conn.QueryRow(t.Context(), `select pg_stat_clear_snapshot() is null, deadlocks from pg_stat_database where datname = current_database()`).Scan(new(bool), &deadlocks)
	if err != nil || deadlocks > 0 {
		t.Errorf("%d deadlocks, %v", deadlocks, err)
	}
}

// A create meets an inactive person with its externalId, who becomes somebody
// else at that moment: the create does not write over them.
func TestConcurrentCreateDoesNotAdoptWhoHasChanged(t *testing.T) {
	c := ringling(t)
	for i := range 60 {
		u := c.create("a@ringling.example", "E")
		if _, _, err := c.scim().UpdateUser(t.Context(), u.ID.String(), "", set("active", false)); err != nil {
			t.Fatal(err)
		}
		become := func(r scim.Resource) (scim.Resource, []scim.Note, error) {
			next := maps.Clone(r)
			next["externalId"], next["active"] = "F", true
			return next, nil, nil
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Duration(i%10) * 100 * time.Microsecond)
			if _, _, err := c.scim().UpdateUser(t.Context(), u.ID.String(), "", become); err != nil {
				t.Error(err)
			}
		})
		var got store.User
		var created bool
		var err error
		wg.Go(func() { got, created, err = c.scim().CreateUser(t.Context(), person("b@ringling.example", "E")) })
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		now, err := c.scim().User(t.Context(), u.ID.String(), false)
		// Either the create came first and the PATCH over it, or it made another person.
		if err != nil || now.ExternalID != "F" || created == (got.ID == u.ID) {
			t.Fatalf("try %d: created %v as %v; the person is now %+v, %v", i, created, got.ID, now, err)
		}
		for _, id := range []string{u.ID.String(), got.ID.String()} {
			if err := c.scim().DeleteUser(t.Context(), id, ""); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
}
