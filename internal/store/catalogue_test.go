package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store/storetest"
)

// global are the tables that are not a tenant's. A table that is in neither
// camp fails the tests below: adding one here is a change of the design (§5).
var global = []string{"applications", "goose_db_version", "instance", "roles", "signing_keys", "tenant_domains", "tenant_hosts", "tenants"}

// tenantTables are all others, from the catalogue.
func tenantTables(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	all := column[string](t, conn, `
		select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'public' and c.relkind in ('r', 'p', 'f') order by 1`)
	for _, name := range global {
		if !slices.Contains(all, name) {
			t.Errorf("there is no table %s", name)
		}
	}
	tables := slices.DeleteFunc(all, func(name string) bool { return slices.Contains(global, name) })
	if len(tables) < 18 {
		t.Fatalf("only %d tables of tenants were found: %v", len(tables), tables)
	}
	return tables
}

// column reads the first column of what a query answers.
func column[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return found
}

// Every table of tenants is shut off by row-level security, forced, with a
// policy for every command that judges what is read and what is written.
func TestRowLevelSecurityIsForcedOnEveryTenantTable(t *testing.T) {
	owner, _ := storetest.Database(t)
	conn := dial(t, owner)
	for _, table := range tenantTables(t, conn) {
		secured := column[bool](t, conn, `
			select c.relrowsecurity and c.relforcerowsecurity from pg_class c where c.oid = $1::regclass`, table)
		if !slices.Equal(secured, []bool{true}) {
			t.Errorf("%s: row-level security is not enabled and forced", table)
		}
		policies := column[bool](t, conn, `
			select p.polcmd = '*' and p.polpermissive and p.polroles = '{0}'
				and pg_get_expr(p.polqual, p.polrelid) like '(%tenant_id = (current_setting(''muster.tenant''::text))::uuid%'
				and pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid)
			from pg_policy p where p.polrelid = $1::regclass`, table)
		if !slices.Equal(policies, []bool{true}) {
			t.Errorf("%s: got policies %v, want one for all commands with using and with check on muster.tenant", table, policies)
			continue
		}
		narrowed := column[bool](t, conn, `
			select pg_get_expr(p.polqual, p.polrelid) like '%connection_id)::text = current_setting(''muster.connection''::text)%'
			from pg_policy p where p.polrelid = $1::regclass`, table)
		has := column[int64](t, conn, `select count(*) from pg_attribute where attrelid = $1::regclass and attname = 'connection_id'`, table)
		if (has[0] == 1) != narrowed[0] {
			t.Errorf("%s: has a connection_id %t, is narrowed to a connection %t", table, has[0] == 1, narrowed[0])
		}
	}
}

// TestAbuse_B05: no index and no reference reaches across tenants, so that
// neither tells what another tenant has.
func TestAbuse_B05(t *testing.T) {
	owner, _ := storetest.Database(t)
	conn := dial(t, owner)
	for _, table := range tenantTables(t, conn) {
		unique := column[string](t, conn, `
			select i.indexrelid::regclass::text || ' ' || coalesce(a.attname, 'an expression')
			from pg_index i left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
			where i.indrelid = $1::regclass and (i.indisunique or i.indisprimary or i.indisexclusion)`, table)
		if len(unique) == 0 {
			t.Errorf("%s: has neither a primary key nor a unique index", table)
		}
		for _, index := range unique {
			if !strings.HasSuffix(index, " tenant_id") {
				t.Errorf("%s: a unique index begins with another column than tenant_id: %s", table, index)
			}
		}
		// A reference to a tenant's row begins with tenant_id on both sides.
		references := column[string](t, conn, `
			select k.conname || ': ' || here.attname || ' → ' || k.confrelid::regclass::text || ' ' || there.attname
			from pg_constraint k
			join pg_attribute here on here.attrelid = k.conrelid and here.attnum = k.conkey[1]
			join pg_attribute there on there.attrelid = k.confrelid and there.attnum = k.confkey[1]
			where k.conrelid = $1::regclass and k.contype = 'f'
			and not (k.confrelid::regclass::text = any($2) or here.attname = 'tenant_id' and there.attname = 'tenant_id')`, table, global)
		for _, reference := range references {
			t.Errorf("%s: a reference may reach across tenants: %s", table, reference)
		}
	}
	// memberships has nullable members and so no primary key; everything else has one.
	keyless := column[string](t, conn, `
		select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'public' and c.relkind = 'r'
		and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)`)
	if !slices.Equal(keyless, []string{"memberships"}) {
		t.Errorf("tables without a primary key: %v", keyless)
	}
}

// TestAbuse_B04: nothing in the schema runs with more rights than whoever calls it.
func TestAbuse_B04(t *testing.T) {
	owner, _ := storetest.Database(t)
	conn := dial(t, owner)
	for what, sql := range map[string]string{
		"a view that does not ask as its caller": `
			select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = 'public' and c.relkind in ('v', 'm') and not coalesce(c.reloptions @> '{security_invoker=true}', false)`,
		"a function with its owner's rights": `
			select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
			where n.nspname = 'public' and p.prosecdef`,
		"a rewrite rule": `
			select r.rulename::text from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = 'public' and c.relkind in ('r', 'p')`,
		"a trigger that is no reference's": `
			select g.tgname::text from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = 'public' and not g.tgisinternal`,
		"an object of another owner": `
			select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
			where n.nspname = 'public' and c.relowner <> 'muster_owner'::regrole`,
	} {
		if found := column[string](t, conn, sql); len(found) != 0 {
			t.Errorf("there is %s: %v", what, found)
		}
	}
}

// TestAbuse_B09: the server's role changes rows and nothing else.
func TestAbuse_B09(t *testing.T) {
	_, server := storetest.Database(t)
	conn := dial(t, server)
	for _, sql := range []string{
		`create table x (id int)`,
		`create schema x`,
		`create temporary table x (id int)`,
		`create function x() returns int language sql as 'select 1'`,
		`create view x as select 1`,
		`alter table users add column x int`,
		`alter table users disable row level security`,
		`alter table users no force row level security`,
		`drop policy tenant on users`,
		`create policy x on users using (true)`,
		`drop table users`,
		`truncate users`,
		`create index on users (id)`,
		`create trigger x before insert on users for each row execute function x()`,
		`alter role muster_server bypassrls`,
		`set role muster_owner`,
		`set session authorization muster_owner`,
		`set session_replication_role = replica`,
		`insert into goose_db_version (version_id, is_applied) values (99999, true)`,
		`delete from goose_db_version`,
		`update instance set incarnation = gen_random_uuid()`,
		`delete from instance`,
		`insert into instance (incarnation) values (gen_random_uuid())`,
		`copy users to '/tmp/x'`,
		`copy users from program 'true'`,
		`select pg_read_file('/etc/passwd')`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		if got := sqlState(err); got != "42501" {
			t.Errorf("%s: got %v, want insufficient privilege", sql, err)
		}
	}
}

// PostgreSQL is told, for every table of tenants, that one tenant and one
// connection may have all of it. Otherwise a plan for any tenant reads all of
// one where the usual tenant is small (TestPlansServeALargeTenantAmongSmallOnes).
func TestPlansAreMadeForTheLargestTenant(t *testing.T) {
	owner, _ := storetest.Database(t)
	conn := dial(t, owner)
	untold := column[string](t, conn, `
		select a.attrelid::regclass::text || '.' || a.attname from pg_attribute a
		where a.attrelid::regclass::text = any($1) and a.attname in ('tenant_id', 'connection_id')
		and coalesce(a.attoptions, '{}') <> '{n_distinct=1}' order by 1`, tenantTables(t, conn))
	if len(untold) > 0 {
		t.Errorf("not told: alter table … alter column … set (n_distinct = 1): %v", untold)
	}
}
