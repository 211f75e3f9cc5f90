package rolemap

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/muster-id/muster/internal/scim"
)

// TestSets compiles the rule sets of testdata/sets and runs their own tests.
func TestSets(t *testing.T) {
	paths, err := filepath.Glob("testdata/sets/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("testdata/sets holds %d files, %v", len(paths), err)
	}
	cat := catalogue()
	cat.KnownGroups = nil
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cat.Privileged = nil
		_, issues := Check(t.Context(), src, scim.UserType(), cat)
		for _, i := range issues {
			t.Errorf("%s:%v", path, i)
		}
	}
}

func TestDeriveNamesTheRuleAndTheFacts(t *testing.T) {
	p := mustCompile(t, `
version: 1
groupRoles:
  - name: ring crew
    grant: [timesheet.viewer]
rules:
  - id: payroll
    when: |
      "finance" in groups && user.enterprise.department == "Payroll"
    unless: |
      "Contractors" in groups
    grant: [timesheet.viewer, timesheet.approver]
  - id: trial
    mode: observe
    when: |
      "Finance" in groups
    grant: [timesheet.manager]
  - id: lead
    when: |
      user.title == "Lead"
    grant: [timesheet.manager]
`)
	got := p.Derive(t.Context(), Person{
		ID: "ada", Active: true,
		User: scim.Resource{scim.EnterpriseSchema: map[string]any{"department": "Payroll"}},
		Groups: []Group{
			{ID: "g2", DisplayName: "Ring Crew", Connection: "entra"},
			{ID: "g1", DisplayName: "Finance", Connection: "entra"},
			{ID: "g3", DisplayName: "Contractors", Connection: "okta"},
		},
	}, "2026-11-30")
	payroll := Cause{Rule: "payroll", Facts: []string{
		"group Finance (g1)", "user.enterprise.department=Payroll", "not in group Contractors",
	}}
	want := Derivation{
		Assignments: []Assignment{
			{Role: "timesheet.approver", Cause: payroll},
			{Role: "timesheet.viewer", Cause: Cause{Rule: "groupRoles:1", Facts: []string{"group Ring Crew (g2)"}}},
			{Role: "timesheet.viewer", Cause: payroll},
		},
		Observed: []Assignment{
			{Role: "timesheet.manager", Cause: Cause{Rule: "trial", Facts: []string{"group Finance (g1)"}}},
		},
		Faults: []Fault{{Rule: "lead", Clause: "when", Message: "cannot tell: user.title has no value", Absent: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Derive (-want +got):\n%s", diff)
	}
}

func TestDeriveGivesAnInactivePersonNothing(t *testing.T) {
	p := mustCompile(t, "version: 1\nrules:\n  - id: all\n    everyone: true\n    grant: [timesheet.viewer]\n")
	got := p.Derive(t.Context(), Person{ID: "ada", User: scim.Resource{"active": true}}, "2026-11-30")
	if diff := cmp.Diff(Derivation{}, got); diff != "" {
		t.Errorf("Derive of an inactive person (-want +got):\n%s", diff)
	}
}

func TestDeriveCountsOnlyGroupsOfTheSetsConnections(t *testing.T) {
	person := Person{ID: "ada", Active: true, Groups: []Group{{ID: "g", DisplayName: "Finance", Connection: "okta"}}}
	rule := ruleWhen(`"Finance" in groups || user.groups.size() > 0`, "")
	for _, c := range []struct {
		src  string
		want int
	}{
		{rule, 0},
		{strings.Replace(rule, "version: 1\n", "version: 1\nconnections: [okta]\n", 1), 1},
		{strings.Replace(rule, "version: 1\n", "version: 1\nconnections: [entra, okta]\n", 1), 1},
	} {
		if got := p(t, c.src).Derive(t.Context(), person, "2026-11-30").Assignments; len(got) != c.want {
			t.Errorf("%s\ngives %v, want %d assignments", c.src, got, c.want)
		}
	}
}

func p(t *testing.T, src string) *Program { t.Helper(); return mustCompile(t, src) }

// A group whose name has no key cannot be stored; were one there all the same,
// nobody could say whether it is the group that a rule excludes.
func TestDeriveCannotTellPastAnUnreadableGroupName(t *testing.T) {
	person := Person{ID: "ada", Active: true, Groups: []Group{
		{ID: "g1", DisplayName: "Finance", Connection: "entra"},
		{ID: "g2", DisplayName: "Contrac\u200btors", Connection: "entra"},
	}}
	got := p(t, ruleWhen(`"Finance" in groups`, `"Contractors" in groups`)).Derive(t.Context(), person, "2026-11-30")
	if len(got.Assignments) != 0 || len(got.Faults) != 1 || got.Faults[0].Clause != "unless" {
		t.Errorf("Derive = %+v, want no assignment and a fault of unless", got)
	}
}

func TestAReadRuleSetWithBrokenRulesKeepsTheOthers(t *testing.T) {
	rs, issues := Parse([]byte(`
version: 1
rules:
  - id: sound
    everyone: true
    grant: [timesheet.viewer]
  - id: broken-exclusion
    everyone: true
    unless: |
      user.vanished == "x"
    grant: [timesheet.approver]
  - id: one-role-withdrawn
    everyone: true
    grant: [timesheet.manager, platform.owner]
`))
	if rs == nil {
		t.Fatal(issues)
	}
	program, issues := Compile(rs, scim.UserType(), catalogue())
	if !HasErrors(issues) {
		t.Errorf("Compile reports %v, want errors", issues)
	}
	got := program.Derive(t.Context(), Person{ID: "ada", Active: true}, "2026-11-30")
	if diff := cmp.Diff([]string{"timesheet.manager", "timesheet.viewer"}, roles(got.Assignments)); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	want := []Fault{
		{Rule: "broken-exclusion", Message: `the rule is broken: there is no attribute "vanished" here`},
		{Rule: "one-role-withdrawn", Clause: "grant", Message: "role platform.owner may not be granted by this tenant"},
	}
	if diff := cmp.Diff(want, got.Faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestWithAllowedTakesEffectAtOnceAndLeavesTheProgram(t *testing.T) {
	before := p(t, ruleWhen(`"Finance" in groups`, ""))
	person := Person{ID: "ada", Active: true, Groups: []Group{{ID: "g", DisplayName: "Finance", Connection: "entra"}}}
	after := before.WithAllowed(map[string]bool{"timesheet.approver": true})
	if got := after.Derive(t.Context(), person, "2026-11-30"); len(got.Assignments) != 0 || len(got.Faults) != 1 {
		t.Errorf("after the role was withdrawn Derive = %+v", got)
	}
	if got := before.Derive(t.Context(), person, "2026-11-30"); len(got.Assignments) != 1 {
		t.Errorf("the program itself gives %+v, want one assignment", got)
	}
}

func TestCustomExtensionsAreTypedAndRead(t *testing.T) {
	stock := scim.UserType()
	urn := "urn:example:circus:2.0:User"
	rt := &scim.ResourceType{Name: stock.Name, Core: stock.Core, Extensions: append([]*scim.Schema{{
		ID: urn,
		Attributes: []*scim.Attribute{
			{Name: "cost-center", Type: scim.TypeInteger},
			{Name: "contractEnds", Type: scim.TypeDateTime},
			{Name: "share", Type: scim.TypeDecimal},
			{Name: "acts", Type: scim.TypeString, Multi: true},
		},
	}}, stock.Extensions...)}
	src := ruleWhen("user.custom.`cost-center` == 7 && user.custom.contractEnds > today && user.custom.share >= 0.5 && \"trapeze\" in user.custom.acts", "")
	program, issues := Check(t.Context(), []byte(src), rt, catalogue())
	if HasErrors(issues) {
		t.Fatal(issues)
	}
	person := Person{ID: "ada", Active: true, User: scim.Resource{urn: map[string]any{
		"cost-center": int64(7), "contractEnds": "2027-01-31T00:00:00+01:00", "share": int64(1), "acts": []any{"trapeze"},
	}}}
	got := program.Derive(t.Context(), person, "2026-11-30")
	if len(got.Assignments) != 1 {
		t.Errorf("Derive = %+v, want one assignment", got)
	}
	if !program.Reads([]string{urn + ":share"}) || program.Reads([]string{urn + ":other"}) {
		t.Errorf("Reads(%s:share, :other) = %v, %v; want true, false", urn, program.Reads([]string{urn + ":share"}), program.Reads([]string{urn + ":other"}))
	}
}

// Two extensions of a tenant are one user.custom: a name that both define is in
// neither, and the author is told.
func TestSeveralExtensionsOfATenant(t *testing.T) {
	stock := scim.UserType()
	rt := &scim.ResourceType{Name: stock.Name, Core: stock.Core, Extensions: append([]*scim.Schema{
		{ID: "urn:example:Badge", Attributes: []*scim.Attribute{{Name: "grade", Type: scim.TypeInteger}, {Name: "groups"}, {Name: "active"}}},
		{ID: "urn:example:Badge2", Attributes: []*scim.Attribute{{Name: "grade", Type: scim.TypeInteger}, {Name: "floor"}, {Name: "pin", Mutability: scim.WriteOnly}}},
	}, stock.Extensions...)}
	for when, want := range map[string]string{
		`user.custom.grade > 2`:         `there is no attribute "grade" here: several of the tenant's extensions define it`,
		`user.custom.pin == "1"`:        `there is no attribute "pin" here`,
		`user.custom.flor == "1"`:       `there is no attribute "flor" here`,
		`user.custom.floor == "1"`:      "",
		`user.custom.groups == "g"`:     "",
		`user.custom.active == "maybe"`: "",
	} {
		_, issues := Check(t.Context(), []byte(ruleWhen(when, "")), rt, catalogue())
		if got := fmt.Sprint(issues); HasErrors(issues) != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %q", when, got, want)
		}
	}
	if _, issues := Check(t.Context(), []byte(ruleWhen(`user.custom.x == "y"`, "")), stock, catalogue()); !strings.Contains(fmt.Sprint(issues), "muster schema declare") {
		t.Errorf("without an extension: got %v, want it said how to declare one", issues)
	}

	program, _ := Check(t.Context(), []byte(ruleWhen(`user.custom.floor == "3" && user.custom.groups == "g"`, "")), rt, catalogue())
	person := Person{ID: "ada", Active: true, User: scim.Resource{"urn:example:Badge": map[string]any{"groups": "g"}, "urn:example:Badge2": map[string]any{"floor": "3"}}}
	if got := program.Derive(t.Context(), person, "2026-11-30"); len(got.Assignments) != 1 {
		t.Errorf("Derive = %+v, want one assignment", got)
	}
	for path, want := range map[string]bool{
		"urn:example:Badge2:floor": true, "URN:example:badge2:Floor": true, "urn:example:Badge:groups": true, "urn:example:Badge": true,
		"urn:example:Badge2:grade": false, "urn:example:Badge:active": false,
	} {
		if got := program.Reads([]string{path}); got != want {
			t.Errorf("Reads(%s) = %t, want %t", path, got, want)
		}
	}
}

func TestReads(t *testing.T) {
	program := p(t, ruleWhen(`user.enterprise.department == "x" || has(user.name.familyName)`, `user.emails.exists(e, e.type == user.?title.orValue("x"))`))
	for path, want := range map[string]bool{
		"active":                                 true, // an inactive person holds nothing, whatever the rules
		"enterprise.department":                  true,
		"Enterprise.Department":                  true,
		"enterprise":                             true,
		"enterprise.manager":                     false,
		scim.EnterpriseSchema + ":department":    true,
		scim.EnterpriseSchema:                    true,
		scim.EnterpriseSchema + ":manager.value": false,
		scim.UserSchema + ":title":               true,
		"title":                                  true,
		"name":                                   true,
		"name.familyName":                        true,
		"name.givenName":                         false,
		"emails.value":                           true,
		"nickName":                               false,
		"externalId":                             false,
		"":                                       true,
	} {
		if got := program.Reads([]string{"userName", path}); got != want {
			t.Errorf("Reads(%q) = %v, want %v", path, got, want)
		}
	}
	if program.Reads(nil) || program.ReadsToday() {
		t.Errorf("Reads(nil), ReadsToday() = %v, %v; want false, false", program.Reads(nil), program.ReadsToday())
	}
	if !p(t, ruleWhen(`[user].exists(u, u.nickName == "x")`, "")).Reads([]string{"userName"}) {
		t.Error("a rule over the whole user does not read userName")
	}
}

func TestReadsGroup(t *testing.T) {
	finance := Group{ID: "g1", ExternalID: "e1", DisplayName: "Finance", Connection: "entra"}
	other := Group{ID: "g2", ExternalID: "e2", DisplayName: "Other", Connection: "entra"}
	for _, c := range []struct {
		when           string
		finance, other bool
	}{
		{`"FINANCE" in groups`, true, false},
		{`user.title == "x"`, false, false},
		{`user.groups.exists(g, g.id == "g1")`, true, false},
		{`user.groups.exists(g, "g1" == g.id && g.displayName.startsWith("x"))`, true, false},
		{`user.groups.exists(g, g.id == "g1" || g.id == "g3")`, true, false},
		{`user.groups.exists(g, g.id == "g1" || g.displayName == "x")`, true, true},
		{`user.groups.exists(g, g.externalId == "e1")`, true, true}, // one without externalId cannot tell
		{`!user.groups.all(g, g.id == "g1")`, true, true},
		{`groups.exists(g, g.startsWith("F"))`, true, true},
		{`size(groups) > 3`, true, true},
		{`user.title in groups`, true, true},
		{`user.?groups.orValue([]).size() > 1`, true, true},
	} {
		program := p(t, ruleWhen(c.when, ""))
		if got := [2]bool{program.ReadsGroup(finance), program.ReadsGroup(other)}; got != [2]bool{c.finance, c.other} {
			t.Errorf("%s: ReadsGroup(Finance, Other) = %v, want %v %v", c.when, got, c.finance, c.other)
		}
		elsewhere := finance
		elsewhere.Connection = "okta"
		if program.ReadsGroup(elsewhere) {
			t.Errorf("%s: reads a group of another connection", c.when)
		}
	}
	unreadable := Group{ID: "g3", DisplayName: "Fin\u200bance", Connection: "entra"}
	if !p(t, ruleWhen(`"Finance" in groups`, "")).ReadsGroup(unreadable) {
		t.Error("a group with an unreadable name does not matter to a rule that names a group")
	}
}

func TestAnInterruptedExpressionStops(t *testing.T) {
	program := p(t, ruleWhen(`groups.all(g, g != "x")`, ""))
	who := Person{ID: "ada", Active: true}
	for i := range 2 * checkEvery {
		who.Groups = append(who.Groups, Group{ID: fmt.Sprint(i), DisplayName: fmt.Sprint(i), Connection: "entra"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if yes, err := program.rules[0].when.eval(ctx, program.subject(who, day)); yes || err == nil {
		t.Errorf("eval after the context was done = %v, %v; want an error", yes, err)
	}
}

// Rows of security.md §1.D.

func TestAbuse_R03(t *testing.T) {
	t.Log("a second group called like the first does not get what an id grants")
	program := p(t, "version: 1\ngroupRoles:\n  - id: g1\n    grant: [timesheet.owner]\n")
	person := Person{ID: "eve", Active: true, Groups: []Group{{ID: "g2", ExternalID: "g1", DisplayName: "g1", Connection: "entra"}}}
	if got := program.Derive(t.Context(), person, "2026-11-30").Assignments; len(got) != 0 {
		t.Errorf("Derive = %v, want none", got)
	}
}

func TestAbuse_R06(t *testing.T) {
	many := Person{ID: "ada", Active: true}
	for i := range sizeGroups {
		many.Groups = append(many.Groups, Group{ID: fmt.Sprint(i), DisplayName: fmt.Sprintf("%064d", i), Connection: "entra"})
	}
	dear := `groups.exists(g, g.matches("^(a+)+$") || g.matches("^(b+)+$"))`
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		story, when, unless string
		ctx                 context.Context
	}{
		{"a rule over its limit grants nothing", dear + ` || "0" in groups || true == has(user.id)`, "", t.Context()},
		{"an exclusion over its limit excludes, though && would make it false", `size(groups) > 1`, dear + ` && "Nobody" in groups`, t.Context()},
		{"whoever stops waiting gets nothing", `size(groups) > 1`, dear + ` && "Nobody" in groups`, cancelled},
		{"not even from a rule that holds", `size(groups) > 1`, "", cancelled},
	} {
		got := p(t, ruleWhen(c.when, c.unless)).Derive(c.ctx, many, "2026-11-30")
		if len(got.Assignments) != 0 || len(got.Faults) != 1 {
			t.Errorf("%s: Derive = %+v, want no assignment and one fault", c.story, got)
		}
	}
}

func TestManyDearRulesAreRefusedTogether(t *testing.T) {
	var src strings.Builder
	src.WriteString("version: 1\nrules:\n")
	for i := range 50 {
		fmt.Fprintf(&src, "  - id: r%d\n    when: |\n      groups.exists(g, g.matches(\"^(a+)+$\"))\n    grant: [timesheet.viewer]\n", i)
	}
	_, issues := Check(t.Context(), []byte(src.String()), scim.UserType(), catalogue())
	if len(issues) != 1 || !strings.Contains(issues[0].Message, "all rules together") {
		t.Errorf("issues = %v, want one about all rules together", issues)
	}
}

func TestAbuse_R07(t *testing.T) {
	for _, src := range []string{
		strings.Repeat("#", maxSource+1),
		ruleWhen(strings.Repeat("x", maxExpression+1)+" == 1", ""),
		"version: 1\nrules: " + strings.Repeat("[", 20_000),
		"version: 1\nrules:\n" + strings.Repeat("  - id: a\n    everyone: true\n    grant: [a.b]\n", maxRules+1),
	} {
		if _, issues := Check(t.Context(), []byte(src), scim.UserType(), catalogue()); !HasErrors(issues) {
			t.Errorf("Check(%d bytes, %.40q…) finds no error", len(src), src)
		}
	}
}

// A new function of cel-go must be a decision: it fails here until it stands
// in functions.go or in this list.
func TestAbuse_R08(t *testing.T) {
	leftOut := strings.Fields(`__not_strictly_false__ _in_ in bytes dyn first format join last optional.unwrap
		replace reverse strings.quote type uint unwrapOpt`)
	env, _, err := newEnv(scim.UserType())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range leftOut {
		known[name] = true
	}
	for name := range env.Functions() {
		if known[name] == functions[name] {
			t.Errorf("function %q: offered %v, left out %v; want exactly one", name, functions[name], known[name])
		}
	}
	for name := range functions {
		if env.Functions()[name] == nil {
			t.Errorf("functions.go names %q, which does not exist", name)
		}
	}
}

func TestAbuse_R09(t *testing.T) {
	program := p(t, ruleWhen(`user.title == "x" || user.nickName == "y"`, ""))
	got := program.Derive(t.Context(), Person{ID: "ada", Active: true, User: scim.Resource{"nickName": "z"}}, "2026-11-30")
	if len(got.Assignments) != 0 || len(got.Faults) != 1 || !got.Faults[0].Absent {
		t.Errorf("Derive = %+v, want no assignment and a fault for the absent attribute", got)
	}
	// Where the other operand alone settles it, the absent attribute could not take
	// the role away whatever it were.
	got = program.Derive(t.Context(), Person{ID: "ada", Active: true, User: scim.Resource{"nickName": "y"}}, "2026-11-30")
	if len(got.Assignments) != 1 || len(got.Faults) != 0 {
		t.Errorf("Derive = %+v, want the assignment that holds for every title", got)
	}
}

func TestAbuse_R14(t *testing.T) {
	var src strings.Builder
	src.WriteString("version: 1\nrules:\n")
	for i := range maxRules {
		fmt.Fprintf(&src, "  - id: r%d\n    everyone: true\n    grant: [timesheet.viewer, timesheet.approver]\n", i)
	}
	got := p(t, src.String()).Derive(t.Context(), Person{ID: "ada", Active: true}, "2026-11-30")
	if len(got.Assignments) != 0 || len(got.Faults) != 1 {
		t.Errorf("%d assignments and faults %v, want none and one", len(got.Assignments), got.Faults)
	}
}
