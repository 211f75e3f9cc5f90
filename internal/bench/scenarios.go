package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const crowd = 5000 // people to look up, patch and check

// concurrency is from how many clients each request is measured.
var concurrency = []int{1, 8, 32}

// lookUp finds people by userName, as every directory does before it creates.
func lookUp(ctx context.Context, w *world) error {
	_, numbers, err := w.people(ctx, crowd)
	if err != nil {
		return err
	}
	for _, clients := range concurrency {
		err := w.turns(ctx,
			ofRaw("look-up: raw", clients, func() error {
				b := &pgx.Batch{}
				b.Queue(`select id, resource, version, created_at, modified_at from users
					where tenant_id = $1 and connection_id = $2 and user_name_key = $3 and deleted_at is null`,
					w.tenant.ID, w.conn.ID, fmt.Sprintf("person.%d@bench.example", numbers[rand.IntN(crowd)]))
				return w.raw.SendBatch(ctx, b).Close()
			}),
			overHTTP("look-up", clients, w.scim, func(c *client) error {
				filter := fmt.Sprintf(`userName eq "person.%d@bench.example"`, numbers[rand.IntN(crowd)])
				return c.expect(200, "GET", "/t/bench/scim/v2/Users?filter="+url.QueryEscape(filter)+"&startIndex=1&count=100", "")
			}))
		if err != nil {
			return err
		}
	}
	return nil
}

// patch switches people off and on, as Entra does.
func patch(ctx context.Context, w *world) error {
	ids, _, err := w.people(ctx, crowd)
	if err != nil {
		return err
	}
	others, _, err := w.people(ctx, crowd) // whom raw overwrites
	if err != nil {
		return err
	}
	off, offRaw := make([]atomic.Int64, crowd), make([]atomic.Int64, crowd) // odd: switched off
	change := func(c *client, person int) error {
		value := "True"
		if off[person].Add(1)%2 == 1 {
			value = "False"
		}
		return c.expect(200, "PATCH", "/t/bench/scim/v2/Users/"+ids[person],
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"`+value+`"}]}`)
	}
	if err := w.each(ctx, "people who are off", crowd/2, change); err != nil { // from the start there are both
		return err
	}
	for i := range crowd / 2 {
		offRaw[i].Store(1)
	}
	for _, clients := range concurrency {
		err := w.turns(ctx,
			ofRaw("patch: raw, users row alone", clients, func() error {
				b := &pgx.Batch{}
				w.queueSwitch(b, others[rand.IntN(crowd)])
				return w.raw.SendBatch(ctx, b).Close()
			}),
			ofRaw("patch: raw, same rows", clients, func() error {
				person := rand.IntN(crowd)
				return w.rawPatch(ctx, others[person], offRaw[person].Add(1)%2 == 1)
			}),
			overHTTP("patch active", clients, w.scim, func(c *client) error { return change(c, rand.IntN(crowd)) }))
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) queueSwitch(b *pgx.Batch, id string) {
	b.Queue(`update users set active = not active, epoch = epoch + 1, version = version + 1, modified_at = now(), resource = $3, search = $4
		where tenant_id = $1 and id = $2`, w.tenant.ID, id, body(1), body(1))
}

// rawPatch writes the rows of a switch: user, change, two assignments and the request, and
// where it is off the sessions. Where it is off the two end, which costs raw the same.
func (w *world) rawPatch(ctx context.Context, id string, out bool) error {
	b := &pgx.Batch{}
	request := uuid.Must(uuid.NewV7())
	w.queueSwitch(b, id)
	if out {
		b.Queue(`update sessions set ended_at = now() where tenant_id = $1 and user_id = $2 and ended_at is null`, w.tenant.ID, id)
	}
	b.Queue(`insert into changes (tenant_id, connection_id, subject, kind, subject_version, actor, request_id, body, digest)
		values ($1, $2, $3, 'user.updated', 2, 'raw', $4, '{"active":{"old":true,"new":false}}', $5)`, w.tenant.ID, w.conn.ID, id, request, make([]byte, 32))
	b.Queue(`insert into assignments (tenant_id, connection_id, user_id, role, rule, facts, rule_set, from_change)
		select $1, $2, $3, unnest($4::text[]), 'rule', '["everyone"]', 1, currval('change_n')`,
		w.tenant.ID, w.conn.ID, id, []string{"timesheet.viewer", "timesheet.approver"})
	b.Queue(`insert into provisioning_requests (tenant_id, id, connection_id, method, path, status) values ($1, $2, $3, 'PATCH', '/Users', 200)`,
		w.tenant.ID, request, w.conn.ID)
	return w.raw.SendBatch(ctx, b).Close()
}

// member adds people to one group: 1 client beside 32, an empty group beside one of
// 100,000, and beside one that a rule reads.
func member(ctx context.Context, w *world) error {
	ids, _, err := w.people(ctx, 3*crowd) // more than a row adds
	if err != nil {
		return err
	}
	for _, size := range []int{0, 100_000} {
		for _, clients := range []int{1, 32} {
			err := w.memberCells(ctx, fmt.Sprintf("group of %d", size), clients, &crew{w: w, size: size, ids: ids})
			if err != nil {
				return err
			}
		}
	}
	return w.memberCells(ctx, "a rule reads it", 32, &crew{w: w, ids: ids, read: true})
}

func (w *world) memberCells(ctx context.Context, name string, clients int, crew *crew) error {
	if err := crew.renew(ctx); err != nil {
		return err
	}
	return w.turns(ctx,
		ofRaw("member: raw, "+name, clients, func() error { return w.rawMember(ctx, crew) }),
		overHTTP("member add, "+name, clients, w.scim, func(c *client) error {
			group, id, err := crew.next(ctx)
			if err != nil {
				return err
			}
			return c.expect(204, "PATCH", "/t/bench/scim/v2/Groups/"+group,
				`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Add","path":"members","value":[{"$ref":null,"value":"`+id+`"}]}]}`)
		}))
}

// A crew hands out people who are not in the group yet, and another group
// when all of them are.
type crew struct {
	mu    sync.Mutex
	w     *world
	size  int  // of the group, when it is made
	read  bool // a rule reads the group
	ids   []string
	group string
	used  int
}

func (c *crew) renew(ctx context.Context) (err error) {
	name := fmt.Sprintf("Crew %d", c.w.next.Add(1))
	if c.read {
		n := c.w.stages.Add(1)
		if n > stages {
			return fmt.Errorf("the rules read %d groups, and all are full: ask for a shorter -length", stages)
		}
		name = stage(n)
	}
	c.group, err = c.w.group(ctx, name, c.size)
	c.used = 0
	return err
}

func (c *crew) next(ctx context.Context) (group, id string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used == len(c.ids) {
		if err := c.renew(ctx); err != nil {
			return "", "", err
		}
	}
	c.used++
	return c.group, c.ids[c.used-1], nil
}

// group makes a group. Its many members are rows of people made beforehand by SQL: what
// is measured is the next one.
func (w *world) group(ctx context.Context, name string, size int) (string, error) {
	c, err := w.scim()
	if err != nil {
		return "", err
	}
	id, err := w.createOne(c, "/t/bench/scim/v2/Groups", `{"displayName":"`+name+`","members":[]}`)
	if err != nil || size == 0 {
		return id, err
	}
	_, err = w.raw.Exec(ctx, `
		with made as (
			insert into users (tenant_id, connection_id, id, user_name_key, active, resource, search)
			select $1, $2, gen_random_uuid(), 'crowd.' || $4::text || '.' || i, true, '{}', '{}' from generate_series(1, $5::int) i returning id
		)
		insert into memberships (tenant_id, connection_id, group_id, member_user) select $1, $2, $3, id from made`,
		w.tenant.ID, w.conn.ID, id, id, size)
	return id, err
}

// rawMember writes the rows of a member add under the group's shared lock; a role follows
// where a rule reads the group.
func (w *world) rawMember(ctx context.Context, crew *crew) error {
	b := &pgx.Batch{}
	group, request := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	id := crew.ids[rand.IntN(len(crew.ids))]
	b.Queue(`select pg_advisory_xact_lock_shared(42)`)
	b.Queue(`select id from users where tenant_id = $1 and id = $2 for no key update`, w.tenant.ID, id)
	b.Queue(`insert into memberships (tenant_id, connection_id, group_id, member_user) values ($1, $2, $3, $4)`, w.tenant.ID, w.conn.ID, group, id)
	b.Queue(`insert into changes (tenant_id, connection_id, subject, kind, actor, request_id, body, digest)
		values ($1, $2, $3, 'group.members', 'raw', $4, $5, $6)`, w.tenant.ID, w.conn.ID, group, request, `{"added":["`+id+`"]}`, make([]byte, 32))
	if crew.read {
		b.Queue(`insert into assignments (tenant_id, connection_id, user_id, role, rule, facts, rule_set, from_change)
			values ($1, $2, $3, 'timesheet.approver', 'groupRoles:1', '["group"]', 1, currval('change_n'))`, w.tenant.ID, w.conn.ID, id)
	}
	b.Queue(`insert into provisioning_requests (tenant_id, id, connection_id, method, path, status) values ($1, $2, $3, 'PATCH', '/Groups', 204)`,
		w.tenant.ID, request, w.conn.ID)
	return w.raw.SendBatch(ctx, b).Close()
}

// check asks whether people may enter.
func check(ctx context.Context, w *world) error {
	ids, _, err := w.people(ctx, crowd)
	if err != nil {
		return err
	}
	for _, clients := range concurrency {
		err := w.turns(ctx,
			ofRaw("check: raw", clients, func() error {
				b := &pgx.Batch{}
				b.Queue(`select u.active, u.locked, t.state, c.state, array(select role from assignments a where a.tenant_id = u.tenant_id and a.user_id = u.id and a.until_change is null)
					from users u join tenants t on t.id = u.tenant_id join connections c on c.tenant_id = u.tenant_id and c.id = u.connection_id
					where u.tenant_id = $1 and u.id = $2`, w.tenant.ID, ids[rand.IntN(crowd)])
				return w.raw.SendBatch(ctx, b).Close()
			}),
			overHTTP("check", clients, w.application, w.checkOne(ids)))
		if err != nil {
			return err
		}
	}
	steady := overHTTP("check, 500 a second", 8, w.application, w.checkOne(ids))
	steady.pace = 500
	return w.turns(ctx, steady)
}

func (w *world) checkOne(ids []string) func(c *client) error {
	return func(c *client) error {
		return c.expect(200, "POST", "/t/bench/check", `{"user":"`+ids[rand.IntN(len(ids))]+`"}`)
	}
}
