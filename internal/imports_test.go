package internal_test

import (
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ours says which packages of this module a package may import. A pattern that ends
// in "/..." stands for a package and all below it, on either side; the most
// specific line counts. A package without a line is refused: a new one is a change
// of the design. Tests may import anything of ours.
var ours = map[string][]string{
	"cmd/muster": {"conformance", "client", "internal/admin/...", "internal/deliver", "internal/fetch", "internal/idpsim/...",
		"internal/issuer", "internal/localpg", "internal/login", "internal/rolemap", "internal/scim",
		"internal/scimhttp", "internal/server", "internal/store/...", "migrations", "rules"},
	"internal/server": {"internal/admin/...", "internal/issuer", "internal/login", "internal/scimhttp", "internal/store/..."},

	// The doors never import one another.
	"internal/scimhttp":  {"internal/scim", "internal/store/..."},
	"internal/login":     {"internal/fetch", "internal/store/..."},
	"internal/issuer":    {"internal/fetch", "internal/store/..."},
	"internal/admin/...": {"internal/rolemap", "internal/scim", "internal/store/..."},
	"internal/deliver":   {"internal/fetch", "internal/store/..."},

	"internal/fetch":           {},
	"internal/store/...":       {"internal/rolemap", "internal/scim", "internal/store/...", "migrations"},
	"internal/store/filter":    {"internal/scim"},
	"internal/store/storetest": {"internal/localpg", "internal/scim", "internal/store/...", "migrations"},
	"internal/rolemap":         {"internal/scim"},
	"internal/scim":            {},
	"migrations":               {},
	"rules":                    {},

	"internal/localpg":             {},
	"internal/localpg/testcluster": {"internal/localpg"},
	"internal/bench":               {"internal/idpsim", "internal/localpg", "internal/login", "internal/fetch", "internal/scim", "internal/server", "internal/store/..."},
	"internal/idpsim/...":          {},
	"conformance":                  {},
	"client":                       {},
}

// theirs says which of our packages may import a module of somebody else's. A module
// without a line is refused: a dependency needs a paragraph in its commit. Tests and
// the packages of testSupport may import any module listed here.
var theirs = map[string][]string{
	"github.com/elimity-com/scim": {"internal/scim"},
	"golang.org/x/text":           {"internal/scim"},
	"cel.dev/cel-go":              {"internal/rolemap"},
	"go.yaml.in/yaml/v3":          {"cmd/muster", "internal/idpsim/...", "internal/rolemap"},

	"github.com/jackc/pgx/v5":           {"internal/store/..."},
	"github.com/pressly/goose/v3":       {"internal/store/..."},
	"github.com/google/uuid":            {"cmd/muster", "internal/..."},
	"github.com/tink-crypto/tink-go/v2": {"internal/store/..."},

	"github.com/coreos/go-oidc/v3":        {"internal/fetch"},
	"github.com/go-jose/go-jose/v4":       {"client", "internal/fetch", "internal/idpsim/...", "internal/issuer"},
	"github.com/go-json-experiment/json":  {"internal/admin/...", "internal/fetch", "internal/issuer", "internal/login", "internal/scim", "internal/scimhttp"},
	"golang.org/x/oauth2":                 {"internal/login"},
	"github.com/go-chi/chi/v5":            {"internal/admin/...", "internal/issuer", "internal/login", "internal/scimhttp", "internal/server"},
	"github.com/danielgtaylor/huma/v2":    {"internal/admin/..."},
	"golang.org/x/time":                   {"internal/fetch", "internal/issuer", "internal/login", "internal/scimhttp", "internal/server"},
	"github.com/prometheus/client_golang": {"cmd/muster", "internal/server"},

	"github.com/spf13/cobra":            {"cmd/muster"},
	"github.com/caarlos0/env/v11":       {"cmd/muster"},
	"github.com/schollz/progressbar/v3": {"cmd/muster"},
	"golang.org/x/term":                 {"cmd/muster"},
	"golang.org/x/sync":                 {"cmd/muster", "internal/idpsim/...", "internal/server", "internal/store/..."},
	"github.com/google/go-cmp":          {},
	"pgregory.net/rapid":                {},
	"golang.org/x/tools":                {"conformance"}, // txtar
	"github.com/scim2/filter-parser/v2": {},              // an oracle for differential tests
	"github.com/rogpeppe/go-internal":   {},
	"github.com/anishathalye/porcupine": {},
	"go.uber.org/goleak":                {},
	"github.com/Shopify/toxiproxy/v2":   {},
}

// testSupport are packages that only tests import, and the benchmarks.
var testSupport = []string{"internal/bench", "internal/localpg/testcluster", "internal/store/storetest"}

// pure packages compute values from values: no I/O, no clock.
var pure = []string{"internal/scim", "internal/rolemap", "internal/store/filter"}

// impure are the packages of the standard library that pure ones do without.
var impure = []string{"database/sql/...", "flag", "log/...", "net", "net/http/...", "os/...", "syscall"}

func TestImportsRunDown(t *testing.T) {
	for _, file := range sources(t) {
		for _, imported := range importsOf(t, file) {
			if file.isTest() {
				continue
			}
			folder, found := strings.CutPrefix(imported, module+"/")
			if !found {
				continue
			}
			allowed, listed := lookUp(ours, file.folder)
			if !listed {
				t.Errorf("%s: the package %s is not in the table of imports: a new package is a change of the design", file.path, file.folder)
			}
			if !matches(allowed, folder) {
				t.Errorf("%s: %s may not import %s", file.path, file.folder, folder)
			}
		}
	}
}

func TestEveryPackageIsInTheTable(t *testing.T) {
	for _, file := range sources(t) {
		if _, listed := lookUp(ours, file.folder); !listed && file.folder != "internal" {
			t.Errorf("%s: the package %s is not in the table of imports: a new package is a change of the design", file.path, file.folder)
		}
	}
}

func TestModulesStayWhereTheyBelong(t *testing.T) {
	for _, file := range sources(t) {
		for _, imported := range importsOf(t, file) {
			if isStandard(imported) || imported == module || strings.HasPrefix(imported, module+"/") {
				continue
			}
			name, found := moduleOf(imported)
			switch {
			case !found:
				t.Errorf("%s: imports %s, of a module that is not in the table", file.path, imported)
			case file.isTest() || slices.Contains(testSupport, file.folder):
			case !matches(theirs[name], file.folder):
				t.Errorf("%s: %s may not import %s", file.path, file.folder, imported)
			}
		}
	}
}

// Of elimity-com/scim only the schema model and the errors are used: its filters
// recurse without bound, its server does not apply PATCH.
func TestElimityIsTheModelOnly(t *testing.T) {
	const elimity = "github.com/elimity-com/scim"
	for _, file := range sources(t) {
		for _, spec := range file.tree.Imports {
			imported := unquote(t, spec)
			if moduleName, _ := moduleOf(imported); moduleName != elimity || file.isTest() {
				continue
			}
			if !slices.Contains([]string{elimity + "/schema", elimity + "/errors", elimity + "/optional"}, imported) {
				t.Errorf("%s: imports %s; only schema, errors and optional are used", file.path, imported)
			}
			if spec.Name == nil || !strings.HasPrefix(spec.Name.Name, "elimity") {
				t.Errorf("%s: imports %s under its own name, want elimity…", file.path, imported)
			}
		}
	}
}

func TestPurePackagesDoNoInputOrOutput(t *testing.T) {
	for _, file := range sources(t) {
		if file.isTest() || !slices.Contains(pure, file.folder) {
			continue
		}
		for _, imported := range importsOf(t, file) {
			if matches(impure, imported) && !onlyConstants(file, imported) {
				t.Errorf("%s: %s is pure and may not import %s", file.path, file.folder, imported)
			}
		}
		for _, call := range selectors(file, "time") {
			if slices.Contains([]string{"Now", "Since", "Until", "After", "NewTimer", "NewTicker", "Sleep"}, call) {
				t.Errorf("%s: %s is pure and may not call time.%s", file.path, file.folder, call)
			}
		}
	}
}

// onlyConstants reports whether the file takes nothing of net/http but the status codes.
func onlyConstants(file source, imported string) bool {
	return imported == "net/http" && !slices.ContainsFunc(selectors(file, "http"), func(name string) bool {
		return !strings.HasPrefix(name, "Status") || name == "StatusText"
	})
}

func TestLookUpTakesTheMostSpecificLine(t *testing.T) {
	for folder, want := range map[string]int{
		"internal/store":          len(ours["internal/store/..."]),
		"internal/store/registry": len(ours["internal/store/..."]),
		"internal/store/filter":   len(ours["internal/store/filter"]),
		"internal/storefront":     -1,
		"internal/scim/deeper":    -1,
	} {
		allowed, listed := lookUp(ours, folder)
		if got := len(allowed); listed && got != want || listed != (want >= 0) {
			t.Errorf("lookUp(%q) = %v, %t; want a line of %d", folder, allowed, listed, want)
		}
	}
}

// lookUp returns the line for the folder: its own, or that of the nearest one above
// which says "/...".
func lookUp(table map[string][]string, folder string) (allowed []string, listed bool) {
	if allowed, listed = table[folder]; listed {
		return allowed, true
	}
	for ; folder != "."; folder = path.Dir(folder) {
		if allowed, listed = table[folder+"/..."]; listed {
			return allowed, true
		}
	}
	return nil, false
}

func matches(patterns []string, folder string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		above, deep := strings.CutSuffix(pattern, "/...")
		return folder == above || deep && strings.HasPrefix(folder, above+"/")
	})
}

func moduleOf(imported string) (name string, found bool) {
	for name := range theirs {
		if imported == name || strings.HasPrefix(imported, name+"/") {
			return name, true
		}
	}
	return "", false
}

func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

func importsOf(t *testing.T, file source) []string {
	t.Helper()
	var imports []string
	for _, spec := range file.tree.Imports {
		imports = append(imports, unquote(t, spec))
	}
	return imports
}

func unquote(t *testing.T, spec *ast.ImportSpec) string {
	t.Helper()
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		t.Fatal(err)
	}
	return imported
}
