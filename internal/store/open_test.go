package store_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// refusal opens a store that must not open, and answers why it does not.
func refusal(t *testing.T, url string, change ...func(*store.Config)) string {
	t.Helper()
	config := store.Config{DatabaseURL: url, Key: storetest.Key(), PoolSize: 2}
	for _, c := range change {
		c(&config)
	}
	s, err := store.Open(t.Context(), config)
	if err == nil {
		s.Close()
		t.Fatal("the store opened")
	}
	return err.Error()
}

// superuser runs statements on the test's cluster as its superuser.
func superuser(t *testing.T, database, sql string) string {
	t.Helper()
	out, err := localpg.Shared(t).Psql(context.Background(), database, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// databaseOf is the name of the database in a URL of storetest.
func databaseOf(url string) string {
	rest := url[strings.LastIndex(url, "/")+1:]
	name, _, _ := strings.Cut(rest, "?")
	return name
}

// role makes a role of the cluster for one test and answers the database's URL for it.
func role(t *testing.T, serverURL, attributes string) string {
	t.Helper()
	name := fmt.Sprintf("walls_%d_%s", os.Getpid(), strings.ToLower(strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "-", "_")))
	superuser(t, "postgres", fmt.Sprintf(`create role %[1]s login %[2]s; grant connect on database %[3]s to %[1]s;`, name, attributes, databaseOf(serverURL)))
	t.Cleanup(func() {
		superuser(t, databaseOf(serverURL), fmt.Sprintf(`drop owned by %[1]s; drop role %[1]s;`, name))
	})
	return strings.Replace(serverURL, localpg.ServerRole, name, 1)
}

// TestAbuse_B01: no server starts as a role that row-level security does not
// bind, or that could become one.
func TestAbuse_B01(t *testing.T) {
	owner, server := storetest.Database(t)
	const want = "must be a plain one"
	if got := refusal(t, owner); !strings.Contains(got, want) {
		t.Errorf("the owner: %s", got)
	}
	for name, attributes := range map[string]string{
		"superuser":           "superuser",
		"bypassrls":           "bypassrls",
		"member-of-owner":     "in role " + localpg.OwnerRole,
		"could-be-owner":      "noinherit in role " + localpg.OwnerRole,
		"could-be-superuser":  "noinherit in role postgres",
		"member-of-superuser": "in role postgres",
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusal(t, role(t, server, attributes)); !strings.Contains(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	storetest.Open(t, server) // the plain role is accepted
}

// TestAbuse_B06: a PostgreSQL with published holes in row-level security is
// refused, unless somebody has said that theirs is mended.
func TestAbuse_B06(t *testing.T) {
	_, server := storetest.Database(t)
	got := refusal(t, server, func(c *store.Config) { c.MinServerVersion = 99_00_00 })
	if !strings.Contains(got, "too old") || !strings.Contains(got, "update the database server") {
		t.Errorf("an old server: %s", got)
	}
	storetest.Open(t, server, func(c *store.Config) { c.MinServerVersion = 15_00_00 })
	storetest.Open(t, server)
}

// Without a key, with half a key and with another key than the database was
// set up with, nothing starts; what it holds is not touched.
func TestTheKeyIsTheOneTheDatabaseWasSetUpWith(t *testing.T) {
	_, server := storetest.Database(t)
	for name, key := range map[string][]byte{"no": nil, "half a": make([]byte, 16), "too long a": make([]byte, 33)} {
		if got := refusal(t, server, func(c *store.Config) { c.Key = key }); !strings.Contains(got, "32 bytes") {
			t.Errorf("%s key: %s", name, got)
		}
	}
	c := ringlingOn(t, storetest.Open(t, server))
	signs := kid(t, c.store)
	another := bytes.Repeat([]byte{7}, store.KeySize)
	got := refusal(t, server, func(c *store.Config) { c.Key = another })
	if !strings.Contains(got, "not the one that this database was set up with") || strings.Contains(got, string(another)) {
		t.Errorf("another key: %s", got)
	}
	if again := kid(t, storetest.Open(t, server)); again != signs {
		t.Errorf("the signing key is %s, was %s", again, signs)
	}
}

func kid(t *testing.T, s *store.Store) string {
	t.Helper()
	return must[registry.SigningKey](t)(s.SigningKey(t.Context())).KID
}

// Two servers with different keys that come to a new database at once: one
// sets it up, the other is refused.
func TestOneKeySetsTheDatabaseUp(t *testing.T) {
	_, server := storetest.Database(t)
	results := make(chan error, 2)
	for i := range 2 {
		go func() {
			key := bytes.Repeat([]byte{byte(i + 1)}, store.KeySize)
			s, err := store.Open(context.Background(), store.Config{DatabaseURL: server, Key: key, PoolSize: 1})
			if err == nil {
				s.Close()
			}
			results <- err
		}()
	}
	one, two := <-results, <-results
	if (one == nil) == (two == nil) {
		t.Errorf("got %v and %v, want one of them refused", one, two)
	}
}

func TestADatabaseThatIsNotMigratedIsRefused(t *testing.T) {
	cluster := localpg.Shared(t)
	name := fmt.Sprintf("empty_%d", os.Getpid())
	if err := cluster.CreateDatabase(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	if got := refusal(t, cluster.ServerURL(name)); !strings.Contains(got, "run muster migrate") {
		t.Errorf("an empty database: %s", got)
	}

	owner, server := storetest.Database(t)
	execute(t, owner, `update goose_db_version set is_applied = false where version_id > 0`)
	if got := refusal(t, server); !strings.Contains(got, "is at migration 0") || !strings.Contains(got, "run muster migrate") {
		t.Errorf("an older database: %s", got)
	}
}

// A server of before a migration goes on beside it: a newer schema is not refused.
func TestANewerDatabaseIsServed(t *testing.T) {
	owner, server := storetest.Database(t)
	execute(t, owner, `insert into goose_db_version (version_id, is_applied) values (99999, true)`)
	storetest.Open(t, server)
}

func TestAServerThatLogsParametersIsWarnedOf(t *testing.T) {
	_, server := storetest.Database(t)
	for setting, warned := range map[string]bool{"0": false, "-1": true} {
		superuser(t, "postgres", `alter role muster_server in database `+databaseOf(server)+` set log_parameter_max_length = '`+setting+`'`)
		var log bytes.Buffer
		storetest.Open(t, server, func(c *store.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
		if strings.Contains(log.String(), "log_parameter_max_length") != warned {
			t.Errorf("with %s: warned %t, want %t: %s", setting, !warned, warned, log.String())
		}
	}
}

// execute runs statements as the owner of the tables.
func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn := dial(t, url)
	if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}
