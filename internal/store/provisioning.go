package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muster-id/muster/internal/scim"
)

// queueRequest writes the SCIM request into the transaction of its effect:
// afterwards its id proves that the effect was committed.
func (dir *Directory) queueRequest(b *pgx.Batch, connection uuid.UUID, status int16, notes []scim.Note) {
	if dir.request.ID == uuid.Nil || connection == uuid.Nil {
		return
	}
	var text *string
	if len(notes) > 0 {
		s := string(marshal(scim.BoundNotes(notes)))
		text = &s
	}
	b.Queue(`
		insert into provisioning_requests (tenant_id, id, connection_id, credential_id, method, path, status, notes)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		dir.tenant, dir.request.ID, connection, uuid.NullUUID{UUID: dir.credential, Valid: dir.credential != uuid.Nil},
		dir.request.Method, dir.request.Path, status, text)
}

// count reports what lenience ignored or repaired.
func (dir *Directory) count(notes []scim.Note) {
	for _, n := range notes {
		dir.store.metrics.ignored(n.Quirk)
	}
}

// resolveTimeout bounds the search for the outcome of an unclear commit.
const resolveTimeout = 2 * time.Second

// resolve finds out what became of a commit whose outcome is not known: nil
// says that it is durable. It looks for the request's row on another
// connection, in a transaction that itself has to reach whatever the commit
// had to reach: write-ahead log is replicated in order, so once the later
// transaction is safe, the earlier one is.
func (dir *Directory) resolve(ctx context.Context, err error) error {
	if !errors.Is(err, ErrUnknownOutcome) {
		return err
	}
	found := false
	if dir.request.ID != uuid.Nil {
		found = dir.committed(ctx) == nil
	}
	dir.store.metrics.unknown(found)
	dir.store.log.WarnContext(ctx, "commit with unknown outcome", "request", dir.request.ID, "found", found, "error", err)
	if found {
		return nil
	}
	return err
}

func (dir *Directory) committed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
	defer cancel()
	return dir.store.once(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		exists := false
		tx := &transaction{ctx: ctx, conn: conn}
		err := tx.open(func(b *pgx.Batch) {
			nameTenant(b, dir.tenant.String(), everyConnection)
			b.Queue(`select exists (select from provisioning_requests where tenant_id = $1 and id = $2)`, dir.tenant, dir.request.ID).
				QueryRow(func(row pgx.Row) error { return row.Scan(&exists) })
		})
		if err == nil && !exists {
			err = ErrNotFound
		}
		if err != nil {
			conn.Exec(ctx, "rollback")
			return err
		}
		return tx.commit(func(b *pgx.Batch) { b.Queue(`select pg_logical_emit_message(true, 'muster', '')`) })
	})
}
