package rolemap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Outcomes of a rule.
const (
	OutcomeGranted    = "granted"
	OutcomeObserved   = "observed"    // would have granted, but its mode is observe
	OutcomeNotMet     = "not met"     // when is false
	OutcomeExcluded   = "excluded"    // unless is true
	OutcomeCannotTell = "cannot tell" // when or unless failed
	OutcomeBroken     = "broken"      // the rule does not compile
)

// Values of a clause.
const (
	ValueTrue       = "true"
	ValueFalse      = "false"
	ValueCannotTell = "cannot tell"
)

// Explanation says, rule by rule, why a person has the roles that follow. It is
// made by evaluating every clause, also those that Derive need not look at.
type Explanation struct {
	Person string            `json:"person"`
	Active bool              `json:"active"`
	Today  string            `json:"today"`
	Roles  []string          `json:"roles"` // that follow, as Derive gives them
	Rules  []RuleExplanation `json:"rules"` // groupRoles that apply, then rules in file order
	Faults []string          `json:"faults,omitempty"`

	// NoneInForce says what the person is that holds no role whatever the rules
	// say: inactive or, by [Explanation.Void], something else. Empty: roles are in force.
	NoneInForce string `json:"none_in_force,omitempty"`
}

// Void marks that no role is in force, whatever the rules say, for what the
// person is: "locked", "deleted".
func (x *Explanation) Void(because string) {
	x.Roles, x.NoneInForce = []string{}, because
}

// RuleExplanation says what became of one rule.
type RuleExplanation struct {
	Rule    string   `json:"rule"`
	Title   string   `json:"title,omitempty"`
	Roles   []string `json:"roles"` // that the rule grants
	Outcome string   `json:"outcome"`
	Detail  string   `json:"detail,omitempty"`
	When    *Clause  `json:"when,omitempty"`
	Unless  *Clause  `json:"unless,omitempty"`
	Facts   []string `json:"facts,omitempty"`
}

// Clause is a node of an expression's tree: an operator with clauses below it,
// or a leaf with what it read.
type Clause struct {
	Text     string    `json:"text"`
	Value    string    `json:"value"`
	Why      string    `json:"why,omitempty"` // when it cannot tell
	Decisive bool      `json:"decisive"`      // the result would or might be another without it
	Operator string    `json:"operator,omitempty"`
	Clauses  []*Clause `json:"clauses,omitempty"`
	Reads    []Read    `json:"reads,omitempty"`
}

// Read is something that a leaf looked at, and what it found.
type Read struct {
	Path  string `json:"path"` // "user.enterprise.department", "group Finance"
	Value string `json:"value,omitempty"`
	Found bool   `json:"found"`
}

// Explain evaluates all rules on person and keeps what was seen on the way.
func (p *Program) Explain(ctx context.Context, person Person, today string) Explanation {
	d := p.Derive(ctx, person, today)
	x := Explanation{Person: person.ID, Active: person.Active, Today: today, Roles: roles(d.Assignments)}
	if !person.Active {
		x.Void("inactive")
	}
	for _, f := range d.Faults {
		x.Faults = append(x.Faults, strings.TrimPrefix(f.Rule+": "+f.Message, ": "))
	}
	s := p.subject(person, today)
	x.Rules = append(x.Rules, p.groupRoleCauses(s)...)
	for i := range p.rules {
		x.Rules = append(x.Rules, p.rules[i].explain(ctx, s))
	}
	return x
}

// groupRoleCauses explains the entries of groupRoles that apply.
func (p *Program) groupRoleCauses(s *subject) []RuleExplanation {
	var d Derivation
	p.deriveGroupRoles(s, &d)
	var out []RuleExplanation
	for _, a := range d.Assignments {
		if n := len(out); n > 0 && out[n-1].Rule == a.Cause.Rule {
			out[n-1].Roles = append(out[n-1].Roles, a.Role)
			continue
		}
		out = append(out, RuleExplanation{Rule: a.Cause.Rule, Roles: []string{a.Role}, Outcome: OutcomeGranted, Facts: a.Cause.Facts})
	}
	return out
}

func (r *rule) explain(ctx context.Context, s *subject) RuleExplanation {
	x := RuleExplanation{Rule: r.ID, Title: r.Title, Outcome: r.outcome(ctx, s)}
	for _, g := range r.Grant {
		x.Roles = append(x.Roles, g.Role)
	}
	if r.broken != "" {
		x.Detail = r.broken
		return x
	}
	x.When, x.Unless = r.when.explain(ctx, s), r.unless.explain(ctx, s)
	if x.Outcome == OutcomeGranted || x.Outcome == OutcomeObserved {
		x.Facts = r.facts(s)
	}
	return x
}

// outcome asks as Derive does, so that the two never differ.
func (r *rule) outcome(ctx context.Context, s *subject) string {
	granted, fault := r.holds(ctx, s)
	switch {
	case r.broken != "":
		return OutcomeBroken
	case fault != nil || ctx.Err() != nil:
		return OutcomeCannotTell
	case granted && r.Observe:
		return OutcomeObserved
	case granted:
		return OutcomeGranted
	}
	if r.when != nil {
		if yes, err := r.when.eval(ctx, s); err != nil || !yes {
			return OutcomeNotMet
		}
	}
	return OutcomeExcluded
}

// explain evaluates every part of the clause and returns its tree.
func (c *clause) explain(ctx context.Context, s *subject) *Clause {
	if c == nil {
		return nil
	}
	program, err := c.env.Program(c.ast,
		cel.EvalOptions(cel.OptTrackState, cel.OptExhaustiveEval),
		cel.InterruptCheckFrequency(checkEvery), cel.CostTracking(runCosts{}), cel.CostLimit(10*runCost))
	if err != nil {
		return &Clause{Value: ValueCannotTell, Why: err.Error(), Decisive: true}
	}
	value, details, err := program.ContextEval(ctx, s)
	t := tracer{tree: c.ast.NativeRep(), subject: s, user: c.user}
	if details != nil && details.State() != nil {
		t.state = details.State()
	}
	root := t.clause(c.ast.NativeRep().Expr())
	if value == nil { // cancelled half way
		root.Value, root.Why = ValueCannotTell, fmt.Sprint(err)
	}
	root.decide()
	return root
}

// tracer turns an evaluated syntax tree into clauses.
type tracer struct {
	tree    *celast.AST
	state   interpreter.EvalState
	subject *subject
	user    *record
}

func (t *tracer) clause(e celast.Expr) *Clause {
	c := &Clause{}
	c.Text, _ = cel.ExprToString(e, t.tree.SourceInfo())
	c.Value, c.Why = t.value(e)
	if parts, operator := logical(e); operator != "" {
		c.Operator = operator
		for _, part := range parts {
			c.Clauses = append(c.Clauses, t.clause(part))
		}
		return c
	}
	c.Reads = t.reads(e)
	return c
}

func (t *tracer) value(e celast.Expr) (value, why string) {
	if t.state == nil {
		return ValueCannotTell, "not evaluated"
	}
	v, ok := t.state.Value(e.ID())
	if !ok && e.Kind() == celast.LiteralKind {
		v, ok = e.AsLiteral(), true
	}
	return describe(v, ok)
}

func describe(v ref.Val, ok bool) (value, why string) {
	switch v := v.(type) {
	case types.Bool:
		if v {
			return ValueTrue, ""
		}
		return ValueFalse, ""
	case *types.Err:
		return ValueCannotTell, v.String()
	}
	if !ok {
		return ValueCannotTell, "not evaluated"
	}
	return ValueCannotTell, "is neither true nor false"
}

// logical splits an expression at its outermost operator of one kind:
// a && b && c has three parts.
func logical(e celast.Expr) (parts []celast.Expr, operator string) {
	if e.Kind() != celast.CallKind {
		return nil, ""
	}
	function := e.AsCall().FunctionName()
	switch function {
	case operators.LogicalAnd:
		return flatten(e, function), "and"
	case operators.LogicalOr:
		return flatten(e, function), "or"
	case operators.LogicalNot:
		return e.AsCall().Args(), "not"
	}
	return nil, ""
}

func flatten(e celast.Expr, function string) []celast.Expr {
	if e.Kind() != celast.CallKind || e.AsCall().FunctionName() != function {
		return []celast.Expr{e}
	}
	var parts []celast.Expr
	for _, a := range e.AsCall().Args() {
		parts = append(parts, flatten(a, function)...)
	}
	return parts
}

// reads returns what the leaf e looked at.
func (t *tracer) reads(e celast.Expr) []Read {
	w := walker{tree: t.tree}
	w.visit(e)
	var out []Read
	for _, name := range unique(w.names) {
		r := Read{Path: "group " + name}
		if g, in := t.subject.groups.named(name); in {
			r.Found, r.Value = true, "member ("+g.ID+")"
		}
		out = append(out, r)
	}
	for _, id := range unique(w.ids) {
		in := slices.ContainsFunc(t.subject.groups.groups, func(g Group) bool { return g.ID == id })
		out = append(out, Read{Path: "group with id " + id, Found: in, Value: map[bool]string{true: "member"}[in]})
	}
	if w.anyGroup {
		names := t.subject.groups.names()
		out = append(out, Read{Path: "groups", Found: len(names) > 0, Value: clip(strings.Join(names, ", "))})
	}
	for _, a := range t.user.attributes(unique(w.attributes)) {
		value, found := a.text(t.subject.user)
		out = append(out, Read{Path: a.path, Value: value, Found: found})
	}
	if w.today {
		out = append(out, Read{Path: "today", Value: t.subject.day(), Found: true})
	}
	return out
}

// decide marks the clauses that made the result: of a true `and` all parts, of
// a false one those that are false; of an `or` the other way round.
func (c *Clause) decide() {
	c.Decisive = true
	for _, part := range c.Clauses {
		if c.Operator == "not" || part.Value == c.Value {
			part.decide()
		}
	}
}
