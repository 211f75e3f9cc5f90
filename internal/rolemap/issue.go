package rolemap

import (
	"cmp"
	"fmt"
	"slices"
)

// Severities of an [Issue]. A set with an error must not be published.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Issue is what is wrong, or doubtful, at one place of a rule set.
type Issue struct {
	Severity   string `json:"severity"`
	Rule       string `json:"rule,omitempty"` // rule id, "groupRoles:<n>" or "test <name>"
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"` // what to write instead
	Line       int    `json:"line,omitempty"`       // 1-based; 0 when the issue has no place
	Column     int    `json:"column,omitempty"`     // 1-based, in code points
}

// String returns the issue on one line: "3:14: error: rule x: …".
func (i Issue) String() string {
	s := i.Severity + ": "
	if i.Line > 0 {
		s = fmt.Sprintf("%d:%d: %s", i.Line, i.Column, s)
	}
	if i.Rule != "" {
		s += i.Rule + ": "
	}
	s += i.Message
	if i.Suggestion != "" {
		s += "; write " + i.Suggestion
	}
	return s
}

// HasErrors reports whether any issue is an error.
func HasErrors(issues []Issue) bool {
	return slices.ContainsFunc(issues, func(i Issue) bool { return i.Severity == SeverityError })
}

func sortIssues(issues []Issue) {
	slices.SortStableFunc(issues, func(a, b Issue) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// position is a place in the YAML source, 1-based.
type position struct{ Line, Column int }

func (p position) issue(severity, rule, format string, args ...any) Issue {
	return Issue{Severity: severity, Rule: rule, Message: fmt.Sprintf(format, args...), Line: p.Line, Column: p.Column}
}
