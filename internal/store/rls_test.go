package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// truth counts rows as the superuser, whom no policy binds.
func (f *fair) truth(table, where string) string {
	f.t.Helper()
	return superuser(f.t, databaseOf(f.owner), fmt.Sprintf(`select count(*) from %s where %s`, table, where))
}

// name names a tenant and a connection for a whole session, which only a test does.
func (f *fair) name(conn *pgx.Conn, tenant, connection string) {
	f.t.Helper()
	_, err := conn.Exec(context.Background(), `select set_config('muster.tenant', $1, false), set_config('muster.connection', $2, false)`, tenant, connection)
	if err != nil {
		f.t.Fatal(err)
	}
}

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// A query that forgets its predicate finds the rows of the tenant and the
// connection that are named: all of them, and no other.
func TestAQueryWithoutAPredicateFindsOneTenantsRows(t *testing.T) {
	f := newFair(t).live()
	conn := dial(t, f.server)
	for _, table := range f.tables {
		for slug, stands := range f.stands {
			where := "tenant_id = '" + stands[0].tenant + "'"
			f.name(conn, stands[0].tenant, "all")
			f.finds(conn, table, slug, where)
			for _, p := range stands {
				f.name(conn, p.tenant, p.id)
				where := where
				if f.narrowed[table] {
					where += " and connection_id = '" + p.id + "'"
				}
				f.finds(conn, table, slug+"/"+p.name, where)
			}
		}
		f.name(conn, f.stands["ringling"][0].tenant, f.stands["cirque"][0].id)
		if n := column[int64](t, conn, `select count(*) from `+table)[0]; f.narrowed[table] && n != 0 {
			t.Errorf("%s: with another tenant's connection named, %d rows are found", table, n)
		}
	}
}

// finds fails unless a query without a predicate finds what where finds for the
// superuser, which must be something.
func (f *fair) finds(conn *pgx.Conn, table, who, where string) {
	f.t.Helper()
	want := f.truth(table, where)
	if want == "0" {
		f.t.Errorf("%s: %s has no row: the tests prove nothing about this table", table, who)
	}
	if got := fmt.Sprint(column[int64](f.t, conn, `select count(*) from `+table)[0]); got != want {
		f.t.Errorf("%s: %s finds %s rows, has %s", table, who, got, want)
	}
	if got := fmt.Sprint(column[int64](f.t, conn, `select count(*) from `+table+` where `+where)[0]); got != want {
		f.t.Errorf("%s: %s finds %s of its own rows, has %s", table, who, got, want)
	}
}

// TestAbuse_B02: where no tenant is named, a query fails; it never finds
// nothing, and never all.
func TestAbuse_B02(t *testing.T) {
	f := newFair(t).live()
	for _, table := range f.tables {
		conn := dial(t, f.server)
		for _, sql := range []string{
			`select count(*) from ` + table, `update ` + table + ` set tenant_id = tenant_id`, `delete from ` + table,
			`select 1 from ` + table + ` limit 1`, `select exists (select from ` + table + `)`,
		} {
			if _, err := conn.Exec(t.Context(), sql); sqlState(err) != "42704" {
				t.Errorf("%s, never named: got %v, want 42704", sql, err)
			}
		}
		if !f.narrowed[table] {
			continue
		}
		if _, err := conn.Exec(t.Context(), `select set_config('muster.tenant', $1, false)`, f.stands["ringling"][0].tenant); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `select count(*) from `+table); sqlState(err) != "42704" {
			t.Errorf("%s, with no connection named: got %v, want 42704", table, err)
		}
	}

	// After a transaction of a tenant the setting is empty, which is no tenant.
	conn := dial(t, f.server)
	b := &pgx.Batch{}
	b.Queue(`select set_config('muster.tenant', $1, true), set_config('muster.connection', 'all', true)`, f.stands["ringling"][0].tenant)
	if err := conn.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range f.tables {
		if _, err := conn.Exec(t.Context(), `select count(*) from `+table); sqlState(err) != "22P02" {
			t.Errorf("%s, after a transaction that named a tenant: got %v, want 22P02", table, err)
		}
	}
}

// What is written as one tenant or connection stays there: an insert or update
// that names another is refused, and another's rows are not there to be changed.
func TestARowOfAnotherTenantIsNotWritten(t *testing.T) {
	f := newFair(t).live()
	conn := dial(t, f.server)
	here, there := f.stands["ringling"][0].tenant, f.stands["cirque"][0].tenant
	first, second := f.stands["ringling"][0].id, f.stands["ringling"][1].id
	for _, table := range f.tables {
		f.name(conn, here, "all")
		f.refused(conn, table, "tenant_id", there)
		f.untouched(conn, table, "tenant_id", there)
		if f.narrowed[table] {
			f.name(conn, here, first)
			f.refused(conn, table, "tenant_id", there)
			f.refused(conn, table, "connection_id", second)
			f.untouched(conn, table, "connection_id", second)
		}
	}
}

// refused tries to write a row like one that is seen, with another value in column.
func (f *fair) refused(conn *pgx.Conn, table, column, value string) {
	f.t.Helper()
	for _, sql := range []string{
		fmt.Sprintf(`insert into %[1]s select (jsonb_populate_record(null::%[1]s, to_jsonb(r) || jsonb_build_object('%[2]s', '%[3]s'))).* from %[1]s r limit 1`, table, column, value),
		fmt.Sprintf(`update %s set %s = '%s'`, table, column, value),
	} {
		tag, err := conn.Exec(f.t.Context(), sql)
		if sqlState(err) != "42501" || !strings.Contains(err.Error(), "row-level security") {
			f.t.Errorf("%.60s…: got %v %v, want it refused by row-level security", sql, tag, err)
		}
	}
}

// untouched tries to change and to delete another's rows.
func (f *fair) untouched(conn *pgx.Conn, table, column, value string) {
	f.t.Helper()
	before := f.truth(table, column+" = '"+value+"'")
	for _, sql := range []string{
		fmt.Sprintf(`update %[1]s set %[2]s = %[2]s where %[2]s = '%[3]s'`, table, column, value),
		fmt.Sprintf(`delete from %s where %s = '%s'`, table, column, value),
	} {
		tag, err := conn.Exec(f.t.Context(), sql)
		if err != nil || tag.RowsAffected() != 0 {
			f.t.Errorf("%s: got %v %v, want no row", sql, tag, err)
		}
	}
	if after := f.truth(table, column+" = '"+value+"'"); after != before {
		f.t.Errorf("%s: another's rows went from %s to %s", table, before, after)
	}
}

// Whatever the product wrote, no row of a tenant holds what is another's.
func TestNoRowNamesAnotherTenant(t *testing.T) {
	f := newFair(t).live()
	for _, table := range f.tables {
		for slug, stands := range f.stands {
			rows := superuser(t, databaseOf(f.owner), fmt.Sprintf(`select to_jsonb(r)::text from %s r where tenant_id = '%s'`, table, stands[0].tenant))
			for other, theirs := range f.stands {
				for _, p := range theirs {
					for _, id := range []string{p.tenant, p.id, p.client, p.jamie.ID.String(), p.robin.ID.String(), p.finance.ID.String()} {
						if other != slug && strings.Contains(rows, id) {
							t.Errorf("%s: a row of %s holds %s, which is %s's", table, slug, id, other)
						}
					}
				}
			}
		}
	}
}
