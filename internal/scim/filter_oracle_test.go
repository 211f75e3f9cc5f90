package scim

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	oracle "github.com/scim2/filter-parser/v2"
	"pgregory.net/rapid"
)

// scim2/filter-parser is the parser of elimity-com/scim. What it reads, we
// read as the same tree.
func TestAgreesWithFilterParser(t *testing.T) {
	read := 0
	for _, v := range vectors(t) {
		if agrees(t, v.Filter) {
			read++
		}
	}
	if read < 300 {
		t.Errorf("filter-parser read only %d vectors", read)
	}
	rapid.Check(t, func(t *rapid.T) { agrees(t, drawFilter(t, 3, false)) })
}

// agrees reports whether the oracle reads s, and fails if we read another tree.
func agrees(t rapid.TB, s string) bool {
	t.Helper()
	switch {
	case strings.Count(s, "(")+strings.Count(s, "[") > maxFilterDepth: // the oracle recurses without bound,
		return false
	case strings.Contains(s, `\`), strings.Contains(s, "True"): // leaves escapes as they are, takes True for true
		return false
	}
	expression, err := oracle.ParseFilterNumber([]byte(s))
	if err != nil {
		return false
	}
	f, err := ParseFilter(s)
	if err != nil {
		t.Errorf("%s: %v, but filter-parser reads it", s, err)
		return true
	}
	if got, want := foreign(f), fromOracle(expression); !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", s, got, want)
	}
	return true
}

// fromOracle writes an expression as foreign writes a Filter.
func fromOracle(e oracle.Expression) []any {
	switch e := e.(type) {
	case *oracle.LogicalExpression:
		tree := []any{string(e.Operator)}
		for _, side := range []oracle.Expression{e.Left, e.Right} {
			if term := fromOracle(side); term[0] == tree[0] {
				tree = append(tree, term[1:]...)
			} else {
				tree = append(tree, term)
			}
		}
		return tree
	case *oracle.NotExpression:
		return []any{"not", fromOracle(e.Expression)}
	case *oracle.ValuePath:
		return []any{"has", e.AttributePath.String(), fromOracle(e.ValueFilter)}
	case *oracle.AttributeExpression:
		tree := []any{strings.ToLower(string(e.Operator)), e.AttributePath.String()}
		if tree[0] == "pr" {
			return tree
		}
		return append(tree, fromOracleValue(e.CompareValue))
	}
	return nil
}

func fromOracleValue(v any) any {
	if n, ok := v.(json.Number); ok {
		x, _ := n.Float64()
		return x
	}
	return v
}
