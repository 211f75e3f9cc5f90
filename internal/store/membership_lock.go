package store

import (
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
)

// open is the first trip: hold the group, read it now that it stands still,
// and lock and read the people named. A group that is in other groups is held
// with all of them: that takes a second beginning, but to admins, who always ask.
func (c *groupChange) open(id uuid.UUID) error {
	err := c.tryOpen(id)
	for errors.Is(err, errNested) || errors.Is(err, errRead) {
		c.nested = c.nested || errors.Is(err, errNested)
		if err = c.tx.rollback(); err == nil {
			err = c.tryOpen(id)
		}
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// errNested: the group is in other groups, and those are not held yet.
var errNested = errors.New("the group is in other groups")

// errRead: a rule may read the group, against what was expected.
var errRead = errors.New("a rule may read the group")

// maxUnread bounds the groups of which a process remembers that no rule read them.
const maxUnread = 1 << 16

func (c *groupChange) tryOpen(id uuid.UUID) error {
	c.nested = c.nested || c.mode == nesting || c.dir.token == nil
	ids := named(c.ops)
	var held, seen []uuid.UUID
	nested := false
	blind := len(ids) == 1 && c.direct(ids) && !c.nested && c.dir.store.unread.has(id)
	c.one, c.people = nil, map[uuid.UUID]*person{}
	c.living, c.members = map[uuid.UUID]string{}, map[uuid.UUID]member{}
	err := c.tx.open(func(b *pgx.Batch) {
		if c.nested {
			c.dir.enterCurrent(b)
			c.queueHold(b, id, &held)
			c.queueAbove(b, id, &seen)
		} else {
			c.dir.enterHolding(b, id, c.mode.hold())
		}
		switch {
		case !c.direct(ids):
			c.queueSelf(b, id, &nested)
			c.queueNamed(b, id, ids)
		case blind:
			c.queueMember(b, id, ids[0], &nested)
		case len(ids) == 1:
			c.queuePerson(b, ids[0])
			c.queueSelfAndOne(b, id, ids[0], &nested)
		default:
			c.queueSelf(b, id, &nested)
			c.queuePeople(b, ids)
			c.queueMany(b, id, ids)
		}
	})
	switch {
	case err != nil:
		return err
	case !c.nested && nested:
		return errNested
	case !slices.Equal(held, seen):
		return errRepeat // the group was nested elsewhere while we waited
	}
	if !c.nested {
		c.above = []rolemap.Group{c.group.asRule()}
		switch read := c.matters(); {
		case blind && read:
			c.dir.store.unread.drop(id)
			return errRead
		case !read:
			c.dir.store.unread.add(id, maxUnread)
		}
	}
	if err := c.takeOne(id); err != nil {
		return err
	}
	return c.resolveNamed(id, ids)
}

// resolveNamed finds out about named ids that are no living users: groups, or
// nobody. It takes a trip only where there are any.
func (c *groupChange) resolveNamed(group uuid.UUID, ids []uuid.UUID) error {
	if !c.direct(ids) {
		return nil
	}
	for id := range c.people {
		c.living[id] = "User"
	}
	others := slices.DeleteFunc(slices.Clone(ids), func(id uuid.UUID) bool { return c.living[id] != "" })
	if len(others) == 0 {
		return nil
	}
	known, members := c.living, c.members
	b := &pgx.Batch{}
	c.queueNamed(b, group, others)
	err := c.tx.send(b)
	maps.Copy(c.living, known)
	maps.Copy(c.members, members)
	return err
}

// asRule is the group as rules see it.
func (g *Group) asRule() rolemap.Group {
	return rolemap.Group{ID: g.ID.String(), ExternalID: g.ExternalID, DisplayName: g.Name, Connection: g.Connection.String()}
}

// queueSelf reads the group, and whether it is in others.
func (c *groupChange) queueSelf(b *pgx.Batch, id uuid.UUID, nested *bool) {
	b.Queue(`select `+c.mode.selfColumns()+` from groups g
		where g.tenant_id = $1 and g.id = $2 and `+c.dir.within("g.connection_id", "$3")+` and g.deleted_at is null`,
		c.dir.tenant, id, c.dir.narrowed()).QueryRow(func(row pgx.Row) error { return row.Scan(append(c.group.targets(), nested)...) })
}

// queueMember locks the one person whom a change names, of a group that no rule read when
// it was last looked at, and then reads the group and whether they are in it: nobody's
// roles are derived, so nothing else of the person is asked.
func (c *groupChange) queueMember(b *pgx.Batch, id, user uuid.UUID, nested *bool) {
	b.Queue(`select u.deleted_at is null from users u
		where u.tenant_id = $1 and u.id = $2 and `+c.dir.within("u.connection_id", "$3")+` for no key update`,
		c.dir.tenant, user, c.dir.narrowed()).Query(func(rows pgx.Rows) error {
		var living bool
		_, err := pgx.ForEachRow(rows, []any{&living}, func() error {
			if living {
				c.living[user] = "User"
			}
			return nil
		})
		return err
	})
	b.Queue(`select `+c.mode.selfColumns()+`, exists (select from memberships m where m.tenant_id = $1 and m.group_id = $2 and m.member_user = $4) from groups g
		where g.tenant_id = $1 and g.id = $2 and `+c.dir.within("g.connection_id", "$3")+` and g.deleted_at is null`,
		c.dir.tenant, id, c.dir.narrowed(), user).QueryRow(func(row pgx.Row) error {
		isMember := false
		err := row.Scan(append(c.group.targets(), nested, &isMember)...)
		if isMember {
			c.members[user] = member{kind: "User"}
		}
		return err
	})
}

// queueSelfAndOne reads the group and, in the same statement, about one person whom
// queuePerson has locked what queueSelf and queueMany read in four.
func (c *groupChange) queueSelfAndOne(b *pgx.Batch, id, user uuid.UUID, nested *bool) {
	c.one = &facts{}
	b.Queue(`select `+c.mode.selfColumns()+`, `+factColumns+` from groups g cross join (select $2::uuid as id) named
		where g.tenant_id = $1 and g.id = $4 and `+c.dir.within("g.connection_id", "$3")+` and g.deleted_at is null`,
		c.dir.tenant, user, c.dir.narrowed(), id).QueryRow(func(row pgx.Row) error {
		return row.Scan(slices.Concat(c.group.targets(), []any{nested}, c.one.targets())...)
	})
}

// selfColumns read the group g and whether it is in others. Its version is counted only
// where the change holds the group alone: who comes and goes beside others has no use
// for it.
func (mode lockMode) selfColumns() string {
	const (
		group  = `g.id, g.connection_id, g.display_name, coalesce(g.external_id, ''), g.created_at, g.modified_at, g.resource, `
		nested = `, exists (select from memberships m where m.tenant_id = g.tenant_id and m.member_group = g.id)`
	)
	if mode == shared {
		return group + `0` + nested
	}
	return group + groupVersion + nested
}

// groupKey begins the key of a group's lock, which the group's id ends. The tenant stands
// in it: whatever id a client makes up, nobody else's lock is meant.
const groupKey = `'group ' || current_setting('muster.tenant') || ' ' || `

// hold takes the lock of the group whose id is $5, in enterHolding: a case that is none.
func (mode lockMode) hold() string {
	if mode == shared {
		return `
			when pg_advisory_xact_lock_shared(hashtextextended(` + groupKey + `$5, 0)) is null then null`
	}
	return `
			when pg_advisory_xact_lock(hashtextextended(` + groupKey + `$5, 0)) is null then null`
}

// ancestors selects a group and every group that it is in, as `up`.
const ancestors = `with recursive up as (
		select $2::uuid as id
		union
		select m.group_id from up join memberships m on m.tenant_id = $1 and m.member_group = up.id
	)`

// queueHold takes the locks, in the order of the groups' ids: the group's own,
// alone or shared, those of the groups above it, shared, and where groups enter
// or leave it theirs, alone, so that nobody comes into one of them unseen.
func (c *groupChange) queueHold(b *pgx.Batch, id uuid.UUID, held *[]uuid.UUID) {
	if c.mode == nesting {
		c.queueNesting(b)
		b.Queue(ancestors+`, concerned as (
				select id, true as above, id = $2 as alone from up
				union all
				select g.id, false, true from groups g
				where g.tenant_id = $1 and g.deleted_at is null and (g.id = any($3)
					or g.id in (select m.member_group from memberships m where m.tenant_id = $1 and m.group_id = $2))
			)
			select id, above, case when alone
				then pg_advisory_xact_lock(hashtextextended(`+groupKey+`id::text, 0)) is null
				else pg_advisory_xact_lock_shared(hashtextextended(`+groupKey+`id::text, 0)) is null end
			from (select id, bool_or(above) as above, bool_or(alone) as alone from concerned group by id order by id offset 0) ordered`,
			c.dir.tenant, id, named(c.ops)).Query(collect(held))
		return
	}
	b.Queue(ancestors+`
		select id, true, case when $3 and id = $2
			then pg_advisory_xact_lock(hashtextextended(`+groupKey+`id::text, 0)) is null
			else pg_advisory_xact_lock_shared(hashtextextended(`+groupKey+`id::text, 0)) is null end
		from (select id from up order by id offset 0) ordered`, c.dir.tenant, id, c.mode != shared).
		Query(collect(held))
}

// queueNesting lets one transaction at a time nest groups in the tenant, so
// that no two close a cycle between them.
func (c *groupChange) queueNesting(b *pgx.Batch) {
	b.Queue(`select pg_advisory_xact_lock(hashtextextended('nesting ' || $1::text, 0))`, c.dir.tenant.String())
}

// collect reads the ids of the groups above into ids, sorted.
func collect(ids *[]uuid.UUID) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		*ids = (*ids)[:0]
		var id uuid.UUID
		var above, locked bool
		_, err := pgx.ForEachRow(rows, []any{&id, &above, &locked}, func() error {
			if above {
				*ids = append(*ids, id)
			}
			return nil
		})
		slices.SortFunc(*ids, compareIDs)
		return err
	}
}

func compareIDs(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }

func (c *groupChange) queueAbove(b *pgx.Batch, id uuid.UUID, seen *[]uuid.UUID) {
	b.Queue(ancestors+`
		select g.id, coalesce(g.external_id, ''), g.display_name, g.connection_id::text
		from up join groups g on g.tenant_id = $1 and g.id = up.id order by g.id`, c.dir.tenant, id).
		Query(func(rows pgx.Rows) error {
			*seen, c.above = (*seen)[:0], nil
			var id uuid.UUID
			var g rolemap.Group
			_, err := pgx.ForEachRow(rows, []any{&id, &g.ExternalID, &g.DisplayName, &g.Connection}, func() error {
				g.ID = id.String()
				*seen = append(*seen, id)
				c.above = append(c.above, g)
				return nil
			})
			slices.SortFunc(*seen, compareIDs)
			return err
		})
}

// queuePerson locks the one person whom a change names.
func (c *groupChange) queuePerson(b *pgx.Batch, id uuid.UUID) {
	b.Queue(`select `+personColumns+` from users u
		where u.tenant_id = $1 and u.id = $2 and `+c.dir.within("u.connection_id", "$3")+` for no key update`,
		c.dir.tenant, id, c.dir.narrowed()).Query(c.collectPeople)
}

// queuePeople locks the named people in the order of their ids.
func (c *groupChange) queuePeople(b *pgx.Batch, ids []uuid.UUID) {
	slices.SortFunc(ids, compareIDs)
	b.Queue(`
		select `+personColumns+`
		from unnest($2::uuid[]) as named(id)
		cross join lateral (
			select * from users u where u.tenant_id = $1 and u.id = named.id and `+c.dir.within("u.connection_id", "$3")+`
			for no key update) u`, c.dir.tenant, ids, c.dir.narrowed()).Query(c.collectPeople)
}

// queueMany reads whether the people whom queuePeople has locked are members, and on what
// their roles depend: every group that they are in but for their own place in this one,
// which is what changes.
func (c *groupChange) queueMany(b *pgx.Batch, group uuid.UUID, ids []uuid.UUID) {
	b.Queue(`
		select named.id from unnest($3::uuid[]) as named(id)
		cross join lateral (select from memberships where tenant_id = $1 and group_id = $2 and member_user = named.id offset 0) m`,
		c.dir.tenant, group, ids).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
			c.members[id] = member{kind: "User"}
			return nil
		})
		return err
	})
	queueGroups(b, circle{tenant: c.dir.tenant, users: ids, but: group}, c.addGroup)
	queueHeld(b, c.dir.tenant, ids, c.addHeld)
}

// takeOne hands over what queueSelfAndOne has read of the one person. It takes a trip
// where one of the groups is in others.
func (c *groupChange) takeOne(group uuid.UUID) error {
	if c.one == nil {
		return nil
	}
	for _, p := range c.people {
		known := &person{}
		nested, err := c.one.tell(known)
		if err != nil {
			return err
		}
		p.held = known.held
		for _, g := range known.groups {
			if g.ID == group.String() {
				c.members[p.id] = member{kind: "User"}
			} else if !nested {
				p.groups = append(p.groups, g)
			}
		}
		if nested {
			b := &pgx.Batch{}
			queueGroups(b, circle{tenant: c.dir.tenant, users: []uuid.UUID{p.id}, but: group}, c.addGroup)
			return c.tx.send(b)
		}
	}
	return nil
}

func (c *groupChange) collectPeople(rows pgx.Rows) error {
	c.locked = 0
	for rows.Next() {
		p := &person{}
		if err := p.reads(c.dir.UserType())(rows); err != nil {
			return err
		}
		c.locked++
		if p.deleted {
			continue // held, so that nobody restores them beside this change
		}
		p.hold()
		c.people[p.id] = p
	}
	return rows.Err()
}

func (c *groupChange) addGroup(user uuid.UUID, g rolemap.Group, _ bool) {
	if p := c.people[user]; p != nil {
		p.groups = append(p.groups, g)
	}
}

func (c *groupChange) addHeld(user uuid.UUID, a assignment) {
	if p := c.people[user]; p != nil {
		p.held = append(p.held, a)
	}
}

// queueNamed reads the members that the operations concern, and which of the
// named ids are living users and groups of the connection.
func (c *groupChange) queueNamed(b *pgx.Batch, group uuid.UUID, ids []uuid.UUID) {
	c.living, c.members = map[uuid.UUID]string{}, map[uuid.UUID]member{}
	if wholeList(c.ops) {
		c.queueWhole(b, group)
	}
	if len(ids) == 0 {
		return
	}
	b.Queue(`
		select named.id, found.kind, found.is_member
		from unnest($2::uuid[]) as named(id)
		cross join lateral (
			select 'User' as kind, true as is_member from memberships where tenant_id = $1 and group_id = $4 and member_user = named.id
			union all
			select 'Group', true from memberships where tenant_id = $1 and group_id = $4 and member_user is null and member_group = named.id
			union all
			select 'User', false from (select * from users where tenant_id = $1 and id = named.id offset 0) u
			where `+c.dir.within("u.connection_id", "$3")+` and u.deleted_at is null
			union all
			select 'Group', false from (select * from groups where tenant_id = $1 and id = named.id offset 0) g
			where `+c.dir.within("g.connection_id", "$3")+` and g.deleted_at is null
			offset 0) found`,
		c.dir.tenant, ids, c.dir.narrowed(), group).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var kind string
		var isMember bool
		_, err := pgx.ForEachRow(rows, []any{&id, &kind, &isMember}, func() error {
			if !isMember {
				c.living[id] = kind
			} else if _, known := c.members[id]; !known {
				c.members[id] = member{kind: kind}
			}
			return nil
		})
		return err
	})
}

// queueWhole reads all members, for operations that concern more than they name.
func (c *groupChange) queueWhole(b *pgx.Batch, group uuid.UUID) {
	b.Queue(`
		select m.member_user, 'User', coalesce(u.resource->>'displayName', u.resource->>'userName', '')
		from memberships m join users u on u.tenant_id = m.tenant_id and u.id = m.member_user
		where m.tenant_id = $1 and m.group_id = $2
		union all
		select m.member_group, 'Group', g.display_name
		from memberships m join groups g on g.tenant_id = m.tenant_id and g.id = m.member_group
		where m.tenant_id = $1 and m.group_id = $2`, c.dir.tenant, group).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var m member
		_, err := pgx.ForEachRow(rows, []any{&id, &m.kind, &m.display}, func() error {
			c.members[id] = m
			return nil
		})
		return err
	})
}
