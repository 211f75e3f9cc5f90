package filter_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/migrations"
)

const (
	tenant     = "0f9c5e1e-0000-7000-8000-00000000000a"
	connection = "0f9c5e1e-0000-7000-8000-00000000000b"
)

// connect returns a connection of the server's role to a new database with
// Muster's schema, inside the tenant and the connection above.
func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	cluster := localpg.Shared(t)
	name := databaseName(t)
	// A vendor's database may sort as people do; filters must not.
	_, err := cluster.Psql(ctx, "postgres", fmt.Sprintf(
		"create database %s owner %s template template0 locale_provider icu icu_locale 'en-US';", name, localpg.OwnerRole))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.DropDatabase(ctx, name); err != nil {
			t.Error(err)
		}
	})
	owner := dial(t, cluster.OwnerURL(name))
	execute(t, owner, schema(t))
	execute(t, owner, "grant select, insert, update, delete on all tables in schema public to "+localpg.ServerRole)

	conn := dial(t, cluster.ServerURL(name))
	execute(t, conn, fmt.Sprintf("set muster.tenant = '%s'; set muster.connection = '%s'", tenant, connection))
	return conn
}

// check holds a property against transactions of one connection, one a case, of which
// nothing stays.
func check(t *testing.T, property func(*rapid.T, pgx.Tx)) {
	t.Helper()
	conn := connect(t)
	rapid.Check(t, func(t *rapid.T) {
		tx, err := conn.Begin(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		property(t, tx)
	})
}

func databaseName(t *testing.T) string {
	return fmt.Sprintf("filter_%d_%s", os.Getpid(), strings.ToLower(t.Name()))
}

// ownerURL is where the database that connect has made is reached by its owner.
func ownerURL(t *testing.T) string { return localpg.Shared(t).OwnerURL(databaseName(t)) }

func dial(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// schema returns the statements of all migrations, for one transaction.
func schema(t *testing.T) string {
	t.Helper()
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var sql strings.Builder
	for _, name := range names {
		text, err := migrations.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, up, _ := strings.Cut(string(text), "-- +goose Up")
		up, _, _ = strings.Cut(up, "-- +goose Down")
		sql.WriteString(up)
	}
	return strings.ReplaceAll(sql.String(), " concurrently", "")
}
