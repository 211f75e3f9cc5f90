package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
)

// maxNesting is how deep groups may stand in groups.
const maxNesting = 10

type rawJSON = json.RawMessage

// commitWide writes a change whose circle is not known in advance: a new
// group, a rename, a deletion, groups in groups, a whole list. It writes the
// rows, finds out whose groups changed, and derives up to maxDerived of them;
// more are marked stale by one statement.
func (c *groupChange) commitWide(ctx context.Context) error {
	var nest nested
	b := &pgx.Batch{}
	roots := append(append([]uuid.UUID(nil), c.added...), c.removed...)
	users, groups := c.split(roots)
	if c.deleted || c.edited != nil && c.edited.renamed {
		groups = append(groups, c.group.ID)
	}
	stale := c.deleted || c.matters()
	c.queueGroup(b)
	if c.deleted { // while the members can still be found through it
		c.queuePeopleBelow(b, users, groups)
		c.queueDelete(b)
	} else {
		c.queueMembers(b)
		if c.mode == nesting {
			nest.queue(b, c.dir.tenant, c.group.ID)
		}
		if stale || c.created || c.edited != nil {
			c.queuePeopleBelow(b, users, groups)
		}
	}
	if err := c.tx.send(b); err != nil {
		return err
	}
	if err := nest.check(); err != nil {
		return err
	}
	return c.commitCircle(ctx, users, groups)
}

// commitCircle is the last step of a wide change, once the people concerned
// are locked.
func (c *groupChange) commitCircle(ctx context.Context, users, groups []uuid.UUID) error {
	if c.locked > maxDerived {
		return c.tx.commit(func(b *pgx.Batch) {
			b.Queue(`update users set derived = null where tenant_id = $1 and id in (`+below+`)`, c.dir.tenant, users, groups)
			if c.deleted {
				c.queueDeleteMembers(b)
			}
			c.finish(ctx, b, c.write(), nil)
			queueMark(b, c.dir.tenant)
		})
	}
	touched, err := c.readCircle()
	if err != nil {
		return err
	}
	return c.tx.commit(func(b *pgx.Batch) { c.finish(ctx, b, c.write(), touched) })
}

// readCircle reads what the people's roles depend on, as it is now that the
// change's rows are written. A deleted group gives nothing any more.
func (c *groupChange) readCircle() ([]*person, error) {
	ids := slices.Collect(maps.Keys(c.people))
	b := &pgx.Batch{}
	if c.deleted {
		c.queueDeleteMembers(b)
	}
	if len(ids) > 0 {
		queueGroups(b, circle{tenant: c.dir.tenant, users: ids}, c.addGroup)
		queueHeld(b, c.dir.tenant, ids, c.addHeld)
	}
	if b.Len() == 0 {
		return nil, nil
	}
	return slices.Collect(maps.Values(c.people)), c.tx.send(b)
}

// queueMark lets the background pass know that people were marked stale.
func queueMark(b *pgx.Batch, tenant uuid.UUID) {
	b.Queue(`update sequencers set marks = marks + 1 where tenant_id = $1`, tenant)
}

// below selects the users $2 and everybody in the groups $3, however deep.
const below = `
	with recursive down as (
		select unnest($3::uuid[]) as id
		union
		select m.member_group from down join memberships m on m.tenant_id = $1 and m.group_id = down.id
		where m.member_group is not null
	)
	select unnest($2::uuid[])
	union
	select m.member_user from down join memberships m on m.tenant_id = $1 and m.group_id = down.id
	where m.member_user is not null`

// queuePeopleBelow locks the people whose groups change, up to one more than
// can be derived at once.
func (c *groupChange) queuePeopleBelow(b *pgx.Batch, users, groups []uuid.UUID) {
	c.people = map[uuid.UUID]*person{}
	if len(users)+len(groups) == 0 {
		return
	}
	b.Queue(`select `+personColumns+` from users u
		where u.tenant_id = $1 and u.id in (`+below+`)
		order by u.id limit `+limitDerived+` for no key update of u`, c.dir.tenant, users, groups).Query(c.collectPeople)
}

const limitDerived = "501" // maxDerived and one

// queueGroup writes the group's own row.
func (c *groupChange) queueGroup(b *pgx.Batch) {
	if c.edited == nil {
		return
	}
	search := scim.SearchJSON(nil, c.dir.GroupType(), c.edited.resource)
	b.Queue(`
		update groups set display_name = $3, display_name_key = $4, external_id = nullif($5, ''), resource = $6, search = $7, modified_at = now()
		where tenant_id = $1 and id = $2 returning modified_at`,
		c.dir.tenant, c.group.ID, c.group.Name, c.edited.key, c.group.ExternalID, string(c.group.JSON), string(search)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&c.group.Modified) })
	c.queueClaims(b, c.edited.resource)
}

// queueClaims makes the group's unique values those of next.
func (c *groupChange) queueClaims(b *pgx.Batch, next scim.Resource) {
	rt := c.dir.GroupType()
	c.dir.queueClaims(b, claimant{c.group.Connection, c.group.ID}, rt.Claims(c.before), rt.Claims(next))
}

func (c *groupChange) queueDelete(b *pgx.Batch) {
	b.Queue(`update groups set deleted_at = now(), modified_at = now() where tenant_id = $1 and id = $2`, c.dir.tenant, c.group.ID)
	c.queueClaims(b, nil)
}

// queueDeleteMembers takes a deleted group out of every group and its members
// out of it.
func (c *groupChange) queueDeleteMembers(b *pgx.Batch) {
	b.Queue(`delete from memberships where tenant_id = $1 and (group_id = $2 or member_group = $2)`, c.dir.tenant, c.group.ID)
}

// A nested is how a group stands among groups after a change.
type nested struct {
	above, below int
	cycle        bool
}

func (n *nested) queue(b *pgx.Batch, tenant, group uuid.UUID) {
	b.Queue(`
		with recursive up as (
			select m.group_id as id, 1 as depth from memberships m where m.tenant_id = $1 and m.member_group = $2
			union
			select m.group_id, up.depth + 1 from up join memberships m on m.tenant_id = $1 and m.member_group = up.id where up.depth <= $3
		), down as (
			select m.member_group as id, 1 as depth from memberships m where m.tenant_id = $1 and m.group_id = $2 and m.member_group is not null
			union
			select m.member_group, down.depth + 1 from down join memberships m on m.tenant_id = $1 and m.group_id = down.id and m.member_group is not null
			where down.depth <= $3
		)
		select coalesce((select max(depth) from up), 0), coalesce((select max(depth) from down), 0), exists (select from up where id = $2)`,
		tenant, group, maxNesting).QueryRow(func(row pgx.Row) error { return row.Scan(&n.above, &n.below, &n.cycle) })
}

// check refuses a membership that closes a cycle or stands too deep (design §4).
func (n *nested) check() error {
	switch {
	case n.cycle:
		return scim.BadValue("members: the group would contain itself")
	case n.above+n.below >= maxNesting:
		return scim.BadValue("members: groups may stand at most %d deep in one another", maxNesting)
	}
	return nil
}
