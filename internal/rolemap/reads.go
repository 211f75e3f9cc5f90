package rolemap

import (
	"slices"
	"strings"

	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// reads is what an expression depends on. It errs on the side of too much.
type reads struct {
	attributes  []string // paths below user: "enterprise.department"; "" is all of them
	names       []string // group names tested with `in groups`
	ids         []string // group ids tested in user.groups.exists(...)
	anyGroup    bool     // any group may matter
	byName      bool     // depends on display names of groups
	today       bool
	loops       bool    // has a comprehension
	hidden      []int64 // macro variables that hide a variable of ours, by expression id
	exactGroups []exact // groups.exists(g, g == "X")
}

// exact is a group name compared letter by letter at an expression id.
type exact struct {
	id   int64
	name string
}

// readsOf walks a checked syntax tree. The tree's depth is bounded by the parser.
func readsOf(tree *celast.AST) reads {
	w := walker{tree: tree}
	w.visit(tree.Expr())
	w.attributes = unique(w.attributes)
	w.names = unique(w.names)
	w.ids = unique(w.ids)
	return w.reads
}

func unique(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

// add merges what another expression of the same rule reads.
func (r reads) add(o reads) reads {
	return reads{
		attributes: unique(slices.Concat(r.attributes, o.attributes)),
		names:      unique(slices.Concat(r.names, o.names)),
		ids:        unique(slices.Concat(r.ids, o.ids)),
		anyGroup:   r.anyGroup || o.anyGroup,
		byName:     r.byName || o.byName,
		today:      r.today || o.today,
	}
}

type walker struct {
	tree *celast.AST
	reads
}

func (w *walker) visit(e celast.Expr) {
	if path, ok := userPath(e); ok {
		w.attribute(path)
		return
	}
	switch e.Kind() {
	case celast.IdentKind:
		w.variable(e.AsIdent())
	case celast.SelectKind:
		w.selected(e.AsSelect().Operand(), e.AsSelect().FieldName())
	case celast.CallKind:
		w.call(e)
	case celast.ListKind:
		for _, el := range e.AsList().Elements() {
			w.visit(el)
		}
	case celast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.visit(entry.AsMapEntry().Key())
			w.visit(entry.AsMapEntry().Value())
		}
	case celast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			w.visit(f.AsStructField().Value())
		}
	case celast.ComprehensionKind:
		w.comprehension(e)
	}
}

func (w *walker) variable(name string) {
	switch name {
	case "groups":
		w.anyGroup, w.byName = true, true
	case "today":
		w.today = true
	}
}

func (w *walker) attribute(path []string) {
	if len(path) == 0 || path[0] == "groups" {
		w.anyGroup = true
	}
	if len(path) == 0 {
		w.byName = true
	}
	if len(path) == 0 || path[0] != "groups" {
		w.attributes = append(w.attributes, strings.Join(path, "."))
	}
}

// selected visits a field selected from something else than a path of user.
func (w *walker) selected(operand celast.Expr, field string) {
	if field == "displayName" && w.isGroup(operand) {
		w.byName = true
	}
	w.visit(operand)
}

// isGroup reports whether e is an element of user.groups, optional or not.
func (w *walker) isGroup(e celast.Expr) bool {
	t := w.tree.GetType(e.ID())
	if t.Kind() == types.OpaqueKind && len(t.Parameters()) == 1 {
		t = t.Parameters()[0]
	}
	return t.TypeName() == groupTypeName
}

func (w *walker) call(e celast.Expr) {
	call := e.AsCall()
	args := call.Args()
	if name, ok := namedGroup(e); ok {
		w.names, w.byName = append(w.names, name), true
		return
	}
	if call.FunctionName() == operators.OptSelect && len(args) == 2 {
		field, _ := literal(args[1])
		w.selected(args[0], field)
		return
	}
	if call.IsMemberFunction() {
		w.visit(call.Target())
	}
	for _, a := range args {
		w.visit(a)
	}
}

func (w *walker) comprehension(e celast.Expr) {
	c := e.AsComprehension()
	w.loops = true
	if variables[c.IterVar()] || variables[c.IterVar2()] || variables[c.AccuVar()] {
		w.hidden = append(w.hidden, e.ID())
	}
	path, ofUser := userPath(c.IterRange())
	ids := w.exists(e)
	switch {
	case ofUser && slices.Equal(path, []string{"groups"}) && len(ids) > 0:
		w.ids = append(w.ids, ids...)
	default:
		w.visit(c.IterRange())
	}
	w.visit(c.AccuInit())
	w.visit(c.LoopCondition())
	w.visit(c.LoopStep())
	w.visit(c.Result())
}

// exists looks at a comprehension that was written x.exists(g, …). It returns
// the group ids one of which an element must have, if the predicate says so.
func (w *walker) exists(e celast.Expr) []string {
	macro, ok := w.tree.SourceInfo().GetMacroCall(e.ID())
	if !ok || macro.AsCall().FunctionName() != operators.Exists || len(macro.AsCall().Args()) != 2 {
		return nil
	}
	element, predicate := macro.AsCall().Args()[0].AsIdent(), macro.AsCall().Args()[1]
	if name, ok := comparesElement(element, predicate); ok && isIdent(e.AsComprehension().IterRange(), "groups") {
		w.exactGroups = append(w.exactGroups, exact{e.ID(), name})
	}
	return requiredIDs(element, predicate)
}

// requiredIDs returns the literals to one of which element's id must be equal
// for predicate to be anything but false, or nil where others matter too. An
// externalId would not do: a group without one makes the predicate an error.
func requiredIDs(element string, predicate celast.Expr) []string {
	if predicate.Kind() != celast.CallKind || len(predicate.AsCall().Args()) != 2 {
		return nil
	}
	left, right := predicate.AsCall().Args()[0], predicate.AsCall().Args()[1]
	switch predicate.AsCall().FunctionName() {
	case operators.Equals:
		if isElementID(element, right) {
			left, right = right, left
		}
		if id, ok := literal(right); ok && isElementID(element, left) {
			return []string{id}
		}
	case operators.LogicalOr:
		l, r := requiredIDs(element, left), requiredIDs(element, right)
		if l != nil && r != nil {
			return append(l, r...)
		}
	case operators.LogicalAnd:
		if l := requiredIDs(element, left); l != nil {
			return l
		}
		return requiredIDs(element, right)
	}
	return nil
}

func isElementID(element string, e celast.Expr) bool {
	if e.Kind() != celast.SelectKind || e.AsSelect().IsTestOnly() || !isIdent(e.AsSelect().Operand(), element) {
		return false
	}
	return e.AsSelect().FieldName() == "id"
}

// comparesElement returns X of a predicate element == "X".
func comparesElement(element string, e celast.Expr) (string, bool) {
	if e.Kind() != celast.CallKind || e.AsCall().FunctionName() != operators.Equals {
		return "", false
	}
	left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
	if isIdent(right, element) {
		left, right = right, left
	}
	name, ok := literal(right)
	return name, ok && isIdent(left, element)
}

// userPath returns the attribute that e selects from user: user.name.?familyName
// is [name familyName], user itself the empty path.
func userPath(e celast.Expr) ([]string, bool) {
	switch e.Kind() {
	case celast.IdentKind:
		return nil, e.AsIdent() == "user"
	case celast.SelectKind:
		path, ok := userPath(e.AsSelect().Operand())
		return append(path, e.AsSelect().FieldName()), ok
	case celast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.OptSelect || len(call.Args()) != 2 {
			return nil, false
		}
		path, ok := userPath(call.Args()[0])
		field, isText := literal(call.Args()[1])
		return append(path, field), ok && isText
	}
	return nil, false
}

// namedGroup returns X of an expression "X" in groups.
func namedGroup(e celast.Expr) (string, bool) {
	if e.Kind() != celast.CallKind || e.AsCall().FunctionName() != operators.In {
		return "", false
	}
	args := e.AsCall().Args()
	if len(args) != 2 || !isIdent(args[1], "groups") {
		return "", false
	}
	return literal(args[0])
}

func isIdent(e celast.Expr, name string) bool {
	return e.Kind() == celast.IdentKind && e.AsIdent() == name
}

func literal(e celast.Expr) (string, bool) {
	if e.Kind() != celast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}
