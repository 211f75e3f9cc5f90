package rolemap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/scim"
)

// BenchmarkDerive measures 20 rules on a person in 50 groups, as every change
// of a person costs inside its transaction.
func BenchmarkDerive(b *testing.B) {
	var src strings.Builder
	src.WriteString("version: 1\nrules:\n")
	for i := range 20 {
		fmt.Fprintf(&src, "  - id: r%d\n    when: |\n      \"Group %d\" in groups && user.enterprise.department == \"Payroll\"\n", i, 2*i)
		fmt.Fprintf(&src, "    unless: |\n      \"Contractors\" in groups\n    grant: [timesheet.viewer]\n")
	}
	program := mustCompile(b, src.String())
	who := Person{ID: "ada", Active: true, User: scim.Resource{
		"userName": "ada", "title": "Lead", scim.EnterpriseSchema: map[string]any{"department": "Payroll"},
	}}
	for i := range 50 {
		who.Groups = append(who.Groups, Group{ID: fmt.Sprint(i), DisplayName: fmt.Sprintf("Group %d", i), Connection: "entra"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := program.Derive(b.Context(), who, day); len(got.Assignments) != 20 {
			b.Fatalf("%d assignments, want 20", len(got.Assignments))
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	var src strings.Builder
	src.WriteString("version: 1\nrules:\n")
	for i := range 20 {
		fmt.Fprintf(&src, "  - id: r%d\n    when: |\n      \"Finance\" in groups && user.title == \"%d\"\n    grant: [timesheet.viewer]\n", i, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		mustCompile(b, src.String())
	}
}
