package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

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

// A newUser is a user to be added, and what came of it.
type newUser struct {
	dir    *Directory
	person *person
	search []byte
	notes  []scim.Note

	err  error
	left bool // for a transaction of its own
}

// tryNew adds the user, as the person that it would be. Users whom one credential adds at
// the same time share a transaction.
func (dir *Directory) tryNew(ctx context.Context, doc scim.Document) (*person, User, error) {
	p := &person{id: newID(), connection: dir.connection, active: true, version: 1, now: time.Now()}
	if err := p.become(doc.Resource); err != nil {
		return p, User{}, dir.refuse(ctx, err)
	}
	p.stored = scim.AppendJSON(nil, dir.UserType(), p.resource)
	n := &newUser{dir: dir, person: p, search: scim.SearchJSON(nil, dir.UserType(), p.resource), notes: doc.Notes}
	err := dir.retryRules(ctx, func() error {
		combine(ctx, dir, &dir.store.additions, n, func() {
			n.err = dir.store.write(ctx, func() *pgx.Batch { return addUsers(ctx, []*newUser{n}, waits) })
		})
		return n.err
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

// addTogether adds users of one credential. It leaves whatever it has no time for.
func (s *Store) addTogether(ctx context.Context, users []*newUser, done []bool) {
	shared, err := s.together(ctx, len(users), func(ctx context.Context, conn *pgxpool.Conn) error {
		return sendCommit(ctx, conn, addUsers(ctx, users, passes))
	})
	for i, n := range users {
		n.err, done[i] = err, shared && !n.left
	}
}

// addUsers is the transaction that adds users of one credential, in one round trip. The
// order of their names keeps two of them from waiting for one another.
func addUsers(ctx context.Context, users []*newUser, lock lockWait) *pgx.Batch {
	users = slices.SortedFunc(slices.Values(users), func(a, b *newUser) int { return cmp.Compare(a.person.userNameKey, b.person.userNameKey) })
	var perhapsBack []string
	for _, n := range users {
		if n.person.active && n.person.externalID != "" {
			perhapsBack = append(perhapsBack, n.person.externalID)
		}
	}
	b := &pgx.Batch{}
	users[0].dir.enterMeeting(b, perhapsBack, lock)
	begun := time.Now()
	for i, n := range users {
		if n.left = i > 0 && time.Since(begun) > sharedWork; !n.left {
			n.add(ctx, b)
		}
	}
	return b
}

// add queues the user and everything that follows from it.
func (n *newUser) add(ctx context.Context, b *pgx.Batch) {
	dir, p := n.dir, n.person
	r := dir.settings.derive(ctx, p)
	w := &log.Write{Change: dir.change(p.connection, p.id, "user.created", 1, p.stored)}
	w.Change.Roles = p.effects(r.wanted)
	w.Add(insertUser, p.userNameKey, p.externalID, p.active, r.until, date(p.now), r.derived, string(p.stored), string(n.search))
	if keys := emails(p.resource); len(keys) > 0 {
		w.Add(insertEmails, keys)
	}
	var d delta
	d.move(p, r.wanted)
	d.addTo(w)
	dir.queueClaims(b, claimant{p.connection, p.id}, nil, dir.UserType().Claims(p.resource))
	p.created = time.Time{}
	dir.queueWrite(b, w, 201, n.notes, &p.created)
}

var (
	// Who was derived for another day than the database's is stale.
	insertUser = log.NewSubject(`
		insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, derived_until, derived, resource, search)
		values (@tenant, @connection, @subject, @name, nullif(@external, ''), @active, @until,
			case when @until::timestamptz is null or @today = (now() at time zone 'utc')::date::text then @derived::bigint end, @resource, @search)`)

	insertEmails = log.NewPart(`
		insert into user_values (tenant_id, connection_id, attribute, value_key, user_id)
		select @tenant, @connection, 'emails.value', unnest(@keys::text[]), @subject`)
)

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
	u, _, err := dir.changeUser(ctx, &userEdit{id: id, kind: "user.reactivated", status: 201, edit: func(p *person) ([]scim.Note, error) {
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
