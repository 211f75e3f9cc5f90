package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/log"
)

const (
	poll       = 200 * time.Millisecond // of what this process has woken
	sweep      = 30 * time.Second       // of every tenant: what another process left behind
	staleBatch = 200                    // people derived in one transaction
)

// woke remembers that the tenant has a change without a number. It never
// blocks: what does not fit is found by the sweep.
func (s *Store) woke(tenant uuid.UUID) {
	select {
	case s.wake <- tenant:
	default:
	}
}

// Run does the background work until ctx ends: it numbers changes, writes the
// assignments of stale people and the provisioning log, and notes when
// credentials were last used.
// Several processes may run it at once.
func (s *Store) Run(ctx context.Context) error {
	tick, second, every := time.NewTicker(poll), time.NewTicker(time.Second), time.NewTicker(sweep)
	defer tick.Stop()
	defer second.Stop()
	defer every.Stop()
	var tables growth
	pending := map[uuid.UUID]bool{}
	s.addAll(ctx, pending)
	var requests sync.WaitGroup
	requests.Go(func() { s.logRequests(ctx) })
	requests.Go(func() { s.expireRequests(ctx) })
	defer requests.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case tenant := <-s.wake:
			pending[tenant] = true
		case <-tick.C:
			s.tend(ctx, pending)
		case <-second.C:
			if err := s.replan(ctx, &tables); err != nil {
				s.complain(ctx, "look at the tables' sizes", err)
			}
		case <-every.C:
			s.addAll(ctx, pending)
			s.flushUsage(ctx)
			s.expire(ctx)
			if err := s.findStrays(ctx); err != nil {
				s.complain(ctx, "look for the tenants of strays", err)
			}
			if err := s.readRates(ctx); err != nil {
				s.complain(ctx, "read the tenants' rates", err)
			}
		}
	}
}

// addAll adds every tenant.
func (s *Store) addAll(ctx context.Context, pending map[uuid.UUID]bool) {
	tenants, err := s.Vendor("").Tenants(ctx)
	if err != nil {
		s.complain(ctx, "list tenants", err)
	}
	for _, t := range tenants {
		pending[t.ID] = true
	}
}

// tend visits each tenant once: fair, and one Directory at a time.
func (s *Store) tend(ctx context.Context, pending map[uuid.UUID]bool) {
	var lag time.Duration
	for tenant := range pending {
		delete(pending, tenant)
		err := s.vendorTransactQuietly(ctx, tenant, func(tx pgx.Tx) error {
			pass, err := log.Number(ctx, tx, tenant)
			if err != nil || !pass.Ran {
				return err
			}
			lag = max(lag, pass.Lag)
			if err := foldVersions(ctx, tx, tenant, pass); err != nil {
				return err
			}
			if err := pass.FoldTotals(ctx, tx, tenant); err != nil {
				return err
			}
			return pass.Finish(ctx, tx, tenant)
		})
		if err != nil {
			s.complain(ctx, "number changes", err)
			continue
		}
		more, err := s.deriveStale(ctx, tenant)
		if err != nil {
			s.complain(ctx, "derive stale roles", err)
		}
		if more {
			pending[tenant] = true
		}
		if ctx.Err() != nil {
			return
		}
	}
	if s.metrics.Lag != nil {
		s.metrics.Lag(lag)
	}
}

// foldVersions moves the changes of a pass into the bases of the group versions.
func foldVersions(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, pass log.Pass) error {
	_, err := tx.Exec(ctx, `
		update groups g set folded = $3::text::xid8, version = g.version + counted.n
		from (
			select g.id, (select count(*) from changes c
				where c.tenant_id = $1 and c.subject = g.id and c.xid >= g.folded and c.xid < $3::text::xid8) as n
			from groups g
			where g.tenant_id = $1 and g.id in (
				select subject from changes where tenant_id = $1 and xid >= $2::text::xid8 and xid < $3::text::xid8 and kind like 'group.%')
		) counted
		where g.tenant_id = $1 and g.id = counted.id and counted.n > 0`, tenant, pass.From, pass.Next)
	return err
}

func (s *Store) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		s.log.WarnContext(ctx, "background: "+what, "error", err)
	}
}

// deriveStale writes the assignments of the next people whose rules, groups or
// day have changed under them, in the order of their ids. Nobody waits for it:
// readers evaluate a stale person in memory. Where nothing is stale it costs
// one row.
func (s *Store) deriveStale(ctx context.Context, tenant uuid.UUID) (more bool, err error) {
	dir := &Directory{store: s, tenant: tenant, actor: "muster"}
	if err := dir.loadSettings(ctx, false); err != nil || dir.settings.fault != nil {
		return false, err
	}
	err = dir.retryRules(ctx, func() error {
		return s.transact(ctx, func(tx *transaction) error {
			pass := &stalePass{dir: dir}
			if err := pass.open(tx); err != nil || pass.done {
				more = false
				return err
			}
			more = len(pass.people) == staleBatch || pass.resumed
			return tx.commit(func(b *pgx.Batch) { pass.save(ctx, b, more) })
		})
	})
	if errors.Is(err, ErrRedeclared) {
		return true, nil // by the new schemas, next time
	}
	return more, err
}

// A stalePass is one step through a tenant's people.
type stalePass struct {
	dir    *Directory
	done   bool // nothing is stale, or another process is at it
	people map[uuid.UUID]*person
	last   uuid.UUID
	// resumed: the pass did not begin with this batch. Rules, day or marks may have
	// moved since, behind its back, so it goes through everybody once more.
	resumed bool
	marks   int64 // as they were before the people were read
}

// open takes the tenant's turn, which holds no row, and locks the next stale people. Members and
// users may have to wait for it: a batch is small.
func (pass *stalePass) open(tx *transaction) error {
	dir := pass.dir
	pass.done, pass.people = true, map[uuid.UUID]*person{}
	c := &groupChange{dir: dir, tx: tx, people: pass.people}
	var after uuid.NullUUID
	turn := false
	err := tx.open(func(b *pgx.Batch) {
		dir.enterCurrent(b)
		b.Queue(`select pg_try_advisory_xact_lock(hashtextextended('derive ' || $1::text, 0))`, dir.tenant.String()).
			QueryRow(func(row pgx.Row) error { return row.Scan(&turn) })
		b.Queue(`
			select derived_after, marks from sequencers
			where tenant_id = $1 and (derivation <> $2 or marks <> derived_marks or $3 and derived_on is distinct from (now() at time zone 'utc')::date)`,
			dir.tenant, dir.settings.derivation, dir.settings.readsToday()).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&after, &pass.marks}, func() error {
				pass.done = !turn
				return nil
			})
			return err
		})
	})
	if err != nil || pass.done {
		return err
	}
	pass.resumed = after.Valid
	b := &pgx.Batch{}
	b.Queue(`select `+personColumns+` from users u
		where u.tenant_id = $1 and u.id > $4 and u.deleted_at is null and u.active
		and (u.derived is distinct from $2 or u.derived_until <= now())
		order by u.id limit $3 for no key update`, dir.tenant, dir.settings.derivation, staleBatch, after.UUID).Query(c.collectPeople)
	if err := tx.send(b); err != nil {
		return err
	}
	ids := make([]uuid.UUID, 0, len(pass.people))
	for id := range pass.people {
		ids = append(ids, id)
		if compareIDs(id, pass.last) > 0 {
			pass.last = id
		}
	}
	b = &pgx.Batch{}
	queueGroups(b, circle{tenant: dir.tenant, users: ids}, c.addGroup)
	queueHeld(b, dir.tenant, ids, c.addHeld)
	return tx.send(b)
}

// save writes the batch and how far the pass is.
func (pass *stalePass) save(ctx context.Context, b *pgx.Batch, more bool) {
	pass.dir.saveStale(ctx, b, pass.people)
	if more {
		next := uuid.NullUUID{UUID: pass.last, Valid: len(pass.people) == staleBatch} // else once more from the first
		b.Queue(`update sequencers set derived_after = $2 where tenant_id = $1`, pass.dir.tenant, next)
		return
	}
	b.Queue(`update sequencers set derivation = $2, derived_after = null, derived_marks = $3, derived_on = (now() at time zone 'utc')::date
		where tenant_id = $1`, pass.dir.tenant, pass.dir.settings.derivation, pass.marks)
}

func (set *settings) readsToday() bool { return set.program != nil && set.program.ReadsToday() }

func (dir *Directory) saveStale(ctx context.Context, b *pgx.Batch, people map[uuid.UUID]*person) {
	var d delta
	var s settled
	effects := map[string]log.Effect{}
	for id, p := range people {
		r := dir.settings.derive(ctx, p)
		lost := d.move(p, r.wanted)
		s.add(dir.settings, p, r, lost)
		if e := effect(p.held, r.wanted); e.Any() {
			effects[id.String()] = e
		}
	}
	s.queue(b, dir.tenant)
	if len(d.addedUsers)+len(d.endedUsers) > 0 {
		w := &log.Write{Change: dir.change(uuid.Nil, dir.tenant, "roles.derived", 0, []byte(`{}`))}
		w.Change.Request, w.Change.Roles = newID(), effects
		d.addTo(w)
		w.AppendTo(b)
	}
}

// A usage remembers when credentials were used, to be written now and then.
type usage struct {
	mu   sync.Mutex
	last map[uuid.UUID]usedCredential
}

type usedCredential struct {
	tenant uuid.UUID
	at     time.Time
}

func (u *usage) note(c *credential) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[uuid.UUID]usedCredential{}
	}
	u.last[c.holder] = usedCredential{tenant: c.tenant, at: time.Now()}
}

// flushUsage writes the last uses seen since the previous flush.
func (s *Store) flushUsage(ctx context.Context) {
	s.used.mu.Lock()
	last := s.used.last
	s.used.last = nil
	s.used.mu.Unlock()
	for id, use := range last {
		err := s.vendorTransactQuietly(ctx, use.tenant, func(tx pgx.Tx) error {
			return saveUse(ctx, tx, use, id)
		})
		if err != nil {
			s.complain(ctx, "note the use of a credential", err)
		}
	}
}

// expire deletes what nobody can use any more: sign-ins and codes a day old.
func (s *Store) expire(ctx context.Context) {
	tenants, err := s.Vendor("").Tenants(ctx)
	if err != nil {
		s.complain(ctx, "list tenants", err)
	}
	for _, t := range tenants {
		err := s.vendorTransactQuietly(ctx, t.ID, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `delete from sign_ins where tenant_id = $1 and expires_at < now() - interval '1 day'`, t.ID)
			if err == nil {
				_, err = tx.Exec(ctx, `delete from codes where tenant_id = $1 and expires_at < now() - interval '1 day'`, t.ID)
			}
			if err == nil {
				err = expireClientTokens(ctx, tx, t.ID)
			}
			return err
		})
		if err != nil {
			s.complain(ctx, "expire", err)
		}
	}
}
