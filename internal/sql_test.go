package internal_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sqlText finds what is SQL and not prose: a statement's beginning, or a clause.
var sqlText = regexp.MustCompile(`(?is)^\s*(select|insert\s+into|update\s+\S+\s+set|delete\s+from|with\s+(recursive\s+)?\w+\s+as|set\s+\w|create|alter|drop|grant|revoke|truncate|copy|begin|lock\s+table|notify|listen)\b|` +
	`\b(from|join|into)\s+\S+\s+(where|join|set)\b|\bwhere\s+\S+\s*(=|in\b|is\b|<|>|like\b)|\b(order|group)\s+by\s|\$\d`)

// sqlWriters may put SQL together: the compiler of filters, the tests' own databases, and
// measurements beside raw PostgreSQL. localpg's names are checked by a pattern.
var sqlWriters = []string{"internal/store/filter", "internal/store/storetest", "internal/localpg", "internal/localpg/testcluster", "internal/bench"}

// TestAbuse_B07: SQL is constant: values travel as parameters, by the extended
// protocol. Only the filter compiler writes SQL, from its own words.
func TestAbuse_B07(t *testing.T) {
	looked := 0
	for _, file := range sources(t) {
		if file.isTest() {
			continue
		}
		looked++
		for _, name := range selectors(file, "pgx") {
			if slices.Contains([]string{"QueryExecModeSimpleProtocol", "QueryExecModeExec", "QueryResultFormats"}, name) {
				t.Errorf("%s: pgx.%s: parameters would be put into the text", file.path, name)
			}
		}
		mayWrite := slices.Contains(sqlWriters, file.folder)
		for _, text := range literals(file.tree) {
			if strings.Contains(text, "default_query_exec_mode") || strings.Contains(text, "simple_protocol") {
				t.Errorf("%s: %.60q chooses the simple protocol", file.path, text)
			}
			if named := sessionSetting.FindString(text); named != "" && !mayWrite {
				t.Errorf("%s: %q names a tenant for longer than a transaction", file.path, named)
			}
		}
		if mayWrite {
			continue
		}
		for _, text := range formatted(file.tree) {
			if sqlText.MatchString(text) {
				t.Errorf("%s: %.60q is put together by fmt", file.path, text)
			}
		}
		for _, argument := range variableSQL(file, constants(t, file.folder)) {
			t.Errorf("%s: %s is sent as SQL, which is neither constant nor one of the store's own pieces", file.path, argument)
		}
	}
	if looked < 100 {
		t.Errorf("only %d files were looked at", looked)
	}
}

// sessionSetting finds a tenant's name that outlives its transaction (B03).
var sessionSetting = regexp.MustCompile(`(?is)set_config\(\s*'muster\.\w+',[^()]*(\([^()]*\)[^()]*)*,\s*false\s*\)|\bset\s+(session\s+)?muster\.`)

func TestSQLPatterns(t *testing.T) {
	for text, want := range map[string]bool{
		"select %s": true, "  insert into %s values": true, "update %s set a = 1": true, "where %s = 1": true, "from %s where": true,
		"%s order by id": true, "values ($1, %s)": true, "create database %s": true,
		"update the database server": false, "%d living users fit": false, "the user %q is not from here": false, "gets %s from %s": false,
	} {
		if got := sqlText.MatchString(text); got != want {
			t.Errorf("%q is SQL: %t, want %t", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"select set_config('muster.tenant', $1, false)": true, "set muster.tenant = 'x'": true, "SET SESSION muster.tenant to 'x'": true,
		"select set_config('muster.tenant', $1, true), set_config('muster.connection', $2, true)": false,
		"select set_config('muster.tenant', (select id::text from tenants), false)":               true,
	} {
		if got := sessionSetting.MatchString(text); got != want {
			t.Errorf("%q outlives a transaction: %t, want %t", text, got, want)
		}
	}
}

// formatted lists the formats of the file's calls of fmt that make text or errors.
func formatted(tree *ast.File) []string {
	var texts []string
	ast.Inspect(tree, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := function.X.(*ast.Ident); ok && x.Name == "fmt" && strings.Contains(function.Sel.Name, "rintf") {
			for _, argument := range call.Args {
				texts = append(texts, joined(argument))
			}
		}
		return true
	})
	return texts
}

// senders are the methods that take SQL, and where among their arguments.
var senders = map[string]int{"Queue": 0, "NewPart": 0, "NewSubject": 0, "Exec": 1, "Query": 1, "QueryRow": 1, "ExecContext": 1, "QueryContext": 1, "QueryRowContext": 1, "Prepare": 2}

// pieces are the store's functions, variables and arguments that hold SQL: one of
// several constants where they are made or given, and in lists what the filter compiler wrote.
var pieces = []string{"within", "also", "ofWhat", "selfColumns", "otherwise", "groupsColumns", "statement", "version", "rest", "users", "groups", "columns", "table", "alias", "where", "page", "name"}

// constants lists the names of all constants in the package's files.
func constants(t *testing.T, folder string) map[string]bool {
	names := map[string]bool{}
	for _, file := range sources(t) {
		if file.folder != folder || file.isTest() {
			continue
		}
		ast.Inspect(file.tree, func(node ast.Node) bool {
			declaration, ok := node.(*ast.GenDecl)
			if !ok || declaration.Tok != token.CONST {
				return true
			}
			for _, spec := range declaration.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					names[name.Name] = true
				}
			}
			return true
		})
	}
	return names
}

// variableSQL lists the parts of the SQL that a file of the store sends which are not constant.
func variableSQL(file source, constants map[string]bool) []string {
	if !strings.HasPrefix(file.folder, "internal/store") {
		return nil
	}
	var found []string
	ast.Inspect(file.tree, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, receiver := called(call)
		place, ok := senders[name]
		if ok && len(call.Args) > place && (receiver != "log" || strings.HasPrefix(name, "New")) {
			for _, part := range parts(call.Args[place]) {
				if !constants[part] && !slices.Contains(pieces, part) {
					found = append(found, part)
				}
			}
		}
		return true
	})
	return found
}

// called is the name of the function that is called, and of what it is called on.
func called(call *ast.CallExpr) (name, receiver string) {
	switch function := call.Fun.(type) {
	case *ast.SelectorExpr:
		if x, ok := function.X.(*ast.Ident); ok {
			receiver = x.Name
		}
		return function.Sel.Name, receiver
	case *ast.Ident:
		return function.Name, ""
	}
	return "an expression", ""
}

// parts takes an expression apart at its pluses and names what is no literal.
func parts(expression ast.Expr) []string {
	switch e := expression.(type) {
	case *ast.BinaryExpr:
		return append(parts(e.X), parts(e.Y)...)
	case *ast.BasicLit:
		return nil
	case *ast.Ident:
		return []string{e.Name}
	case *ast.SelectorExpr:
		return []string{e.Sel.Name}
	case *ast.CallExpr:
		name, _ := called(e)
		return []string{name}
	}
	return []string{"an expression"}
}
