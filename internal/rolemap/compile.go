package rolemap

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/muster-id/muster/internal/scim"

	"cel.dev/cel-go/cel"
)

// Catalogue is what the vendor and the tenant's directory say about roles,
// connections and groups.
type Catalogue struct {
	Allowed         map[string]bool        // roles that this tenant may grant
	Privileged      map[string]bool        // roles whose rules must name groups by id
	ConnectionNames []string               // the tenant's connections, the first one first
	Tenant          string                 // slug
	KnownGroups     func(name string) bool // does a group of that name exist? nil: unknown, no warnings
	GroupNames      []string               // for suggestions; may be empty
}

// Program is a compiled rule set. It never changes and is safe for concurrent use.
type Program struct {
	connections []string
	tenant      string
	allowed     map[string]bool
	rules       []rule
	byName      map[string][]int // key of the display name → indices of groupRoles
	byExternal  map[string][]int
	byID        map[string][]int
	groupRoles  []GroupRole
	keys        map[string]string // keys of the group names that expressions mention
	reads       reads             // of all rules
	tests       []Test
	user        *record
	schema      *scim.ResourceType
}

// rule is a compiled rule. A broken one grants nothing.
type rule struct {
	Rule
	when, unless *clause // nil: everyone, nobody
	broken       string  // why it did not compile
}

// clause is a compiled expression.
type clause struct {
	ast     *cel.Ast
	env     *cel.Env
	user    *record
	program cel.Program
	reads   reads

	attributes []attribute // that it reads, for facts
}

// Compile checks rs for a tenant: roles, types, cost, constants, groups. The
// order of the checks is that of the publish gate (design §4).
//
// A Program is returned even when there are errors, so that a set that was
// sound when it was published keeps working where it still is: rules with
// errors are broken and grant nothing. Callers publish only without errors.
// There is no Program when rs is nil.
func Compile(rs *RuleSet, rt *scim.ResourceType, cat Catalogue) (*Program, []Issue) {
	if rs == nil {
		return nil, nil
	}
	c := &compiler{cat: cat}
	var err error
	if c.env, c.user, err = newEnv(rt); err != nil {
		return nil, []Issue{{Severity: SeverityError, Message: err.Error()}}
	}
	p := &Program{
		tenant: cat.Tenant, allowed: maps.Clone(cat.Allowed), groupRoles: rs.GroupRoles, tests: rs.Tests,
		keys: map[string]string{}, user: c.user, schema: rt,
		byName: map[string][]int{}, byExternal: map[string][]int{}, byID: map[string][]int{},
	}
	p.connections = c.connections(rs)
	for i, g := range rs.GroupRoles {
		c.groupRole(p, i, g)
	}
	for _, r := range rs.Rules {
		p.rules = append(p.rules, c.rule(p, r))
	}
	c.totalCost()
	sortIssues(c.issues)
	return p, c.issues
}

// compiler collects the issues of one Compile.
type compiler struct {
	cat    Catalogue
	env    *cel.Env
	user   *record
	cost   uint64
	issues []Issue

	unknownGroups int
}

// maxSuggestions bounds how often a tenant's group names are searched for a
// similar one: there may be many, and a set may name a thousand unknown ones.
const maxSuggestions = 50

func (c *compiler) add(i Issue) { c.issues = append(c.issues, i) }

func (c *compiler) errorf(at position, rule, format string, args ...any) {
	c.add(at.issue(SeverityError, rule, format, args...))
}

func (c *compiler) connections(rs *RuleSet) []string {
	if len(rs.Connections) == 0 {
		if len(c.cat.ConnectionNames) == 0 {
			return []string{""} // matches no real group; the set's tests still run
		}
		return c.cat.ConnectionNames[:1:1]
	}
	for _, name := range rs.Connections {
		if len(c.cat.ConnectionNames) > 0 && !slices.Contains(c.cat.ConnectionNames, name) {
			c.errorf(rs.connectionsAt, "", "the tenant has no connection %q", clip(name))
			c.issues[len(c.issues)-1].Suggestion = nearest(name, c.cat.ConnectionNames)
		}
	}
	return slices.Clone(rs.Connections)
}

// roles checks what a rule grants and returns the privileged one among them.
func (c *compiler) roles(ruleName string, grant []Grant) (privileged string) {
	for _, g := range grant {
		if !c.cat.Allowed[g.Role] {
			suggestion, remedy := nearest(g.Role, slices.Collect(maps.Keys(c.cat.Allowed))), ""
			if suggestion == "" {
				remedy = "; muster app allow gives it an application's"
			}
			c.errorf(g.at, ruleName, "role %s is not in the catalogue of roles that this tenant may grant%s", g.Role, remedy)
			c.issues[len(c.issues)-1].Suggestion = suggestion
		}
		if c.cat.Privileged[g.Role] {
			privileged = g.Role
		}
	}
	return privileged
}

func (c *compiler) groupRole(p *Program, i int, g GroupRole) {
	name := fmt.Sprintf("groupRoles:%d", i+1)
	privileged := c.roles(name, g.Grant)
	switch {
	case g.ID != "":
		p.byID[g.ID] = append(p.byID[g.ID], i)
	case privileged != "":
		c.errorf(g.at, name, "role %s is privileged: name the group by id", privileged)
	case g.ExternalID != "":
		p.byExternal[g.ExternalID] = append(p.byExternal[g.ExternalID], i)
	default:
		c.groupRoleByName(p, i, g, name)
	}
}

func (c *compiler) groupRoleByName(p *Program, i int, g GroupRole, name string) {
	key, err := scim.Key(g.Name)
	if err != nil {
		c.errorf(g.at, name, "the group name %s", detail(err))
		return
	}
	p.byName[key] = append(p.byName[key], i)
	c.knownGroup(g.at, name, g.Name)
}

// knownGroup warns of a group that nobody pushed yet.
func (c *compiler) knownGroup(at position, rule, name string) {
	if c.cat.KnownGroups == nil || c.cat.KnownGroups(name) {
		return
	}
	issue := at.issue(SeverityWarning, rule, "no group is called %q yet", clip(name))
	if c.unknownGroups++; c.unknownGroups <= maxSuggestions {
		if like := nearest(name, c.cat.GroupNames); like != "" {
			issue.Suggestion = fmt.Sprintf("%q", like)
		}
	}
	c.add(issue)
}

// rule compiles r. Any error in it breaks the whole rule: a rule must not lose
// its unless and keep its when.
func (c *compiler) rule(p *Program, r Rule) rule {
	out := rule{Rule: r}
	privileged := c.roles(r.ID, r.Grant)
	before := len(c.issues)
	for _, part := range []struct {
		expression Expression
		into       **clause
	}{{r.When, &out.when}, {r.Unless, &out.unless}} {
		if part.expression.isZero() {
			continue
		}
		if *part.into = c.clause(p, r, part.expression); *part.into == nil {
			continue
		}
		p.reads = p.reads.add((*part.into).reads)
	}
	c.guard(out, privileged)
	for _, i := range c.issues[before:] {
		if i.Severity == SeverityError {
			out.broken = i.Message
			break
		}
	}
	return out
}

// guard applies the vendor's rule for privileged roles: display names are the
// directory's to choose, ids are not.
func (c *compiler) guard(r rule, privileged string) {
	if privileged == "" {
		return
	}
	for _, part := range []*clause{r.when, r.unless} {
		if part != nil && part.reads.byName {
			c.errorf(r.at, r.ID, "role %s is privileged: name groups by id", privileged)
			c.issues[len(c.issues)-1].Suggestion = `user.groups.exists(g, g.id == "…")`
		}
	}
	if r.Everyone {
		c.add(r.at.issue(SeverityWarning, r.ID, "gives the privileged role %s to everyone", privileged))
	}
}

// totalCost refuses a set that is dear as a whole: it is evaluated within the
// transaction of a change.
func (c *compiler) totalCost() {
	if c.cost > setCost {
		c.add(Issue{Severity: SeverityError, Message: fmt.Sprintf(
			"all rules together may cost %s to evaluate; at most %d", amount(c.cost), setCost)})
	}
}

func amount(cost uint64) string {
	if cost == math.MaxUint64 {
		return "any amount"
	}
	return fmt.Sprint(cost)
}

// Check parses src, compiles it and runs its own tests: the publish gate up to
// the preview. The Program is nil when src cannot be read.
func Check(ctx context.Context, src []byte, rt *scim.ResourceType, cat Catalogue) (*Program, []Issue) {
	rs, issues := Parse(src)
	p, more := Compile(rs, rt, cat)
	issues = append(issues, more...)
	if p == nil || HasErrors(issues) {
		return p, issues
	}
	return p, append(issues, p.RunTests(ctx)...)
}
