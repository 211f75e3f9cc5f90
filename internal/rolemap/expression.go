package rolemap

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/scim"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// clause compiles one expression, or reports why not and returns nil.
func (c *compiler) clause(p *Program, r Rule, e Expression) *clause {
	x := &expression{compiler: c, rule: r.ID, source: e}
	ast := x.check()
	if ast == nil || !x.restrict(ast) || !x.affordable(ast) || !x.varies(ast) {
		return nil
	}
	program, err := c.env.Program(ast, programOptions()...)
	if err != nil {
		x.errorf(1, 0, "%v", err)
		return nil
	}
	out := &clause{ast: ast, env: c.env, user: c.user, program: program, reads: readsOf(ast.NativeRep())}
	out.attributes = c.user.attributes(out.reads.attributes)
	if !x.groups(p, out.reads, ast) {
		return nil
	}
	return out
}

// expression is one expression being compiled.
type expression struct {
	*compiler
	rule   string
	source Expression
}

func (x *expression) errorf(line, column int, format string, args ...any) {
	x.compiler.errorf(x.source.at(line, column), x.rule, format, args...)
}

func (x *expression) errorAt(ast *cel.Ast, id int64, format string, args ...any) {
	loc := ast.NativeRep().SourceInfo().GetStartLocation(id)
	x.errorf(loc.Line(), loc.Column(), format, args...)
}

// check parses and type-checks the expression.
func (x *expression) check() *cel.Ast {
	parsed, issues := x.env.Parse(x.source.Source)
	if issues.Err() != nil {
		x.celIssues(nil, issues)
		return nil
	}
	checked, issues := x.env.Check(parsed)
	if issues.Err() != nil {
		x.celIssues(parsed, issues)
		return nil
	}
	if checked.OutputType() != cel.BoolType {
		x.errorf(1, 0, "must be true or false, but is %s", cel.FormatCELType(checked.OutputType()))
		return nil
	}
	return checked
}

// celIssues passes on the first few errors of cel-go, in words of ours.
func (x *expression) celIssues(parsed *cel.Ast, issues *cel.Issues) {
	const most = 5
	errs := issues.Errors()
	for _, e := range errs[:min(most, len(errs))] {
		message, suggestion := x.explain(parsed, e)
		issue := x.source.at(e.Location.Line(), max(0, e.Location.Column())).issue(SeverityError, x.rule, "%s", message)
		issue.Suggestion = suggestion
		x.add(issue)
	}
}

var (
	undefinedField = regexp.MustCompile(`^undefined field '(.*)'$`)
	noOverload     = regexp.MustCompile(`^found no matching overload for '_([=!<>]=?)_' applied to '\((.*), (.*)\)'$`)
)

func (x *expression) explain(parsed *cel.Ast, e *common.Error) (message, suggestion string) {
	if m := undefinedField.FindStringSubmatch(e.Message); m != nil {
		message = fmt.Sprintf("there is no attribute %q here", m[1])
		switch custom := x.user.nested["custom"]; {
		case m[1] == "custom" && custom == nil:
			return message + ": the tenant has declared no extension of User (muster schema declare --extends User)", ""
		case custom != nil && slices.Contains(custom.shared, m[1]):
			return message + ": several of the tenant's extensions define it", ""
		}
		return message, x.field(parsed, e.ExprID, m[1])
	}
	if m := noOverload.FindStringSubmatch(e.Message); m != nil {
		return fmt.Sprintf("%s cannot be compared with %s", m[2], m[3]), ""
	}
	message = strings.TrimPrefix(e.Message, "Syntax error: ")
	message, _, _ = strings.Cut(message, " expecting {")
	message = strings.ReplaceAll(message, "mismatched input '<EOF>'", "unexpected end of the expression")
	return strings.ReplaceAll(message, " (in container '')", ""), ""
}

// field suggests what an undefined field was meant to be: the nearest
// attribute of the same value, or the same attribute of an extension.
func (x *expression) field(parsed *cel.Ast, id int64, name string) string {
	var operand celast.Expr
	celast.PostOrderVisit(parsed.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		switch {
		case e.ID() != id:
		case e.Kind() == celast.SelectKind:
			operand = e.AsSelect().Operand()
		case e.Kind() == celast.CallKind && len(e.AsCall().Args()) == 2:
			operand = e.AsCall().Args()[0]
		}
	}))
	if operand == nil {
		return ""
	}
	path, ofUser := userPath(operand)
	at := x.user
	for _, step := range path {
		if at = at.nested[step]; at == nil {
			return ""
		}
	}
	if !ofUser {
		return nearest(name, x.user.everyField())
	}
	if found := at.nearest(name); found != "" {
		return found
	}
	return ""
}

// nearest suggests a field of r, or of a record directly in it.
func (r *record) nearest(name string) string {
	for _, container := range []string{"enterprise", "custom"} {
		if c := r.nested[container]; c != nil && r.name == userTypeName {
			if f := nearest(name, c.FieldNames()); strings.EqualFold(f, name) {
				return container + "." + f
			}
		}
	}
	if f := nearest(name, r.FieldNames()); f != "" {
		return f
	}
	for _, container := range slices.Sorted(maps.Keys(r.nested)) {
		if f := nearest(name, r.nested[container].FieldNames()); f != "" {
			return container + "." + f
		}
	}
	return ""
}

func (r *record) everyField() []string {
	names := r.FieldNames()
	for _, sub := range r.nested {
		names = append(names, sub.everyField()...)
	}
	return names
}

// restrict refuses what type-checks but has no place in a rule.
func (x *expression) restrict(ast *cel.Ast) bool {
	before := len(x.issues)
	tree := ast.NativeRep()
	celast.PreOrderVisit(tree.Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() {
		case celast.StructKind:
			x.errorAt(ast, e.ID(), "an expression cannot make a %s", e.AsStruct().TypeName())
		case celast.CallKind:
			x.restrictCall(ast, e)
		}
	}))
	return len(x.issues) == before
}

func (x *expression) restrictCall(ast *cel.Ast, e celast.Expr) {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	switch {
	case !functions[name]:
		x.errorAt(ast, e.ID(), "the function %s is not offered", name)
	case name == "matches" && len(args) > 0:
		if _, ok := literal(args[len(args)-1]); !ok {
			x.errorAt(ast, e.ID(), "the pattern of matches must be written as a literal")
		}
	case name == operators.Equals || name == operators.NotEquals || name == operators.In:
		for _, a := range args {
			if holdsRecord(ast.NativeRep().GetType(a.ID())) {
				x.errorAt(ast, e.ID(), "whole complex values cannot be compared; compare their sub-attributes")
				return
			}
		}
	}
}

func holdsRecord(t *types.Type) bool {
	return t.Kind() == types.StructKind || slices.ContainsFunc(t.Parameters(), holdsRecord)
}

// affordable refuses an expression that could cost too much for some person.
func (x *expression) affordable(ast *cel.Ast) bool {
	estimate, err := x.env.EstimateCost(ast, sizeHints{})
	if err != nil {
		x.errorf(1, 0, "its cost cannot be estimated: %v", err)
		return false
	}
	if estimate.Max > ruleCost {
		x.errorf(1, 0, "may cost %s to evaluate for a person in %d groups; at most %d",
			amount(estimate.Max), sizeGroups, ruleCost)
		return false
	}
	x.cost += estimate.Max
	return true
}

// varies refuses an expression that is the same for everybody: it is evaluated
// with everything about the person unknown but that the person is active, as
// everyone is for whom rules are evaluated.
func (x *expression) varies(ast *cel.Ast) bool {
	vars, err := cel.PartialVars(map[string]any{"user": map[string]any{"active": true}}, x.unknowns()...)
	if err != nil {
		x.errorf(1, 0, "%v", err)
		return false
	}
	program, err := x.env.Program(ast, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(runCost))
	if err != nil {
		x.errorf(1, 0, "%v", err)
		return false
	}
	value, _, err := program.Eval(vars)
	switch {
	case err != nil:
		x.errorf(1, 0, "fails for everybody: %v", err)
	case value == types.True:
		x.errorf(1, 0, "is true for everybody; a rule for everyone is written everyone: true")
	case value == types.False:
		x.errorf(1, 0, "is false for everybody")
	default:
		return true
	}
	return false
}

func (x *expression) unknowns() []*cel.AttributePatternType {
	patterns := []*cel.AttributePatternType{
		cel.AttributePattern("groups"), cel.AttributePattern("tenant"), cel.AttributePattern("today"),
	}
	for _, name := range x.user.FieldNames() {
		if name != "active" {
			patterns = append(patterns, cel.AttributePattern("user").QualString(name))
		}
	}
	return patterns
}

// groups checks the groups that an expression names and the variables it hides.
func (x *expression) groups(p *Program, r reads, ast *cel.Ast) bool {
	before := len(x.issues)
	for _, id := range r.hidden {
		x.errorAt(ast, id, "a macro's variable cannot be called user, groups, tenant or today")
	}
	for _, name := range r.names {
		key, err := scim.Key(name)
		if err != nil {
			x.errorf(1, 0, "the group name %q %s", clip(name), detail(err))
			continue
		}
		p.keys[name] = key
	}
	if len(x.issues) > before {
		return false
	}
	x.groupWarnings(r, ast)
	return true
}

// detail is what is wrong with a name, without the words of the SCIM protocol.
func detail(err error) string {
	var e *scim.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return err.Error()
}

func (x *expression) groupWarnings(r reads, ast *cel.Ast) {
	celast.PostOrderVisit(ast.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if name, ok := namedGroup(e); ok {
			loc := ast.NativeRep().SourceInfo().GetStartLocation(e.AsCall().Args()[0].ID())
			x.knownGroup(x.source.at(loc.Line(), loc.Column()), x.rule, name)
		}
	}))
	for _, c := range r.exactGroups {
		loc := ast.NativeRep().SourceInfo().GetStartLocation(c.id)
		issue := x.source.at(loc.Line(), loc.Column()).issue(SeverityWarning, x.rule,
			"compares group names letter by letter, and each of them")
		issue.Suggestion = fmt.Sprintf("%q in groups", c.name)
		x.add(issue)
	}
}
