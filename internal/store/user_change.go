package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// UpdateUser replaces the user with the given id by what change makes of it,
// derives the roles that now follow, and records both, in one transaction of
// two round trips. changed is false where nothing differs; then nothing is
// written.
func (dir *Directory) UpdateUser(ctx context.Context, id, ifMatch string,
	change func(scim.Resource) (scim.Resource, []scim.Note, error)) (u User, changed bool, err error) {
	key, err := parseID(id)
	if err != nil {
		return User{}, false, dir.refuse(ctx, err)
	}
	return dir.changeUser(ctx, &userEdit{id: key, ifMatch: ifMatch, kind: "user.updated", status: 200,
		edit: func(p *person) ([]scim.Note, error) {
			next, notes, err := change(p.resource)
			if err != nil {
				return nil, err
			}
			return notes, p.become(next)
		}})
}

// DeleteUser leaves a tombstone that only an admin can restore. To SCIM the
// user is gone, its identities are unbound and it holds nothing.
func (dir *Directory) DeleteUser(ctx context.Context, id, ifMatch string) error {
	key, err := parseID(id)
	if err != nil {
		return dir.refuse(ctx, err)
	}
	_, _, err = dir.changeUser(ctx, &userEdit{id: key, ifMatch: ifMatch, kind: "user.deleted", status: 204,
		edit: func(p *person) ([]scim.Note, error) {
			p.deleted = true
			return nil, nil
		}})
	return err
}

// A userEdit is one change to one user.
type userEdit struct {
	id      uuid.UUID
	ifMatch string
	kind    string // of the change
	status  int16  // of the answer, for the provisioning log
	deleted bool   // the tombstone is meant, not a living user
	edit    func(*person) ([]scim.Note, error)

	dir *Directory
	outcome
}

// An outcome is what became of an edit when it was last tried.
type outcome struct {
	person      *person // nil: there is no such user, or another transaction has it
	roles       roles
	differences []scim.Difference
	notes       []scim.Note
	err         error
	left        bool // for a transaction of its own
}

// changeUser is the one way in which a user changes. Changes that one credential asks for
// at the same time share a transaction.
func (dir *Directory) changeUser(ctx context.Context, e *userEdit) (u User, changed bool, err error) {
	e.dir = dir
	err = dir.retryRules(ctx, func() error {
		combine(ctx, dir, &dir.store.edits, e, func() {
			e.outcome = outcome{}
			e.err = dir.store.transact(ctx, e.alone)
		})
		return e.err
	})
	err = dir.resolve(ctx, err)
	switch {
	case e.writes():
		dir.count(e.notes)
	case err == nil:
		dir.unchanged(e.notes)
	}
	if err != nil {
		return User{}, false, err
	}
	if e.writes() {
		dir.store.woke(dir.tenant)
	}
	return e.person.user(), e.writes(), nil
}

// alone makes the edit in a transaction of its own, and waits for the user.
func (e *userEdit) alone(tx *transaction) error {
	if err := tryUsers(tx, []*userEdit{e}, waits); err != nil {
		return err
	}
	return e.err
}

// changeTogether makes edits of one credential in one transaction. It leaves whom another
// transaction has, and whatever it has no time for.
func (s *Store) changeTogether(ctx context.Context, edits []*userEdit, done []bool) {
	for _, e := range edits {
		e.outcome = outcome{}
	}
	shared, err := s.together(ctx, len(edits), inTransaction(func(tx *transaction) error { return tryUsers(tx, edits, passes) }))
	for i, e := range edits {
		if e.err == nil && (e.writes() || len(edits) == 1) {
			e.err = err
		}
		done[i] = shared && !e.left
	}
}

// tryUsers makes edits of different users in one transaction of two round trips. An edit
// that is refused writes nothing; the others are committed, in the order of their names:
// two transactions do not wait for one another.
func tryUsers(tx *transaction, edits []*userEdit, lock lockWait) error {
	if err := lockUsers(tx, edits, lock); err != nil {
		return err
	}
	var writing []*userEdit
	begun := time.Now()
	for i, e := range edits {
		if lock == passes && (e.person == nil || i > 0 && time.Since(begun) > sharedWork) {
			e.left = true
			continue
		}
		if e.err == nil {
			e.err = e.apply(tx.ctx)
		}
		if e.writes() {
			writing = append(writing, e)
		}
	}
	if len(writing) == 0 {
		return nil
	}
	slices.SortFunc(writing, func(a, b *userEdit) int { return cmp.Compare(a.person.userNameKey, b.person.userNameKey) })
	return tx.commit(func(b *pgx.Batch) {
		for _, e := range writing {
			e.save(b)
		}
	})
}

// apply edits the person in memory, and derives the roles that follow.
func (e *userEdit) apply(ctx context.Context) (err error) {
	p := e.person
	if p == nil {
		return ErrNotFound
	}
	if !matches(e.ifMatch, p.version) {
		return ErrStale
	}
	if e.notes, err = e.edit(p); err != nil {
		return err
	}
	p.stored = scim.AppendJSON(nil, e.dir.UserType(), p.resource)
	differences, err := p.differences()
	if err != nil || len(differences) == 0 {
		return err
	}
	p.version++
	p.modified = p.now
	e.differences, e.roles = differences, e.dir.settings.derive(ctx, p)
	return nil
}

// writes reports whether the edit changes anything.
func (e *userEdit) writes() bool { return len(e.differences) > 0 }

// lockUsers is the first trip: lock the rows, then read in a new statement what
// the roles of each depend on.
func lockUsers(tx *transaction, edits []*userEdit, lock lockWait) error {
	dir, byID, ids := edits[0].dir, map[uuid.UUID]*userEdit{}, make([]uuid.UUID, len(edits))
	for i, e := range edits {
		e.outcome = outcome{}
		byID[e.id], ids[i] = e, e.id
	}
	var nested []uuid.UUID
	err := tx.open(func(b *pgx.Batch) {
		dir.enterUsers(b, lock)
		b.Queue(`select `+personColumns+`
			from unnest($2::uuid[]) as named(id)
			cross join lateral (
				select * from users u where u.tenant_id = $1 and u.id = named.id and `+dir.within("u.connection_id", "$3")+`
				and (u.deleted_at is not null) = $4 for no key update`+lock.otherwise()+`) u`,
			dir.tenant, ids, dir.narrowed(), edits[0].deleted).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				p := &person{}
				if err := p.scan(rows); err != nil {
					return err
				}
				e := byID[p.id]
				e.person, e.err = p, p.parse(dir.UserType())
			}
			return rows.Err()
		})
		queueFacts(b, dir.tenant, ids, func(user uuid.UUID, f *facts) {
			e := byID[user]
			if e.person == nil {
				return
			}
			above, err := f.tell(e.person)
			e.err = errors.Join(e.err, err)
			if above {
				nested = append(nested, user)
				e.person.groups, e.person.refs = nil, nil
			}
		})
	})
	if err == nil && len(nested) > 0 {
		b := &pgx.Batch{}
		queueGroups(b, circle{tenant: dir.tenant, users: nested}, func(user uuid.UUID, g rolemap.Group, direct bool) { byID[user].person.join(g, direct) })
		err = tx.send(b)
	}
	for _, e := range edits {
		if e.person != nil {
			e.person.hold()
		}
	}
	return err
}

// A lockWait is what a transaction does where another one has a row.
type lockWait bool

const (
	waits  lockWait = true
	passes lockWait = false // what several share waits for no user, and but briefly for a unique value
)

func (w lockWait) otherwise() string {
	if w == waits {
		return ``
	}
	return ` skip locked`
}

// sharedWork is for how long a transaction that several share begins with edits, while it
// holds the people. Whoever it does not come to is alone.
const sharedWork = 100 * time.Millisecond

// save queues everything that follows from the edit.
func (e *userEdit) save(b *pgx.Batch) {
	dir, p, r := e.dir, e.person, e.roles
	var d delta
	lost := d.move(p, r.wanted)
	var search string // none: as it was
	if searchedAnew(e.differences) {
		search = string(scim.SearchJSON(nil, dir.UserType(), p.resource))
	}
	w := &log.Write{Change: dir.change(p.connection, p.id, e.kind, p.version, scim.AppendDifferences(nil, e.differences))}
	w.Change.Roles = p.effects(r.wanted)
	w.Add(updateUser, p.userNameKey, p.externalID, p.active, p.locked, p.deleted,
		one(p.renewed()), one(lost), r.derived, r.until, p.version, string(p.stored), given(search))
	p.addEmailChange(w)
	if p.renewed() && p.before.mayHold() { // who might not enter has no session
		w.Add(endSessions)
	}
	if p.deleted || p.externalID != p.before.externalID {
		w.Add(unbind)
	}
	d.addTo(w)
	dir.queueClaims(b, claimant{p.connection, p.id}, p.before.claims(dir.UserType()), p.claims(dir.UserType()))
	dir.queueWrite(b, w, e.status, e.notes, nil)
}

func (p *person) addEmailChange(w *log.Write) {
	was, is := emails(p.before.resource), emails(p.resource)
	if gone := slices.DeleteFunc(slices.Clone(was), func(key string) bool { return slices.Contains(is, key) }); len(gone) > 0 {
		w.Add(deleteEmails, gone)
	}
	if come := slices.DeleteFunc(is, func(key string) bool { return slices.Contains(was, key) }); len(come) > 0 {
		w.Add(insertEmails, come)
	}
}

var (
	updateUser = log.NewSubject(`
		update users set user_name_key = @name, external_id = nullif(@external, ''), active = @active, locked = @locked,
			deleted_at = case when @deleted then coalesce(deleted_at, now()) end,
			epoch = epoch + @renewed, role_epoch = role_epoch + @lost, derived = @derived, derived_until = @until,
			version = @version, modified_at = now(), resource = @resource, search = coalesce(@search, search)
		where tenant_id = @tenant and id = @subject`)

	// The person is locked by a statement before.
	deleteEmails = log.NewPart(`
		delete from user_values v using unnest(@keys::text[]) as gone(key)
		cross join lateral (select ctid from user_values where tenant_id = @tenant and connection_id = @connection
			and attribute = 'emails.value' and value_key = gone.key and user_id = @subject offset 0) found
		where v.ctid = found.ctid`)

	// The next sign-in must match anew.
	unbind = log.NewPart(`update identities set ended_at = now() where tenant_id = @tenant and user_id = @subject and ended_at is null`)
)

// change is one entry of the log in the name of this Directory.
func (dir *Directory) change(connection, subject uuid.UUID, kind string, version int64, body []byte) log.Change {
	return log.Change{
		Tenant: dir.tenant, Connection: uuid.NullUUID{UUID: connection, Valid: connection != uuid.Nil},
		Subject: subject, Kind: kind, Version: version, Actor: dir.actor, Request: dir.request.ID, Body: body,
	}
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
