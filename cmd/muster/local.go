package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/store"
)

// startLocal starts the private PostgreSQL of the data folder, with a migrated
// database and a key beside it. notice is told what takes long.
func startLocal(ctx context.Context, s settings, notice io.Writer) (*localpg.Cluster, error) {
	if err := makeDataDir(s.DataDir); err != nil {
		return nil, err
	}
	if err := s.makeLocalKey(); err != nil {
		return nil, err
	}
	cluster, err := localpg.Start(ctx, localpg.Config{Dir: s.clusterDir(), Fsync: true, Log: notice})
	if err != nil {
		return nil, err
	}
	err = migrateLocal(ctx, cluster, notice)
	if errors.Is(err, store.ErrOtherSchema) {
		err = usagef("%v: remove the folder %s to begin anew", store.ErrOtherSchema, s.DataDir)
	}
	if err != nil {
		return nil, errors.Join(err, cluster.Stop(context.WithoutCancel(ctx)))
	}
	return cluster, nil
}

func migrateLocal(ctx context.Context, cluster *localpg.Cluster, notice io.Writer) error {
	if err := cluster.EnsureDatabase(ctx, localDatabase); err != nil {
		return err
	}
	return store.Migrate(ctx, cluster.OwnerURL(localDatabase), localpg.ServerRole, func(format string, args ...any) {
		fmt.Fprintf(notice, format+"\n", args...)
	})
}

// makeDataDir makes the folder that holds the database and the key. Others may
// pass through it, as PostgreSQL's user must where we are root, and not look.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return usagef("data folder: %v", err)
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return usagef("data folder: %v", err)
	}
	return checkDataDir(dir, os.Geteuid())
}

// makeLocalKey makes the key of a new data folder. Where there is a database
// already, its key is lost, and another one would open none of its secrets.
func (s *settings) makeLocalKey() error {
	path := s.localKeyFile()
	if s.Key != "" || s.KeyFile != "" || exists(path) {
		return nil
	}
	if exists(filepath.Join(s.clusterDir(), "data")) {
		return usagef("%s is gone, and the database beside it holds secrets that only that key opens: bring it back, or begin anew with another --data", path)
	}
	return writeSecret(path, newKey()+"\n")
}

func newKey() string {
	var key [store.KeySize]byte
	rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	return base64.StdEncoding.EncodeToString(key[:])
}

// writeSecret makes a file that only its owner reads. It never replaces one.
func writeSecret(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Sync(), file.Close())
}
