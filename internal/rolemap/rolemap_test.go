package rolemap

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/muster-id/muster/internal/scim"
	"golang.org/x/tools/txtar"
)

// catalogue is the tenant that all tests here are about.
func catalogue() Catalogue {
	known := []string{"Finance", "Contractors", "Ringling Managers", "Ring Crew"}
	return Catalogue{
		Allowed: map[string]bool{
			"timesheet.viewer": true, "timesheet.approver": true, "timesheet.manager": true, "timesheet.owner": true,
		},
		Privileged:      map[string]bool{"timesheet.owner": true},
		ConnectionNames: []string{"entra", "okta"},
		Tenant:          "ringling",
		GroupNames:      known,
		KnownGroups: func(name string) bool {
			for _, k := range known {
				if strings.EqualFold(k, name) {
					return true
				}
			}
			return false
		},
	}
}

// mustCompile compiles a set that has no errors.
func mustCompile(t testing.TB, src string) *Program {
	t.Helper()
	rs, issues := Parse([]byte(src))
	if rs == nil {
		t.Fatalf("Parse(%s) = %v", src, issues)
	}
	p, issues := Compile(rs, scim.UserType(), catalogue())
	if HasErrors(issues) {
		t.Fatalf("Compile(%s) = %v", src, issues)
	}
	return p
}

// ruleWhen is a set of one rule that grants timesheet.viewer.
func ruleWhen(when, unless string) string {
	src := "version: 1\nrules:\n  - id: r\n    when: |\n      " + when + "\n"
	if unless != "" {
		src += "    unless: |\n      " + unless + "\n"
	}
	return src + "    grant: [timesheet.viewer]\n"
}

// TestIssues reads testdata/issues: a story, the rule set, and what is wrong with it.
func TestIssues(t *testing.T) {
	eachArchive(t, "issues", func(t *testing.T, files map[string]string) {
		_, issues := Check(t.Context(), []byte(files["rules.yaml"]), scim.UserType(), catalogue())
		var got strings.Builder
		for _, i := range issues {
			fmt.Fprintln(&got, i)
		}
		if diff := cmp.Diff(files["issues"], got.String()); diff != "" {
			t.Errorf("issues (-want +got):\n%s", diff)
		}
	})
}

// TestExplain reads testdata/explain: the explanation of each test of a set.
func TestExplain(t *testing.T) {
	eachArchive(t, "explain", func(t *testing.T, files map[string]string) {
		p := mustCompile(t, files["rules.yaml"])
		var got strings.Builder
		for i := range p.tests {
			person, err := p.testPerson(&p.tests[i])
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&got, "# %s\n%v\n", p.tests[i].Name, p.Explain(t.Context(), person, p.tests[i].Today))
		}
		if diff := cmp.Diff(files["explanation"], got.String()); diff != "" {
			t.Errorf("explanation (-want +got):\n%s", diff)
		}
	})
}

func eachArchive(t *testing.T, dir string, run func(*testing.T, map[string]string)) {
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata/%s holds %d files, %v", dir, len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range txtar.Parse(src).Files {
				files[f.Name] = string(f.Data)
			}
			run(t, files)
		})
	}
}
