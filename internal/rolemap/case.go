package rolemap

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// testEntry reads an entry of tests.
func (p *parser) testEntry(n *yaml.Node, i int) Test {
	t := Test{at: at(n)}
	p.rule = fmt.Sprintf("tests:%d", i+1)
	defer func() { p.rule = "" }()
	expects := false
	ok := p.mapping(n, []field{
		{"name", func(n *yaml.Node) { t.Name = p.text(n, maxText); p.rule = "test " + t.Name }},
		{"user", func(n *yaml.Node) { t.User = p.tree(n) }},
		{"groups", func(n *yaml.Node) { t.Groups = list(p, n, maxGroups, p.testGroup) }},
		{"today", func(n *yaml.Node) { t.Today = p.date(n) }},
		{"expect", func(n *yaml.Node) { expects = true; t.Expect = p.texts(n, maxList) }},
	})
	switch {
	case !ok:
	case t.Name == "":
		p.errorf(n, "name is missing: what does the test show?")
	case !expects:
		p.errorf(n, "expect is missing; nobody's roles are written []")
	}
	slices.Sort(t.Expect)
	return t
}

// testGroup reads a display name, or a mapping where the rules name the group
// by another key.
func (p *parser) testGroup(n *yaml.Node, _ int) Group {
	var g Group
	if n.Kind == yaml.ScalarNode {
		g.DisplayName = p.text(n, maxText)
		return g
	}
	p.mapping(n, []field{
		{"name", func(n *yaml.Node) { g.DisplayName = p.text(n, maxText) }},
		{"externalId", func(n *yaml.Node) { g.ExternalID = p.text(n, maxText) }},
		{"id", func(n *yaml.Node) { g.ID = p.text(n, maxText) }},
	})
	return g
}

func (p *parser) date(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		if _, err := time.Parse(time.DateOnly, n.Value); err == nil {
			return n.Value
		}
	}
	p.errorf(n, "today is a date such as 2026-11-30")
	return ""
}

// tree reads the attributes of a test's person. Their names and types are
// checked when the set is compiled.
func (p *parser) tree(n *yaml.Node) map[string]any {
	if n.Kind != yaml.MappingNode {
		p.errorf(n, "must be a mapping of attributes")
		return nil
	}
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, dup := out[key.Value]; dup || key.Kind != yaml.ScalarNode {
			p.errorf(key, "attribute %q is given twice or has no plain name", clip(key.Value))
			continue
		}
		out[key.Value] = p.value(n.Content[i+1])
	}
	return out
}

func (p *parser) value(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		return p.tree(n)
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			out[i] = p.value(c)
		}
		return out
	}
	return p.scalar(n)
}

func (p *parser) scalar(n *yaml.Node) any {
	var out any
	switch n.Tag {
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			p.errorf(n, "must be true or false")
		}
		out = b
	case "!!int":
		var i int64
		if err := n.Decode(&i); err != nil {
			p.errorf(n, "must be a whole number of at most 64 bits")
		}
		out = i
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil {
			p.errorf(n, "must be a number")
		}
		out = f
	case "!!str", "!!timestamp":
		out = n.Value
	default:
		p.errorf(n, "must be text, a number, true or false; leave out what is absent")
	}
	return out
}
