package storetest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Grants are what a test's rules come to, for [Audit] to say again what must
// follow without asking the code that derives it: a role for every active
// person, and roles for being in a group of that name, directly or through others.
type Grants struct {
	Everyone string
	Groups   map[string]string
}

// Look opens a database for what only a test looks at: every connection of one tenant.
func Look(t testing.TB, ownerURL, tenant string) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, ownerURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	_, err = conn.Exec(ctx, `select set_config('muster.connection', 'all', false),
		set_config('muster.tenant', (select id::text from tenants where slug = $1), false)`, tenant)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Audit checks of a tenant that nobody is writing to what must hold after
// whatever happened: no role outlives its cause or is missing, every cause is a
// change, and the numbers of the log have no gap.
func Audit(t testing.TB, ownerURL, tenant string, g Grants) {
	t.Helper()
	AuditOn(t, Look(t, ownerURL, tenant), g)
}

// Reporter is what [AuditOn] and [Digests] need of a test, [testing.TB] or another.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// AuditOn is [Audit] on a connection of [Look].
func AuditOn(t Reporter, conn *pgx.Conn, g Grants) {
	t.Helper()
	for _, finding := range findings {
		none(t, conn, finding.what, finding.sql)
	}
	var names, roles []string
	for name, role := range g.Groups {
		names, roles = append(names, name), append(roles, role)
	}
	none(t, conn, "a role is held without its cause", `select * from (`+held+` except `+due+`) x`, g.Everyone, names, roles)
	none(t, conn, "a role is due and not held", `select * from (`+due+` except `+held+`) x`, g.Everyone, names, roles)
}

const (
	held = `select user_id, role from assignments where until_change is null and $1::text is not null and cardinality($2::text[]) >= 0 and cardinality($3::text[]) >= 0`

	due = `(
		with recursive within as (
			select member_user as user_id, group_id from memberships where member_user is not null
			union
			select within.user_id, m.group_id from within join memberships m on m.member_group = within.group_id
		), granted as (
			select u.id as user_id, $1::text as role from users u where $1::text <> ''
			union
			select within.user_id, grants.role
			from within join groups g on g.id = within.group_id and g.deleted_at is null
			join unnest($2::text[], $3::text[]) as grants(name, role) on grants.name = g.display_name
		)
		select u.id, granted.role from granted join users u on u.id = granted.user_id
		where u.active and not u.locked and u.deleted_at is null)`
)

var findings = []struct{ what, sql string }{
	{"an assignment has no change that gave it", `
		select a.user_id, a.role from assignments a
		where not exists (select from changes c where c.tenant_id = a.tenant_id and c.n = a.from_change and c.xid = a.from_xid)`},
	{"an assignment has no change that ended it", `
		select a.user_id, a.role from assignments a
		where a.until_change is not null
		and not exists (select from changes c where c.tenant_id = a.tenant_id and c.n = a.until_change and c.xid = a.until_xid)`},
	{"an assignment is held twice", `
		select user_id, role from assignments where until_change is null group by user_id, role, scope, rule having count(*) > 1`},
	{"a person's roles are not of the present rules", `
		select u.id, u.derived from users u join tenants t on t.id = u.tenant_id
		where u.active and not u.locked and u.deleted_at is null and u.derived is distinct from t.derivation`},
	{"a session of somebody who is shut out is alive", `
		select s.id, u.id from sessions s join users u on u.id = s.user_id
		where s.ended_at is null and (not u.active or u.locked or u.deleted_at is not null)`},
	{"a number of the log has no change, or a change two numbers", `
		select k.n, count(*) from change_numbers k left join changes c on c.n = k.n and c.xid = k.xid
		group by k.n having count(*) > 1 or count(c.n) = 0`},
	{"the numbers of the log have a gap", `
		select count(*), max(seq) from change_numbers having count(*) <> coalesce(max(seq), 0)`},
	{"a user's version is not the number of its changes", `
		select u.id, u.version from users u
		where u.version <> (select count(*) from changes c where c.subject = u.id and c.kind like 'user.%')`},
	{"a resource's version is not the number of its changes", `
		select r.id, r.version from resources r
		where r.version <> (select count(*) from changes c where c.subject = r.id and c.kind like 'resource.' || r.resource_type || '.%')`},
	{"a unique value is held by nobody who lives", `
		select v.attribute, v.resource_id from unique_values v
		where not exists (select from users u where u.id = v.resource_id and u.deleted_at is null)
		and not exists (select from groups g where g.id = v.resource_id and g.deleted_at is null)
		and not exists (select from resources r where r.id = v.resource_id and r.deleted_at is null)`},
}

// none reports the rows that there must not be.
func none(t Reporter, conn *pgx.Conn, what, sql string, args ...any) {
	t.Helper()
	rows, err := conn.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, row := range found[:min(len(found), 5)] {
		t.Errorf("%s: %v (%d of them)", what, row, len(found))
	}
}

// Digests are of the whole content of every table that the tenant's rows or the
// deployment's are in.
func Digests(t Reporter, conn *pgx.Conn) map[string]string {
	t.Helper()
	ctx := context.Background()
	rows, err := conn.Query(ctx, `select relname::text from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatalf("tables: %v", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("tables: %v", err)
	}
	digests := map[string]string{}
	for _, table := range tables {
		var digest string
		sql := `select md5(coalesce(string_agg(x::text, E'\n' order by x::text), '')) from ` + pgx.Identifier{table}.Sanitize() + ` x`
		if err := conn.QueryRow(ctx, sql).Scan(&digest); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		digests[table] = digest
	}
	return digests
}
