// Package storetest gives each test a Store on a migrated database of its own,
// on real PostgreSQL.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/migrations"
)

// Key is the key-encryption key of tests.
func Key() []byte { return []byte("a key-encryption key for tests..") }

// New opens a Store on a new database, with whatever change sets.
func New(t testing.TB, change ...func(*store.Config)) *store.Store {
	t.Helper()
	_, server := Database(t)
	return Open(t, server, change...)
}

// Open opens one more Store on a database, as another server process would.
func Open(t testing.TB, serverURL string, change ...func(*store.Config)) *store.Store {
	t.Helper()
	config := store.Config{DatabaseURL: serverURL, Key: Key(), PoolSize: 4, Local: true}
	for _, c := range change {
		c(&config)
	}
	s, err := store.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Database makes a new migrated database and answers its URLs for the owner of
// the tables and for the server's role.
func Database(t testing.TB) (ownerURL, serverURL string) {
	t.Helper()
	cluster := localpg.Shared(t)
	template, err := migrated(cluster)
	if err != nil {
		t.Fatalf("migrated template: %v", err)
	}
	name := "t_" + hex.EncodeToString(newName())
	if err := cluster.CreateDatabase(context.Background(), name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return cluster.OwnerURL(name), cluster.ServerURL(name)
}

func newName() []byte {
	id := uuid.New()
	return id[:]
}

var ready atomic.Pointer[string]

// migrated answers the name of the template database of these migrations, and
// makes it where no test of the cluster has yet. Test binaries run beside one
// another: one makes it, the others wait.
func migrated(cluster *localpg.Cluster) (string, error) {
	if name := ready.Load(); name != nil {
		return *name, nil
	}
	unlock, err := lock(filepath.Join(cluster.Dir(), "template.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if name := ready.Load(); name != nil {
		return *name, nil
	}
	ctx := context.Background()
	name, err := templateName()
	if err != nil {
		return "", err
	}
	made, err := cluster.Psql(ctx, "postgres", `select count(*) from pg_database where datname = '`+name+`' and datistemplate`)
	if err != nil {
		return "", err
	}
	if made != "1" {
		if err := makeTemplate(ctx, cluster, name); err != nil {
			return "", err
		}
	}
	ready.Store(&name)
	return name, nil
}

func makeTemplate(ctx context.Context, cluster *localpg.Cluster, name string) error {
	if err := migrate(ctx, cluster, name); err != nil {
		return err
	}
	_, err := cluster.Psql(ctx, "postgres", `alter database `+name+` with is_template true allow_connections false`)
	return err
}

// migrate makes a database with the schema.
func migrate(ctx context.Context, cluster *localpg.Cluster, name string) error {
	if err := cluster.EnsureDatabase(ctx, name); err != nil {
		return err
	}
	return store.Migrate(ctx, cluster.OwnerURL(name), localpg.ServerRole, func(string, ...any) {})
}

// templateName is of the migrations' content, so that a changed one makes a new template.
func templateName() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(migrations.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := migrations.Files.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return err
	})
	return "migrated_" + hex.EncodeToString(sum.Sum(nil)[:6]), err
}

func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}
