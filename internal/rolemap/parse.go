package rolemap

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	ruleID   = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	roleName = regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-z][a-z0-9_-]*$`)
)

// Parse reads a rule set: YAML with strict keys, no anchors, aliases or tags,
// at most 256 KiB. The issues say by line and column what is wrong; if any is
// an error there is no RuleSet, so that no half-read rule can ever grant. Parse
// reports errors only, the first 100 of them.
func Parse(src []byte) (*RuleSet, []Issue) {
	p := &parser{}
	rs := p.document(src)
	sortIssues(p.issues)
	if HasErrors(p.issues) {
		return nil, p.issues[:min(maxIssues, len(p.issues))]
	}
	return rs, nil
}

// parser reads one YAML document and collects what is wrong with it.
type parser struct {
	lines  []string
	rule   string // what is being read, for issues
	issues []Issue
}

func (p *parser) errorf(n *yaml.Node, format string, args ...any) {
	p.issues = append(p.issues, at(n).issue(SeverityError, p.rule, format, args...))
}

func at(n *yaml.Node) position { return position{Line: n.Line, Column: n.Column} }

func (p *parser) document(src []byte) *RuleSet {
	root := p.root(src)
	if root == nil {
		return nil
	}
	rs := &RuleSet{connectionsAt: at(root)}
	var seen bool
	p.mapping(root, []field{
		{"version", func(n *yaml.Node) { seen = true; p.version(n) }},
		{"connections", func(n *yaml.Node) {
			rs.connectionsAt = at(n)
			rs.Connections = p.texts(n, maxList)
		}},
		{"groupRoles", func(n *yaml.Node) { rs.GroupRoles = list(p, n, maxGroupRoles, p.groupRole) }},
		{"rules", func(n *yaml.Node) { rs.Rules = list(p, n, maxRules, p.ruleEntry) }},
		{"tests", func(n *yaml.Node) { rs.Tests = list(p, n, maxTests, p.testEntry) }},
	})
	if !seen {
		p.errorf(root, "version is missing; write version: 1")
	}
	p.uniqueIDs(rs)
	return rs
}

// root decodes the one document of src into nodes and refuses what only makes
// YAML surprising.
func (p *parser) root(src []byte) *yaml.Node {
	if len(src) > maxSource {
		p.issues = append(p.issues, Issue{Severity: SeverityError, Message: fmt.Sprintf("a rule set is at most %d KiB", maxSource>>10)})
		return nil
	}
	p.lines = strings.Split(string(src), "\n")
	dec := yaml.NewDecoder(strings.NewReader(string(src)))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		p.syntax(err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		p.errorf(&doc, "a rule set is one YAML document")
		return nil
	}
	if !p.plain(&doc) {
		return nil
	}
	return doc.Content[0]
}

// syntax reports an error of the YAML reader, whose line is in its text.
func (p *parser) syntax(err error) {
	if errors.Is(err, io.EOF) {
		err = errors.New("the rule set is empty")
	}
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	issue := Issue{Severity: SeverityError, Message: message}
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		number, what, _ := strings.Cut(rest, ": ")
		if line, err := strconv.Atoi(number); err == nil {
			issue.Line, issue.Column, issue.Message = line, 1, what
		}
	}
	p.issues = append(p.issues, issue)
}

// plain refuses anchors, aliases and explicit tags anywhere below n.
func (p *parser) plain(n *yaml.Node) bool {
	const deepest = 32
	return p.plainWithin(n, deepest)
}

func (p *parser) plainWithin(n *yaml.Node, depth int) bool {
	switch {
	case depth == 0:
		p.errorf(n, "nested too deeply")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.errorf(n, "anchors and aliases are not used in a rule set")
	case n.Style&yaml.TaggedStyle != 0:
		p.errorf(n, "tags are not used in a rule set")
	default:
		return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !p.plainWithin(c, depth-1) })
	}
	return false
}

func (p *parser) version(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode || n.Value != "1" {
		p.errorf(n, "this version of rule sets is unknown; write version: 1")
	}
}

func (p *parser) uniqueIDs(rs *RuleSet) {
	first := map[string]int{}
	for _, r := range rs.Rules {
		if line, dup := first[r.ID]; dup && r.ID != "" {
			p.issues = append(p.issues, r.at.issue(SeverityError, r.ID, "the id is taken by the rule in line %d", line))
			continue
		}
		first[r.ID] = r.at.Line
	}
}

// groupRole reads an entry of groupRoles.
func (p *parser) groupRole(n *yaml.Node, i int) GroupRole {
	g := GroupRole{at: at(n)}
	p.rule = fmt.Sprintf("groupRoles:%d", i+1)
	defer func() { p.rule = "" }()
	keys := 0
	key := func(dst *string) func(*yaml.Node) {
		return func(n *yaml.Node) { keys++; *dst = p.text(n, maxText) }
	}
	ok := p.mapping(n, []field{
		{"name", key(&g.Name)},
		{"externalId", key(&g.ExternalID)},
		{"id", key(&g.ID)},
		{"grant", func(n *yaml.Node) { g.Grant = p.grants(n) }},
	})
	switch {
	case !ok:
	case keys != 1:
		p.errorf(n, "name the group by exactly one of name, externalId and id")
	case len(g.Grant) == 0:
		p.errorf(n, "grant is missing: which roles do its members get?")
	}
	return g
}

// ruleEntry reads an entry of rules.
func (p *parser) ruleEntry(n *yaml.Node, i int) Rule {
	r := Rule{at: at(n)}
	p.rule = fmt.Sprintf("rules:%d", i+1)
	defer func() { p.rule = "" }()
	ok := p.mapping(n, []field{
		{"id", func(n *yaml.Node) { r.ID = p.id(n) }},
		{"title", func(n *yaml.Node) { r.Title = p.text(n, maxText) }},
		{"everyone", func(n *yaml.Node) { r.Everyone = p.everyone(n) }},
		{"mode", func(n *yaml.Node) { r.Observe = p.observes(n) }},
		{"when", func(n *yaml.Node) { r.When = p.expression(n, "when") }},
		{"unless", func(n *yaml.Node) { r.Unless = p.expression(n, "unless") }},
		{"grant", func(n *yaml.Node) { r.Grant = p.grants(n) }},
	})
	if !ok {
		return r
	}
	if r.ID == "" {
		p.errorf(n, "id is missing: a kebab-case name that never changes")
	}
	if r.Everyone == !r.When.isZero() && !HasErrors(p.issues) {
		p.errorf(n, "a rule has either when or everyone: true")
	}
	if len(r.Grant) == 0 {
		p.errorf(n, "grant is missing: which roles does the rule give?")
	}
	return r
}

func (p *parser) id(n *yaml.Node) string {
	id := p.text(n, maxID)
	if id != "" && !ruleID.MatchString(id) {
		p.errorf(n, "an id is kebab-case: small letters, digits and single hyphens, such as finance-approvers")
		return id
	}
	p.rule = id
	return id
}

func (p *parser) everyone(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.Value != "true" || n.Tag != "!!bool" {
		p.errorf(n, "everyone is true or left out")
	}
	return true
}

func (p *parser) observes(n *yaml.Node) bool {
	mode := p.text(n, maxText)
	if mode != "enforce" && mode != "observe" {
		p.errorf(n, "mode is enforce or observe")
	}
	return mode == "observe"
}

// expression reads a `|` block. Other styles are refused: a plain scalar that
// starts with a quote or holds # is invalid or cut short.
func (p *parser) expression(n *yaml.Node, key string) Expression {
	if n.Kind != yaml.ScalarNode || n.Style != yaml.LiteralStyle {
		p.errorf(n, "%s is written as a block: `%s: |`, and the expression indented on the next line", key, key)
		return Expression{}
	}
	if strings.TrimSpace(n.Value) == "" {
		p.errorf(n, "%s is empty", key)
		return Expression{}
	}
	e := Expression{Source: strings.TrimRight(n.Value, "\n"), line: n.Line + 1}
	for i, line := range strings.Split(e.Source, "\n") {
		if strings.TrimSpace(line) != "" {
			e.indent = p.indent(n.Line+1+i, line)
			break
		}
	}
	return e
}

// indent is what YAML took away before content on a line of the source.
func (p *parser) indent(line int, content string) int {
	if line < 1 || line > len(p.lines) {
		return 0
	}
	return max(0, strings.Index(p.lines[line-1], content))
}

func (p *parser) grants(n *yaml.Node) []Grant {
	seen := map[string]bool{}
	return list(p, n, maxList, func(n *yaml.Node, _ int) Grant {
		role := p.text(n, maxID)
		switch {
		case role == "":
		case !roleName.MatchString(role):
			p.errorf(n, "a role is written application.role, such as timesheet.viewer")
		case seen[role]:
			p.errorf(n, "role %s is granted twice", role)
		}
		seen[role] = true
		return Grant{Role: role, at: at(n)}
	})
}
