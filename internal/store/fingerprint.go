package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/muster-id/muster/migrations"
)

// ErrOtherSchema: the database is at a version of the schema whose text was
// another when it got there. Only development builds edit a migration in place.
var ErrOtherSchema = errors.New("this database was made by a development build, with another schema than its version has now")

// checkSchema refuses a database whose applied migrations are not this program's.
// A program that ended amid its migration leaves the fingerprint of before, or
// none; that of a newer program is not known here.
func checkSchema(ctx context.Context, conn *sql.Conn) error {
	var exists bool
	err := conn.QueryRowContext(ctx, `select to_regclass('public.instance') is not null`).Scan(&exists)
	if err != nil || !exists {
		return err
	}
	var kept sql.NullString
	err = conn.QueryRowContext(ctx, `select schema_fingerprint from instance`).Scan(&kept)
	switch {
	case state(err) == "42703": // of before there were fingerprints
		return ErrOtherSchema
	case err != nil:
		return err
	case !kept.Valid:
		return nil
	}
	version, err := schemaVersion(ctx, conn)
	if err != nil || version > latest() {
		return err
	}
	ours, err := migrations.Fingerprints()
	if err != nil {
		return err
	}
	for number, fingerprint := range ours {
		if number <= version && fingerprint == kept.String {
			return nil
		}
	}
	return ErrOtherSchema
}

// signSchema keeps the fingerprint of what has been applied.
func signSchema(ctx context.Context, conn *sql.Conn) error {
	version, err := schemaVersion(ctx, conn)
	if err != nil || version > latest() {
		return err
	}
	ours, err := migrations.Fingerprints()
	if err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, `update instance set schema_fingerprint = $1 where schema_fingerprint is distinct from $1`, ours[version])
	if err != nil {
		return fmt.Errorf("keep the schema's fingerprint: %w", err)
	}
	return nil
}

func schemaVersion(ctx context.Context, conn *sql.Conn) (version int64, err error) {
	err = conn.QueryRowContext(ctx, `select coalesce(max(version_id), 0) from goose_db_version where is_applied`).Scan(&version)
	return version, err
}
