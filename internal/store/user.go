package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// A User is a stored user: the attributes as JSON, and what the service
// provider itself knows.
type User struct {
	ID         uuid.UUID
	Connection uuid.UUID
	ExternalID string
	Created    time.Time
	Modified   time.Time
	Version    int64
	JSON       []byte // the attributes, as scim.AppendJSON writes them
	Active     bool
	Locked     bool // ours: SCIM neither sees nor clears it
	Deleted    bool
	Groups     []GroupRef // only where they were asked for
}

// A GroupRef is one of a user's groups (RFC 7643 §4.1.2, groups).
type GroupRef struct {
	ID      uuid.UUID
	Display string
	Direct  bool
}

// Resource reads the user's attributes; rt is its tenant's.
func (u User) Resource(rt *scim.ResourceType) (scim.Resource, error) {
	return scim.ParseStored(rt, u.JSON)
}

const userColumns = `u.id, u.connection_id, coalesce(u.external_id, ''), u.created_at, u.modified_at, u.version, u.resource,
	u.active, u.locked, u.deleted_at is not null`

// scan reads userColumns, and what comes after them.
func (u *User) scan(row pgx.Row, more ...any) error {
	return row.Scan(append([]any{&u.ID, &u.Connection, &u.ExternalID, &u.Created, &u.Modified, &u.Version, &u.JSON,
		&u.Active, &u.Locked, &u.Deleted}, more...)...)
}

// groupsColumns read the groups that a user is a member of, and whether one of
// them is in others: then what is above them takes a trip of its own.
func groupsColumns(wanted bool) string {
	if !wanted {
		return `array[]::text[], false`
	}
	return `array(select g.id::text || g.display_name from memberships m
			cross join lateral (select id, display_name, deleted_at from groups
				where tenant_id = u.tenant_id and id = m.group_id offset 0) g
			where m.tenant_id = u.tenant_id and m.member_user = u.id and g.deleted_at is null),
		exists (select from memberships m
			cross join lateral (select from memberships where tenant_id = u.tenant_id and member_group = m.group_id offset 0) above
			where m.tenant_id = u.tenant_id and m.member_user = u.id)`
}

// groupRefs reads what groupsColumns has written, in the order of their ids.
func groupRefs(texts []string) []GroupRef {
	var groups []GroupRef
	for _, text := range texts {
		const id = 36 // characters
		if key, err := uuid.Parse(text[:id]); err == nil {
			groups = append(groups, GroupRef{ID: key, Display: text[id:], Direct: true})
		}
	}
	slices.SortFunc(groups, func(a, b GroupRef) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return groups
}

// reachUp reads all groups of the users whose groups are in others.
func (dir *Directory) reachUp(ctx context.Context, nested map[uuid.UUID]*[]GroupRef) error {
	if len(nested) == 0 {
		return nil
	}
	ids := slices.Collect(maps.Keys(nested))
	for _, groups := range nested {
		*groups = nil
	}
	b := &pgx.Batch{}
	dir.enter(b)
	queueGroups(b, circle{tenant: dir.tenant, users: ids}, func(user uuid.UUID, g rolemap.Group, direct bool) {
		if key, err := uuid.Parse(g.ID); err == nil {
			groups := nested[user]
			*groups = append(*groups, GroupRef{ID: key, Display: g.DisplayName, Direct: direct})
		}
	})
	return dir.read(ctx, b)
}

// User reads a living user, in one round trip; two where the user is in groups
// that are in groups.
func (dir *Directory) User(ctx context.Context, id string, withGroups bool) (User, error) {
	key, err := parseID(id)
	if err != nil {
		return User{}, dir.refuse(ctx, err)
	}
	var u User
	var groups []string
	var nested bool
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`select `+userColumns+`, `+groupsColumns(withGroups)+` from users u
		where u.tenant_id = $1 and u.id = $2 and `+dir.within("u.connection_id", "$3")+` and u.deleted_at is null`,
		dir.tenant, key, dir.narrowed()).QueryRow(func(row pgx.Row) error { return u.scan(row, &groups, &nested) })
	err = dir.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		return User{}, ErrNotFound
	}
	u.Groups = groupRefs(groups)
	if err == nil && nested {
		err = dir.reachUp(ctx, map[uuid.UUID]*[]GroupRef{u.ID: &u.Groups})
	}
	return u, err
}

// narrowed is the Directory's connection as a query parameter: null for all.
func (dir *Directory) narrowed() uuid.NullUUID {
	return uuid.NullUUID{UUID: dir.connection, Valid: dir.connection != uuid.Nil}
}

// within is the condition that a row is of the Directory's connection, which is
// the query's parameter. It is two texts and not one with an `or`, so that the
// prepared plan of either can use the index by connection and name.
func (dir *Directory) within(column, parameter string) string {
	if dir.connection == uuid.Nil {
		return parameter + `::uuid is null`
	}
	return column + ` = ` + parameter
}

// refuse answers err for a request that needed no query, once the credential
// has been verified: who is not authenticated learns nothing.
func (dir *Directory) refuse(ctx context.Context, err error) error {
	if entered := dir.Enter(ctx); entered != nil {
		return entered
	}
	return err
}

// CreateUser adds a user and derives its roles, in one round trip. Where a
// living inactive user of the connection has the same externalId and the new
// one is active, that user is reactivated instead: same id, created false.
func (dir *Directory) CreateUser(ctx context.Context, doc scim.Document) (u User, created bool, err error) {
	if dir.connection == uuid.Nil {
		return User{}, false, errWhose
	}
	for range tries {
		u, created, err = dir.tryCreate(ctx, doc)
		if !errors.Is(err, errTwinMoved) {
			return u, created, err
		}
	}
	return User{}, false, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// errWhose: a new resource belongs to one connection.
var errWhose = badArgument("name the connection that the new user or group belongs to")

// errTwinMoved: the inactive user that a create met is not that any more.
var errTwinMoved = errors.New("the inactive user has changed")

// CreateNewUser is CreateUser for who is to be new: where that reactivates somebody,
// it answers ErrInactive.
func (dir *Directory) CreateNewUser(ctx context.Context, doc scim.Document) (User, error) {
	if dir.connection == uuid.Nil {
		return User{}, errWhose
	}
	_, u, err := dir.tryNew(ctx, doc)
	if state(err) == stateTwin {
		err = ErrInactive
	}
	return u, err
}

func (dir *Directory) tryCreate(ctx context.Context, doc scim.Document) (u User, created bool, err error) {
	p, u, err := dir.tryNew(ctx, doc)
	if state(err) == stateTwin || p.active && p.externalID != "" && takes(err, "userName") {
		return dir.reactivate(ctx, p, doc, err)
	}
	return u, err == nil, err
}

// tryNew adds the user, as the person that it would be.
func (dir *Directory) tryNew(ctx context.Context, doc scim.Document) (*person, User, error) {
	p := &person{id: newID(), connection: dir.connection, active: true, version: 1, now: time.Now()}
	if err := p.become(doc.Resource); err != nil {
		return p, User{}, dir.refuse(ctx, err)
	}
	p.stored = scim.AppendJSON(nil, dir.UserType(), p.resource)
	search := scim.SearchJSON(nil, dir.UserType(), p.resource)
	err := dir.retryRules(ctx, func() error {
		return dir.store.write(ctx, func() *pgx.Batch { return dir.insertUser(ctx, p, search, doc.Notes) })
	})
	if err = dir.resolve(ctx, err); err != nil {
		return p, User{}, err
	}
	dir.count(doc.Notes)
	dir.store.woke(dir.tenant)
	if p.created.IsZero() { // the commit was found by its request id; what it answered is lost
		u, err := dir.User(ctx, p.id.String(), false)
		return p, u, err
	}
	p.modified = p.created
	return p, p.user(), nil
}

func (dir *Directory) insertUser(ctx context.Context, p *person, search []byte, notes []scim.Note) *pgx.Batch {
	r := dir.settings.derive(ctx, p)
	b := &pgx.Batch{}
	if p.active && p.externalID != "" {
		dir.enterMeeting(b, p.externalID)
	} else {
		dir.enterCurrent(b)
	}
	w := &log.Write{Change: dir.change(p.connection, p.id, "user.created", 1, p.stored)}
	w.Change.Roles = p.effects(r.wanted)
	w.Add(insertUser, p.userNameKey, p.externalID, p.active, r.until, date(p.now), r.derived, string(p.stored), string(search))
	if keys := emails(p.resource); len(keys) > 0 {
		w.Add(insertEmails, keys)
	}
	var d delta
	d.move(p, r.wanted)
	d.addTo(w)
	dir.queueClaims(b, claimant{p.connection, p.id}, nil, dir.UserType().Claims(p.resource))
	dir.queueWrite(b, w, 201, notes, &p.created)
	return b
}

var (
	// Who was derived for another day than the database's is stale.
	insertUser = log.NewSubject(`
		insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, derived_until, derived, resource, search)
		values (@tenant, @connection, @subject, @name, nullif(@external, ''), @active, @until,
			case when @until::timestamptz is null or @today = (now() at time zone 'utc')::date::text then @derived::bigint end, @resource, @search)`)

	updateUser = log.NewSubject(`
		update users set user_name_key = @name, external_id = nullif(@external, ''), active = @active, locked = @locked,
			deleted_at = case when @deleted then coalesce(deleted_at, now()) end,
			epoch = epoch + @renewed, role_epoch = role_epoch + @lost, derived = @derived, derived_until = @until,
			version = @version, modified_at = now(), resource = @resource, search = coalesce(@search, search)
		where tenant_id = @tenant and id = @subject`)

	insertEmails = log.NewPart(`
		insert into user_values (tenant_id, connection_id, attribute, value_key, user_id)
		select @tenant, @connection, 'emails.value', unnest(@keys::text[]), @subject`)

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

// reactivate turns a create that meets a living inactive user with the same
// externalId into that user's return. conflict is what the create met.
func (dir *Directory) reactivate(ctx context.Context, created *person, doc scim.Document, conflict error) (User, bool, error) {
	var id uuid.UUID
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`
		select id from users
		where tenant_id = $1 and connection_id = $2 and external_id = $3 and deleted_at is null and not active
		order by user_name_key = $4 desc, id limit 1`, dir.tenant, dir.connection, created.externalID, created.userNameKey).
		QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
	err := dir.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		if state(conflict) == stateTwin {
			conflict = errTwinMoved
		}
		return User{}, false, conflict
	}
	if err != nil {
		return User{}, false, err
	}
	u, _, err := dir.changeUser(ctx, userEdit{id: id, kind: "user.reactivated", status: 201, edit: func(p *person) ([]scim.Note, error) {
		if p.active || p.externalID != created.externalID {
			return nil, errTwinMoved
		}
		p.active = true
		note := scim.Note{Quirk: "Q55", Path: "active", Reason: "the person exists and was inactive: reactivated"}
		next, notes, err := doc.Replace(dir.UserType(), p.resource)
		if err != nil {
			return nil, err
		}
		return append(notes, note), p.become(next)
	}})
	return u, false, err
}

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
	return dir.changeUser(ctx, userEdit{id: key, ifMatch: ifMatch, kind: "user.updated", status: 200,
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
	_, _, err = dir.changeUser(ctx, userEdit{id: key, ifMatch: ifMatch, kind: "user.deleted", status: 204,
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
}

// changeUser is the one way in which a user changes.
func (dir *Directory) changeUser(ctx context.Context, e userEdit) (u User, changed bool, err error) {
	err = dir.retryRules(ctx, func() error {
		return dir.store.transact(ctx, func(tx *transaction) error {
			u, changed, err = dir.tryUser(ctx, tx, e)
			return err
		})
	})
	if err = dir.resolve(ctx, err); err != nil {
		return User{}, false, err
	}
	if changed {
		dir.store.woke(dir.tenant)
	}
	return u, changed, nil
}

func (dir *Directory) tryUser(ctx context.Context, tx *transaction, e userEdit) (User, bool, error) {
	p, err := dir.lockUser(tx, e)
	if err != nil {
		return User{}, false, err
	}
	if !matches(e.ifMatch, p.version) {
		return User{}, false, ErrStale
	}
	notes, err := e.edit(p)
	if err != nil {
		return User{}, false, err
	}
	p.stored = scim.AppendJSON(nil, dir.UserType(), p.resource)
	differences, err := p.differences()
	if err != nil {
		return User{}, false, err
	}
	if len(differences) == 0 {
		dir.unchanged(notes)
		return p.user(), false, nil
	}
	p.version++
	p.modified = p.now
	err = tx.commit(func(b *pgx.Batch) { dir.saveUser(ctx, b, p, e, differences, notes) })
	dir.count(notes)
	return p.user(), true, err
}

// lockUser is the first trip: lock the row, then read in a new statement what
// its roles depend on.
func (dir *Directory) lockUser(tx *transaction, e userEdit) (*person, error) {
	p := &person{}
	nested := false
	err := tx.open(func(b *pgx.Batch) {
		dir.enterCurrent(b)
		b.Queue(`select `+personColumns+` from users u
			where u.tenant_id = $1 and u.id = $2 and `+dir.within("u.connection_id", "$3")+`
			and (u.deleted_at is not null) = $4 for no key update`, dir.tenant, e.id, dir.narrowed(), e.deleted).QueryRow(p.reads(dir.UserType()))
		queueFacts(b, dir.tenant, e.id, p, &nested)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err == nil && nested {
		p.groups, p.refs = nil, nil
		b := &pgx.Batch{}
		queueGroups(b, circle{tenant: dir.tenant, users: []uuid.UUID{e.id}}, func(_ uuid.UUID, g rolemap.Group, direct bool) { p.join(g, direct) })
		err = tx.send(b)
	}
	p.hold()
	return p, err
}

// saveUser queues everything that follows from the change to p.
func (dir *Directory) saveUser(ctx context.Context, b *pgx.Batch, p *person, e userEdit, differences []scim.Difference, notes []scim.Note) {
	r := dir.settings.derive(ctx, p)
	var d delta
	lost := d.move(p, r.wanted)
	var search string // none: as it was
	if searchedAnew(differences) {
		search = string(scim.SearchJSON(nil, dir.UserType(), p.resource))
	}
	w := &log.Write{Change: dir.change(p.connection, p.id, e.kind, p.version, scim.AppendDifferences(nil, differences))}
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
	dir.queueWrite(b, w, e.status, notes, nil)
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

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
