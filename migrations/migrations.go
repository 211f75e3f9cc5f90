// Package migrations holds the schema of Muster's database: one numbered file
// per change. A migration never breaks the version that still runs beside it:
// add, fill, switch, and drop in a later one.
package migrations

import "embed"

// Files are the migrations in the form that goose reads.
//
//go:embed *.sql
var Files embed.FS
