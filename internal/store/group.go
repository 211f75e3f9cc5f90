package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// A Group is a stored group. Its members are rows of their own and are read
// only where they are asked for.
type Group struct {
	ID         uuid.UUID
	Connection uuid.UUID
	Name       string
	ExternalID string
	Created    time.Time
	Modified   time.Time
	Version    int64
	JSON       []byte   // the attributes without members, as scim.AppendJSON writes them
	Members    []Member // nil: not read
}

// A Member is a living user or group in a group.
type Member struct {
	ID      uuid.UUID
	Type    string // User | Group
	Display string
}

// The version of a group is a base and the number of its newer changes, so
// that members do not wait for one another on a counter (design §5).
const groupVersion = `g.version + (select count(*) from changes c where c.tenant_id = g.tenant_id and c.subject = g.id and c.xid >= g.folded)`

const groupColumns = `g.id, g.connection_id, g.display_name, coalesce(g.external_id, ''), g.created_at, g.modified_at, g.resource, ` + groupVersion

func (g *Group) scan(row pgx.Row) error { return row.Scan(g.targets()...) }

func (g *Group) targets() []any {
	return []any{&g.ID, &g.Connection, &g.Name, &g.ExternalID, &g.Created, &g.Modified, &g.JSON, &g.Version}
}

// Group reads a living group, in one round trip.
func (dir *Directory) Group(ctx context.Context, id string, withMembers bool) (Group, error) {
	key, err := parseID(id)
	if err != nil {
		return Group{}, dir.refuse(ctx, err)
	}
	var g Group
	b := &pgx.Batch{}
	dir.enter(b)
	b.Queue(`select `+groupColumns+` from groups g
		where g.tenant_id = $1 and g.id = $2 and `+dir.within("g.connection_id", "$3")+` and g.deleted_at is null`,
		dir.tenant, key, dir.narrowed()).QueryRow(g.scan)
	if withMembers {
		g.Members = []Member{}
		dir.queueMembers(b, key, func(m Member) { g.Members = append(g.Members, m) })
	}
	err = dir.read(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		return Group{}, ErrNotFound
	}
	return g, err
}

// queueMembers reads the living members of a group, in the order of their ids. Who
// lives is asked of what the key has found: no index of the living is then a way to it.
func (dir *Directory) queueMembers(b *pgx.Batch, group uuid.UUID, add func(m Member)) {
	b.Queue(`
		select u.id, 'User', u.display from memberships m
		cross join lateral (select id, coalesce(resource->>'displayName', resource->>'userName', '') as display, deleted_at from users
			where tenant_id = $1 and id = m.member_user offset 0) u
		where m.tenant_id = $1 and m.group_id = $2 and u.deleted_at is null
		union all
		select g.id, 'Group', g.display_name from memberships m
		cross join lateral (select id, display_name, deleted_at from groups
			where tenant_id = $1 and id = m.member_group offset 0) g
		where m.tenant_id = $1 and m.group_id = $2 and g.deleted_at is null
		order by 1`, dir.tenant, group).Query(func(rows pgx.Rows) error {
		var m Member
		_, err := pgx.ForEachRow(rows, []any{&m.ID, &m.Type, &m.Display}, func() error {
			add(m)
			return nil
		})
		return err
	})
}

// CreateGroup adds a group with its members. Members that are not living users
// or groups of the connection are skipped and noted; a strict connection is
// refused instead.
func (dir *Directory) CreateGroup(ctx context.Context, doc scim.Document) (Group, []scim.Note, error) {
	if dir.connection == uuid.Nil {
		return Group{}, nil, errWhose
	}
	g := Group{ID: newID(), Connection: dir.connection, Version: 1}
	name, key, err := displayName(doc.Resource)
	if err != nil {
		return Group{}, nil, dir.refuse(ctx, err)
	}
	g.Name = name
	g.ExternalID, _ = doc.Resource["externalId"].(string)
	g.JSON = scim.AppendJSON(nil, dir.GroupType(), doc.Resource)
	search := scim.SearchJSON(nil, dir.GroupType(), doc.Resource)
	queueGroup := func(b *pgx.Batch) {
		b.Queue(`
			insert into groups (tenant_id, connection_id, id, display_name, display_name_key, external_id, resource, search)
			values ($1, $2, $3, $4, $5, nullif($6, ''), $7, $8) returning created_at`,
			dir.tenant, dir.connection, g.ID, g.Name, key, g.ExternalID, string(g.JSON), string(search)).
			QueryRow(func(row pgx.Row) error {
				err := row.Scan(&g.Created)
				g.Modified = g.Created
				return err
			})
		dir.queueClaims(b, claimant{g.Connection, g.ID}, nil, dir.GroupType().Claims(doc.Resource))
	}
	notes := doc.Notes
	if len(doc.Members) == 0 {
		err = dir.createAlone(ctx, &g, queueGroup, notes)
	} else {
		notes, err = dir.createWithMembers(ctx, &g, queueGroup, doc)
	}
	if err = dir.resolve(ctx, err); err != nil {
		return Group{}, nil, err
	}
	if len(doc.Members) == 0 {
		dir.count(notes)
	}
	dir.store.woke(dir.tenant)
	if g.Created.IsZero() {
		g, err = dir.Group(ctx, g.ID.String(), false)
	}
	return g, notes, err
}

// createAlone adds a group that nobody is in, in one round trip.
func (dir *Directory) createAlone(ctx context.Context, g *Group, queueGroup func(*pgx.Batch), notes []scim.Note) error {
	return dir.retryRules(ctx, func() error {
		return dir.store.write(ctx, func() *pgx.Batch {
			b := &pgx.Batch{}
			dir.enterCurrent(b)
			queueGroup(b)
			w := &log.Write{Change: dir.change(dir.connection, g.ID, "group.created", 0, g.JSON)}
			dir.queueWrite(b, w, 201, notes, nil)
			return b
		})
	})
}

func (dir *Directory) createWithMembers(ctx context.Context, g *Group, queueGroup func(*pgx.Batch), doc scim.Document) (notes []scim.Note, err error) {
	err = dir.retryRules(ctx, func() error {
		return dir.store.transact(ctx, func(tx *transaction) error {
			c := &groupChange{
				dir: dir, tx: tx, mode: nesting, created: true, kind: "group.created", status: 201, notes: doc.Notes,
				ops: []scim.MemberOp{{Kind: scim.AddMembers, Members: doc.Members}},
			}
			err := tx.open(func(b *pgx.Batch) {
				dir.enterCurrent(b)
				c.queueHold(b, g.ID, new([]uuid.UUID))
				queueGroup(b)
				c.queueNamed(b, g.ID, named(c.ops))
			})
			if err != nil {
				return err
			}
			c.group = *g
			c.above = []rolemap.Group{g.asRule()}
			err = c.run(ctx)
			notes = c.notes
			return err
		})
	})
	return notes, err
}

// displayName reads the name by which a group is known and its key.
func displayName(r scim.Resource) (name, key string, err error) {
	name, _ = r["displayName"].(string)
	key, err = scim.Key(name)
	if err != nil || key == "" {
		return "", "", scim.BadValue("displayName: a value is required")
	}
	return name, key, nil
}

// A GroupChange is what a PATCH or PUT makes of a group: its attributes, and
// its members in the order of the operations.
type GroupChange struct {
	Attributes func(scim.Resource) (scim.Resource, []scim.Note, error) // nil: they stay
	Members    []scim.MemberOp
}

// UpdateGroup changes a group and derives the roles of everybody whose groups
// change with it. A change of members takes the group's lock shared, so that
// members do not wait for one another; everything else takes it alone. changed
// is false where nothing differs; then nothing is written.
func (dir *Directory) UpdateGroup(ctx context.Context, id, ifMatch string, change GroupChange) (g Group, changed bool, err error) {
	key, err := parseID(id)
	if err != nil {
		return Group{}, false, dir.refuse(ctx, err)
	}
	mode := shared
	if ifMatch != "" || wholeList(change.Members) {
		mode = alone
	}
	err = dir.retryRules(ctx, func() error {
		for {
			g, changed, err = dir.tryGroup(ctx, key, ifMatch, change, mode)
			var hold errHold
			if !errors.As(err, &hold) || hold.mode <= mode {
				return err
			}
			mode = hold.mode
		}
	})
	if err = dir.resolve(ctx, err); err != nil {
		return Group{}, false, err
	}
	if changed {
		dir.store.woke(dir.tenant)
	}
	return g, changed, nil
}

func (dir *Directory) tryGroup(ctx context.Context, id uuid.UUID, ifMatch string, change GroupChange, mode lockMode) (g Group, changed bool, err error) {
	err = dir.store.transact(ctx, func(tx *transaction) error {
		c := &groupChange{dir: dir, tx: tx, mode: mode, kind: "group.members", status: 204, ops: change.Members}
		if err := c.open(id); err != nil {
			return err
		}
		if !matches(ifMatch, c.group.Version) {
			return ErrStale
		}
		if err := c.edit(change.Attributes); err != nil {
			return err
		}
		err := c.run(ctx)
		g, changed = c.group, c.changed
		if g.Version += one(changed); mode == shared {
			g.Version = 0 // not counted: members do not wait for one another
		}
		return err
	})
	return g, changed, err
}

// DeleteGroup ends a group. Its members stay; what they held through it ends.
func (dir *Directory) DeleteGroup(ctx context.Context, id, ifMatch string) error {
	key, err := parseID(id)
	if err != nil {
		return dir.refuse(ctx, err)
	}
	err = dir.retryRules(ctx, func() error {
		return dir.store.transact(ctx, func(tx *transaction) error {
			c := &groupChange{dir: dir, tx: tx, mode: alone, kind: "group.deleted", status: 204, deleted: true}
			if err := c.open(key); err != nil {
				return err
			}
			if !matches(ifMatch, c.group.Version) {
				return ErrStale
			}
			if c.before, err = scim.ParseStored(dir.GroupType(), c.group.JSON); err != nil {
				return err
			}
			return c.run(ctx)
		})
	})
	if err = dir.resolve(ctx, err); err == nil {
		dir.store.woke(dir.tenant)
	}
	return err
}
