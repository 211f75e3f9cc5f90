package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/history"
)

const (
	expiryDelay = time.Minute      // before the first look at what has expired: a start has more to do
	expiryPause = 10 * time.Minute // between two looks
	expiryBatch = 2000             // rows deleted in one transaction

	defaultKeep  = 30 * 24 * time.Hour
	defaultBytes = 1 << 30
)

// expireRequests deletes what the provisioning log keeps no longer, every ten
// minutes, until ctx ends. Several processes may do it at once.
func (s *Store) expireRequests(ctx context.Context) {
	next := time.NewTimer(expiryDelay)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		if err := s.expireLog(ctx); err != nil {
			s.complain(ctx, "expire the provisioning log", err)
		}
		next.Reset(expiryPause)
	}
}

// expireLog visits every tenant in turn, a batch at a time, until nothing is
// left to delete. Whatever interrupts it, the next visit goes on.
func (s *Store) expireLog(ctx context.Context) error {
	tenants, err := s.Vendor("").Tenants(ctx)
	if err != nil {
		return err
	}
	first := map[uuid.UUID]uuid.UUID{} // that is kept, by tenant
	for _, t := range tenants {
		id, failed := s.firstKept(ctx, t.ID)
		if failed == nil {
			first[t.ID] = id
		}
		err = errors.Join(err, failed)
	}
	for len(first) > 0 && ctx.Err() == nil {
		for tenant, id := range first {
			n, failed := s.deleteRequests(ctx, tenant, id)
			err = errors.Join(err, failed)
			if failed != nil || n < expiryBatch {
				delete(first, tenant)
			}
		}
	}
	return err
}

// firstKept answers the lowest id of a request that a tenant's log keeps: ids
// are UUIDv7, so their order is that of time. Where the newest rows are so large
// that all would take more than a tenant may have, it is the oldest of those that
// fit.
func (s *Store) firstKept(ctx context.Context, tenant uuid.UUID) (uuid.UUID, error) {
	var oldest int64
	var fits *uuid.UUID
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	b.Queue(`select (extract(epoch from now() - $1::interval) * 1000)::bigint`, s.keepRequests).
		QueryRow(func(row pgx.Row) error { return row.Scan(&oldest) })
	b.Queue(`
		select (
			select id from provisioning_requests where tenant_id = $1 order by id desc
			offset (
				select ($2 / avg(300 + coalesce(pg_column_size(body), 0) + coalesce(pg_column_size(notes), 0)))::bigint
				from (select body, notes from provisioning_requests where tenant_id = $1 order by id desc limit 1000) newest)
			limit 1)`, tenant, s.requestBytes).
		QueryRow(func(row pgx.Row) error { return row.Scan(&fits) })
	if err := s.read(ctx, b); err != nil {
		return uuid.Nil, err
	}
	id := history.IDAt(time.UnixMilli(oldest))
	if fits != nil && compareIDs(*fits, id) > 0 {
		id = *fits
	}
	return id, nil
}

func (s *Store) deleteRequests(ctx context.Context, tenant, before uuid.UUID) (n int64, err error) {
	err = s.vendorTransactQuietly(ctx, tenant, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			delete from provisioning_requests
			where tenant_id = $1 and id = any(array(
				select id from provisioning_requests where tenant_id = $1 and id < $2
				order by id limit $3 for update skip locked))`, tenant, before, expiryBatch)
		n = tag.RowsAffected()
		return err
	})
	return n, err
}
