package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/muster-id/muster"

// source is one Go file of the module.
type source struct {
	path   string // from the root of the module
	folder string
	tree   *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// sources reads every Go file of the module, whatever its build tags.
func sources(t *testing.T) []source {
	t.Helper()
	files, err := readSources()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var readSources = sync.OnceValues(func() ([]source, error) {
	const root = ".."
	var files []source
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && isElsewhere(path):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		path = filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		files = append(files, source{path, filepath.ToSlash(filepath.Dir(path)), tree})
		return err
	})
	return files, err
})

// isElsewhere reports whether the folder holds no packages of this module.
func isElsewhere(path string) bool {
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	name := filepath.Base(path)
	return err == nil || name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".")
}

// selectors lists what the file uses of the package, such as Now of time.
func selectors(file source, pkg string) []string {
	var names []string
	ast.Inspect(file.tree, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == pkg {
				names = append(names, selector.Sel.Name)
			}
		}
		return true
	})
	return names
}

func TestPackagesAreNamedForWhatTheyHold(t *testing.T) {
	banned := []string{"util", "utils", "common", "helper", "helpers", "model", "models", "service", "services", "manager", "types"}
	for _, file := range sources(t) {
		for _, name := range append(strings.Split(file.folder, "/"), file.tree.Name.Name) {
			if slices.Contains(banned, name) {
				t.Errorf("%s: a package named %s says nothing", file.path, name)
			}
		}
	}
}

// environmentReaders may read flags and environment besides cmd/muster: they are for
// tests and measurements.
var environmentReaders = []string{"internal/bench/main.go", "internal/localpg/shared.go", "internal/localpg/testcluster/main.go"}

func TestOnlyTheCommandReadsFlagsAndEnvironment(t *testing.T) {
	for _, file := range sources(t) {
		if file.isTest() || file.folder == "cmd/muster" || slices.Contains(environmentReaders, file.path) {
			continue
		}
		for _, name := range selectors(file, "os") {
			if slices.Contains([]string{"Args", "Environ", "ExpandEnv", "Getenv", "LookupEnv", "Setenv", "Exit"}, name) {
				t.Errorf("%s: os.%s is for cmd/muster only", file.path, name)
			}
		}
		if slices.Contains(importsOf(t, file), "flag") {
			t.Errorf("%s: flags are for cmd/muster only", file.path)
		}
	}
}

func TestNoTestIsSkipped(t *testing.T) {
	for _, file := range sources(t) {
		for _, receiver := range []string{"t", "b", "f", "tb"} {
			for _, name := range selectors(file, receiver) {
				if file.isTest() && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name) {
					t.Errorf("%s: %s.%s: a test that is skipped proves nothing", file.path, receiver, name)
				}
			}
		}
	}
}

// writePattern finds a statement that writes one of the tables from which decisions follow.
var writePattern = regexp.MustCompile(`(?i)\b(?:insert\s+into|update|delete\s+from|truncate|truncate\s+table|merge\s+into|copy)` +
	`\s+(?:only\s+)?"?(?:public"?\."?)?(users|groups|memberships|assignments|sessions|grants)\b`)

// There is one way to change who may enter: the store itself.
func TestOnlyTheStoreWritesWhoMayEnter(t *testing.T) {
	for _, file := range sources(t) {
		if file.isTest() || file.folder == "internal/store" || file.folder == "internal/store/storetest" ||
			file.folder == "internal/bench" { // raw PostgreSQL is what it compares with
			continue
		}
		for _, text := range literals(file.tree) {
			if match := writePattern.FindStringSubmatch(text); match != nil {
				t.Errorf("%s: writes %s (%q): only internal/store itself does", file.path, match[1], match[0])
			}
		}
		for _, table := range copied(file.tree) {
			if writePattern.MatchString("copy " + table) {
				t.Errorf("%s: copies rows into %s: only internal/store itself writes it", file.path, table)
			}
		}
	}
}

func TestWritePattern(t *testing.T) {
	for sql, want := range map[string]bool{
		"insert into users (id) values ($1)":                   true,
		"with x as (\n\tUPDATE\n\t  only users set a = 1)":     true,
		`delete from "public"."memberships"`:                   true,
		"truncate table sessions":                              true,
		"merge into assignments a using b":                     true,
		"copy grants from stdin":                               true,
		"insert into user_values (id) values ($1)":             false,
		"select 1 from users for update":                       false,
		"insert into changes select * from users":              false,
		"select updated from users":                            false,
		"insert into x values (1) on conflict do update set a": false,
	} {
		if got := writePattern.MatchString(sql); got != want {
			t.Errorf("%q is a write: %t, want %t", sql, got, want)
		}
	}
}

// literals lists the file's string literals; those joined by + as one.
func literals(tree *ast.File) []string {
	var texts []string
	ast.Inspect(tree, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.BinaryExpr:
			texts = append(texts, joined(node))
		case *ast.BasicLit:
			texts = append(texts, joined(node))
		}
		return true
	})
	return texts
}

func joined(expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.BinaryExpr:
		return joined(e.X) + joined(e.Y)
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	}
	return ""
}

// copied lists the tables of pgx.Identifier{"table"}, which CopyFrom writes.
func copied(tree *ast.File) []string {
	var tables []string
	ast.Inspect(tree, func(node ast.Node) bool {
		composite, ok := node.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if selector, ok := composite.Type.(*ast.SelectorExpr); ok && selector.Sel.Name == "Identifier" && len(composite.Elts) > 0 {
			tables = append(tables, joined(composite.Elts[len(composite.Elts)-1]))
		}
		return true
	})
	return tables
}
