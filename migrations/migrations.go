// Package migrations holds the schema of Muster's database: one numbered file
// per change. A migration never breaks the version that still runs beside it:
// add, fill, switch, and drop in a later one.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
)

// Files are the migrations in the form that goose reads, numbered from 1 without
// gaps.
//
//go:embed *.sql
var Files embed.FS

// Fingerprints answers, for each version from 1 on, what the text of all
// migrations up to it comes to.
func Fingerprints() ([]string, error) {
	names, err := fs.Glob(Files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var all []string
	sum := sha256.New()
	for _, name := range names {
		text, err := Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		each := sha256.Sum256(text)
		sum.Write(each[:])
		all = append(all, hex.EncodeToString(sum.Sum(nil)))
	}
	return all, nil
}
