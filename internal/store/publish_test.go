package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A person leaves a group that no rule reads. While that waits for the group,
// rules are published that read it, and everybody's roles are written anew. The
// role that the group now gives must not outlive the membership.
func TestAPublishBesideAChangeOfMembersLeavesNoStaleRole(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	ctx := t.Context()
	jamie := c.create("jamie@ringling.example", "jamie")
	crew, _, err := c.scim().CreateGroup(ctx, group("Ring Crew", jamie))
	if err != nil {
		t.Fatal(err)
	}

	// Somebody holds the group for a moment.
	holder := storetest.Look(t, owner, "ringling")
	lock(t, holder, `select pg_advisory_lock(hashtextextended('group ' || current_setting('muster.tenant') || ' ' || $1, 0))`, crew.ID.String())
	leaving := make(chan error, 1)
	go func() {
		_, _, err := c.scim().UpdateGroup(ctx, crew.ID.String(), "", store.GroupChange{Members: members(scim.RemoveMembers, jamie)})
		leaving <- err
	}()
	watcher := storetest.Look(t, owner, "ringling")
	awaitLocks(t, watcher, 1)

	published := make(chan error, 1)
	go func() {
		_, _, err := c.admin().PublishRules(ctx, []byte("version: 1\ngroupRoles:\n  - name: Ring Crew\n    grant: [timesheet.manager]\nrules: []\n"))
		published <- err
	}()
	// Either it waits for the change, or it is through and so is the background pass.
	for waits := false; !waits; {
		select {
		case err := <-published:
			if err != nil {
				t.Fatal(err)
			}
			c.tend()
			published <- nil
			waits = true
		case <-time.After(5 * time.Millisecond):
			waits = locksAwaited(t, watcher) > 1
		}
	}
	lock(t, holder, `select pg_advisory_unlock(hashtextextended('group ' || current_setting('muster.tenant') || ' ' || $1, 0))`, crew.ID.String())
	for what, done := range map[string]chan error{"leaving": leaving, "publishing": published} {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if d := c.check(jamie); d.Allowed || slices.Contains(d.Roles, "timesheet.manager") {
		t.Errorf("after leaving: %+v", d)
	}
	c.tend()
	if d := c.check(jamie); d.Allowed {
		t.Errorf("after leaving, once written: %+v", d)
	}
	storetest.Audit(t, owner, "ringling", storetest.Grants{Groups: map[string]string{"Ring Crew": "timesheet.manager"}})
}

func lock(t *testing.T, conn *pgx.Conn, sql, id string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql, id); err != nil {
		t.Fatal(err)
	}
}

func locksAwaited(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	err := conn.QueryRow(context.Background(), `
		select count(*) from pg_locks l join pg_stat_activity a using (pid)
		where not l.granted and a.datname = current_database()`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func awaitLocks(t *testing.T, conn *pgx.Conn, n int) {
	t.Helper()
	for deadline := time.Now().Add(stuck); locksAwaited(t, conn) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("fewer than %d wait for a lock", n)
		}
	}
}
