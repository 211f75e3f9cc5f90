package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
	"github.com/muster-id/muster/migrations"
)

// Programs that are started at once all migrate: one does, the others wait.
func TestProgramsThatMigrateAtOnceDoItOnce(t *testing.T) {
	cluster := localpg.Shared(t)
	name := fmt.Sprintf("migrate_%d", os.Getpid())
	if err := cluster.CreateDatabase(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	const programs = 4
	var applied atomic.Int64
	var wg sync.WaitGroup
	for range programs {
		wg.Go(func() {
			err := store.Migrate(t.Context(), cluster.OwnerURL(name), localpg.ServerRole, func(string, ...any) { applied.Add(1) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	files, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	if n := applied.Load(); n != int64(len(files)) {
		t.Errorf("%d migrations were applied, want each of %d once", n, len(files))
	}

	for range programs { // there is nothing left to apply; the rights are granted again
		wg.Go(func() {
			for range 8 {
				if err := store.Migrate(t.Context(), cluster.OwnerURL(name), localpg.ServerRole, func(string, ...any) {}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	ringlingOn(t, storetest.Open(t, cluster.ServerURL(name))).create("jamie@ringling.example", "jamie")
}

// A database whose schema is not what its version says is refused, with the
// reason, before anything is asked of it that it does not have.
func TestADatabaseOfADevelopmentBuildIsRefused(t *testing.T) {
	migrate := func(owner string) error {
		return store.Migrate(t.Context(), owner, localpg.ServerRole, func(string, ...any) {})
	}
	for story, test := range map[string]struct {
		statement string
		want      error
	}{
		"the same schema":             {`select 1`, nil},
		"a migration that was cut":    {`update instance set schema_fingerprint = null`, nil},
		"another text":                {`update instance set schema_fingerprint = 'other'`, store.ErrOtherSchema},
		"before fingerprints":         {`alter table instance drop column schema_fingerprint`, store.ErrOtherSchema},
		"a newer program's migration": {`with v as (insert into goose_db_version (version_id, is_applied) values (9999, true)) update instance set schema_fingerprint = 'newer'`, nil},
	} {
		owner, _ := storetest.Database(t)
		conn, err := pgx.Connect(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(t.Context(), test.statement); err != nil {
			t.Fatal(err)
		}
		if err := migrate(owner); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", story, err, test.want)
		}
		if test.want == nil {
			if err := migrate(owner); err != nil {
				t.Errorf("%s, once more: %v", story, err)
			}
		}
	}
}

// Migrating a database to where it is disturbs nobody who is served from it.
func TestMigratingDisturbsNobody(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	jamie := c.create("jamie@ringling.example", "jamie")
	ctx, stop := context.WithCancel(t.Context())
	var served atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("worker%d-%d@ringling.example", i, n)
				if _, _, err := c.scim().CreateUser(t.Context(), person(name, name)); err != nil {
					t.Errorf("create: %v", err)
				}
				if d := c.check(jamie); !d.Allowed {
					t.Errorf("check: %+v", d)
				}
				if _, _, err := c.scim().UpdateUser(t.Context(), jamie.ID.String(), "", set("title", name)); err != nil {
					t.Errorf("update: %v", err)
				}
				served.Add(1)
			}
		})
	}
	for range 10 {
		before := served.Load()
		if err := store.Migrate(t.Context(), owner, localpg.ServerRole, func(string, ...any) {}); err != nil {
			t.Error(err)
		}
		for served.Load() < before+4 && !t.Failed() {
			_ = c.check(jamie)
		}
	}
	stop()
	wg.Wait()
}

// A restored backup revives nobody: what was begun before it ends in a refusal,
// and positions given before it are not answered.
func TestARestoredBackupRevivesNobody(t *testing.T) {
	owner, server := storetest.Database(t)
	before := storetest.Open(t, server)
	c := ringlingOn(t, before)
	jamie := c.create("jamie@ringling.example", "oid-jamie")
	_, code := c.signIn(before, identity("oid-jamie"))
	_, unused := c.signIn(before, identity("oid-jamie"))
	if d, _, err := before.MintToken(t.Context(), c.redemption(code)); err != nil || !d.Allowed {
		t.Fatalf("before: %+v %v", d, err)
	}
	position := c.check(jamie).Position
	ask := store.CheckRequest{Tenant: "ringling", ClientID: "timesheet", Secret: c.secret, UserID: jamie.ID.String(), AtLeast: position}
	if d := must[store.Decision](t)(before.Check(t.Context(), ask)); !d.Allowed {
		t.Fatalf("before, at its position: %+v", d)
	}

	if err := store.AfterRestore(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	after := storetest.Open(t, server)
	for name, s := range map[string]*store.Store{"a server of before": before, "a server of after": after} {
		if _, err := s.Check(t.Context(), ask); !errors.Is(err, store.ErrNotYet) {
			t.Errorf("%s, a position of before: got %v, want not yet", name, err)
		}
	}
	if d, _, err := after.MintToken(t.Context(), c.redemption(unused)); err != nil || d.Allowed || d.Reason != store.Expired {
		t.Errorf("a code of before: got %+v %v, want expired", d, err)
	}
	if n := living(t, owner); n != 0 {
		t.Errorf("%d sessions of before are of the tenant's present epoch, want none", n)
	}

	c.store = after
	d := c.check(jamie)
	ask.AtLeast = d.Position
	if d := must[store.Decision](t)(after.Check(t.Context(), ask)); !d.Allowed {
		t.Errorf("after, at its own position: %+v", d)
	}
	d, code = c.signIn(after, identity("oid-jamie"))
	if _, _, err := after.MintToken(t.Context(), c.redemption(code)); err != nil || !d.Allowed {
		t.Errorf("a sign-in of after: %+v %v", d, err)
	}
	if n := living(t, owner); n != 1 {
		t.Errorf("%d sessions live after a new sign-in, want 1", n)
	}
}

// living counts the sessions that have not ended and are of the tenant's epoch.
func living(t *testing.T, owner string) (n int) {
	t.Helper()
	err := storetest.Look(t, owner, "ringling").QueryRow(t.Context(), `
		select count(*) from sessions s join tenants t on t.id = s.tenant_id
		where s.ended_at is null and s.tenant_epoch = t.epoch`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
