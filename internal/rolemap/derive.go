package rolemap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/scim"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// MaxAssignments is the most assignments that a person may get; one who would
// get more gets none.
const MaxAssignments = 200

// Derivation is what follows for one person.
type Derivation struct {
	Assignments []Assignment // sorted by role, then cause
	Observed    []Assignment // what rules in mode observe would have granted
	Faults      []Fault      // sorted by rule
}

// Assignment is a role and why it is held. Scope is empty: rule sets have no
// scopes yet.
type Assignment struct {
	Role, Scope string
	Cause       Cause
}

// Cause names the rule that granted a role and the facts that made it.
type Cause struct {
	Rule  string   // rule id, or "groupRoles:<n>", counted from 1
	Facts []string // "group Finance (its id)", "user.enterprise.department=Payroll"
}

// Fault is a rule that could not tell, or must not grant. It grants nothing.
type Fault struct {
	Rule    string // empty: the whole derivation
	Clause  string // "when", "unless", "grant" or ""
	Message string
	Absent  bool // an attribute has no value: usual, and not the author's mistake
}

// Derive returns the assignments that follow for person on the civil date
// today ("2006-01-02"). An inactive person has none. Once ctx is done there are
// none either, and a Fault without Rule says so.
//
// The result is the same for the same input and any order of the rules.
func (p *Program) Derive(ctx context.Context, person Person, today string) Derivation {
	if !person.Active {
		return Derivation{}
	}
	var d Derivation
	s := p.subject(person, today)
	p.deriveGroupRoles(s, &d)
	for i := range p.rules {
		p.deriveRule(ctx, &p.rules[i], s, &d)
		if err := ctx.Err(); err != nil {
			// An interrupted expression is an error that && and || may have
			// absorbed: nothing evaluated so far can be trusted.
			return Derivation{Faults: []Fault{{Message: "interrupted: " + err.Error()}}}
		}
	}
	d.finish()
	return d
}

func (p *Program) deriveGroupRoles(s *subject, d *Derivation) {
	if len(p.groupRoles) == 0 {
		return
	}
	facts := map[int][]string{}
	for _, g := range s.groups.groups {
		for _, i := range p.groupRolesOf(g) {
			facts[i] = append(facts[i], g.String())
		}
	}
	for _, i := range slices.Sorted(maps.Keys(facts)) {
		slices.Sort(facts[i])
		cause := Cause{Rule: fmt.Sprintf("groupRoles:%d", i+1), Facts: facts[i]}
		p.grant(d, &d.Assignments, p.groupRoles[i].Grant, cause)
	}
}

// groupRolesOf returns the entries of groupRoles that name g.
func (p *Program) groupRolesOf(g Group) []int {
	var of []int
	if key, err := scim.Key(g.DisplayName); err == nil && len(p.byName) > 0 {
		of = append(of, p.byName[key]...)
	}
	if g.ExternalID != "" {
		of = append(of, p.byExternal[g.ExternalID]...)
	}
	if g.ID != "" {
		of = append(of, p.byID[g.ID]...)
	}
	return of
}

func (p *Program) deriveRule(ctx context.Context, r *rule, s *subject, d *Derivation) {
	granted, fault := r.holds(ctx, s)
	if fault != nil {
		d.Faults = append(d.Faults, *fault)
	}
	if !granted {
		return
	}
	into := &d.Assignments
	if r.Observe {
		into = &d.Observed
	}
	p.grant(d, into, r.Grant, Cause{Rule: r.ID, Facts: r.facts(s)})
}

// grant adds the roles that the tenant may grant, and a Fault for the others.
func (p *Program) grant(d *Derivation, into *[]Assignment, roles []Grant, cause Cause) {
	for _, g := range roles {
		if !p.allowed[g.Role] {
			d.Faults = append(d.Faults, Fault{Rule: cause.Rule, Clause: "grant",
				Message: "role " + g.Role + " may not be granted by this tenant"})
			continue
		}
		*into = append(*into, Assignment{Role: g.Role, Cause: cause})
	}
}

// holds reports whether r grants. Only a when that is true and an unless that
// is false do.
func (r *rule) holds(ctx context.Context, s *subject) (bool, *Fault) {
	if r.broken != "" {
		return false, &Fault{Rule: r.ID, Message: "the rule is broken: " + r.broken}
	}
	if r.when != nil {
		if yes, err := r.when.eval(ctx, s); err != nil || !yes {
			return false, r.fault("when", err)
		}
	}
	if r.unless != nil {
		if yes, err := r.unless.eval(ctx, s); err != nil || yes {
			return false, r.fault("unless", err)
		}
	}
	return true, nil
}

func (r *rule) fault(clause string, err error) *Fault {
	if err == nil {
		return nil
	}
	var none absent
	return &Fault{Rule: r.ID, Clause: clause, Message: "cannot tell: " + err.Error(), Absent: errors.As(err, &none)}
}

func (c *clause) eval(ctx context.Context, s *subject) (bool, error) {
	var value ref.Val
	var err error
	if c.reads.loops {
		value, _, err = c.program.ContextEval(ctx, s)
	} else { // bounded by its size: nothing to interrupt
		value, _, err = c.program.Eval(s)
	}
	if err != nil {
		return false, err
	}
	yes, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the result is %s", value.Type().TypeName())
	}
	return bool(yes), nil
}

// facts are what the rule read and found about the person: values of
// attributes, groups named, and groups named by unless that the person is not in.
func (r *rule) facts(s *subject) []string {
	if r.Everyone && r.unless == nil {
		return []string{"active"}
	}
	var facts []string
	if r.Everyone {
		facts = append(facts, "active")
	}
	for _, c := range []*clause{r.when, r.unless} {
		if c != nil {
			facts = append(facts, c.facts(s)...)
		}
	}
	return facts
}

func (c *clause) facts(s *subject) []string {
	var facts []string
	for _, name := range c.reads.names {
		if g, in := s.groups.named(name); in {
			facts = append(facts, g.String())
		} else {
			facts = append(facts, "not in group "+name)
		}
	}
	for _, id := range c.reads.ids {
		for _, g := range s.groups.groups {
			if g.ID == id {
				facts = append(facts, g.String())
			}
		}
	}
	if c.reads.anyGroup {
		facts = append(facts, fmt.Sprintf("in %d groups", len(s.groups.groups)))
	}
	for _, a := range c.attributes {
		if value, ok := a.text(s.user); ok {
			facts = append(facts, a.path+"="+value)
		}
	}
	if c.reads.today {
		facts = append(facts, "today="+s.day())
	}
	return facts
}

func (d *Derivation) finish() {
	order := func(a, b Assignment) int {
		return cmp.Or(strings.Compare(a.Role, b.Role), strings.Compare(a.Cause.Rule, b.Cause.Rule))
	}
	slices.SortFunc(d.Assignments, order)
	slices.SortFunc(d.Observed, order)
	slices.SortFunc(d.Faults, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message))
	})
	if n := len(d.Assignments); n > MaxAssignments {
		d.Assignments = nil
		d.Faults = append(d.Faults, Fault{Message: fmt.Sprintf("%d assignments follow, more than %d: none is given", n, MaxAssignments)})
	}
}
