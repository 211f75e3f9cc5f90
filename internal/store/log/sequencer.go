package log

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Number gives every visible change of a tenant that has none yet its seq, in
// the order of n, and folds the counters that changes move. It runs in the
// transaction tx, which has named the tenant and all its connections. One
// sequencer runs at a time; where another does, numbered is 0.
//
// It does not wait for running transactions: as one process gives the numbers
// after the commits, a reader of seq cannot skip one. The oldest running
// transaction only bounds the scan.
func Number(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (numbered int64, err error) {
	_, err = tx.Exec(ctx, `insert into sequencers (tenant_id) values ($1) on conflict do nothing`, tenant)
	if err != nil {
		return 0, err
	}
	var horizon, next string
	var top int64
	err = tx.QueryRow(ctx, `
		select horizon::text, top, pg_snapshot_xmin(pg_current_snapshot())::text
		from sequencers where tenant_id = $1 for update skip locked`, tenant).Scan(&horizon, &top, &next)
	if err == pgx.ErrNoRows {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
		with fresh as materialized (
			select c.n, c.xid from changes c
			where c.tenant_id = $1 and c.xid >= $2::text::xid8
			and not exists (select from change_numbers k where k.tenant_id = c.tenant_id and k.n = c.n)
		)
		insert into change_numbers (tenant_id, seq, n, xid)
		select $1, $3 + row_number() over (order by n), n, xid from fresh`, tenant, horizon, top)
	if err != nil {
		return 0, err
	}
	if err := fold(ctx, tx, tenant, horizon, next); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `update sequencers set horizon = $2::text::xid8, top = top + $3 where tenant_id = $1`, tenant, next, tag.RowsAffected())
	return tag.RowsAffected(), err
}

// fold moves what the changes before next have counted into the bases of the
// group versions and of the totals.
func fold(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, horizon, next string) error {
	_, err := tx.Exec(ctx, `
		update groups g set folded = $3::text::xid8, version = g.version + counted.n
		from (
			select g.id, (select count(*) from changes c
				where c.tenant_id = $1 and c.subject = g.id and c.xid >= g.folded and c.xid < $3::text::xid8) as n
			from groups g
			where g.tenant_id = $1 and g.id in (
				select subject from changes where tenant_id = $1 and xid >= $2::text::xid8 and xid < $3::text::xid8 and kind like 'group.%')
		) counted
		where g.tenant_id = $1 and g.id = counted.id and counted.n > 0`, tenant, horizon, next)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		with moved as (
			select connection_id, case when kind like 'user.%' then 'User' else 'Group' end as resource_type,
				sum(case when kind like '%.deleted' then -1 else 1 end) as n
			from changes
			where tenant_id = $1 and xid >= $2::text::xid8 and xid < $3::text::xid8 and connection_id is not null
			and kind in ('user.created', 'user.restored', 'user.deleted', 'group.created', 'group.restored', 'group.deleted')
			group by 1, 2
		)
		insert into totals as t (tenant_id, connection_id, resource_type, total, folded)
		select $1, connection_id, resource_type, n, $3::text::xid8 from moved
		on conflict (tenant_id, connection_id, resource_type) do update
		set total = t.total + excluded.total`, tenant, horizon, next)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update totals set folded = $2::text::xid8 where tenant_id = $1 and folded < $2::text::xid8`, tenant, next)
	return err
}
