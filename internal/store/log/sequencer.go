package log

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A Pass is one visit of the sequencer to a tenant.
type Pass struct {
	Ran      bool          // false: another sequencer is at it
	Numbered int64         // changes that got their seq
	Lag      time.Duration // age of the oldest of them
	From     string        // transaction id: changes before it were numbered and folded earlier
	Next     string        // transaction id: no change before it can appear any more

	low int64 // every change from From on that has a number has a higher one
}

// Number gives every visible change of a tenant that has none yet its seq, in
// the order of n. It runs in the transaction tx, which has named the tenant and
// all its connections; one sequencer runs at a time.
//
// It does not wait for running transactions: as one process gives the numbers
// after the commits, a reader of seq cannot skip one. The oldest running
// transaction only bounds the scan. That bound never falls: another sequencer
// may have moved it after this one's snapshot was taken.
func Number(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (Pass, error) {
	_, err := tx.Exec(ctx, `insert into sequencers (tenant_id) values ($1) on conflict do nothing`, tenant)
	if err != nil {
		return Pass{}, err
	}
	var turn bool
	// The turn is taken in one statement and the row read in the next: it is as the
	// sequencer before left it. No row is held until the end, so that whoever marks
	// people stale does not wait.
	err = tx.QueryRow(ctx, `select pg_try_advisory_xact_lock(hashtextextended('number ' || $1::text, 0))`, tenant.String()).Scan(&turn)
	if err != nil || !turn {
		return Pass{}, err
	}
	var p Pass
	var top int64
	err = tx.QueryRow(ctx, `
		select horizon::text, low, top, greatest(horizon, pg_snapshot_xmin(pg_current_snapshot()))::text
		from sequencers where tenant_id = $1`, tenant).Scan(&p.From, &p.low, &top, &p.Next)
	if err != nil {
		return Pass{}, err
	}
	var seconds float64
	err = tx.QueryRow(ctx, `
		with fresh as materialized (
			select c.n, c.xid, c.at from changes c where c.tenant_id = $1 and c.xid >= $2::text::xid8
			and not exists (select from change_numbers k where k.tenant_id = $1 and k.seq > $4 and k.n = c.n)
		), numbered as (
			insert into change_numbers (tenant_id, seq, n, xid)
			select $1, $3 + row_number() over (order by n), n, xid from fresh
		)
		select count(*), coalesce(extract(epoch from now() - min(at)), 0)::float8 from fresh`, tenant, p.From, top, p.low).
		Scan(&p.Numbered, &seconds)
	if err != nil {
		return Pass{}, err
	}
	p.Ran, p.Lag = true, time.Duration(seconds*float64(time.Second))
	return p, nil
}

// Finish notes how far the pass went. It comes last in the transaction: no one
// who holds a group or a person waits for the row that it locks.
func (p Pass) Finish(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		update sequencers set horizon = $2::text::xid8, top = top + $3, low = coalesce(
			(select min(seq) - 1 from change_numbers where tenant_id = $1 and seq > $4 and xid >= $2::text::xid8), top + $3)
		where tenant_id = $1`, tenant, p.Next, p.Numbered, p.low)
	return err
}

// FoldTotals moves the creations and deletions of a pass into the numbers of
// living resources.
func (p Pass) FoldTotals(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		with moved as (
			select connection_id, case when kind like 'user.%' then 'User' when kind like 'group.%' then 'Group' else split_part(kind, '.', 2) end as resource_type,
				sum(case when kind like '%.deleted' then -1 else 1 end) as n
			from changes
			where tenant_id = $1 and xid >= $2::text::xid8 and xid < $3::text::xid8 and connection_id is not null
			and (kind in ('user.created', 'user.restored', 'user.deleted', 'group.created', 'group.restored', 'group.deleted')
				or kind like 'resource.%.created' or kind like 'resource.%.deleted')
			group by 1, 2
		)
		insert into totals as t (tenant_id, connection_id, resource_type, total, folded)
		select $1, connection_id, resource_type, n, $3::text::xid8 from moved
		on conflict (tenant_id, connection_id, resource_type) do update
		set total = t.total + excluded.total`, tenant, p.From, p.Next)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update totals set folded = $2::text::xid8 where tenant_id = $1 and folded < $2::text::xid8`, tenant, p.Next)
	return err
}
