package store

import (
	"context"
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
	shared  lockMode = iota // members come and go beside one another; the version is not read
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
	before  scim.Resource // the group's attributes as they were, where this change reads them
	created bool          // by this transaction
	deleted bool          // by this change
	edited  *groupEdit
	ops     []scim.MemberOp
	kind    string // of the change in the log
	status  int16
	notes   []scim.Note
	changed bool

	nested  bool                 // the group is in groups, whose locks are held too
	above   []rolemap.Group      // the group and its ancestors, as rules see them
	living  map[uuid.UUID]string // named ids that are living: User or Group
	members map[uuid.UUID]member // those of the named ids that are members, or all where the whole list is concerned
	people  map[uuid.UUID]*person
	locked  int // people locked, deleted ones too
	added   []uuid.UUID
	removed []uuid.UUID

	one *facts // what a change of one person reads about them
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
	return !c.created && !c.deleted && !wholeList(c.ops) && len(ids) > 0 && len(ids) <= maxDerived
}

// edit applies what becomes of the group's own attributes.
func (c *groupChange) edit(change func(scim.Resource) (scim.Resource, []scim.Note, error)) error {
	if change == nil {
		return nil
	}
	var err error
	if c.before, err = scim.ParseStored(c.dir.GroupType(), c.group.JSON); err != nil {
		return err
	}
	next, notes, err := change(c.before)
	if err != nil {
		return err
	}
	c.notes = append(c.notes, notes...)
	text := scim.AppendJSON(nil, c.dir.GroupType(), next)
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
		c.dir.unchanged(c.notes)
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
		w := c.write()
		if len(c.added) > 0 {
			w.Add(addMembers, c.added)
		}
		if len(c.removed) == 1 {
			w.Add(removeMember, c.removed[0])
		} else {
			c.queueRemove(b, c.removed, removeUsers)
		}
		c.finish(ctx, b, w, touched)
	})
}

var (
	addMembers = log.NewPart(`
		insert into memberships (tenant_id, connection_id, group_id, member_user)
		select @tenant, @connection, @subject, unnest(@users::uuid[]) on conflict do nothing`)

	removeMember = log.NewPart(`delete from memberships where tenant_id = @tenant and group_id = @subject and member_user = @user`)
)

// write is the change as one statement, to which its parts are added.
func (c *groupChange) write() *log.Write {
	return &log.Write{Change: c.dir.change(c.group.Connection, c.group.ID, c.kind, 0, c.body())}
}

// finish adds the roles that follow and the request to the write, and queues it.
func (c *groupChange) finish(ctx context.Context, b *pgx.Batch, w *log.Write, touched []*person) {
	var d delta
	var s settled
	effects := map[string]log.Effect{}
	ctx, cancel := context.WithTimeout(ctx, deriveTimeout)
	defer cancel()
	for _, p := range touched {
		r := c.dir.settings.derive(ctx, p)
		lost := d.move(p, r.wanted)
		s.add(c.dir.settings, p, r, lost)
		if e := effect(p.held, r.wanted); e.Any() {
			effects[p.id.String()] = e
		}
	}
	s.queue(b, c.dir.tenant)
	if s.unknown() {
		queueMark(b, c.dir.tenant)
	}
	w.Change.Roles = effects
	d.addTo(w)
	c.dir.queueWrite(b, w, c.status, c.notes, nil)
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
	c.queueRemove(b, users, removeUsers)
	c.queueRemove(b, groups, `delete from memberships where tenant_id = $1 and group_id = $2 and member_user is null and member_group = `)
}

const removeUsers = `delete from memberships where tenant_id = $1 and group_id = $2 and member_user = `

// fewRemoved is up to how many members are removed one by one: a list may be
// looked for in the whole group, however large.
const fewRemoved = 32

// queueRemove completes the statement for the ids.
func (c *groupChange) queueRemove(b *pgx.Batch, ids []uuid.UUID, statement string) {
	if len(ids) > fewRemoved {
		b.Queue(statement+`any($3)`, c.dir.tenant, c.group.ID, ids)
		return
	}
	for _, id := range ids {
		b.Queue(statement+`$3`, c.dir.tenant, c.group.ID, id)
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
	ids     []uuid.UUID
	lost    []int64
	derived []*int64
	until   any
}

// add settles p, unless its row says all of it already.
func (s *settled) add(set *settings, p *person, r roles, lost bool) {
	if r.derived != nil && p.derived != nil && *p.derived == set.derivation && r.until == nil && !lost {
		return
	}
	s.ids = append(s.ids, p.id)
	s.derived = append(s.derived, r.derived)
	s.lost = append(s.lost, one(lost))
	if r.until != nil {
		s.until = *r.until
	}
}

// unknown reports whether somebody's roles could not be derived: readers do it,
// and the background pass tries again.
func (s *settled) unknown() bool { return slices.Contains(s.derived, nil) }

func (s *settled) queue(b *pgx.Batch, tenant uuid.UUID) {
	if len(s.ids) > 0 {
		b.Queue(`
			update users u set derived = s.derived, derived_until = $5, role_epoch = u.role_epoch + s.lost
			from unnest($2::uuid[], $3::bigint[], $4::bigint[]) as s(id, lost, derived)
			where u.tenant_id = $1 and u.id = s.id`, tenant, s.ids, s.lost, s.derived, s.until)
	}
}
