package store

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// endSessions ends every session of a person. The person's row was locked by a statement
// before, so it sees the sessions of every mint that the lock had to wait for.
var endSessions = log.NewPart(`update sessions set ended_at = now() where tenant_id = @tenant and user_id = @subject and ended_at is null`)

// A Switch turns a tenant, a connection or an application off or on.
type Switch struct {
	Tenant     string // slug
	Connection string // name; empty: the tenant itself
	Client     string // client id of an application; then nothing else
	Off        bool
}

// Revoke shuts everybody of a tenant, a connection or an application out, or
// opens it again. It takes the gate alone, which waits for running mints, and
// raises the epoch: no session of before lives again. Nothing is enumerated.
func (s *Store) Revoke(ctx context.Context, actor string, w Switch) error {
	var tenants []uuid.UUID
	err := s.vendorTransact(ctx, uuid.Nil, func(tx pgx.Tx) (err error) {
		tenants, err = w.apply(ctx, tx, actor)
		return err
	})
	for _, tenant := range tenants {
		s.woke(tenant)
	}
	return err
}

func (w Switch) apply(ctx context.Context, tx pgx.Tx, actor string) ([]uuid.UUID, error) {
	if w.Client != "" {
		return w.application(ctx, tx, actor)
	}
	var tenant, subject uuid.UUID
	err := tx.QueryRow(ctx, `select id from tenants where slug = $1`, w.Tenant).Scan(&tenant)
	if err == nil {
		_, err = tx.Exec(ctx, `select set_config('muster.tenant', $1, true), set_config('muster.connection', 'all', true)`, tenant.String())
	}
	subject = tenant
	if err == nil && w.Connection != "" {
		err = tx.QueryRow(ctx, `select id from connections where tenant_id = $1 and name = $2`, tenant, w.Connection).Scan(&subject)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, subject.String()); err != nil {
		return nil, err
	}
	kind, statement := "tenant", `update tenants set state = $2, epoch = epoch + 1 where id = $1 and state <> $2 and $1 = $3`
	off := "suspended"
	if w.Connection != "" {
		kind, off = "connection", "disabled"
		statement = `update connections set state = $2, epoch = epoch + 1 where id = $1 and state <> $2 and tenant_id = $3`
	}
	tag, err := tx.Exec(ctx, statement, subject, w.state(off), tenant)
	if err != nil || tag.RowsAffected() == 0 {
		return nil, err // it stands so already
	}
	return []uuid.UUID{tenant}, w.record(ctx, tx, tenant, subject, kind+"."+w.state(off), actor)
}

func (w Switch) application(ctx context.Context, tx pgx.Tx, actor string) ([]uuid.UUID, error) {
	var id uuid.UUID
	var tenants []uuid.UUID
	err := tx.QueryRow(ctx, `select id, tenants from applications where client_id = $1`, w.Client).Scan(&id, &tenants)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err == nil {
		_, err = tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, id.String())
	}
	if err != nil {
		return nil, err
	}
	tag, err := tx.Exec(ctx, `update applications set state = $2, epoch = epoch + 1 where id = $1 and state <> $2`, id, w.state("disabled"))
	if err != nil || tag.RowsAffected() == 0 {
		return nil, err
	}
	for _, tenant := range tenants {
		if err := w.record(ctx, tx, tenant, id, "application."+w.state("disabled"), actor); err != nil {
			return nil, err
		}
	}
	return tenants, nil
}

func (w Switch) state(off string) string {
	if w.Off {
		return off
	}
	return "active"
}

func (w Switch) record(ctx context.Context, tx pgx.Tx, tenant, subject uuid.UUID, kind, actor string) error {
	b := &pgx.Batch{}
	nameTenant(b, tenant.String(), everyConnection)
	log.Queue(b, log.Change{Tenant: tenant, Subject: subject, Kind: kind, Actor: actor, Request: newID(), Body: []byte(`{}`)})
	return tx.SendBatch(ctx, b).Close()
}

// LockUser shuts a person out, or lets them in again, whatever the customer's
// directory says.
func (dir *Directory) LockUser(ctx context.Context, id uuid.UUID, locked bool) (User, bool, error) {
	kind := "user.unlocked"
	if locked {
		kind = "user.locked"
	}
	return dir.changeUser(ctx, &userEdit{id: id, kind: kind, edit: func(p *person) ([]scim.Note, error) {
		p.locked = locked
		return nil, nil
	}})
}

// RestoreUser brings a deleted user back: same id, same memberships. A user
// whose name is taken again is a TakenError.
func (dir *Directory) RestoreUser(ctx context.Context, id uuid.UUID) (User, bool, error) {
	return dir.changeUser(ctx, &userEdit{id: id, kind: "user.restored", deleted: true, edit: func(p *person) ([]scim.Note, error) {
		p.deleted = false
		return nil, nil
	}})
}

// FindUser finds a user, deleted ones too, by id, userName or externalId.
func (dir *Directory) FindUser(ctx context.Context, ref string) (User, error) {
	id, _ := parseID(ref)
	var found []User
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`select `+userColumns+` from users u
		where u.tenant_id = $1 and `+dir.within("u.connection_id", "$2")+`
		and (u.id = $3 or u.user_name_key = $4 or u.external_id = $5)
		order by u.deleted_at is not null, u.id limit 20`, dir.tenant, dir.narrowed(), id, keyOf(ref), ref).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (u User, err error) { return u, u.scan(row) })
		return err
	})
	if err := dir.read(ctx, b); err != nil {
		return User{}, err
	}
	return theOne(found, ref)
}

// theOne prefers a living user to deleted ones and refuses to guess between two.
func theOne(found []User, ref string) (User, error) {
	switch {
	case len(found) == 0:
		return User{}, ErrNotFound
	case len(found) == 1 || !found[0].Deleted && found[1].Deleted:
		return found[0], nil
	}
	return User{}, badArgument("%q fits several users: name one by id, or the connection", clip(ref))
}

func keyOf(name string) string {
	key, err := scim.Key(name)
	if err != nil {
		return ""
	}
	return key
}
