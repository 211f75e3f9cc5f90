package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/store"
)

func (p *program) migrateCommand() *cobra.Command {
	var afterRestore bool
	var role string
	c := p.command(verb{
		use:   "migrate",
		short: "Bring the database up to this program",
		long: `Bring the database up to this program, under a lock: it may run beside servers and
beside itself. It connects as the owner of the tables (MUSTER_MIGRATION_URL) and lets
the server's role, the user of MUSTER_DATABASE_URL, use them.

After a restore from a backup, --after-restore also ends every session and position of
before, so that the backup revives nobody who was shut out since.`,
		example: `  MUSTER_MIGRATION_URL=postgres://muster_owner@db/muster muster migrate --server-role muster_server
  muster migrate --after-restore`,
		run: func(ctx context.Context, _ []string) error { return p.migrate(ctx, role, afterRestore) },
	})
	c.Flags().BoolVar(&afterRestore, "after-restore", false, "the database was restored from a backup: end what was given out before")
	c.Flags().StringVar(&role, "server-role", "", "the server's role (default: the user of the database URL)")
	return c
}

func (p *program) migrate(ctx context.Context, role string, afterRestore bool) error {
	owner, role, err := p.settings.owner(role)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx, owner, role, p.say); err != nil {
		return err
	}
	if afterRestore {
		if err := store.AfterRestore(ctx, owner); err != nil {
			return err
		}
		p.say("every session and position of before the restore has ended")
	}
	return p.print(map[string]any{"migrated": true, "after_restore": afterRestore}, func(t *table) {
		t.row("the database is up to date")
	})
}

// owner is the database's address for its owner, and the role that serves.
func (s *settings) owner(role string) (string, string, error) {
	if s.Local {
		if err := checkDataDir(s.DataDir, os.Geteuid()); err != nil {
			return "", "", err
		}
		cluster, err := localpg.Attach(s.clusterDir())
		if err != nil {
			return "", "", err
		}
		return cluster.OwnerURL(localDatabase), localpg.ServerRole, nil
	}
	if s.MigrationURL == "" {
		return "", "", usagef("no database is named: give MUSTER_MIGRATION_URL (or --migration-url), the database as the owner of its tables, or --local")
	}
	if role == "" && s.DatabaseURL == "" {
		return "", "", usagef("the server's role is not known: give --server-role, or MUSTER_DATABASE_URL as the server has it")
	}
	if role == "" {
		found, err := store.RoleOf(s.DatabaseURL)
		if err != nil {
			return "", "", err
		}
		role = found
	}
	return s.MigrationURL, role, nil
}
