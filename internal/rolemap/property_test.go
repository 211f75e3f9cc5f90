package rolemap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/muster-id/muster/internal/scim"
	"pgregory.net/rapid"
)

// Small worlds make coincidences likely.
var (
	someTexts  = []string{"x", "y", "z"}
	someGroups = []string{"A", "B", "C", "D"}
)

// condition draws an expression that states no default: no has(), no optional.
func condition(t *rapid.T, depth int) string {
	atom := func() string {
		words := strings.NewReplacer(
			"TEXT", fmt.Sprintf("%q", rapid.SampledFrom(someTexts).Draw(t, "text")),
			"GROUP", fmt.Sprintf("%q", rapid.SampledFrom(someGroups).Draw(t, "group")),
			"ATTRIBUTE", rapid.SampledFrom([]string{"user.title", "user.nickName", "user.name.familyName",
				"user.enterprise.department", "user.enterprise.manager.value"}).Draw(t, "attribute"))
		return words.Replace(rapid.SampledFrom([]string{
			`ATTRIBUTE == TEXT`, `ATTRIBUTE != TEXT`, `ATTRIBUTE in [TEXT, "y"]`, `ATTRIBUTE.startsWith(TEXT)`,
			`user.emails.exists(e, e.type == TEXT)`, `user.emails.all(e, e.value == TEXT)`, `user.emails.exists_one(e, e.primary)`,
			`user.emails.size() > 1`, `GROUP in groups`, `user.groups.exists(g, g.id == GROUP)`,
			`groups.exists(g, g.startsWith(GROUP))`, `today < timestamp("2026-06-01T00:00:00Z")`,
			`(ATTRIBUTE == TEXT ? GROUP in groups : user.title == "y")`,
		}).Draw(t, "atom"))
	}
	if depth == 0 {
		return atom()
	}
	return rapid.OneOf(
		rapid.Custom(func(*rapid.T) string { return atom() }),
		rapid.Custom(func(t *rapid.T) string { return "!(" + condition(t, depth-1) + ")" }),
		rapid.Custom(func(t *rapid.T) string {
			operator := rapid.SampledFrom([]string{" && ", " || "}).Draw(t, "operator")
			return "(" + condition(t, depth-1) + operator + condition(t, depth-1) + ")"
		}),
	).Draw(t, "condition")
}

// ruleSet draws a set of rules that compile; constant expressions are dropped.
func ruleSet(t *rapid.T) *RuleSet {
	rs := &RuleSet{GroupRoles: []GroupRole{{Name: "a", Grant: grants("timesheet.viewer")}, {ID: "B", Grant: grants("timesheet.manager")}}}
	for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
		r := Rule{ID: fmt.Sprintf("r%d", i), When: Expression{Source: condition(t, 2)}, Grant: grants(
			rapid.SampledFrom([]string{"timesheet.viewer", "timesheet.approver", "timesheet.manager"}).Draw(t, "role"))}
		r.Observe = rapid.Bool().Draw(t, "observe")
		if rapid.Bool().Draw(t, "has unless") {
			r.Unless = Expression{Source: condition(t, 2)}
		}
		rs.Rules = append(rs.Rules, r)
	}
	return rs
}

func grants(role string) []Grant { return []Grant{{Role: role}} }

func compileAll(t *rapid.T, rs *RuleSet) *Program {
	p, issues := Compile(rs, scim.UserType(), catalogue())
	for _, i := range issues {
		if i.Severity == SeverityError && !strings.Contains(i.Message, "for everybody") {
			t.Fatalf("Compile(%+v): %v", rs.Rules, i)
		}
	}
	return p
}

// person draws somebody of whom everything is known.
func person(t *rapid.T) Person {
	text := rapid.SampledFrom(someTexts)
	emails := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any {
		return map[string]any{"type": text.Draw(t, "type"), "value": text.Draw(t, "value"), "primary": rapid.Bool().Draw(t, "primary")}
	}), 1, 3).Draw(t, "emails")
	p := Person{ID: "ada", Active: true, User: scim.Resource{
		"title": text.Draw(t, "title"), "nickName": text.Draw(t, "nickName"), "emails": emails,
		"name": map[string]any{"familyName": text.Draw(t, "familyName")},
		scim.EnterpriseSchema: map[string]any{
			"department": text.Draw(t, "department"),
			"manager":    map[string]any{"value": text.Draw(t, "manager")},
		},
	}}
	for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom(someGroups), rapid.ID).Draw(t, "groups") {
		p.Groups = append(p.Groups, Group{ID: name, DisplayName: name, Connection: "entra"})
	}
	return p
}

// forget returns r with some values absent, and some of a type they cannot have.
func forget(t *rapid.T, r map[string]any) map[string]any {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		switch rapid.IntRange(0, 6).Draw(t, "forget "+name) {
		case 0: // no such key
		case 1:
			out[name] = rapid.SampledFrom([]any{nil, "", []any{}, map[string]any{}, int64(7), 7.5, []any{nil}, struct{}{}}).Draw(t, "garbage")
		default:
			out[name] = r[name]
			switch v := r[name].(type) {
			case map[string]any:
				out[name] = forget(t, v)
			case []any:
				var list []any
				for _, e := range v {
					list = append(list, forget(t, e.(map[string]any)))
				}
				out[name] = list
			}
		}
	}
	return out
}

const day = "2026-11-30"

func TestUnknownNeverGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		program := compileAll(t, ruleSet(t))
		known := person(t)
		unknown := known
		unknown.User = forget(t, known.User)
		granted := program.Derive(t.Context(), unknown, day)
		full := program.Derive(t.Context(), known, day)
		for _, a := range slices.Concat(granted.Assignments, granted.Observed) {
			same := func(b Assignment) bool { return a.Role == b.Role && a.Cause.Rule == b.Cause.Rule }
			if !slices.ContainsFunc(slices.Concat(full.Assignments, full.Observed), same) {
				t.Fatalf("with %v unknown, %s grants %s; with %v it does not", unknown.User, a.Cause.Rule, a.Role, known.User)
			}
		}
	})
}

func TestTheOrderOfRulesAndGroupsNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs, who := ruleSet(t), person(t)
		who.User = forget(t, who.User)
		want := compileAll(t, rs).Derive(t.Context(), who, day)
		other := *rs
		other.Rules = rapid.Permutation(rs.Rules).Draw(t, "rules in another order")
		who.Groups = rapid.Permutation(who.Groups).Draw(t, "groups in another order")
		got := compileAll(t, &other).Derive(t.Context(), who, day)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
	})
}

// What Reads, ReadsGroup and ReadsToday call irrelevant changes nothing, so
// that deriving only when they say so equals deriving always.
func TestIncrementalEqualsFull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		program := compileAll(t, ruleSet(t))
		before := person(t)
		after, today, relevant := change(t, program, before)
		if relevant {
			return
		}
		want, got := program.Derive(t.Context(), before, day), program.Derive(t.Context(), after, today)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("an irrelevant change of %+v to %+v on %s (-before +after):\n%s", before, after, today, diff)
		}
	})
}

// change draws one change and asks the program whether it matters.
func change(t *rapid.T, p *Program, who Person) (after Person, today string, relevant bool) {
	after, today = who, day
	after.User = maps.Clone(who.User)
	text := rapid.SampledFrom([]any{"x", "y", nil}).Draw(t, "new value")
	switch rapid.IntRange(0, 5).Draw(t, "change") {
	case 0:
		after.User["title"] = text
		return after, today, p.Reads([]string{"Title"})
	case 1:
		after.User["name"] = map[string]any{"familyName": text}
		return after, today, p.Reads([]string{"name"})
	case 2:
		after.User["emails"] = []any{map[string]any{"type": text}}
		return after, today, p.Reads([]string{"emails.type"})
	case 3:
		enterprise := maps.Clone(who.User[scim.EnterpriseSchema].(map[string]any))
		enterprise["department"] = text
		after.User[scim.EnterpriseSchema] = enterprise
		return after, today, p.Reads([]string{scim.EnterpriseSchema + ":department"})
	case 4:
		return after, "2026-02-01", p.ReadsToday()
	}
	g := Group{
		ID:          rapid.SampledFrom([]string{"A", "C", "new"}).Draw(t, "group's id"),
		DisplayName: rapid.SampledFrom([]string{"a", "B", "Cx", "E", "F\u200b"}).Draw(t, "group's name"),
		Connection:  rapid.SampledFrom([]string{"entra", "okta"}).Draw(t, "group's connection"),
	}
	after.Groups = append(slices.Clone(who.Groups), g)
	return after, today, p.ReadsGroup(g)
}

func TestAbuse_R15(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		program, who := compileAll(t, ruleSet(t)), person(t)
		want := program.Explain(t.Context(), who, day)
		for range 5 {
			if diff := cmp.Diff(want, program.Explain(t.Context(), who, day)); diff != "" {
				t.Fatalf("evaluated again (-want +got):\n%s", diff)
			}
		}
	})
}

// Explain and Derive agree: a rule is granted in one exactly when in the other,
// and the tree's root has the value that decided.
func TestExplainAgreesWithDerive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		program, who := compileAll(t, ruleSet(t)), person(t)
		who.User = forget(t, who.User)
		derived := program.Derive(t.Context(), who, day)
		for _, r := range program.Explain(t.Context(), who, day).Rules {
			held := func(a Assignment) bool { return a.Cause.Rule == r.Rule }
			if got, want := r.Outcome == OutcomeGranted, slices.ContainsFunc(derived.Assignments, held); got != want {
				t.Fatalf("%s: explained as %s, derived %v", r.Rule, r.Outcome, want)
			}
			if r.When != nil && (r.Outcome == OutcomeNotMet) != (r.When.Value == ValueFalse) {
				t.Fatalf("%s: outcome %s, but when is %s", r.Rule, r.Outcome, r.When.Value)
			}
		}
	})
}
