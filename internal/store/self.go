package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
)

// A PersonToken is what an access token of ours says: whom it lets in, where, and
// since when. The issuer fills one from a token whose signature it has verified.
// Whether it still holds is for [Self.User] to say.
type PersonToken struct {
	Tenant      string // slug
	User        string // id
	Session     string // id
	ClientID    string
	Audience    string // of that application
	Expires     time.Time
	RoleEpoch   int64
	ClientEpoch int64
}

// A Self is what the directory shows a person who has signed in: the person alone.
type Self struct {
	store   *Store
	tenant  uuid.UUID
	slug    string
	user    uuid.UUID
	session uuid.UUID
	token   PersonToken
	set     *settings
}

// Self answers what an access token opens at a tenant's address. A token of
// another tenant is ErrUnauthenticated.
func (s *Store) Self(ctx context.Context, tenant string, t PersonToken) (*Self, error) {
	user, noUser := parseID(t.User)
	session, noSession := parseID(t.Session)
	if t.Tenant != tenant || noUser != nil || noSession != nil {
		return nil, ErrUnauthenticated
	}
	id, err := s.tenantID(s.unproved(ctx, tenant), tenant)
	if err != nil {
		return nil, err
	}
	self := &Self{store: s, tenant: id, slug: tenant, user: user, session: session, token: t, set: s.settings.load(id)}
	if self.set == nil {
		self.set, err = s.settingsFor(self.inShare(ctx), id, 0)
	}
	return self, err
}

// Tenant is the slug of the person's tenant.
func (me *Self) Tenant() string { return me.slug }

// Rate is how many requests a second the tenant is allowed: see [Directory.Rate].
func (me *Self) Rate() int { return me.store.rateOf(me.tenant) }

// Held reports whether the person might enter when this process last looked, by a
// token of the same session: see [Directory.Held].
func (me *Self) Held() bool { return me.store.visits.held(me.session) }

// UserType is the resource type of the person.
func (me *Self) UserType() *scim.ResourceType { return me.set.userType() }

// User reads the person, if the token's application would let them in now: the
// session and everything that it stands on is as it was when the token was made, and
// the person is active, not locked, and has a role there if one is needed. All of
// it is read in one transaction with the person. Else ErrUnauthenticated.
func (me *Self) User(ctx context.Context, withGroups bool) (User, error) {
	u, err := me.read(me.inShare(ctx), withGroups)
	me.store.visits.note(me.session, err)
	return u, err
}

// inShare is [Directory.InShare] for a person.
func (me *Self) inShare(ctx context.Context) context.Context {
	return inShare(ctx, me.tenant, me.Held())
}

func (me *Self) read(ctx context.Context, withGroups bool) (User, error) {
	var found redeemed
	var u User
	var groups []string
	var nested bool
	b := &pgx.Batch{}
	nameTenant(b, me.tenant.String(), everyConnection)
	found.queueSession(b, me)
	b.Queue(`select `+userColumns+`, `+groupsColumns(withGroups)+` from users u
		where u.tenant_id = $1 and u.id = $2 and u.deleted_at is null`, me.tenant, me.user).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := u.scan(rows, &groups, &nested); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err := me.store.read(ctx, b); err != nil {
		return User{}, err
	}
	if err := me.holds(ctx, &found); err != nil {
		return User{}, err
	}
	if found.derivation > me.set.derivation {
		me.store.settings.forget(me.tenant) // the next request is read by what holds now
	}
	u.Groups = groupRefs(groups)
	if !nested {
		return u, nil
	}
	dir := &Directory{store: me.store, tenant: me.tenant, slug: me.slug, connection: found.connection, settings: me.set}
	return u, dir.reachUp(ctx, map[uuid.UUID]*[]GroupRef{u.ID: &u.Groups})
}

// Enter says whether the person may enter now. A door asks before it refuses a
// request that no other call has preceded.
func (me *Self) Enter(ctx context.Context) error {
	_, err := me.User(ctx, false)
	return err
}

// holds says whether the person may enter now, by what the token says and what was
// found.
func (me *Self) holds(ctx context.Context, found *redeemed) error {
	s := me.store
	if found.user == uuid.Nil || !me.token.Expires.After(found.now) || found.roleEpoch != me.token.RoleEpoch || !found.holds() {
		return ErrUnauthenticated
	}
	err := s.refresh(ctx, me.tenant, &found.admission, true, func(b *pgx.Batch) error { return s.read(ctx, b) })
	if err != nil {
		return err
	}
	if d := s.refused(found.decide()); !d.Allowed {
		return ErrUnauthenticated
	}
	return nil
}

// queueSession reads the session that a token names, with what decides about its
// person and application.
func (f *redeemed) queueSession(b *pgx.Batch, self *Self) {
	f.codeApplication = self.token.ClientEpoch
	b.Queue(`select `+admissionColumns+`, s.id, s.user_epoch, s.tenant_epoch, s.connection_epoch, s.ended_at is null and s.expires_at > now()
		from sessions s
		join tenants t on t.id = s.tenant_id
		join applications a on a.client_id = $4 and a.audience = $5 and t.id = any(a.tenants)
		join users u on u.tenant_id = s.tenant_id and u.id = s.user_id and u.deleted_at is null
		join connections c on c.tenant_id = s.tenant_id and c.id = s.connection_id and c.id = u.connection_id
		where s.tenant_id = $1 and s.id = $2 and u.id = $3`,
		self.tenant, self.session, self.user, self.token.ClientID, self.token.Audience).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			err := rows.Scan(append(f.targets(), &f.session, &f.sessionUser, &f.sessionTenant, &f.sessionConn, &f.living)...)
			if err != nil {
				return err
			}
		}
		return rows.Err()
	})
}
