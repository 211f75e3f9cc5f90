package store

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/log"
)

// A lockMode is how a change holds the group it changes.
type lockMode uint8

const (
	shared  lockMode = iota // members come and go beside one another
	alone                   // the whole list, the name or the group itself changes, or a version was named
	nesting                 // groups enter or leave groups: also one at a time in the tenant
)

// errHold: the change turned out to need the group in a stricter mode.
type errHold struct{ mode lockMode }

func (errHold) Error() string { return "the group must be held in a stricter mode" }

// A groupChange is one change of one group on its way through a transaction.
type groupChange struct {
	dir  *Directory
	tx   *transaction
	mode lockMode

	group   Group
	created bool // by this transaction
	deleted bool // by this change
	edited  *groupEdit
	ops     []scim.MemberOp
	kind    string // of the change in the log
	status  int16
	notes   []scim.Note
	changed bool

	above   []rolemap.Group      // the group and its ancestors, as rules see them
	living  map[uuid.UUID]string // named ids that are living: User or Group
	members map[uuid.UUID]member // those of the named ids that are members, or all where the whole list is concerned
	people  map[uuid.UUID]*person
	added   []uuid.UUID
	removed []uuid.UUID
}

// A groupEdit is what becomes of a group's own attributes.
type groupEdit struct {
	resource scim.Resource
	key      string
	renamed  bool
}

type member struct {
	kind    string // User | Group
	display string
}

// wholeList reports whether an operation concerns members that it does not name.
func wholeList(ops []scim.MemberOp) bool {
	return slices.ContainsFunc(ops, func(op scim.MemberOp) bool {
		return op.Kind != scim.AddMembers && op.Kind != scim.RemoveMembers
	})
}

// named lists the ids that the operations name; what is no id is left out and
// noted where the outcome is computed.
func named(ops []scim.MemberOp) []uuid.UUID {
	seen := map[uuid.UUID]bool{}
	var ids []uuid.UUID
	for _, op := range ops {
		for _, m := range op.Members {
			if id, err := parseID(m.Value); err == nil && !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// direct reports whether the first trip can lock everybody concerned: the
// operations name them, and they are not too many.
func (c *groupChange) direct(ids []uuid.UUID) bool {
	return !c.created && !c.deleted && !wholeList(c.ops) && len(ids) <= maxDerived
}

// open is the first trip: hold the group and its ancestors, read them again
// now that they stand still, and lock and read the people named.
func (c *groupChange) open(id uuid.UUID) error {
	ids := named(c.ops)
	var held, seen []uuid.UUID
	err := c.tx.open(func(b *pgx.Batch) {
		c.dir.enterCurrent(b)
		c.queueHold(b, id, &held)
		b.Queue(`select `+groupColumns+` from groups g
			where g.tenant_id = $1 and g.id = $2 and `+c.dir.within("g.connection_id", "$3")+` and g.deleted_at is null`,
			c.dir.tenant, id, c.dir.narrowed()).QueryRow(c.group.scan)
		c.queueAbove(b, id, &seen)
		if c.direct(ids) && len(ids) > 0 {
			c.queuePeople(b, id, ids)
		}
		c.queueNamed(b, id, ids)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return err
	case !slices.Equal(held, seen):
		return errRepeat // the group was nested elsewhere while we waited
	}
	return nil
}

// ancestors selects a group and every group that it is in, as `up`.
const ancestors = `with recursive up as (
		select $2::uuid as id
		union
		select m.group_id from up join memberships m on m.tenant_id = $1 and m.member_group = up.id
	)`

// queueHold takes the locks, in the order of the groups' ids.
func (c *groupChange) queueHold(b *pgx.Batch, id uuid.UUID, held *[]uuid.UUID) {
	if c.mode == nesting {
		c.queueNesting(b)
	}
	b.Queue(ancestors+`
		select id, case when $3 and id = $2
			then pg_advisory_xact_lock(hashtextextended(id::text, 0)) is null
			else pg_advisory_xact_lock_shared(hashtextextended(id::text, 0)) is null end
		from (select id from up order by id offset 0) ordered`, c.dir.tenant, id, c.mode != shared).
		Query(collect(held))
}

// queueNesting lets one transaction at a time nest groups in the tenant, so
// that no two close a cycle between them.
func (c *groupChange) queueNesting(b *pgx.Batch) {
	b.Queue(`select pg_advisory_xact_lock(hashtextextended('nesting ' || $1::text, 0))`, c.dir.tenant.String())
}

// collect reads the first column of every row into ids, sorted.
func collect(ids *[]uuid.UUID) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		*ids = (*ids)[:0]
		var id uuid.UUID
		var locked bool
		_, err := pgx.ForEachRow(rows, []any{&id, &locked}, func() error {
			*ids = append(*ids, id)
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

// queuePeople locks the named people in the order of their ids, then reads
// what they hold and every group they are in but for their own place in this
// one, which is what changes.
func (c *groupChange) queuePeople(b *pgx.Batch, group uuid.UUID, ids []uuid.UUID) {
	c.people = map[uuid.UUID]*person{}
	b.Queue(`select `+personColumns+` from users u
		where u.tenant_id = $1 and u.id = any($2) and `+c.dir.within("u.connection_id", "$3")+` and u.deleted_at is null
		order by u.id for no key update`, c.dir.tenant, ids, c.dir.narrowed()).Query(c.collectPeople)
	b.Queue(`
		with recursive held as (
			select m.member_user as user_id, m.group_id from memberships m
			where m.tenant_id = $1 and m.member_user = any($2) and m.group_id <> $3
			union
			select held.user_id, m.group_id from held
			join memberships m on m.tenant_id = $1 and m.member_group = held.group_id
		)
		select held.user_id, g.id::text, coalesce(g.external_id, ''), g.display_name, g.connection_id::text
		from held join groups g on g.tenant_id = $1 and g.id = held.group_id and g.deleted_at is null
		order by g.id`, c.dir.tenant, ids, group).Query(c.collectGroups)
	queueHeld(b, c.dir.tenant, ids, c.addHeld)
}

func (c *groupChange) collectPeople(rows pgx.Rows) error {
	for rows.Next() {
		p := &person{}
		if err := p.scan(rows); err != nil {
			return err
		}
		p.hold()
		c.people[p.id] = p
	}
	return rows.Err()
}

func (c *groupChange) collectGroups(rows pgx.Rows) error {
	var user uuid.UUID
	var g rolemap.Group
	_, err := pgx.ForEachRow(rows, []any{&user, &g.ID, &g.ExternalID, &g.DisplayName, &g.Connection}, func() error {
		c.addGroup(user, g, false)
		return nil
	})
	return err
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

// queueNamed reads which of the named ids are living users and groups of the
// connection, and the members that the operations concern.
func (c *groupChange) queueNamed(b *pgx.Batch, group uuid.UUID, ids []uuid.UUID) {
	c.living, c.members = map[uuid.UUID]string{}, map[uuid.UUID]member{}
	if len(ids) > 0 {
		b.Queue(`
			select id, 'User' from users where tenant_id = $1 and id = any($2) and `+c.dir.within("connection_id", "$3")+` and deleted_at is null
			union all
			select id, 'Group' from groups where tenant_id = $1 and id = any($2) and `+c.dir.within("connection_id", "$3")+` and deleted_at is null`,
			c.dir.tenant, ids, c.dir.narrowed()).Query(func(rows pgx.Rows) error {
			var id uuid.UUID
			var kind string
			_, err := pgx.ForEachRow(rows, []any{&id, &kind}, func() error {
				c.living[id] = kind
				return nil
			})
			return err
		})
	}
	if c.deleted || len(c.ops) == 0 {
		return
	}
	whole := wholeList(c.ops)
	b.Queue(`
		select m.member_user, 'User', case when $4 then coalesce(u.resource->>'displayName', u.resource->>'userName', '') else '' end
		from memberships m join users u on u.tenant_id = m.tenant_id and u.id = m.member_user
		where m.tenant_id = $1 and m.group_id = $2 and ($4 or m.member_user = any($3)) and m.member_user is not null
		union all
		select m.member_group, 'Group', g.display_name
		from memberships m join groups g on g.tenant_id = m.tenant_id and g.id = m.member_group
		where m.tenant_id = $1 and m.group_id = $2 and ($4 or m.member_group = any($3)) and m.member_group is not null`,
		c.dir.tenant, group, ids, whole).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var m member
		_, err := pgx.ForEachRow(rows, []any{&id, &m.kind, &m.display}, func() error {
			c.members[id] = m
			return nil
		})
		return err
	})
}

// edit applies what becomes of the group's own attributes.
func (c *groupChange) edit(change func(scim.Resource) (scim.Resource, []scim.Note, error)) error {
	if change == nil {
		return nil
	}
	old, err := scim.ParseStored(scim.GroupType(), c.group.JSON)
	if err != nil {
		return err
	}
	next, notes, err := change(old)
	if err != nil {
		return err
	}
	c.notes = append(c.notes, notes...)
	text := scim.AppendJSON(nil, scim.GroupType(), next)
	if string(text) == string(c.group.JSON) {
		return nil
	}
	if c.mode == shared {
		return errHold{alone}
	}
	name, key, err := displayName(next)
	if err != nil {
		return err
	}
	external, _ := next["externalId"].(string)
	c.edited = &groupEdit{resource: next, key: key, renamed: name != c.group.Name || external != c.group.ExternalID}
	c.kind = "group.updated"
	c.group.Name, c.group.ExternalID, c.group.JSON = name, external, text
	return nil
}

// run decides what the change comes to, and writes it.
func (c *groupChange) run(ctx context.Context) error {
	if err := c.decide(); err != nil {
		return err
	}
	if len(c.added)+len(c.removed) == 0 && c.edited == nil && !c.created && !c.deleted {
		return nil
	}
	c.changed = true
	if c.direct(named(c.ops)) && c.edited == nil && !c.touchesGroups() {
		return c.commitDirect(ctx)
	}
	if c.touchesGroups() && c.mode != nesting {
		return errHold{nesting}
	}
	return c.commitWide(ctx)
}

// decide plays the operations on the members and leaves what differs.
func (c *groupChange) decide() error {
	after := make(map[uuid.UUID]bool, len(c.members))
	for id := range c.members {
		after[id] = true
	}
	for _, op := range c.ops {
		if err := c.play(op, after); err != nil {
			return err
		}
	}
	for id := range after {
		if _, was := c.members[id]; !was {
			c.added = append(c.added, id)
		}
	}
	for id := range c.members {
		if !after[id] {
			c.removed = append(c.removed, id)
		}
	}
	slices.SortFunc(c.added, compareIDs)
	slices.SortFunc(c.removed, compareIDs)
	return nil
}

func (c *groupChange) play(op scim.MemberOp, after map[uuid.UUID]bool) error {
	switch op.Kind {
	case scim.RemoveAll:
		clear(after)
	case scim.RemoveMatching:
		for id := range after {
			m := c.members[id]
			if m.kind == "" {
				m.kind = c.living[id]
			}
			if op.Filter.MatchElement(map[string]any{"value": id.String(), "type": m.kind, "display": m.display}) {
				delete(after, id)
			}
		}
	case scim.RemoveMembers:
		for _, m := range op.Members {
			if id, err := parseID(m.Value); err == nil {
				delete(after, id)
			}
		}
	case scim.ReplaceMembers:
		clear(after)
		if err := c.admit(op.Members, after); err != nil {
			return err
		}
		if len(after) == 0 { // one bad push must not empty a group (Q95)
			return scim.BadValue("members: none of the %d members named is a user or group here", len(op.Members))
		}
	case scim.AddMembers:
		return c.admit(op.Members, after)
	}
	return nil
}

// admit lets living users and groups of the connection in. Others are skipped
// and noted, so that one unknown id does not lose the rest of a push; a strict
// connection is refused (design §5, Unknown members).
func (c *groupChange) admit(members []scim.Member, after map[uuid.UUID]bool) error {
	for _, m := range members {
		id, err := parseID(m.Value)
		switch {
		case err == nil && id == c.group.ID:
			return scim.BadValue("members: a group cannot be its own member")
		case err == nil && c.living[id] != "":
			after[id] = true
		case c.dir.Profile() == scim.Strict:
			return scim.BadValue("members: %q is no user or group here", clip(m.Value))
		default:
			c.notes = append(c.notes, scim.Note{Quirk: "Q60", Path: "members", Reason: "no user or group here has the id " + clip(m.Value)})
		}
	}
	return nil
}

// clip bounds what a message repeats of a client's text.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

func (c *groupChange) touchesGroups() bool {
	isGroup := func(id uuid.UUID) bool { return c.living[id] == "Group" || c.members[id].kind == "Group" }
	return slices.ContainsFunc(c.added, isGroup) || slices.ContainsFunc(c.removed, isGroup)
}

// matters reports whether a rule may read one of the groups concerned.
func (c *groupChange) matters() bool {
	program := c.dir.settings.program
	return program != nil && slices.ContainsFunc(c.above, func(g rolemap.Group) bool {
		g.Connection = c.dir.settings.connectionName(g.Connection)
		return program.ReadsGroup(g)
	})
}

// commitDirect writes a change of named people: derived from what the first
// trip read, it is the second trip.
func (c *groupChange) commitDirect(ctx context.Context) error {
	for _, id := range c.added {
		if p := c.people[id]; p != nil {
			p.groups = append(p.groups, c.above...)
		}
	}
	var touched []*person
	for _, id := range append(slices.Clone(c.added), c.removed...) {
		if p := c.people[id]; p != nil && c.matters() {
			touched = append(touched, p)
		}
	}
	return c.tx.commit(func(b *pgx.Batch) {
		c.queueMembers(b)
		c.finish(ctx, b, touched)
	})
}

// finish queues the change, the roles that follow, and the request.
func (c *groupChange) finish(ctx context.Context, b *pgx.Batch, touched []*person) {
	var d delta
	var w settled
	effects := map[string]log.Effect{}
	for _, p := range touched {
		r := c.dir.settings.derive(ctx, p)
		lost := d.move(p, r.wanted)
		w.add(c.dir.settings, p, r, lost)
		if e := effect(p.held, r.wanted); e.Any() {
			effects[p.id.String()] = e
		}
	}
	w.queue(b, c.dir.tenant, c.dir.settings.derivation)
	change := c.dir.change(c.group.Connection, c.group.ID, c.kind, 0, c.body())
	change.Roles = effects
	log.Queue(b, change)
	d.queue(b, c.dir.tenant)
	c.dir.queueRequest(b, c.group.Connection, c.status, c.notes)
	c.dir.count(c.notes)
}

// body says in the log what changed.
func (c *groupChange) body() []byte {
	if c.created && len(c.added) == 0 {
		return c.group.JSON
	}
	said := map[string]any{}
	if c.created || c.edited != nil {
		said["group"] = rawJSON(c.group.JSON)
	}
	if len(c.added) > 0 {
		said["added"] = c.added
	}
	if len(c.removed) > 0 {
		said["removed"] = c.removed
	}
	if c.deleted {
		said["deleted"] = true
	}
	return marshal(said)
}

func (c *groupChange) queueMembers(b *pgx.Batch) {
	users, groups := c.split(c.added)
	if len(users) > 0 {
		b.Queue(`
			insert into memberships (tenant_id, connection_id, group_id, member_user)
			select $1, $2, $3, unnest($4::uuid[]) on conflict do nothing`, c.dir.tenant, c.group.Connection, c.group.ID, users)
	}
	if len(groups) > 0 {
		b.Queue(`
			insert into memberships (tenant_id, connection_id, group_id, member_group)
			select $1, $2, $3, unnest($4::uuid[]) on conflict do nothing`, c.dir.tenant, c.group.Connection, c.group.ID, groups)
	}
	users, groups = c.split(c.removed)
	if len(users) > 0 {
		b.Queue(`delete from memberships where tenant_id = $1 and group_id = $2 and member_user = any($3)`, c.dir.tenant, c.group.ID, users)
	}
	if len(groups) > 0 {
		b.Queue(`delete from memberships where tenant_id = $1 and group_id = $2 and member_group = any($3)`, c.dir.tenant, c.group.ID, groups)
	}
}

// split parts ids into users and groups.
func (c *groupChange) split(ids []uuid.UUID) (users, groups []uuid.UUID) {
	for _, id := range ids {
		if c.living[id] == "Group" || c.members[id].kind == "Group" {
			groups = append(groups, id)
		} else {
			users = append(users, id)
		}
	}
	return users, groups
}

// A settled collects the people whose assignments a change has made current.
type settled struct {
	ids   []uuid.UUID
	lost  []int64
	until any
}

// add settles p, unless its row says all of it already.
func (w *settled) add(set *settings, p *person, r roles, lost bool) {
	if p.derived != nil && *p.derived == set.derivation && r.until == nil && !lost {
		return
	}
	w.ids = append(w.ids, p.id)
	w.lost = append(w.lost, one(lost))
	if r.until != nil {
		w.until = *r.until
	}
}

func (w *settled) queue(b *pgx.Batch, tenant uuid.UUID, derivation int64) {
	if len(w.ids) > 0 {
		b.Queue(`
			update users u set derived = $4, derived_until = $5, role_epoch = u.role_epoch + s.lost
			from unnest($2::uuid[], $3::bigint[]) as s(id, lost)
			where u.tenant_id = $1 and u.id = s.id`, tenant, w.ids, w.lost, derivation, w.until)
	}
}
