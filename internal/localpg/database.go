package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// createRoles makes the two roles where they are missing, and takes back whatever
// somebody may have added to their attributes.
func (c *Cluster) createRoles(ctx context.Context) error {
	var sql strings.Builder
	for _, role := range []string{OwnerRole, ServerRole} {
		fmt.Fprintf(&sql, `
			select 'create role %[1]s' where to_regrole('%[1]s') is null \gexec
			alter role %[1]s login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;`, role)
	}
	_, err := c.Psql(ctx, "postgres", sql.String())
	return err
}

// CreateDatabase makes a database that [OwnerRole] owns and [ServerRole] may connect
// to; nobody else. It is a copy of template, to which nobody may be connected, or
// empty if template is "".
func (c *Cluster) CreateDatabase(ctx context.Context, name, template string) error {
	if template == "" {
		template = "template0"
	}
	if err := checkNames(name, template); err != nil {
		return err
	}
	_, err := c.Psql(ctx, "postgres", fmt.Sprintf(`
		create database %[1]s owner %[2]s template %[3]s strategy file_copy;
		revoke all on database %[1]s from public;
		grant connect on database %[1]s to %[4]s;`, name, OwnerRole, template, ServerRole))
	return err
}

// EnsureDatabase makes an empty database of that name unless there is one.
func (c *Cluster) EnsureDatabase(ctx context.Context, name string) error {
	if err := checkNames(name); err != nil {
		return err
	}
	found, err := c.Psql(ctx, "postgres", fmt.Sprintf(`select 1 from pg_database where datname = '%s';`, name))
	if err != nil || found != "" {
		return err
	}
	return c.CreateDatabase(ctx, name, "")
}

// DropDatabase removes the database, ending whatever is connected to it.
func (c *Cluster) DropDatabase(ctx context.Context, name string) error {
	if err := checkNames(name); err != nil {
		return err
	}
	_, err := c.Psql(ctx, "postgres", fmt.Sprintf(`drop database if exists %s with (force);`, name))
	return err
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func checkNames(names ...string) error {
	for _, name := range names {
		if !namePattern.MatchString(name) {
			return fmt.Errorf("local PostgreSQL: %q is no name for a database: use a-z, 0-9 and _, at most 63", name)
		}
	}
	return nil
}

// Psql runs statements as the superuser, each in a transaction of its own, and
// returns the rows without headings: a row a line, columns parted by "|". It stops
// at the first statement that fails.
func (c *Cluster) Psql(ctx context.Context, database, sql string) (string, error) {
	psql := exec.CommandContext(ctx, c.binaries.path("psql"),
		"--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password", "--set=ON_ERROR_STOP=1",
		"--host", c.socket, "--port", "5432", "--username", "postgres", "--dbname", database)
	var out, errs bytes.Buffer
	psql.Env, psql.Stdin, psql.Stdout, psql.Stderr = environment(), strings.NewReader(sql), &out, &errs
	if err := psql.Run(); err != nil {
		return "", errors.Join(fmt.Errorf("psql: %w", err), errors.New(strings.TrimSpace(errs.String())))
	}
	return strings.TrimSpace(out.String()), nil
}
