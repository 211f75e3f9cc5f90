package rolemap

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// field is a key that a mapping may have, and what reads its value.
type field struct {
	key  string
	read func(*yaml.Node)
}

// mapping reads a mapping with the given keys and no others. It returns false
// when n is none, or a key is unknown, given twice, or has no value.
func (p *parser) mapping(n *yaml.Node, fields []field) bool {
	if n.Kind != yaml.MappingNode {
		p.errorf(n, "must be a mapping with %s", names(fields))
		return false
	}
	ok, seen := true, map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := p.reader(key, fields)
		switch {
		case read == nil:
			ok = false
		case seen[key.Value]:
			p.errorf(key, "%s is given twice", key.Value)
			ok = false
		case value.Tag == "!!null":
			p.errorf(key, "%s has no value; give one or leave the key out", key.Value)
			ok = false
		default:
			read(value)
		}
		seen[key.Value] = true
	}
	return ok
}

func (p *parser) reader(key *yaml.Node, fields []field) func(*yaml.Node) {
	known := make([]string, len(fields))
	for i, f := range fields {
		if key.Kind == yaml.ScalarNode && f.key == key.Value {
			return f.read
		}
		known[i] = f.key
	}
	p.errorf(key, "unknown key %q; possible are %s", clip(key.Value), names(fields))
	p.issues[len(p.issues)-1].Suggestion = nearest(key.Value, known)
	return nil
}

func names(fields []field) string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return strings.Join(keys, ", ")
}

// list reads a sequence of at most limit elements, none of them empty.
func list[T any](p *parser, n *yaml.Node, limit int, read func(*yaml.Node, int) T) []T {
	if n.Kind != yaml.SequenceNode {
		p.errorf(n, "must be a list")
		return nil
	}
	if len(n.Content) > limit {
		p.errorf(n, "at most %d entries", limit)
		return nil
	}
	out := make([]T, len(n.Content))
	for i, c := range n.Content {
		out[i] = read(c, i)
	}
	return out
}

// text reads a string that is not empty. "" means that an issue was reported.
func (p *parser) text(n *yaml.Node, longest int) string {
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		p.errorf(n, "must be text; put it in quotes if it looks like a number, a date or true")
	case n.Value == "":
		p.errorf(n, "must not be empty")
	case utf8.RuneCountInString(n.Value) > longest:
		p.errorf(n, "at most %d characters", longest)
	default:
		return n.Value
	}
	return ""
}

func (p *parser) texts(n *yaml.Node, limit int) []string {
	return list(p, n, limit, func(n *yaml.Node, _ int) string { return p.text(n, maxText) })
}

// clip shortens an author's text for an issue.
func clip(s string) string {
	const longest = 100
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
