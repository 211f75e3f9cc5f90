// Package migrations holds the schema of Muster's database: one numbered file
// per change. A migration never breaks the version that still runs beside it:
// add, fill, switch, and drop in a later one.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"strconv"
	"strings"
)

// Files are the migrations in the form that goose reads, numbered from 1.
//
//go:embed *.sql
var Files embed.FS

// Fingerprints answers, by the number of each migration, what the text of all up
// to it comes to.
func Fingerprints() (map[int64]string, error) {
	names, err := fs.Glob(Files, "*.sql") // sorted
	if err != nil {
		return nil, err
	}
	all := map[int64]string{}
	sum := sha256.New()
	for _, name := range names {
		text, err := Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, err
		}
		each := sha256.Sum256(text)
		sum.Write(each[:])
		all[version] = hex.EncodeToString(sum.Sum(nil))
	}
	return all, nil
}
