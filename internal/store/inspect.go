package store

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
)

// inspect refuses a database, a role or a key on which the promises would not
// hold. oldest is [Config.MinServerVersion].
func (s *Store) inspect(ctx context.Context, oldest int) error {
	for _, check := range []func(context.Context) error{
		s.inspectRole,
		func(ctx context.Context) error { return s.inspectServer(ctx, oldest) },
		s.current,
		s.inspectKey,
	} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// inspectRole refuses a role that is not bound by row-level security, or that
// can become one that is not.
func (s *Store) inspectRole(ctx context.Context) error {
	var mighty, owns bool
	err := s.pool.QueryRow(ctx, `
		select
			exists (select from pg_roles r where (r.rolsuper or r.rolbypassrls) and pg_has_role(session_user, r.oid, 'member')),
			exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
				where c.relkind in ('r', 'p') and n.nspname = 'public' and pg_has_role(session_user, c.relowner, 'member'))`).
		Scan(&mighty, &owns)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case mighty, owns:
		return errors.New("the server's database role must be a plain one: not superuser, not bypassrls, not owner of the tables, nor a member of such a role (row-level security would not bind it)")
	}
	return nil
}

// patched is, by major version, the oldest PostgreSQL whose row-level security
// has no published hole (CVE-2023-2455, CVE-2024-10976, CVE-2025-8713). Newer
// majors began without them.
var patched = map[int]int{15: 150014, 16: 160010, 17: 170006}

// oldestMajor is the oldest PostgreSQL that has what the schema needs.
const oldestMajor = 15

// inspectServer refuses a standby, and a version that is too old. It warns where
// the server may write the parameters of statements, which are people's names,
// to its log.
func (s *Store) inspectServer(ctx context.Context, oldest int) error {
	var version int
	var name, logged string
	var recovering bool
	err := s.pool.QueryRow(ctx, `
		select current_setting('server_version_num')::int, current_setting('server_version'), pg_is_in_recovery(),
			current_setting('log_parameter_max_length')`).Scan(&version, &name, &recovering, &logged)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case recovering:
		return errors.New("the database is a standby; decisions come from the primary only")
	case outdated(version, oldest):
		return fmt.Errorf("PostgreSQL %s is too old: row-level security has published holes before 15.14, 16.10 and 17.6; update the database server", name)
	}
	if logged != "0" {
		s.log.WarnContext(ctx, "PostgreSQL may log the parameters of statements, which hold personal data: as superuser, alter role … set log_parameter_max_length = 0 for the server's role")
	}
	return nil
}

// outdated reports whether a server_version_num is below oldest or, where that
// is 0, below the fixes.
func outdated(version, oldest int) bool {
	if oldest != 0 {
		return version < oldest
	}
	major := version / 10000
	return major < oldestMajor || version < patched[major]
}

// inspectKey refuses a key-encryption key that is not the one the database was
// set up with. The first server to open the database sets it up.
func (s *Store) inspectKey(ctx context.Context) error {
	check := s.seal.derive("key check")
	_, err := s.pool.Exec(ctx, `update instance set key_check = $1 where key_check is null`, check)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var kept []byte
	err = s.pool.QueryRow(ctx, `select incarnation, key_check from instance`).Scan(&s.incarnation, &kept)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case !hmac.Equal(kept, check):
		return errors.New("the key-encryption key is not the one that this database was set up with: give the server that key")
	}
	return nil
}
