package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// secretName finds what is called after something of which nobody must learn a part by
// asking: secrets, what proves that one has them, and their hashes.
var secretName = regexp.MustCompile(`(?i)secret|password|bearer|cookie|credential|hash|digest|hmac|signature|verifier|challenge|nonce|assertion|` +
	`token($|[^a-z])|(^|[^a-z])(sum|mac|code|jti)$`)

// comparers are functions that end at the first difference.
var comparers = []string{
	"bytes.Equal", "bytes.Compare", "bytes.EqualFold", "bytes.HasPrefix", "cmp.Compare", "reflect.DeepEqual", "slices.Compare", "slices.Contains",
	"slices.Equal", "slices.Index", "strings.Compare", "strings.Contains", "strings.EqualFold", "strings.HasPrefix",
}

// innocent are comparisons that are of no secret, whatever its parts are called.
var innocent = map[string]string{
	`internal/fetch/assertion.go: claims.Has("jti") != given`:                        "whether there is one",
	`internal/login/browser.go: strings.HasPrefix(cookie.Name, l.cookiePrefix())`:    "what a cookie is called",
	`internal/scim/declaration.go: now.secret() != a.secret()`:                       "whether an attribute is one",
	`internal/store/decision.go: strings.HasPrefix(r.Secret, registry.ClientPrefix)`: "what all of them begin with",
}

// TestSecretsAreComparedInConstantTime finds, by their names, comparisons of secrets and
// of hashes of secrets that end at the first difference (T12 of the security catalogue).
// With a constant anything may be compared: a constant is no secret.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	looked, passed := 0, 0
	for _, file := range sources(t) {
		if file.isTest() {
			continue
		}
		looked++
		for _, found := range earlyEnds(file.tree, constants(t, file.folder)) {
			if innocent[file.path+": "+found] == "" {
				t.Errorf("%s: %s ends at the first difference: use subtle.ConstantTimeCompare", file.path, found)
				continue
			}
			passed++
		}
	}
	if looked < 100 || passed != len(innocent) {
		t.Errorf("%d files were looked at, and %d of %d innocent comparisons are there", looked, passed, len(innocent))
	}
}

func TestEarlyEnds(t *testing.T) {
	for expression, early := range map[string]bool{
		`secret == given`: true, `given != c.Secret`: true, `string(sum[:]) == hashes[i]`: true, `form.Get("client_secret") == wanted`: true,
		`hash(a) == hash(b)`: true, `bytes.Equal(stored, token)`: true, `strings.EqualFold(r.Password, p)`: true, `r.Code == code`: true,
		`strings.HasPrefix(accessToken, prefix)`: true, `func() { switch code { case stored: } }`: true, `a == b || c.nonce == n`: true,
		`secret == ""`: false, `nil != secret`: false, `len(secret) == n`: false, `secret == fixed`: false, `subtle.ConstantTimeCompare(secret, b) == 1`: false,
		`secretID == uuid.Nil`: false, `tokens == n`: false, `token.Kind == k`: false, `r.Cookie("id").Value == v`: true, `encode == n`: false, `userName == n`: false, `bytes.Equal(a, b)`: false,
	} {
		tree, err := parser.ParseFile(token.NewFileSet(), "", "package p\nvar _ = "+expression, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := earlyEnds(tree, map[string]bool{"fixed": true}); (len(got) > 0) != early {
			t.Errorf("%s: found %q, want it found: %t", expression, got, early)
		}
	}
}

// earlyEnds lists the comparisons of what is called a secret, which end early.
func earlyEnds(tree *ast.File, fixed map[string]bool) (found []string) {
	compare := func(at ast.Node, x, y ast.Expr) {
		if !isFixed(x, fixed) && !isFixed(y, fixed) && (isSecret(x) || isSecret(y)) {
			found = append(found, types.ExprString(at.(ast.Expr)))
		}
	}
	ast.Inspect(tree, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.BinaryExpr:
			if node.Op == token.EQL || node.Op == token.NEQ {
				compare(node, node.X, node.Y)
			}
		case *ast.CallExpr:
			if len(node.Args) == 2 && slices.Contains(comparers, types.ExprString(node.Fun)) {
				compare(node, node.Args[0], node.Args[1])
			}
		case *ast.SwitchStmt:
			for _, clause := range node.Body.List {
				for _, value := range clause.(*ast.CaseClause).List {
					if node.Tag != nil {
						compare(value, node.Tag, value)
					}
				}
			}
		}
		return true
	})
	return found
}

// isFixed reports whether x is the same for everybody: a literal, a constant of the
// package, a length, the answer of subtle.ConstantTimeCompare.
func isFixed(x ast.Expr, fixed map[string]bool) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return fixed[x.Name] || slices.Contains([]string{"nil", "true", "false"}, x.Name)
	case *ast.SelectorExpr:
		return types.ExprString(x) == "uuid.Nil"
	case *ast.CallExpr:
		return types.ExprString(x.Fun) == "len"
	}
	return false
}

// isSecret reports whether x, or what it is made from, is called after a secret. What
// belongs to something is called after itself.
func isSecret(x ast.Expr) (is bool) {
	ast.Inspect(x, func(node ast.Node) bool {
		name := ""
		switch node := node.(type) {
		case *ast.SelectorExpr:
			is = is || secretName.MatchString(node.Sel.Name)
			_, made := node.X.(*ast.CallExpr)
			return made
		case *ast.Ident:
			name = node.Name
		case *ast.BasicLit:
			name = strings.Trim(node.Value, "`\"")
		}
		is = is || secretName.MatchString(name)
		return true
	})
	return is
}
