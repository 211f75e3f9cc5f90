package store_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Whatever clients do to two groups, their names and their people at once, the
// end is one that some serial order of their requests explains, and the roles
// are those that a full recomputation gives.
func TestConcurrentChangesOfMembersAreSerial(t *testing.T) {
	owner, server := storetest.Database(t)
	stores := [2]*store.Store{storetest.Open(t, server), storetest.Open(t, server)}
	c := ringlingOn(t, stores[0])
	const people = 3
	var users []store.User
	for n := range people {
		users = append(users, c.create(fmt.Sprintf("p%d@ringling.example", n), fmt.Sprint("p", n)))
	}
	conn := storetest.Look(t, owner, "ringling")
	rapid.Check(t, func(r *rapid.T) {
		clients := rapid.SliceOfN(rapid.SliceOfN(drawStep(people), 1, 3), 2, 4).Draw(r, "clients")
		var groups [2]store.Group
		for i, names := range groupNames {
			g, _, err := c.scim().CreateGroup(t.Context(), group(names[0]))
			if err != nil {
				r.Fatal(err)
			}
			groups[i] = g
			defer c.removeGroup(r, g)
		}
		begin := c.readWorld(r, groups, users)
		var wg sync.WaitGroup
		for i, steps := range clients {
			wg.Go(func() {
				for _, s := range steps {
					if err := s.do(c.scimOn(stores[i%2]), groups, users); err != nil {
						r.Errorf("%v: %v", s, err)
					}
				}
			})
		}
		wg.Wait()
		end := c.readWorld(r, groups, users)
		if reachable := ends(begin, clients); !reachable[end] {
			r.Errorf("the groups end with %v; serial orders lead to %v", end, reachable)
		}
		storetest.AuditOn(r, conn, ruleGrants)
	})
}

func (c *circus) removeGroup(r *rapid.T, g store.Group) {
	if err := c.scim().DeleteGroup(c.t.Context(), g.ID.String(), ""); err != nil {
		r.Error(err)
	}
}

// groupNames are the names of the two groups, one that the rules read and one
// that they do not.
var groupNames = [2][2]string{{"Finance", "Treasury"}, {"Ringling Managers", "Ringling Crew"}}

// A step is one request: what is done to a group's members and who is named, or
// which of its names a group gets, or whether a person is active.
type step struct {
	what   string // members, name, active
	group  int
	kind   scim.MemberOpKind
	people uint // a bit for each
	person int
	second bool // the second name, inactive
}

func drawStep(people int) *rapid.Generator[step] {
	return rapid.Custom(func(r *rapid.T) step {
		return step{
			what:   rapid.SampledFrom([]string{"members", "members", "members", "name", "active"}).Draw(r, "what"),
			group:  rapid.IntRange(0, 1).Draw(r, "group"),
			kind:   rapid.SampledFrom([]scim.MemberOpKind{scim.AddMembers, scim.AddMembers, scim.RemoveMembers, scim.ReplaceMembers, scim.RemoveAll}).Draw(r, "kind"),
			people: rapid.UintRange(1, 1<<people-1).Draw(r, "people"),
			person: rapid.IntRange(0, people-1).Draw(r, "person"),
			second: rapid.Bool().Draw(r, "second"),
		}
	})
}

// do sends the request.
func (s step) do(dir *store.Directory, groups [2]store.Group, users []store.User) (err error) {
	ctx, g := context.Background(), groups[s.group].ID.String()
	switch s.what {
	case "members":
		_, _, err = dir.UpdateGroup(ctx, g, "", store.GroupChange{Members: s.ops(users)})
	case "name":
		_, _, err = dir.UpdateGroup(ctx, g, "", store.GroupChange{Attributes: set("displayName", groupNames[s.group][bit(s.second)])})
	case "active":
		_, _, err = dir.UpdateUser(ctx, users[s.person].ID.String(), "", set("active", !s.second))
	}
	return err
}

func bit(b bool) uint {
	if b {
		return 1
	}
	return 0
}

func (s step) ops(users []store.User) []scim.MemberOp {
	var named []store.User
	for n, u := range users {
		if s.people>>n&1 == 1 {
			named = append(named, u)
		}
	}
	if s.kind == scim.RemoveAll {
		named = nil
	}
	return members(s.kind, named...)
}

// A world is the members of both groups, a bit for each person, which of their
// names the groups have, and who is inactive.
type world struct {
	members, second [2]uint
	inactive        uint
}

func (c *circus) readWorld(r *rapid.T, groups [2]store.Group, users []store.User) (w world) {
	for i, g := range groups {
		read, err := c.scim().Group(c.t.Context(), g.ID.String(), true)
		if err != nil {
			r.Fatal(err)
		}
		w.second[i] = bit(read.Name == groupNames[i][1])
		for _, m := range read.Members {
			w.members[i] |= 1 << slices.IndexFunc(users, func(u store.User) bool { return u.ID == m.ID })
		}
	}
	for n, u := range users {
		read, err := c.scim().User(c.t.Context(), u.ID.String(), false)
		if err != nil {
			r.Fatal(err)
		}
		w.inactive |= bit(!read.Active) << n
	}
	return w
}

func (w world) after(s step) world {
	members := &w.members[s.group]
	switch {
	case s.what == "name":
		w.second[s.group] = bit(s.second)
	case s.what == "active":
		w.inactive = w.inactive&^(1<<s.person) | bit(s.second)<<s.person
	case s.kind == scim.AddMembers:
		*members |= s.people
	case s.kind == scim.RemoveMembers:
		*members &^= s.people
	case s.kind == scim.ReplaceMembers:
		*members = s.people
	case s.kind == scim.RemoveAll:
		*members = 0
	}
	return w
}

// ends are the worlds to which the serial orders of the clients' steps lead.
func ends(begin world, clients [][]step) map[world]bool {
	type place struct {
		done  [4]int
		world world
	}
	seen, found := map[place]bool{}, map[world]bool{}
	var visit func(p place)
	visit = func(p place) {
		if seen[p] {
			return
		}
		seen[p] = true
		last := true
		for i, steps := range clients {
			if p.done[i] < len(steps) {
				last = false
				next := p
				next.done[i]++
				next.world = p.world.after(steps[p.done[i]])
				visit(next)
			}
		}
		if last {
			found[p.world] = true
		}
	}
	visit(place{world: begin})
	return found
}

// Requests that are refused leave every table as it was.
func TestARefusedRequestChangesNothing(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	ctx := t.Context()
	jamie, robin := c.create("jamie@ringling.example", "jamie"), c.create("robin@ringling.example", "robin")
	finance, _, err := c.scim().CreateGroup(ctx, group("Finance", jamie))
	if err != nil {
		t.Fatal(err)
	}
	crew, _, err := c.scim().CreateGroup(ctx, group("Crew"))
	if err != nil {
		t.Fatal(err)
	}
	nested := scim.MemberOp{Kind: scim.AddMembers, Members: []scim.Member{{Value: finance.ID.String()}}}
	if _, _, err := c.scim().UpdateGroup(ctx, crew.ID.String(), "", store.GroupChange{Members: []scim.MemberOp{nested}}); err != nil {
		t.Fatal(err)
	}
	gone := c.create("gone@ringling.example", "gone")
	if err := c.scim().DeleteUser(ctx, gone.ID.String(), ""); err != nil {
		t.Fatal(err)
	}
	c.create("gone@ringling.example", "another")

	conn := storetest.Look(t, owner, "ringling")
	before := storetest.Digests(t, conn)
	for what, request := range map[string]func() error{
		"a name that is taken": func() error { _, _, err := c.scim().CreateUser(ctx, person("JAMIE@ringling.example", "x")); return err },
		"a rename to one":      func() error { return update(c, robin, "", set("userName", "Jamie@Ringling.example")) },
		"no name":              func() error { return update(c, robin, "", set("userName", "")) },
		"a stale version":      func() error { return update(c, robin, `W/"7"`, set("title", "x")) },
		"a change that fails": func() error {
			return update(c, robin, "", func(scim.Resource) (scim.Resource, []scim.Note, error) { return nil, nil, scim.BadValue("no") })
		},
		"somebody who is gone":         func() error { return update(c, gone, "", set("title", "x")) },
		"deleting them again":          func() error { return c.scim().DeleteUser(ctx, gone.ID.String(), "") },
		"deleting a stale version":     func() error { return c.scim().DeleteUser(ctx, robin.ID.String(), `W/"7"`) },
		"restoring who is replaced":    func() error { _, _, err := c.admin().RestoreUser(ctx, gone.ID); return err },
		"a group's name that is taken": func() error { _, _, err := c.scim().CreateGroup(ctx, group("FINANCE", robin)); return err },
		"renaming a group to one": func() error {
			_, _, err := c.scim().UpdateGroup(ctx, crew.ID.String(), "", store.GroupChange{Attributes: set("displayName", "finance"), Members: members(scim.AddMembers, robin)})
			return err
		},
		"a stale version of a group": func() error {
			_, _, err := c.scim().UpdateGroup(ctx, crew.ID.String(), `W/"77"`, store.GroupChange{Members: members(scim.AddMembers, robin)})
			return err
		},
		"a group in itself, through another": func() error {
			op := scim.MemberOp{Kind: scim.AddMembers, Members: []scim.Member{{Value: robin.ID.String()}, {Value: crew.ID.String()}}}
			_, _, err := c.scim().UpdateGroup(ctx, finance.ID.String(), "", store.GroupChange{Members: []scim.MemberOp{op}})
			return err
		},
		"a group that nobody has": func() error { return c.scim().DeleteGroup(ctx, uuid.NewString(), "") },
		"rules that do not compile": func() error {
			_, _, err := c.admin().PublishRules(ctx, []byte("version: 1\nrules:\n  - id: a\n    when: |\n      user.nobody == 1\n    grant: [timesheet.viewer]\n"))
			return err
		},
		"a code of nobody": func() error { _, _, err := c.store.MintToken(ctx, c.redemption("x")); return err },
		"a check by nobody": func() error {
			_, err := c.store.Check(ctx, store.CheckRequest{Tenant: "ringling", ClientID: "timesheet", Secret: "muster_app_no", UserID: robin.ID.String()})
			return err
		},
	} {
		if err := request(); err == nil {
			t.Errorf("%s: was not refused", what)
		}
		after := storetest.Digests(t, conn)
		for table := range after {
			if after[table] != before[table] {
				t.Errorf("%s: changed %s", what, table)
			}
		}
		before = after
	}
}

// Whoever waits for a name that another is leaving comes after it in the log, too.
func TestWhoWaitsForANameIsLaterInTheLog(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	other := c.create("other@ringling.example", "other")
	conn, watch := storetest.Look(t, owner, "ringling"), storetest.Look(t, owner, "ringling")
	const name = "jamie@ringling.example"
	for what, take := range map[string]func() (store.User, error){
		"created": func() (store.User, error) {
			u, _, err := c.scim().CreateUser(t.Context(), person(name, "next"))
			return u, err
		},
		"renamed": func() (store.User, error) { return other, update(c, other, "", set("userName", name)) },
	} {
		left := c.create(name, "left by who is "+what)
		tx := must[pgx.Tx](t)(conn.Begin(t.Context()))
		if _, err := tx.Exec(t.Context(), `update users set deleted_at = now() where id = $1`, left.ID); err != nil {
			t.Fatal(err)
		}
		var next store.User
		var all errgroup.Group
		all.Go(func() (err error) { next, err = take(); return err })
		awaitLocks(t, watch, 1)
		before := column[int64](t, conn, `select nextval('change_n')`)[0]
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := column[int64](t, watch, `select max(n) from changes where subject = $1`, next.ID)[0]; n < before {
			t.Errorf("%s: change %d, and the name was left by change %d", what, n, before)
		}
		if err := c.scim().DeleteUser(t.Context(), next.ID.String(), ""); err != nil {
			t.Fatal(err)
		}
	}
}

func update(c *circus, u store.User, ifMatch string, change func(scim.Resource) (scim.Resource, []scim.Note, error)) error {
	_, _, err := c.scim().UpdateUser(c.t.Context(), u.ID.String(), ifMatch, change)
	return err
}
