package localpg

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

func TestRolesHaveNoPrivilegeOfTheCluster(t *testing.T) {
	cluster := Shared(t)
	got := query(t, cluster, `
		select rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
			(select count(*) from pg_auth_members where member = pg_roles.oid)
		from pg_roles where rolname like 'muster%' order by rolname;`)
	want := "muster_owner|t|f|f|f|f|f|0\nmuster_server|t|f|f|f|f|f|0"
	if got != want {
		t.Errorf("roles:\n%s\nwant:\n%s", got, want)
	}
}

func TestRolesLoseWhatSomebodyGaveThem(t *testing.T) {
	cluster := start(t, prepared(t))
	query(t, cluster, "alter role muster_server superuser bypassrls")
	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatalf("Restart: %v", err)
	}
	if got := query(t, cluster, "select rolsuper or rolbypassrls from pg_roles where rolname = 'muster_server'"); got != "f" {
		t.Errorf("muster_server is still privileged after a restart: %s", got)
	}
}

func TestDatabaseIsACopyOfItsTemplate(t *testing.T) {
	cluster := Shared(t)
	create(t, cluster, "copied_from", "")
	if out, err := as(t, cluster, cluster.OwnerURL("copied_from"), "create table people (name text); insert into people values ('Jamie')"); err != nil {
		t.Fatalf("as the owner: %v\n%s", err, out)
	}
	create(t, cluster, "copied_to", "copied_from")
	if out, err := as(t, cluster, cluster.OwnerURL("copied_to"), "select name from people"); err != nil || out != "Jamie" {
		t.Errorf("the copy holds %q, %v; want Jamie", out, err)
	}
}

func TestServerMayOnlyConnect(t *testing.T) {
	cluster := Shared(t)
	create(t, cluster, "only_connect", "")
	if out, err := as(t, cluster, cluster.ServerURL("only_connect"), "select current_user"); err != nil || out != "muster_server" {
		t.Errorf("as the server, current_user = %q, %v", out, err)
	}
	for _, refused := range []string{
		"create table public.t (n int)",
		"create temporary table t (n int)",
		"create schema s",
		"create database d",
		"set role muster_owner",
		"set role postgres",
		"copy (select 1) to program 'true'",
	} {
		if out, err := as(t, cluster, cluster.ServerURL("only_connect"), refused); err == nil {
			t.Errorf("the server's role may %s: %s", refused, out)
		}
	}
}

func TestEnsureDatabaseKeepsTheOneThatIsThere(t *testing.T) {
	cluster := Shared(t)
	t.Cleanup(func() { cluster.DropDatabase(context.Background(), "ensured") })
	if err := cluster.EnsureDatabase(t.Context(), "ensured"); err != nil {
		t.Fatalf("EnsureDatabase: %v", err)
	}
	if out, err := as(t, cluster, cluster.OwnerURL("ensured"), "create table kept ()"); err != nil {
		t.Fatalf("as the owner: %v\n%s", err, out)
	}
	if err := cluster.EnsureDatabase(t.Context(), "ensured"); err != nil {
		t.Fatalf("EnsureDatabase again: %v", err)
	}
	if out, err := as(t, cluster, cluster.OwnerURL("ensured"), "table kept"); err != nil {
		t.Errorf("the table is gone: %v\n%s", err, out)
	}
}

func TestNamesThatAreNotPlainAreRefused(t *testing.T) {
	cluster := Shared(t)
	for _, name := range []string{"", "A", "a-b", "a b", `a"; drop database postgres; --`, "1a", "é", strings.Repeat("a", 64)} {
		if err := cluster.CreateDatabase(t.Context(), name, ""); err == nil {
			t.Errorf("CreateDatabase(%q) succeeded", name)
		}
		if err := cluster.CreateDatabase(t.Context(), "plain", name); err == nil && name != "" {
			t.Errorf("CreateDatabase from template %q succeeded", name)
		}
		if err := cluster.DropDatabase(t.Context(), name); err == nil {
			t.Errorf("DropDatabase(%q) succeeded", name)
		}
	}
}

func create(t *testing.T, cluster *Cluster, name, template string) {
	t.Helper()
	if err := cluster.CreateDatabase(t.Context(), name, template); err != nil {
		t.Fatalf("CreateDatabase(%q, %q): %v", name, template, err)
	}
	t.Cleanup(func() {
		if err := cluster.DropDatabase(context.Background(), name); err != nil {
			t.Errorf("DropDatabase(%q): %v", name, err)
		}
	})
}

// as runs one statement over a connection string, as any client would.
func as(t *testing.T, cluster *Cluster, url, sql string) (string, error) {
	t.Helper()
	psql := exec.Command(cluster.binaries.path("psql"), "--no-psqlrc", "-qAt", "--dbname", url, "--command", sql)
	psql.Env = environment()
	out, err := psql.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
