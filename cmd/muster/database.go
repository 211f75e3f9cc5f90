package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// localDatabase is the name of the database in the private PostgreSQL.
const localDatabase = "muster"

// defaultDataDir is where --local keeps what belongs to name. The user that
// PostgreSQL runs as must reach it, so root's is not below its home.
func defaultDataDir(name string) string {
	if os.Geteuid() == 0 {
		return filepath.Join("/var/lib", name)
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, name)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join("/var/tmp", name)
	}
	return filepath.Join(home, ".local", "share", name)
}

// clusterDir is the folder of the private PostgreSQL.
func (s *settings) clusterDir() string { return filepath.Join(s.DataDir, "postgres") }

// localKeyFile is where --local keeps the key unless another is named.
func (s *settings) localKeyFile() string { return filepath.Join(s.DataDir, "key") }

// open opens the store for one command: the database that is named, or the one
// that a server with --local runs.
func (p *program) open(ctx context.Context) (*store.Store, error) {
	s := p.settings
	address, err := s.runningDatabase()
	if err != nil {
		return nil, err
	}
	key, err := s.readKey()
	if err != nil {
		return nil, err
	}
	const enough = 2 // connections
	return store.Open(ctx, store.Config{DatabaseURL: address, Key: key, PoolSize: enough, Local: s.Local})
}

func (s *settings) runningDatabase() (string, error) {
	switch {
	case s.DatabaseURL != "":
		return s.DatabaseURL, nil
	case !s.Local:
		return "", missingDatabase()
	}
	if err := checkDataDir(s.DataDir, os.Geteuid()); err != nil {
		return "", err
	}
	cluster, err := localpg.Attach(s.clusterDir())
	if err != nil {
		return "", fmt.Errorf("%w\nstart it first: muster serve --local --data %s", err, s.DataDir)
	}
	return cluster.ServerURL(localDatabase), nil
}

// withStore opens the store for do and closes it after.
func (p *program) withStore(ctx context.Context, do func(*store.Store) error) error {
	st, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	return do(st)
}

// withVendor is withStore for what spans tenants.
func (p *program) withVendor(ctx context.Context, do func(*registry.Vendor) error) error {
	return p.withStore(ctx, func(st *store.Store) error { return do(st.Vendor(p.actorName())) })
}

// withDirectory is withStore for one tenant's people, groups and rules. The log
// names the command as what was asked.
func (p *program) withDirectory(ctx context.Context, tenant, command string, do func(*store.Directory) error) error {
	return p.withStore(ctx, func(st *store.Store) error {
		request := store.Request{ID: uuid.Must(uuid.NewV7()), Method: "CLI", Path: "muster " + command}
		dir, err := st.Admin(ctx, tenant, p.actorName(), request)
		if err != nil {
			return noTenant(err, tenant)
		}
		return do(dir)
	})
}

func noTenant(err error, tenant string) error {
	return missing(err, "there is no tenant %q; muster tenant list shows them", tenant)
}

// noTenantOf is noTenant where several were named at once.
func noTenantOf(err error) error {
	if unknown, ok := errors.AsType[*registry.TenantError](err); ok {
		return noTenant(err, unknown.Slug)
	}
	return err
}

// actorName is who acts: the log names somebody for every write.
func (p *program) actorName() string {
	if p.actor != "" {
		return p.actor
	}
	if u, err := user.Current(); err == nil {
		return "cli:" + u.Username
	}
	return fmt.Sprintf("cli:uid %d", os.Getuid())
}

// readKey reads the key-encryption key, without which nothing starts.
func (s *settings) readKey() ([]byte, error) {
	if s.Key != "" {
		return parseKey([]byte(s.Key), "MUSTER_KEY")
	}
	path := s.KeyFile
	if path == "" && s.Local {
		path = s.localKeyFile()
	}
	if path == "" {
		return nil, usagef("no key-encryption key: give MUSTER_KEY_FILE (or --key-file) or MUSTER_KEY, 32 bytes in base64; head -c 32 /dev/urandom | base64 makes one")
	}
	text, err := readPrivate(path)
	if err != nil {
		return nil, usagef("key-encryption key: %v", err)
	}
	return parseKey(text, path)
}

// parseKey reads 32 bytes in base64, of either alphabet. The error holds
// nothing of the key.
func parseKey(text []byte, from string) ([]byte, error) {
	text = bytes.TrimRight(bytes.TrimSpace(text), "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		key, err := encoding.DecodeString(string(text))
		if err == nil && len(key) == store.KeySize {
			return key, nil
		}
	}
	return nil, usagef("%s is no key: %d bytes in base64 are needed; head -c %[2]d /dev/urandom | base64 makes one", from, store.KeySize)
}

// exists reports whether there is something at path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
