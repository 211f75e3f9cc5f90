package rules

import (
	"io/fs"
	"testing"

	"github.com/muster-id/muster/internal/rolemap"
	"github.com/muster-id/muster/internal/scim"
)

func TestEveryRuleSetCompilesWithoutIssuesAndPassesItsOwnTests(t *testing.T) {
	catalogue := rolemap.Catalogue{
		Allowed:         map[string]bool{"timesheet.viewer": true, "timesheet.approver": true, "timesheet.manager": true},
		ConnectionNames: []string{"directory"},
	}
	files, err := fs.Glob(Files, "*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("rule sets = %v, %v; want at least two", files, err)
	}
	for _, name := range files {
		src, err := Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, issues := rolemap.Check(t.Context(), src, scim.UserType(), catalogue)
		for _, issue := range issues {
			t.Errorf("%s:%v", name, issue)
		}
	}
}
