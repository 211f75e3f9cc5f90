package history

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
)

// A connection is one of the tenant's, as diagnoses look at it.
type connection struct {
	ID             uuid.UUID
	Name           string
	Kind           string // entra | okta | generic
	Profile        string
	SignsIn        bool // people sign in there, not only SCIM
	MatchAttribute string
	Active         bool
	Created        time.Time
	LastUse        *time.Time // of a credential that held
	tenant         string     // slug
	tokens         []token
}

// A token is what lets a client of a connection in now: a token, or a secret or
// trusted issuer of an OAuth client.
type token struct {
	Name    string
	Expires *time.Time
}

// facts are what diagnoses look at besides requests.
type facts struct {
	now         time.Time // of the database, or what was asked for
	connections map[uuid.UUID]*connection
	refusals    []refusal
	shared      []shared
	rules       Rules
	groups      map[string]groupFact // living groups that rules name, by the key of their name
	histories   []groupName
	deleted     map[uuid.UUID]bool // users who were deleted while they were active
}

// A refusal is a sign-in of somebody who was not found.
type refusal struct {
	connection uuid.UUID
	at         time.Time
	reason     string
}

// A shared externalId is that of several living people.
type shared struct {
	connection uuid.UUID
	externalID string
	people     int
}

// A groupFact is what is known of a living group.
type groupFact struct {
	id         uuid.UUID
	connection uuid.UUID
	name       string
	members    bool
	created    time.Time
}

// A groupName is a name that a group has had, and what it is called now.
type groupName struct {
	connection uuid.UUID
	request    uuid.UUID // by which it got the name
	at         time.Time
	name       string
	now        string
	deleted    bool
}

// mostFacts bounds each list of facts.
const mostFacts = 500

// known reads what a request alone is judged by: whose client it came from.
func (r *Reader) known(ctx context.Context) (*facts, error) {
	f := &facts{connections: map[uuid.UUID]*connection{}, groups: map[string]groupFact{}, deleted: map[uuid.UUID]bool{}}
	return f, r.kernel.Read(ctx, func(b *pgx.Batch) { r.queueConnections(b, f) })
}

// facts reads what a time is judged by besides its requests.
func (r *Reader) facts(ctx context.Context, since time.Time) (*facts, error) {
	f, err := r.known(ctx)
	if err != nil {
		return nil, err
	}
	if f.rules, err = r.kernel.Rules(ctx); err != nil {
		return nil, err
	}
	return f, r.kernel.Read(ctx, func(b *pgx.Batch) {
		r.queueRefusals(b, f, since)
		r.queueShared(b, f)
		r.queueGroups(b, f)
	})
}

func (r *Reader) queueConnections(b *pgx.Batch, f *facts) {
	b.Queue(`select now()`).QueryRow(func(row pgx.Row) error { return row.Scan(&f.now) })
	b.Queue(`
		select c.id, c.name, c.kind, c.profile, c.issuer is not null, c.match_attribute, c.state = 'active' and t.state = 'active', c.created_at,
			greatest((select max(k.last_used_at) from credentials k where k.tenant_id = c.tenant_id and k.connection_id = c.id),
				(select max(l.last_used_at) from clients l where l.tenant_id = c.tenant_id and l.connection_id = c.id))
		from connections c join tenants t on t.id = c.tenant_id
		where c.tenant_id = $1 and ($2::uuid is null or c.id = $2)
		order by c.created_at`, r.kernel.Tenant, r.kernel.Connection).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			c := &connection{tenant: r.kernel.Slug}
			if err := rows.Scan(&c.ID, &c.Name, &c.Kind, &c.Profile, &c.SignsIn, &c.MatchAttribute, &c.Active, &c.Created, &c.LastUse); err != nil {
				return err
			}
			f.connections[c.ID] = c
		}
		return rows.Err()
	})
	b.Queue(`
		select connection_id, 'token ' || name, expires_at from credentials
		where tenant_id = $1 and connection_id is not null and revoked_at is null and (expires_at is null or expires_at > now())
		and ($2::uuid is null or connection_id = $2)
		union all
		select l.connection_id, 'a secret of client ' || l.name, s.expires_at
		from clients l join client_secrets s on s.tenant_id = l.tenant_id and s.client = l.id
		where l.tenant_id = $1 and l.revoked_at is null and s.revoked_at is null and s.expires_at > now()
		and ($2::uuid is null or l.connection_id = $2)
		union all
		select connection_id, 'client ' || name, null from clients
		where tenant_id = $1 and revoked_at is null and issuer is not null and ($2::uuid is null or connection_id = $2)`,
		r.kernel.Tenant, r.kernel.Connection).Query(func(rows pgx.Rows) error {
		var of uuid.UUID
		var t token
		_, err := pgx.ForEachRow(rows, []any{&of, &t.Name, &t.Expires}, func() error {
			if c := f.connections[of]; c != nil {
				c.tokens = append(c.tokens, t)
			}
			return nil
		})
		return err
	})
}

// queueRefusals reads the sign-ins of people who were not found: their change
// has the connection as its subject.
func (r *Reader) queueRefusals(b *pgx.Batch, f *facts, since time.Time) {
	for id := range f.connections {
		b.Queue(`
			select at, coalesce(body::json->>'reason', '') from changes
			where tenant_id = $1 and subject = $2 and kind = 'sign_in.refused' and at >= $3
			order by xid desc limit $4`, r.kernel.Tenant, id, since, mostFacts).Query(func(rows pgx.Rows) error {
			one := refusal{connection: id}
			_, err := pgx.ForEachRow(rows, []any{&one.at, &one.reason}, func() error {
				f.refusals = append(f.refusals, one)
				return nil
			})
			return err
		})
	}
}

func (r *Reader) queueShared(b *pgx.Batch, f *facts) {
	for id, c := range f.connections {
		if !c.SignsIn {
			continue
		}
		b.Queue(`
			select external_id, count(*) from users
			where tenant_id = $1 and connection_id = $2 and deleted_at is null and external_id is not null
			group by external_id having count(*) > 1 order by count(*) desc, external_id limit $3`, r.kernel.Tenant, id, examples).
			Query(func(rows pgx.Rows) error {
				one := shared{connection: id}
				_, err := pgx.ForEachRow(rows, []any{&one.externalID, &one.people}, func() error {
					f.shared = append(f.shared, one)
					return nil
				})
				return err
			})
	}
}

// queueGroups reads the living groups that rules name.
func (r *Reader) queueGroups(b *pgx.Batch, f *facts) {
	keys := make([]string, 0, len(f.rules.Groups))
	for _, name := range f.rules.Groups {
		if key, err := scim.Key(name); err == nil {
			keys = append(keys, key)
		}
	}
	b.Queue(`
		select g.display_name_key, g.id, g.connection_id, g.display_name, g.created_at,
			exists (select from memberships m where m.tenant_id = g.tenant_id and m.group_id = g.id)
		from groups g
		where g.tenant_id = $1 and g.connection_id = any($2) and g.display_name_key = any($3) and g.deleted_at is null`,
		r.kernel.Tenant, f.rules.Connections, keys).Query(func(rows pgx.Rows) error {
		var key string
		var g groupFact
		_, err := pgx.ForEachRow(rows, []any{&key, &g.id, &g.connection, &g.name, &g.created, &g.members}, func() error {
			f.groups[key] = g
			return nil
		})
		return err
	})
}

// details reads what concerns the resources that requests were about: who was
// deleted while active, and what groups were called before.
func (r *Reader) details(ctx context.Context, w *window) error {
	users, groups := w.subjects()
	return r.kernel.Read(ctx, func(b *pgx.Batch) {
		b.Queue(`select id from users where tenant_id = $1 and id = any($2) and deleted_at is not null and active`, r.kernel.Tenant, users).
			Query(func(rows pgx.Rows) error {
				var id uuid.UUID
				_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
					w.deleted[id] = true
					return nil
				})
				return err
			})
		b.Queue(`
			select c.connection_id, c.request_id, c.at, coalesce(c.body::json->'group'->>'displayName', c.body::json->>'displayName'),
				g.display_name, g.deleted_at is not null
			from changes c join groups g on g.tenant_id = c.tenant_id and g.id = c.subject
			where c.tenant_id = $1 and c.subject = any($2) and c.kind in ('group.created', 'group.updated')
			and coalesce(c.body::json->'group'->>'displayName', c.body::json->>'displayName') is not null
			order by c.xid desc limit $3`, r.kernel.Tenant, groups, mostFacts).Query(func(rows pgx.Rows) error {
			var g groupName
			_, err := pgx.ForEachRow(rows, []any{&g.connection, &g.request, &g.at, &g.name, &g.now, &g.deleted}, func() error {
				w.histories = append(w.histories, g)
				return nil
			})
			return err
		})
	})
}
