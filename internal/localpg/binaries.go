package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the oldest major version of PostgreSQL that Muster works with.
const oldest = 15

var (
	// ErrNoPostgres says that no PostgreSQL of a version that serves was found.
	ErrNoPostgres = errors.New("no PostgreSQL 15 or newer was found")
	// ErrOtherVersion says that the folder was made by another major version than those found.
	ErrOtherVersion = errors.New("the folder was made by another major version of PostgreSQL")
)

// places are the folders, as globs, where PostgreSQL is looked for after PATH:
// Debian and Ubuntu, Red Hat, Homebrew on Apple silicon and on Intel.
var places = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
}

// binaries is one installed PostgreSQL: the folder of its programs and its major version.
type binaries struct {
	folder string
	major  int
}

func (b binaries) path(program string) string { return filepath.Join(b.folder, program) }

// findBinaries lists what is installed: the one of PATH first, then the newest first.
func findBinaries() []binaries {
	var found []binaries
	for _, place := range places {
		folders, _ := filepath.Glob(place) // the only error is a malformed pattern
		for _, folder := range folders {
			found = appendBinaries(found, folder)
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	return slices.Concat(binariesOfPath(), found)
}

// binariesOfPath finds the installation whose initdb PATH names, through links.
func binariesOfPath() []binaries {
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return nil
	}
	real, err := filepath.EvalSymlinks(initdb)
	if err != nil {
		return nil
	}
	return appendBinaries(nil, filepath.Dir(real))
}

// appendBinaries adds the installation in folder, unless a program that is needed is missing.
func appendBinaries(found []binaries, folder string) []binaries {
	for _, program := range []string{"initdb", "postgres", "psql"} {
		if _, err := os.Stat(filepath.Join(folder, program)); err != nil {
			return found
		}
	}
	out, err := exec.Command(filepath.Join(folder, "postgres"), "--version").Output()
	if err != nil {
		return found
	}
	major, err := parseVersion(string(out))
	if err != nil {
		return found
	}
	return append(found, binaries{folder, major})
}

var versionPattern = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)`)

// parseVersion reads the major version from the output of `postgres --version`,
// such as "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" or "… 18beta1".
func parseVersion(out string) (int, error) {
	match := versionPattern.FindStringSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("%q is not a version of PostgreSQL", out)
	}
	return strconv.Atoi(match[1])
}

// chooseBinaries takes the first installation that serves the data folder: any of
// at least the oldest version for a new one, else the version that made it.
func chooseBinaries(found []binaries, data string) (binaries, error) {
	made, err := dataVersion(data)
	if err != nil {
		return binaries{}, err
	}
	for _, b := range found {
		if b.major >= oldest && (made == 0 || b.major == made) {
			return b, nil
		}
	}
	if made == 0 || len(found) == 0 {
		return binaries{}, fmt.Errorf("%w (found %s; looked in PATH and %s): install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql)",
			ErrNoPostgres, describe(found), strings.Join(places, ", "))
	}
	return binaries{}, fmt.Errorf("%w: %s was made by PostgreSQL %d, found here: %s; install version %d (at least %d), or dump the data there and load it into a new folder",
		ErrOtherVersion, data, made, describe(found), made, oldest)
}

// dataVersion returns the major version that made the data folder, 0 if there is none yet.
func dataVersion(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s/PG_VERSION holds %q, which is no version", data, text)
	}
	return major, nil
}

func describe(found []binaries) string {
	if len(found) == 0 {
		return "none"
	}
	var words []string
	for _, b := range found {
		words = append(words, fmt.Sprintf("%d in %s", b.major, b.folder))
	}
	return strings.Join(words, ", ")
}
