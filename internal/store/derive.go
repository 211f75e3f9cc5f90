package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/store/log"
)

// maxDerived is how many people one change derives at once. A change that
// touches more marks them stale instead; until the background pass has written
// their assignments, every reader evaluates them in memory.
const maxDerived = 500

// deriveTimeout bounds the derivation that a change does while it holds locks.
// Whom it does not come to is stale.
const deriveTimeout = 2 * time.Second

// A roles is what a person's facts make of the tenant's rules.
type roles struct {
	wanted  []assignment
	derived *int64     // the counter they are of; nil: the rules cannot be read, so nobody knows
	until   *time.Time // when time alone changes them
}

// derive evaluates the tenant's rules for a person. Who may hold nothing, and
// whose rules cannot be read, gets nothing.
func (set *settings) derive(ctx context.Context, p *person) roles {
	if set.fault != nil {
		return roles{}
	}
	if set.program == nil || !p.mayHold() {
		return roles{derived: &set.derivation}
	}
	derived := set.program.Derive(ctx, set.view(p), date(p.now))
	if ctx.Err() != nil {
		return roles{} // cut short: not known, and not "none"
	}
	for _, f := range derived.Faults {
		set.failed(f)
	}
	r := roles{derived: &set.derivation}
	for _, a := range derived.Assignments {
		r.wanted = append(r.wanted, assignment{
			Role: a.Role, Scope: a.Scope, Rule: a.Cause.Rule, RuleSet: set.version, Facts: string(marshal(a.Cause.Facts)),
		})
	}
	if set.program.ReadsToday() {
		midnight := p.now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		r.until = &midnight
	}
	return r
}

// view is the person as rules see it: groups of the connections that count.
func (set *settings) view(p *person) rolemap.Person {
	var groups []rolemap.Group
	for _, g := range p.groups {
		if id, err := uuid.Parse(g.Connection); err == nil && set.counted[id] {
			g.Connection = set.connections[id].name
			groups = append(groups, g)
		}
	}
	return rolemap.Person{ID: p.id.String(), User: p.resource, Active: p.active, Groups: groups}
}

// Whom a statement names by a list is looked up one by one, in a lateral
// subquery that the planner cannot take apart (offset 0). Left to itself it
// prefers to read all of a tenant, or all of a group, where the usual one is
// small, and the plan is kept for the one that is not.

// A circle is people of a tenant whose groups are read, but for their own place
// in one of them (uuid.Nil: in none).
type circle struct {
	tenant uuid.UUID
	users  []uuid.UUID
	but    uuid.UUID
}

// queueGroups reads every group that the people of the circle are in, directly
// or through nesting, into add.
func queueGroups(b *pgx.Batch, of circle, add func(user uuid.UUID, g rolemap.Group, direct bool)) {
	b.Queue(`
		with recursive held as (
			select named.id as user_id, m.group_id, true as direct
			from unnest($2::uuid[]) as named(id)
			cross join lateral (select group_id from memberships where tenant_id = $1 and member_user = named.id and group_id <> $3 offset 0) m
			union
			select held.user_id, m.group_id, false
			from held
			cross join lateral (select group_id from memberships where tenant_id = $1 and member_group = held.group_id offset 0) m
		)
		select held.user_id, g.id::text, g.external_id, g.display_name, g.connection_id::text, bool_or(held.direct)
		from held
		cross join lateral (
			select id, coalesce(external_id, '') as external_id, display_name, connection_id, deleted_at from groups
			where tenant_id = $1 and id = held.group_id offset 0) g
		where g.deleted_at is null
		group by held.user_id, g.id, g.external_id, g.display_name, g.connection_id
		order by g.id`, of.tenant, of.users, of.but).Query(func(rows pgx.Rows) error {
		var user uuid.UUID
		var g rolemap.Group
		var direct bool
		_, err := pgx.ForEachRow(rows, []any{&user, &g.ID, &g.ExternalID, &g.DisplayName, &g.Connection, &direct}, func() error {
			add(user, g, direct)
			return nil
		})
		return err
	})
}

// queueHeld reads the assignments that the named users hold now into add.
func queueHeld(b *pgx.Batch, tenant uuid.UUID, users []uuid.UUID, add func(user uuid.UUID, a assignment)) {
	b.Queue(`
		select a.user_id, a.role, a.scope, a.rule, a.rule_set, a.facts
		from unnest($2::uuid[]) as named(id)
		cross join lateral (
			select user_id, role, scope, rule, rule_set, facts from assignments
			where tenant_id = $1 and user_id = named.id and until_change is null offset 0) a
		order by a.user_id, a.role, a.scope, a.rule`, tenant, users).Query(func(rows pgx.Rows) error {
		var user uuid.UUID
		var a assignment
		_, err := pgx.ForEachRow(rows, []any{&user, &a.Role, &a.Scope, &a.Rule, &a.RuleSet, &a.Facts}, func() error {
			add(user, a)
			return nil
		})
		return err
	})
}

// factColumns read the groups and assignments of the user named.id of the tenant $1, and of
// each group whether it is in others: those take queueGroups. A unit separator parts what
// is read of each; names and JSON hold no control characters.
const factColumns = `
	array(select concat_ws(chr(31), g.id, g.external_id, g.display_name, g.connection_id, g.nested)
		from memberships m
		cross join lateral (
			select id, coalesce(external_id, '') as external_id, display_name, connection_id, deleted_at,
				exists (select from memberships above where above.tenant_id = $1 and above.member_group = m.group_id) as nested
			from groups where tenant_id = $1 and id = m.group_id offset 0) g
		where m.tenant_id = $1 and m.member_user = named.id and g.deleted_at is null),
	array(select concat_ws(chr(31), role, scope, rule, rule_set, facts) from assignments
		where tenant_id = $1 and user_id = named.id and until_change is null)`

// A facts is what factColumns have read.
type facts struct{ groups, held []string }

func (f *facts) targets() []any { return []any{&f.groups, &f.held} }

// tell gives p what was read of it, the groups in the order of their ids, and reports
// whether one of them is in others.
func (f *facts) tell(p *person) (nested bool, err error) {
	slices.Sort(f.groups)
	slices.Sort(f.held)
	for _, text := range f.groups {
		part := strings.SplitN(text, "\x1f", 5)
		p.join(rolemap.Group{ID: part[0], ExternalID: part[1], DisplayName: part[2], Connection: part[3]}, true)
		nested = nested || part[4] == "t"
	}
	for _, text := range f.held {
		part := strings.SplitN(text, "\x1f", 5)
		version, bad := strconv.ParseInt(part[3], 10, 64)
		p.held = append(p.held, assignment{Role: part[0], Scope: part[1], Rule: part[2], RuleSet: version, Facts: part[4]})
		err = errors.Join(err, bad)
	}
	return nested, err
}

// queueFacts reads the groups and assignments of each of the users in one statement.
func queueFacts(b *pgx.Batch, tenant uuid.UUID, users []uuid.UUID, add func(user uuid.UUID, f *facts)) {
	b.Queue(`select named.id, `+factColumns+` from unnest($2::uuid[]) as named(id)`, tenant, users).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var user uuid.UUID
			var f facts
			if err := rows.Scan(append([]any{&user}, f.targets()...)...); err != nil {
				return err
			}
			add(user, &f)
		}
		return rows.Err()
	})
}

// A delta collects what becomes of the assignments of one or many people, to
// be written by two parts of a write whatever their number.
type delta struct {
	endedUsers, addedUsers, connections             []uuid.UUID
	endedRoles, endedScopes, endedRules             []string
	addedRoles, addedScopes, addedRules, addedFacts []string
	version                                         int64
	keeps                                           bool // somebody keeps a role
}

// move records the step from held to wanted for one person, and reports
// whether a role was taken away.
func (d *delta) move(p *person, wanted []assignment) (lost bool) {
	for _, a := range p.held {
		if slices.Contains(wanted, a) {
			d.keeps = true
			continue
		}
		d.endedUsers = append(d.endedUsers, p.id)
		d.endedRoles = append(d.endedRoles, a.Role)
		d.endedScopes = append(d.endedScopes, a.Scope)
		d.endedRules = append(d.endedRules, a.Rule)
	}
	for _, a := range wanted {
		if !slices.Contains(p.held, a) {
			d.addedUsers = append(d.addedUsers, p.id)
			d.connections = append(d.connections, p.connection)
			d.addedRoles = append(d.addedRoles, a.Role)
			d.addedScopes = append(d.addedScopes, a.Scope)
			d.addedRules = append(d.addedRules, a.Rule)
			d.addedFacts = append(d.addedFacts, a.Facts)
			d.version = a.RuleSet
		}
	}
	return len(without(p.held, wanted)) > 0
}

var (
	// Of one person, whom every plan looks up by name. They are locked by a statement
	// before: what they hold is what was read.
	endOfAll = log.NewPart(`
		update assignments a set until_change = change.n, until_xid = pg_current_xact_id()
		from change where a.tenant_id = @tenant and a.user_id = @user and a.until_change is null`)

	endOfOne = log.NewPart(`
		update assignments a set until_change = change.n, until_xid = pg_current_xact_id()
		from change, unnest(@roles::text[], @scopes::text[], @rules::text[]) as gone(role, scope, rule)
		where a.tenant_id = @tenant and a.user_id = @user and a.role = gone.role
		and a.scope = gone.scope and a.rule = gone.rule and a.until_change is null`)

	// Whose roles end is locked by a statement before: no row moves between the two looks.
	endOfMany = log.NewPart(`
		update assignments a set until_change = change.n, until_xid = pg_current_xact_id()
		from change, unnest(@users::uuid[], @roles::text[], @scopes::text[], @rules::text[]) as gone(user_id, role, scope, rule)
		cross join lateral (select ctid from assignments where tenant_id = @tenant and user_id = gone.user_id and role = gone.role
			and scope = gone.scope and rule = gone.rule and until_change is null offset 0) held
		where a.ctid = held.ctid`)

	addAssignments = log.NewPart(`
		insert into assignments (tenant_id, rule_set, from_change, connection_id, user_id, role, scope, rule, facts)
		select @tenant, @rule_set, change.n, new.*
		from change, unnest(@connections::uuid[], @users::uuid[], @roles::text[], @scopes::text[], @rules::text[], @facts::text[]) as new`)
)

// addTo makes the delta part of a write: it is of the write's change.
func (d *delta) addTo(w *log.Write) {
	switch people := len(slices.Compact(slices.Clone(d.endedUsers))); {
	case people == 0:
	case people == 1 && !d.keeps:
		w.Add(endOfAll, d.endedUsers[0])
	case people == 1:
		w.Add(endOfOne, d.endedRoles, d.endedScopes, d.endedRules, d.endedUsers[0])
	default:
		w.Add(endOfMany, d.endedUsers, d.endedRoles, d.endedScopes, d.endedRules)
	}
	if len(d.addedUsers) > 0 {
		w.Add(addAssignments, d.version, d.connections, d.addedUsers, d.addedRoles, d.addedScopes, d.addedRules, d.addedFacts)
	}
}
