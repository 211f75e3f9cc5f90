package rolemap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/scim"
)

// RunTests runs the set's own tests. An issue names the test that failed, the
// roles that differ and the rule's clauses that decided.
func (p *Program) RunTests(ctx context.Context) []Issue {
	var issues []Issue
	for i := range p.tests {
		if issue := p.runTest(ctx, &p.tests[i]); issue != nil {
			issues = append(issues, *issue)
		}
	}
	return issues
}

func (p *Program) runTest(ctx context.Context, t *Test) *Issue {
	fail := func(format string, args ...any) *Issue {
		issue := t.at.issue(SeverityError, "test "+t.Name, format, args...)
		return &issue
	}
	if t.Today == "" && p.reads.today {
		return fail("a rule reads today; give the test a date: today: 2026-11-30")
	}
	person, err := p.testPerson(t)
	if err != nil {
		return fail("%v", err)
	}
	d := p.Derive(ctx, person, t.Today)
	got := roles(d.Assignments)
	if slices.Equal(got, slices.Compact(slices.Clone(t.Expect))) {
		return nil
	}
	var differ []string
	for _, role := range t.Expect {
		if !slices.Contains(got, role) {
			differ = append(differ, "misses "+role+p.whyNot(ctx, person, t.Today, role))
		}
	}
	for _, a := range d.Assignments {
		if !slices.Contains(t.Expect, a.Role) {
			differ = append(differ, fmt.Sprintf("gets %s from %s", a.Role, a.Cause.Rule))
		}
	}
	return fail("the person %s", strings.Join(differ, "; "))
}

// roles returns the distinct roles of assignments, which are sorted by role.
func roles(assignments []Assignment) []string {
	out := make([]string, len(assignments))
	for i, a := range assignments {
		out[i] = a.Role
	}
	return slices.Compact(out)
}

// whyNot says in one line why the rules that grant role did not.
func (p *Program) whyNot(ctx context.Context, person Person, today, role string) string {
	var why []string
	for _, r := range p.Explain(ctx, person, today).Rules {
		if slices.Contains(r.Roles, role) && r.Outcome != OutcomeGranted {
			why = append(why, fmt.Sprintf("%s: %s", r.Rule, r.reason()))
		}
	}
	if len(why) == 0 {
		return ""
	}
	return " (" + strings.Join(why, "; ") + ")"
}

// testPerson makes the person a test describes; attributes must exist and have
// the types of their schemas.
func (p *Program) testPerson(t *Test) (Person, error) {
	person := Person{ID: "test", Active: true, User: scim.Resource{}}
	for name, value := range t.User {
		switch {
		case name == "active":
			active, ok := value.(bool)
			if !ok {
				return Person{}, fmt.Errorf("user.active is true or false")
			}
			person.Active = active
		case p.user.nested[name] != nil && (name == "enterprise" || name == "custom"):
			if err := p.testExtension(person.User, name, value); err != nil {
				return Person{}, err
			}
		default:
			if err := p.user.fits(name, value); err != nil {
				return Person{}, err
			}
			person.User[name] = value
		}
	}
	for i, g := range t.Groups {
		g.Connection = p.connections[0]
		if g.ID == "" {
			g.ID = fmt.Sprintf("test-group-%d", i+1)
		}
		person.Groups = append(person.Groups, g)
	}
	return person, nil
}

// testExtension puts what a test writes under enterprise or custom where the
// extension's attributes live in a resource: under its URN.
func (p *Program) testExtension(user scim.Resource, container string, value any) error {
	attributes, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("user.%s is a mapping of attributes", container)
	}
	for name, v := range attributes {
		if err := p.user.nested[container].fits(name, v); err != nil {
			return err
		}
		for _, ext := range p.schema.Extensions {
			if (ext.ID == scim.EnterpriseSchema) != (container == "enterprise") || ext.Attribute(name) == nil {
				continue
			}
			under, _ := user[ext.ID].(map[string]any)
			if under == nil {
				under = map[string]any{}
				user[ext.ID] = under
			}
			under[name] = v
		}
	}
	return nil
}

// fits reports whether the attribute called name exists in r and value is of
// its type, down to sub-attributes.
func (r *record) fits(name string, value any) error {
	a := r.schema[name]
	if a == nil {
		err := fmt.Errorf("there is no attribute %s.%s", r.path, clip(name))
		if like := r.nearest(name); like != "" {
			err = fmt.Errorf("%w; write %s", err, like)
		}
		return err
	}
	values := []any{value}
	if list, ok := value.([]any); ok != a.Multi {
		return fmt.Errorf("%s.%s: a list is %s", r.path, name, map[bool]string{true: "needed", false: "not possible"}[a.Multi])
	} else if ok {
		values = list
	}
	for _, v := range values {
		if _, err := element(a.Type, r.path+"."+name, v); err != nil {
			return err
		}
		sub, _ := v.(map[string]any)
		for subName, subValue := range sub {
			if err := r.nested[name].fits(subName, subValue); err != nil {
				return err
			}
		}
	}
	return nil
}
