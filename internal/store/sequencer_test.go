package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/log"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Two sequencers compete for the log of a tenant while twelve writers change
// one group and its people, and long transactions append to the log and are
// committed or rolled back. A reader that follows seq meets every number once,
// in order, and in the end every change. The version of a group and the folded
// totals are, at every moment, what a full count says.
func TestConcurrentSequencersMissNothing(t *testing.T) {
	owner, server := storetest.Database(t)
	pool := func(c *store.Config) { c.PoolSize = 8 }
	stores := [2]*store.Store{storetest.Open(t, server, pool), storetest.Open(t, server, pool)}
	c := ringlingOn(t, stores[0])
	tenant := must[registry.Tenant](t)(c.vendor.Tenant(t.Context(), "ringling"))
	crew, _, err := c.scim().CreateGroup(t.Context(), group("Ring Crew"))
	if err != nil {
		t.Fatal(err)
	}

	var writing, watching sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for _, s := range stores {
		watching.Go(func() {
			for ctx.Err() == nil {
				s.Tend(t.Context(), tenant.ID)
			}
		})
	}
	follower := &follower{conn: storetest.Look(t, owner, "ringling")}
	counter := storetest.Look(t, owner, "ringling")
	watching.Go(func() {
		for ctx.Err() == nil {
			follower.read(t)
		}
	})
	comparisons := 0
	watching.Go(func() {
		for ctx.Err() == nil {
			compareCounts(t, counter, crew.ID)
			comparisons++
		}
	})
	for w := range 12 {
		writing.Go(func() { c.churn(stores[w%2], w, crew) })
	}
	var rolledBack atomic.Int64
	for range 3 {
		conn := storetest.Look(t, owner, "ringling")
		writing.Go(func() { dawdle(t, conn, tenant.ID, &rolledBack) })
	}
	writing.Wait()
	stop()
	watching.Wait()

	for range 3 { // what was written last
		stores[0].Tend(t.Context(), tenant.ID)
	}
	follower.read(t)
	compareCounts(t, counter, crew.ID)
	var changes int64
	if err := counter.QueryRow(t.Context(), `select count(*) from changes`).Scan(&changes); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d changes, %d transactions rolled back, %d comparisons", changes, rolledBack.Load(), comparisons)
	if follower.seq != changes {
		t.Errorf("the reader of seq has seen %d of %d changes", follower.seq, changes)
	}
	if changes < 500 || rolledBack.Load() == 0 || comparisons < 20 {
		t.Error("too little has happened: this run shows nothing")
	}
	c.compareAnswers(counter, crew)
	storetest.Audit(t, owner, "ringling", ruleGrants)
}

// churn creates people, who join the group; some leave it, some are deleted.
func (c *circus) churn(s *store.Store, writer int, crew store.Group) {
	ctx := c.t.Context()
	for n := range 14 {
		u, _, err := c.scimOn(s).CreateUser(ctx, person(fmt.Sprintf("w%d-%d@ringling.example", writer, n), ""))
		if err == nil {
			_, _, err = c.scimOn(s).UpdateGroup(ctx, crew.ID.String(), "", store.GroupChange{Members: members(scim.AddMembers, u)})
		}
		if err == nil && n%2 == 0 {
			_, _, err = c.scimOn(s).UpdateGroup(ctx, crew.ID.String(), "", store.GroupChange{Members: members(scim.RemoveMembers, u)})
		}
		if err == nil && n%3 == 0 {
			err = c.scimOn(s).DeleteUser(ctx, u.ID.String(), "")
		}
		if err != nil {
			c.t.Errorf("writer %d: %v", writer, err)
		}
	}
}

// dawdle appends to the log in transactions that last, half of which are rolled back.
func dawdle(t *testing.T, conn *pgx.Conn, tenant uuid.UUID, rolledBack *atomic.Int64) {
	ctx := context.Background()
	for n := range 12 {
		tx, err := conn.Begin(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		b := &pgx.Batch{}
		log.Queue(b, log.Change{Tenant: tenant, Subject: tenant, Kind: "tenant.noted", Actor: "test", Request: uuid.New(), Body: []byte(`{}`)})
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		end := tx.Commit
		if n%2 == 0 {
			end = tx.Rollback
			rolledBack.Add(1)
		}
		if err := end(ctx); err != nil {
			t.Error(err)
		}
	}
}

// A follower reads the log as a delivery does: what is after its cursor.
type follower struct {
	conn *pgx.Conn
	seq  int64
}

func (f *follower) read(t *testing.T) {
	rows, err := f.conn.Query(context.Background(), `
		select k.seq, c.kind is not null from change_numbers k left join changes c on c.tenant_id = k.tenant_id and c.xid = k.xid and c.n = k.n
		where k.seq > $1 order by k.seq limit 100`, f.seq)
	if err != nil {
		t.Error(err)
		return
	}
	var seq int64
	var there bool
	_, err = pgx.ForEachRow(rows, []any{&seq, &there}, func() error {
		if seq != f.seq+1 || !there {
			t.Errorf("after %d comes %d, with a change: %t", f.seq, seq, there)
		}
		f.seq = seq
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// compareCounts holds the folded numbers against full counts, each in one
// statement and so in one snapshot.
func compareCounts(t *testing.T, conn *pgx.Conn, crew uuid.UUID) {
	var version, changes int64
	err := conn.QueryRow(context.Background(), `
		select g.version + (select count(*) from changes c where c.subject = g.id and c.xid >= g.folded),
			(select count(*) from changes c where c.subject = g.id)
		from groups g where g.id = $1`, crew).Scan(&version, &changes)
	if err != nil || version != changes {
		t.Errorf("the group's version is %d of %d changes: %v", version, changes, err)
	}
	var total, users int64
	err = conn.QueryRow(context.Background(), `
		select coalesce((select total from totals where resource_type = 'User'), 0) + (
				select coalesce(sum(case when kind = 'user.deleted' then -1 else 1 end), 0) from changes
				where kind in ('user.created', 'user.deleted')
				and xid >= coalesce((select folded from totals where resource_type = 'User'), '0')),
			(select count(*) from users where deleted_at is null)`).Scan(&total, &users)
	if err != nil || total != users {
		t.Errorf("the total is %d, there are %d users: %v", total, users, err)
	}
}

// compareAnswers holds what doors say against full counts.
func (c *circus) compareAnswers(conn *pgx.Conn, crew store.Group) {
	c.t.Helper()
	var changes int64
	var users int
	err := conn.QueryRow(c.t.Context(), `select (select count(*) from changes where subject = $1), (select count(*) from users where deleted_at is null)`,
		crew.ID).Scan(&changes, &users)
	if err != nil {
		c.t.Fatal(err)
	}
	if g, err := c.scim().Group(c.t.Context(), crew.ID.String(), false); err != nil || g.Version != changes {
		c.t.Errorf("the group's version is %d, want %d: %v", g.Version, changes, err)
	}
	if page, err := c.scim().List(c.t.Context(), asking(c.t, scim.UserType(), 0, "")); err != nil || page.Total != users {
		c.t.Errorf("the list's total is %d, want %d: %v", page.Total, users, err)
	}
}
