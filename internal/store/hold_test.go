package store_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

const holdGroup = `select pg_advisory_lock(hashtextextended('group ' || current_setting('muster.tenant') || ' ' || $1, 0))`

// While somebody holds a group, a token that was revoked neither waits for it nor makes
// others wait: it is refused before it comes to the group.
func TestARevokedTokenHoldsNoGroup(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	crew, _, err := c.scim().CreateGroup(t.Context(), group("Ring Crew"))
	if err != nil {
		t.Fatal(err)
	}
	lock(t, storetest.Look(t, owner, "ringling"), holdGroup, crew.ID.String())
	if err := c.scim().DeleteGroup(t.Context(), crew.ID.String(), ""); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("the group is not held: %v", err)
	}
	for _, token := range must[[]registry.Credential](t)(c.vendor.Tokens(t.Context(), "ringling")) {
		if err := c.vendor.RevokeToken(t.Context(), "ringling", token.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.scim().DeleteGroup(t.Context(), crew.ID.String(), ""); !errors.Is(err, store.ErrUnauthenticated) {
		t.Errorf("by a revoked token: %v", err)
	}
}

// A client may name any id as a group: that of another tenant, of an application, of what
// another tenant's people wait at. It is nobody's lock but its own.
func TestAGroupsLockIsOfItsTenant(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	other := must[registry.Tenant](t)(c.vendor.CreateTenant(t.Context(), registry.NewTenant{Slug: "cirque"}))
	theirs, gates := storetest.Look(t, owner, "cirque"), storetest.Look(t, owner, "ringling")
	var application uuid.UUID
	if err := gates.QueryRow(t.Context(), `select id from applications where client_id = 'timesheet'`).Scan(&application); err != nil {
		t.Fatal(err)
	}
	for _, id := range []uuid.UUID{other.ID, application} {
		lock(t, theirs, holdGroup, id.String())
		lock(t, gates, `select pg_advisory_lock(hashtextextended($1, 0))`, id.String())
		if err := c.scim().DeleteGroup(t.Context(), id.String(), ""); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s as a group: %v", id, err)
		}
	}
}
