package rolemap

import (
	"fmt"
	"strings"
)

// String prints the explanation as indented text. A decisive clause is marked *.
func (x Explanation) String() string {
	var b strings.Builder
	if x.NoneInForce == "" {
		fmt.Fprintf(&b, "%s (active), %s\nroles: %s\n", x.Person, x.Today, orNone(x.Roles))
	} else {
		fmt.Fprintf(&b, "%s (%s), %s\nno role is in force: the person is %[2]s\n", x.Person, x.NoneInForce, x.Today)
		b.WriteString("by the rules alone, were the person active:\n")
	}
	for _, f := range x.Faults {
		fmt.Fprintf(&b, "fault: %s\n", f)
	}
	for i := range x.Rules {
		x.Rules[i].print(&b)
	}
	return b.String()
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

func (r *RuleExplanation) print(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s: %s → %s\n", r.Rule, r.Outcome, orNone(r.Roles))
	if r.Title != "" {
		fmt.Fprintf(b, "  %s\n", r.Title)
	}
	if r.Detail != "" {
		fmt.Fprintf(b, "  %s\n", r.Detail)
	}
	for _, part := range []struct {
		name   string
		clause *Clause
	}{{"when", r.When}, {"unless", r.Unless}} {
		if part.clause != nil {
			fmt.Fprintf(b, "  %s\n", part.name)
			part.clause.print(b, 2)
		}
	}
	for _, fact := range r.Facts {
		fmt.Fprintf(b, "  because %s\n", fact)
	}
}

func (c *Clause) print(b *strings.Builder, depth int) {
	mark := " "
	if c.Decisive {
		mark = "*"
	}
	text := c.Text
	if c.Operator != "" {
		text = c.Operator
	}
	fmt.Fprintf(b, "%s%s %s: %s", strings.Repeat("  ", depth), mark, text, c.Value)
	if c.Operator == "" {
		b.WriteString(c.found())
	}
	b.WriteByte('\n')
	for _, part := range c.Clauses {
		part.print(b, depth+1)
	}
}

// found is what a leaf looked at, on the leaf's line.
func (c *Clause) found() string {
	var parts []string
	if c.Why != "" {
		parts = append(parts, c.Why)
	}
	for _, r := range c.Reads {
		switch {
		case r.Found:
			parts = append(parts, r.Path+" = "+r.Value)
		case c.Why == "":
			parts = append(parts, r.Path+" = none")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "  [" + strings.Join(parts, "; ") + "]"
}

// reason says in one line what decided the rule: the decisive leaves.
func (r *RuleExplanation) reason() string {
	part := r.When
	if r.Outcome == OutcomeExcluded || part == nil || r.Outcome == OutcomeCannotTell && part.Value == ValueTrue {
		part = r.Unless
	}
	if part == nil {
		return r.Outcome
	}
	return r.Outcome + ": " + strings.Join(part.decisiveLeaves(nil), ", ")
}

func (c *Clause) decisiveLeaves(leaves []string) []string {
	if c.Operator == "" {
		return append(leaves, fmt.Sprintf("%s is %s%s", c.Text, c.Value, c.found()))
	}
	for _, part := range c.Clauses {
		if part.Decisive {
			leaves = part.decisiveLeaves(leaves)
		}
	}
	return leaves
}
