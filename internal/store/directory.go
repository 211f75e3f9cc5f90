package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/registry"
)

// everyConnection is what muster.connection holds where a Directory is not
// narrowed to one connection.
const everyConnection = "all"

// A Request is the HTTP request or command on whose behalf a Directory acts.
// Its ID stands in everything that is written, and tells after an unclear
// commit whether it happened.
type Request struct {
	ID     uuid.UUID
	Method string
	Path   string
	Query  string    // what may be kept of it whosever the request is: names without values
	Agent  string    // what the client calls itself
	Began  time.Time // zero: not measured
}

// A Directory is one tenant's users, groups and rules, as seen by one
// credential: the receiver of everything that reads or changes tenant data.
// A SCIM credential's Directory sees its own connection only.
type Directory struct {
	store      *Store
	tenant     uuid.UUID
	slug       string
	connection uuid.UUID // uuid.Nil: every connection (admins)
	actor      string
	request    Request
	outdated   bool // settings are: found out by a read
	settings   *settings
	record     Record
	token      *credential // nil: an admin, who is not verified here
}

// SCIM answers the Directory of a SCIM token at the tenant's address. An
// unknown tenant and a token that does not open it answer alike,
// ErrUnauthenticated. Whether the token still holds is verified in the
// transaction of every use.
func (s *Store) SCIM(ctx context.Context, tenant, token string, r Request) (*Directory, error) {
	if !isToken(token) {
		return nil, ErrUnauthenticated
	}
	ctx = s.unproved(ctx, tenant)
	key := sha256.Sum256([]byte(token))
	c := s.credentials.load(key)
	if c == nil {
		found, err := s.findCredential(ctx, tenant, key)
		if errors.Is(err, ErrUnauthenticated) {
			s.strays.note(key, r, 401)
		}
		if err != nil {
			return nil, err
		}
		s.credentials.store(key, found)
		c = found
	}
	if c.slug != tenant {
		s.strays.note(key, r, 401)
		return nil, ErrUnauthenticated
	}
	dir := &Directory{
		store: s, tenant: c.tenant, slug: c.slug, connection: c.connection, token: c,
		actor: "scim:" + c.name, request: r,
	}
	ctx = dir.InShare(ctx)
	err := dir.loadSettings(ctx, false)
	if err == nil && !dir.settings.knows(c.connection) { // newer than what is kept
		err = dir.loadSettings(ctx, true)
	}
	return dir, err
}

// tenantID answers the id of the tenant with the given slug. Slugs are never
// reused, so it is asked once.
func (s *Store) tenantID(ctx context.Context, slug string) (uuid.UUID, error) {
	if id, ok := s.slugs.Load(slug); ok {
		return id.(uuid.UUID), nil
	}
	if !registry.IsSlug(slug) {
		return uuid.Nil, ErrNotFound
	}
	var id uuid.UUID
	b := &pgx.Batch{}
	b.Queue(`select id from tenants where slug = $1`, slug).QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
	err := s.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, ErrNotFound
	}
	if err != nil {
		return uuid.Nil, err
	}
	s.slugs.Store(slug, id)
	return id, nil
}

// Admin answers the Directory of a tenant for an admin: every connection. The
// caller has authenticated the actor.
func (s *Store) Admin(ctx context.Context, tenant, actor string, r Request) (*Directory, error) {
	id, err := s.tenantID(ctx, tenant)
	if err != nil {
		return nil, err
	}
	dir := &Directory{store: s, tenant: id, slug: tenant, actor: actor, request: r}
	return dir, dir.loadSettings(ctx, true)
}

// WithConnection narrows an admin's Directory to one connection.
func (dir *Directory) WithConnection(name string) (*Directory, error) {
	for id, c := range dir.settings.connections {
		if c.name == name {
			narrowed := *dir
			narrowed.connection = id
			return &narrowed, nil
		}
	}
	return nil, ErrNotFound
}

// UserType and GroupType are the tenant's resource types, its extensions included.
func (dir *Directory) UserType() *scim.ResourceType  { return dir.settings.userType() }
func (dir *Directory) GroupType() *scim.ResourceType { return dir.settings.groupType() }

// ResourceTypes are all the types that the tenant serves: User, Group, then those
// registered beside them, in the order of their registration.
func (dir *Directory) ResourceTypes() []*scim.ResourceType { return dir.settings.types }

// Profile is how the connection's requests are read.
func (dir *Directory) Profile() scim.Profile {
	if c, ok := dir.settings.connections[dir.connection]; ok {
		return c.profile
	}
	return scim.Lenient
}

// Tenant is the slug of the Directory's tenant.
func (dir *Directory) Tenant() string { return dir.slug }

// Enter verifies the credential now, in one round trip. A door calls it before
// it refuses a request that no other call has preceded.
func (dir *Directory) Enter(ctx context.Context) error {
	b := &pgx.Batch{}
	dir.enter(b)
	return dir.read(ctx, b)
}

// read sends a batch that begins with enter and changes nothing. Where the
// tenant has declared schemas since the Directory's settings were read, it takes
// the new ones and answers ErrRedeclared.
func (dir *Directory) read(ctx context.Context, b *pgx.Batch) error {
	err := dir.store.read(ctx, b)
	if !dir.outdated {
		return err
	}
	if renewed := dir.renew(ctx); renewed != nil {
		return renewed
	}
	return err
}

// renew takes the tenant's settings as they are now. ErrRedeclared says that
// what has been read by those of before is to be read anew.
func (dir *Directory) renew(ctx context.Context) error {
	before := dir.settings.vocabulary.versions
	if err := dir.loadSettings(ctx, true); err != nil {
		return err
	}
	dir.outdated = false
	if dir.settings.vocabulary.versions != before {
		return ErrRedeclared
	}
	return nil
}

// retryRules runs change, and once more with fresh settings where the rules
// had changed under it. Where the schemas had, it answers ErrRedeclared.
func (dir *Directory) retryRules(ctx context.Context, change func() error) error {
	err := change()
	for range tries - 1 {
		if state(err) != stateOtherRules {
			break
		}
		if err := dir.renew(ctx); err != nil {
			return err
		}
		err = change()
	}
	if state(err) == stateOtherRules { // they change faster than they can be read
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// parseID reads an id of ours; anything else is no id. Letter case counts: it is
// case-exact (RFC 7643 §3.1).
func parseID(id string) (uuid.UUID, error) {
	if len(id) != 36 {
		return uuid.Nil, ErrNotFound
	}
	parsed, err := uuid.Parse(id)
	if err != nil || strings.ToLower(id) != id {
		return uuid.Nil, ErrNotFound
	}
	return parsed, nil
}

// newID returns a UUIDv7: ids sort by the time they were made, which is the
// order of lists.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// date is the day for which rules that read `today` are evaluated.
func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
