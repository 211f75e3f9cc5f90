package rolemap

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/muster-id/muster/internal/scim"
	"golang.org/x/tools/txtar"
)

func seeds(f *testing.F) (sets [][]byte) {
	for _, pattern := range []string{"testdata/issues/*.txtar", "testdata/explain/*.txtar", "testdata/sets/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Ext(path) == ".txtar" {
				src = txtar.Parse(src).Files[0].Data
			}
			sets = append(sets, src)
		}
	}
	return sets
}

// FuzzParse: whatever the bytes, there is a rule set or an error with a message.
func FuzzParse(f *testing.F) {
	for _, src := range seeds(f) {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		rs, issues := Parse(src)
		if (rs == nil) != HasErrors(issues) {
			t.Fatalf("Parse(%q) = %v, %v; want a set or errors", src, rs, issues)
		}
		for _, i := range issues {
			if i.Message == "" || i.Line < 0 || i.Column < 0 {
				t.Fatalf("Parse(%q) reports %+v", src, i)
			}
		}
	})
}

// FuzzCompile: whatever the expressions, they compile or are refused in their
// place, and evaluation ends with an answer.
func FuzzCompile(f *testing.F) {
	for _, src := range seeds(f) {
		if rs, _ := Parse(src); rs != nil {
			for _, r := range rs.Rules {
				f.Add(r.When.Source, r.Unless.Source)
			}
		}
	}
	for _, when := range []string{`user.groups[0].id == ""`, `user.?emails[?0].?value.hasValue()`, `[user].exists(u, u.active)`, "user.custom.x", `optional.of(groups).orValue([])[0] == "a"`, `groups + groups == groups`, `{"a": user.title}["a"] == "x"`} {
		f.Add(when, "")
	}
	who := Person{ID: "ada", Active: true,
		User:   scim.Resource{"title": "x", "emails": []any{map[string]any{"value": "v"}}, "name": "garbage"},
		Groups: []Group{{ID: "1", DisplayName: "Finance", Connection: "entra"}},
	}
	f.Fuzz(func(t *testing.T, when, unless string) {
		rs := &RuleSet{Rules: []Rule{{ID: "r", When: Expression{Source: when, line: 1}, Unless: Expression{Source: unless, line: 1}, Grant: grants("timesheet.viewer")}}}
		program, issues := Compile(rs, scim.UserType(), catalogue())
		if program == nil {
			t.Fatalf("Compile(%q, %q) = nil, %v", when, unless, issues)
		}
		got := program.Derive(t.Context(), who, day)
		if HasErrors(issues) && len(got.Assignments) > 0 {
			t.Fatalf("%q unless %q has errors %v and grants %v", when, unless, issues, got.Assignments)
		}
		_ = program.Explain(t.Context(), who, day).String()
	})
}
