package rolemap

import (
	"fmt"

	"github.com/muster-id/muster/internal/scim"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// Bounds of one expression.
const (
	maxExpression = 4096 // code points
	maxDepth      = 50   // levels of nesting in the source
	maxNodes      = 1000 // of the syntax tree, macros expanded
	maxNesting    = 2    // comprehensions within one another
	maxRegex      = 1000 // instructions of a compiled pattern

	runCost    = 100_000   // actual cost of one evaluation
	ruleCost   = 500_000   // estimated cost of a rule's expression
	setCost    = 2_000_000 // estimated cost of all expressions of a set
	checkEvery = 100       // iterations between looks at the context
)

// Sizes that the estimate assumes of a person.
const (
	sizeGroups = 5000 // groups
	sizeName   = 64   // characters of a group's name
	sizeText   = 256  // characters of any other string
	sizeValues = 100  // values of a multi-valued attribute
)

// variables of the environment, which no macro variable may hide.
var variables = map[string]bool{"user": true, "groups": true, "tenant": true, "today": true}

// newEnv makes the typed environment for a tenant's schemas. Versions of
// libraries are pinned: an upgrade of cel-go must not change stored rules.
func newEnv(rt *scim.ResourceType) (*cel.Env, *record, error) {
	user, records := vocabulary(rt)
	options := []cel.EnvOption{
		cel.OptionalTypes(cel.OptionalTypesVersion(1)),
		ext.Strings(ext.StringsVersion(3)),
		cel.Variable("user", cel.ObjectType(userTypeName)),
		cel.Variable("groups", cel.ListType(cel.StringType)),
		cel.Variable("tenant", cel.StringType),
		cel.Variable("today", cel.TimestampType),
		cel.EnableMacroCallTracking(),
		cel.EnableIdentifierEscapeSyntax(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.CostModelVersion(1),
		cel.ExtendedValidations(),
		cel.ASTValidators(cel.ValidateComprehensionNestingLimit(maxNesting), cel.ValidateRegexProgramSizeLimit(maxRegex)),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
	}
	for _, r := range records {
		options = append(options, cel.Types(r))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, nil, fmt.Errorf("rolemap: make the environment: %w", err)
	}
	return env, user, nil
}

func programOptions() []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.EvalOptions(cel.OptOptimize),
		cel.InterruptCheckFrequency(checkEvery),
		cel.CostTracking(runCosts{}),
		cel.CostLimit(runCost),
	}
}

// runCosts prices what really costs something else than cel-go assumes.
type runCosts struct{}

// CallCost prices `in groups`, one look-up, at 1.
func (runCosts) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if function == "@in" && len(args) == 2 {
		if _, ok := args[1].(*membership); ok {
			one := uint64(1)
			return &one
		}
	}
	return nil
}

// sizeHints are the sizes by which a rule's cost is estimated.
type sizeHints struct{}

// EstimateSize returns the size assumed of a variable or attribute, and of what
// cel-go cannot derive a size for, such as the value of an optional.
func (sizeHints) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	size := assumedSize(node.Type(), node.Path())
	return &size
}

// assumedSize is the size of a value by its type; path says where it comes
// from, if that is known. An optional is one larger than what it holds.
func assumedSize(t *types.Type, path []string) cost.SizeEstimate {
	ofGroups := len(path) == 0 || path[0] == "groups" || len(path) > 1 && path[1] == "groups"
	var largest uint64 = 1
	switch t.Kind() {
	case types.OpaqueKind: // optional_type is the only one
		held := assumedSize(t.Parameters()[0], path)
		return cost.SizeEstimate{Min: 1, Max: cost.SafeAdd(1, held.Max), Elem: &held}
	case types.ListKind:
		element := assumedSize(t.Parameters()[0], path)
		if largest = sizeValues; ofGroups {
			largest = sizeGroups
		}
		return cost.SizeEstimate{Max: largest, Elem: &element}
	case types.StringKind:
		if largest = sizeText; len(path) > 0 && ofGroups {
			largest = sizeName
		}
	case types.MapKind, types.DynKind, types.TypeParamKind:
		return cost.UnknownSizeEstimate()
	}
	return cost.SizeEstimate{Max: largest}
}

// EstimateCallCost prices `in groups` as [runCosts] does.
func (sizeHints) EstimateCallCost(function, _ string, _ *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	if function != "@in" || len(args) != 2 {
		return nil
	}
	if path := args[1].Path(); len(path) != 1 || path[0] != "groups" {
		return nil
	}
	return &cost.CallEstimate{CostEstimate: cost.FixedCostEstimate(1)}
}
