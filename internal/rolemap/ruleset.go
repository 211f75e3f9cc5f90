package rolemap

// Limits of a rule set; a larger one is refused with an error that names the limit.
const (
	maxSource     = 256 << 10 // bytes
	maxRules      = 200
	maxGroupRoles = 1000
	maxTests      = 500
	maxList       = 50  // roles of a grant, connections, roles a test expects
	maxGroups     = 200 // groups of a test
	maxText       = 256 // code points of a title, a group name, a test's name
	maxID         = 64  // characters of a rule id or role
	maxIssues     = 100 // that Parse reports
)

// RuleSet is a parsed rule set: what a tenant admin wrote, with its places in
// the source. It is well formed, but its roles and expressions are unchecked.
type RuleSet struct {
	Connections []string // names of the connections whose groups count; empty: the tenant's first
	GroupRoles  []GroupRole
	Rules       []Rule
	Tests       []Test

	connectionsAt position
}

// GroupRole grants roles to the members of one group, named by exactly one key.
type GroupRole struct {
	Name, ExternalID, ID string
	Grant                []Grant

	at position
}

// Grant is one role that a rule or a groupRoles entry grants.
type Grant struct {
	Role string

	at position
}

// Rule grants its roles to everybody for whom when holds and unless does not.
type Rule struct {
	ID       string
	Title    string
	Everyone bool // every active person; then When is empty
	Observe  bool // evaluated and reported, grants nothing
	When     Expression
	Unless   Expression
	Grant    []Grant

	at position
}

// Expression is a CEL expression and its place in the YAML source. The zero
// Expression is none.
type Expression struct {
	Source string

	line   int // of the expression's first line
	indent int // columns before it
}

func (e Expression) isZero() bool { return e.Source == "" }

// at maps a place in the expression (line 1-based, column 0-based code points,
// as cel-go counts) to the YAML source.
func (e Expression) at(line, column int) position {
	if line < 1 {
		line, column = 1, 0
	}
	return position{Line: e.line + line - 1, Column: e.indent + column + 1}
}

// Test is one of the set's own tests: a person and the roles that must follow.
type Test struct {
	Name   string
	User   map[string]any // in the words of expressions: enterprise and custom are maps; values are scalars, lists, maps
	Groups []Group        // of the set's first connection; Connection is empty
	Today  string         // "2006-01-02"; needed when a rule reads today
	Expect []string       // roles, sorted

	at position
}
