package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver for goose
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/muster-id/muster/migrations"
)

// Migrate brings the schema up to this program, under a lock, as the owner of
// the tables, and lets serverRole use them. It is safe to run at any time and
// from several programs at once.
func Migrate(ctx context.Context, ownerURL, serverRole string, report func(format string, args ...any)) error {
	db, err := sql.Open("pgx", ownerURL)
	if err != nil {
		return errors.New("the migration database URL is not valid")
	}
	defer db.Close()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := takeMigrateLock(ctx, conn); err != nil {
		return err
	}
	if err := checkSchema(ctx, conn); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		report("applied %s", r.Source.Path)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := signSchema(ctx, conn); err != nil {
		return err
	}
	return grant(ctx, conn, serverRole)
}

// RoleOf answers the role that a database URL connects as: the server's, when it
// is given to [Migrate].
func RoleOf(databaseURL string) (string, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return "", badArgument("the database URL is not valid") // never echo it: it may hold a password
	}
	return config.User, nil
}

// migrateLock lets one program at a time compare, migrate and grant: PostgreSQL
// refuses two that change the rights on one table at once. It is held until the
// connection ends.
const migrateLock = 0x6772616e74 // "grant"

// takeMigrateLock asks again and again: who waited within a statement would keep a
// snapshot, and an index that is made beside writers waits until nobody has an
// older one.
func takeMigrateLock(ctx context.Context, conn *sql.Conn) error {
	for {
		var taken bool
		err := conn.QueryRowContext(ctx, `select pg_try_advisory_lock($1)`, migrateLock).Scan(&taken)
		if err != nil || taken {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// grant lets the server's role read and write rows, and nothing more: no
// truncate, no references, no schema changes.
func grant(ctx context.Context, conn *sql.Conn, role string) error {
	name := pgx.Identifier{role}.Sanitize()
	for _, statement := range []string{
		`revoke create on schema public from public`,
		`grant usage on schema public to ` + name,
		`grant select, insert, update, delete on all tables in schema public to ` + name,
		`grant usage on all sequences in schema public to ` + name,
		`revoke insert, update, delete on instance, goose_db_version from ` + name,
		`grant update (key_check) on instance to ` + name,
		`alter role ` + name + ` set log_parameter_max_length = 0`,
	} {
		_, err := conn.ExecContext(ctx, statement)
		if err != nil && !strings.HasPrefix(statement, "alter role") && !strings.HasPrefix(statement, "revoke create") {
			return fmt.Errorf("grant to %s: %w", role, err)
		}
	}
	return nil
}

// AfterRestore makes a database that was restored from a backup safe to serve:
// a new incarnation, so that no position given out before is answered, and
// every tenant's epoch raised, so that no session of the backup lives again.
func AfterRestore(ctx context.Context, ownerURL string) error {
	conn, err := pgx.Connect(ctx, ownerURL)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer conn.Close(ctx)
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `update instance set incarnation = gen_random_uuid()`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update tenants set epoch = epoch + 1`)
		return err
	})
}

// latest is the number of the newest migration in this program.
func latest() int64 {
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var version int64
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err == nil && n > version {
			version = n
		}
	}
	return version
}
