package scim

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// customary are the filters among the vectors that RFC 7644's grammar refuses
// and that ParseFilter reads all the same, because clients send their like. A
// strict connection refuses every one of them.
var customary = map[string]string{
	// Q26: strings without quotes.
	`userName eq bjensen`:                       "Q26",
	`userName eq example@example.com`:           "Q26",
	`undefinedattr eq bleh`:                     "Q26",
	`value eq 123abc`:                           "Q26",
	`value eq 123abc5e4`:                        "Q26",
	`meta.lastModified le 2011-05-13T04:42:34Z`: "Q26",
	`schemas eq urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`:             "Q26",
	`userType eq "Employee" and (emails co example.com Or emails.value co example.org)`: "Q26",
	// Q24: a comparison behind a value path.
	`emails[type eq "work"].value eq "user@example.com"`:                                                                                              "Q24",
	`emails[type eq "work"].value eq "user@example.com" and name eq "foo"`:                                                                            "Q24",
	`emails[type eq "work"].value ew "@example.org"`:                                                                                                  "Q24",
	`emails[type eq "work" or type eq "home"].value ew "@example.org"`:                                                                                "Q24",
	`emails[type eq "Primary"].value eq "001750ca-8202-47cd-b553-c63f4f245940"`:                                                                       "Q24",
	`addresses[type eq "work"].country eq ""`:                                                                                                         "Q24",
	`userType eq "Employee" and emails[type eq "work" or (primary eq true and value co "@example.com")].display co "Work"`:                            "Q24",
	`(userType eq "Employee" or userType eq "Manager") and emails[type eq "work" or (primary eq true and value co "@example.com")].display co "Work"`: "Q24",
	`userType eq "Employee" or emails[type eq "work" or (primary eq true and value co "@example.com")].display co "Work"`:                             "Q24",
	`userType eq "Employee" or emails[type eq "work" and (primary eq false and value co "@example.com")].display co "Work"`:                           "Q24",
}

// A vector is a filter of another implementation's tests, with the verdict of
// an independent reader of RFC 7644 Figure 1 (errata 7319, 7322).
type vector struct {
	Filter    string
	RFC7644   string
	AST       any    // as pingidentity/scim2 reads it
	SPF       any    `json:"ast_spf"` // as scim2-parse-filter reads it
	Canonical string // as apache/directory-scimple prints it
}

func vectors(t testing.TB) []vector {
	raw, err := os.ReadFile("testdata/filter-parse.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 447 {
		t.Fatalf("%d vectors, want 447", len(file.Vectors))
	}
	return file.Vectors
}

func TestFiltersOfOtherImplementations(t *testing.T) {
	met := map[string]bool{}
	for _, v := range vectors(t) {
		f, err := ParseFilter(v.Filter)
		if v.RFC7644 == "invalid" && customary[v.Filter] == "" {
			if err == nil {
				t.Errorf("%s: read as %s, want a refusal", v.Filter, f)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.Filter, err)
			continue
		}
		strict := f.checkProfile(Strict)
		if v.RFC7644 == "invalid" {
			met[v.Filter] = true
			if strict == nil {
				t.Errorf("%s: strict accepts it, though the RFC does not", v.Filter)
			}
		} else if strict != nil {
			t.Errorf("%s: strict: %v", v.Filter, strict)
		}
		if want := v.Canonical; want != "" && f.String() != want {
			t.Errorf("%s: printed as %s, want %s", v.Filter, f, want)
		}
	}
	for filter := range customary {
		if !met[filter] {
			t.Errorf("%s is listed as customary and is no vector", filter)
		}
	}
}

func TestFiltersMeanWhatOtherImplementationsRead(t *testing.T) {
	compared := 0
	for _, v := range vectors(t) {
		want := v.AST
		if want == nil {
			want = v.SPF
		}
		f, err := ParseFilter(v.Filter)
		if want == nil || err != nil || v.RFC7644 == "invalid" {
			continue
		}
		compared++
		if got, want := foreign(f), flatten(want); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", v.Filter, got, want)
		}
	}
	if compared < 150 {
		t.Errorf("only %d trees compared", compared)
	}
}

// foreign writes f as flatten writes the trees of the vectors: a list of the
// operator and its operands.
func foreign(f *Filter) []any {
	tree := []any{f.Op.String()}
	switch f.Op {
	case And, Or, Not:
		for _, term := range f.Terms {
			tree = append(tree, foreign(term))
		}
		return tree
	case Has:
		return append(tree, f.Path.Name, foreign(f.Path.Filter))
	case Pr:
		return append(tree, f.Path.Name)
	}
	v := f.Value
	if n, ok := v.(int64); ok {
		v = float64(n) // as encoding/json has them
	}
	return append(tree, f.Path.Name, v)
}

// flatten merges an "and" within an "and", and names both sources' fields alike.
func flatten(tree any) []any {
	node := tree.(map[string]any)
	field := func(names ...string) any {
		for _, name := range names {
			if v, ok := node[name]; ok {
				return v
			}
		}
		return nil
	}
	switch op := node["op"].(string); op {
	case "and", "or":
		flat := []any{op}
		for _, arg := range field("args", "filters").([]any) {
			if term := flatten(arg); term[0] == op {
				flat = append(flat, term[1:]...)
			} else {
				flat = append(flat, term)
			}
		}
		return flat
	case "not":
		return []any{op, flatten(field("arg", "filter"))}
	case "[]":
		return []any{"has", field("attr", "attrPath"), flatten(field("filter", "valFilter"))}
	case "pr":
		return []any{op, field("attr", "attrPath")}
	default:
		return []any{op, field("attr", "attrPath"), field("value", "compValue")}
	}
}

// A string may stand right behind its operator, because RFC 7644 §3.5.2.2 prints
// members[value eq"2819c223...919d-413861904646"] against its own grammar, and
// clients copy examples. Strict holds to the grammar.
func TestAStringMayStandRightBehindItsOperator(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{`userName eq"a"`, `userName eq "a"`},
		{`emails[type EQ"work" and value co"@"]`, `emails[type eq "work" and value co "@"]`},
		{`not (userName sw"a") or title ne ""`, `not (userName sw "a") or title ne ""`},
	} {
		f, err := ParseFilter(c.filter)
		if err != nil || f.String() != c.want {
			t.Errorf("%s: read as %v, %v, want %s", c.filter, f, err, c.want)
			continue
		}
		if _, err := f.Bind(UserType(), Lenient); err != nil {
			t.Errorf("%s: lenient: %v", c.filter, err)
		}
		if _, err := f.Bind(UserType(), Strict); err == nil || !strings.Contains(err.Error(), "a space stands before the value") {
			t.Errorf("%s: strict: got %v, want a refusal for want of a space", c.filter, err)
		}
	}
}

func TestFilterErrorsSayWhereAndWhat(t *testing.T) {
	deep := strings.Repeat("(", 17) + "title pr" + strings.Repeat(")", 17)
	for _, c := range []struct{ filter, want string }{
		{``, `character 1: it ends, expected an attribute name`},
		{`  `, `character 3: it ends, expected an attribute name`},
		{`userName regex "a"`, `character 10: the operator "regex" is not supported: use eq, ne, co, sw, ew, gt, ge, lt, le or pr`},
		{`eq "a"`, `character 4: found "\"a\"", expected an operator`},
		{`userName eq`, `character 12: it ends, expected a value`},
		{`userName eq("a")`, `character 12: found "(", expected a space before the value`},
		{`userName eq"a`, `character 12: the string that begins here has no closing quote`},
		{`userName eq 'ann'`, `character 13: found "'ann'", expected a value in double quotes`},
		{`userName eq “ann”`, `character 13: found "“ann”", expected a value in double quotes`},
		{`userName eq "é" x`, `character 17: found "x", expected "and", "or" or the end of the filter`},
		{`userName eq "a`, `character 13: the string that begins here has no closing quote`},
		{`userName eq "\q"`, `character 13: "\q" is not a JSON string`},
		{`userName eq "\ud800"`, `character 13: "\ud800" is not a JSON string`},
		{"userName eq \"a\tb\"", `is not a JSON string`},
		{`a eq 1e999`, `character 6: the number 1e999 is out of range`},
		{`(title pr`, `character 10: it ends, expected "and", "or" or ")"`},
		{`title pr)`, `character 9: found ")", expected "and", "or" or the end of the filter`},
		{`(title pr)and (x pr)`, `character 11: found "and", expected a space before "and"`},
		{`title pr and(x pr)`, `character 13: found "(", expected a space and an expression after "and"`},
		{`not title pr`, `character 5: found "title", expected "(" after "not"`},
		{`a[b[c eq 1]]`, `character 4: a value path may not hold another`},
		{`emails[type eq "work"]x pr`, `character 23: found "x", expected "." and a sub-attribute`},
		{`a.b.c pr`, `character 1: found "a.b.c", expected an attribute name`},
		{deep, `character 17: more than 16 levels of parentheses and brackets`},
		{strings.Repeat("a pr or ", 64) + "a pr", `more than 64 expressions`},
		{`userName eq "` + strings.Repeat("a", maxFilterBytes) + `"`, `a filter is longer than 8192 bytes`},
		{"userName eq \"\xff\"", `a filter holds bytes that are not UTF-8`},
	} {
		f, err := ParseFilter(c.filter)
		refused, ok := err.(*Error)
		if !ok || refused.Status != 400 || refused.Type != "invalidFilter" || !strings.Contains(refused.Detail, c.want) {
			t.Errorf("%.60s:\n got %v, %v\nwant invalidFilter … %s", c.filter, f, err, c.want)
		}
	}
}

// The bounds hold however the input nests: neither stack nor memory grows.
func TestHostileFiltersAreRefusedAtOnce(t *testing.T) {
	for _, filter := range []string{
		strings.Repeat("(", 8000),
		strings.Repeat("not(", 2000),
		strings.Repeat("a[", 4000),
		strings.Repeat("a pr and ", 900),
		strings.Repeat("(", 1<<20),
		strings.Repeat("not (a pr and (", 16),
		`a eq "` + strings.Repeat(`\`, 8000),
	} {
		if f, err := ParseFilter(filter); err == nil {
			t.Errorf("%.30s…: read as %s", filter, f)
		}
		if p, err := ParsePath("emails[" + filter + "]"); err == nil {
			t.Errorf("path of %.30s…: read as %s", filter, p)
		}
	}
}

func TestLargestFilterIsRead(t *testing.T) {
	for _, filter := range []string{
		strings.Repeat("(", 16) + "title pr" + strings.Repeat(")", 16),
		strings.Repeat("a pr or ", 62) + "a pr", // 63 comparisons and one "or"
		`userName eq "` + strings.Repeat("a", maxFilterBytes-14) + `"`,
	} {
		if _, err := ParseFilter(filter); err != nil {
			t.Errorf("%.30s…: %v", filter, err)
		}
	}
}

func TestFilterIsPrintedInCanonicalForm(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{`USERNAME EQ "john"`, `USERNAME eq "john"`},
		{` title  pr  AND  x  PR `, `title pr and x pr`},
		{`(a pr and (b pr and c pr))`, `a pr and b pr and c pr`},
		{`a pr or (b pr and c pr)`, `a pr or b pr and c pr`},
		{`(a pr or b pr) and c pr`, `(a pr or b pr) and c pr`},
		{`not(not (a pr))`, `not (not (a pr))`},
		{`a eq bare`, `a eq "bare"`},
		{`a eq 1.50`, `a eq 1.50`},
		{`a eq "\u00e9\u0007\"\\\/"`, `a eq "é\u0007\"\\/"`},
		{`emails[ type eq "work" ].Value sw x`, `emails[type eq "work"].Value sw "x"`},
		{`a eq null and b eq true and c ne false`, `a eq null and b eq true and c ne false`},
	} {
		f, err := ParseFilter(c.filter)
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
		} else if got := f.String(); got != c.want {
			t.Errorf("%s: printed as %s, want %s", c.filter, got, c.want)
		}
	}
}
