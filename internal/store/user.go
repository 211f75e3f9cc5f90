package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
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
