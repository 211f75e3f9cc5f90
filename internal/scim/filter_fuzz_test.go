package scim

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func FuzzFilter(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Filter)
	}
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := ParseFilter(s)
		if err != nil {
			if e := err.(*Error); e.Type != "invalidFilter" {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		checkPrinted(t, filter)
		for _, rt := range []*ResourceType{UserType(), GroupType()} {
			if b, err := filter.Bind(rt, Lenient); err == nil {
				b.Match(rt, Resource{"userName": s, "displayName": s}, Common{})
			}
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add("emails[" + v.Filter + "].value")
	}
	f.Add(EnterpriseSchema + ":manager.value")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			if e := err.(*Error); e.Type != "invalidPath" && e.Type != "invalidFilter" {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		again, err := ParsePath(p.String())
		if err != nil || again.String() != p.String() {
			t.Fatalf("%q: printed as %s, which is read as %s, %v", s, p, again, err)
		}
	})
}

// checkPrinted fails unless f's canonical form is read as f again.
func checkPrinted(t rapid.TB, f *Filter) {
	t.Helper()
	printed := f.String()
	again, err := ParseFilter(printed)
	switch {
	case err != nil && len(printed) > maxFilterBytes: // bare values have got quotes
	case err != nil:
		t.Fatalf("%s is not read: %v", printed, err)
	case !sameFilter(f, again):
		t.Fatalf("%s is read as another filter: %s", printed, again)
	}
}

// sameFilter compares two filters but for quotes around strings.
func sameFilter(a, b *Filter) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Op != b.Op || a.Value != b.Value || a.literal != b.literal || len(a.Terms) != len(b.Terms) ||
		a.Path.Name != b.Path.Name || a.Path.Sub != b.Path.Sub || !sameFilter(a.Path.Filter, b.Path.Filter) {
		return false
	}
	for i := range a.Terms {
		if !sameFilter(a.Terms[i], b.Terms[i]) {
			return false
		}
	}
	return true
}

// drawFilter draws the text of a filter of the whole grammar, with the spaces,
// letter cases and redundant parentheses that it allows.
func drawFilter(t *rapid.T, depth int, inValue bool) string {
	switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
	case depth > 0 && kind < 2:
		op := rapid.SampledFrom([]string{" and ", " or ", " AND ", "  Or "}).Draw(t, "op")
		return drawFilter(t, depth-1, inValue) + op + drawFilter(t, depth-1, inValue)
	case depth > 0 && kind == 2:
		return "(" + drawFilter(t, depth-1, inValue) + " )"
	case depth > 0 && kind == 3:
		not := rapid.SampledFrom([]string{"not (", "NOT("}).Draw(t, "not")
		return not + drawFilter(t, depth-1, inValue) + ")"
	case depth > 0 && kind == 4 && !inValue:
		sub := rapid.SampledFrom([]string{"", `.value eq "x"`, ".$ref pr"}).Draw(t, "sub")
		return drawName(t) + "[" + drawFilter(t, depth-1, true) + "]" + sub
	case kind == 5:
		return drawName(t) + " Pr"
	}
	op := rapid.SampledFrom([]string{"eq", "Ne", "CO", "sw", "ew", "gt", "ge", "lt", "le"}).Draw(t, "op")
	return drawName(t) + " " + op + " " + drawValue(t)
}

func drawName(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"userName", "emails.value", "$ref", EnterpriseSchema + ":manager.value"}),
		rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9_$-]{0,5}(\.[a-z]{1,4})?`).Filter(func(s string) bool { return !strings.EqualFold(s, "not") }),
	).Draw(t, "name")
}

func drawValue(t *rapid.T) string {
	return rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) string { return string(appendQuoted(nil, s)) }),
		rapid.SampledFrom([]string{"true", "false", "null", "True", "-0", "1.50", "2e2", "9223372036854775808", `"\u00e9\/"`, "bare@word.example"}),
		rapid.Map(rapid.Int64(), func(n int64) string { return (&Filter{Value: n}).valueText() }),
		rapid.Map(rapid.Float64(), func(x float64) string { return (&Filter{Value: x}).valueText() }),
	).Draw(t, "value")
}

func (f *Filter) valueText() string { return string(f.appendValue(nil)) }

func TestPrintedFilterIsReadAsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawFilter(t, 5, false)
		f, err := ParseFilter(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		checkPrinted(t, f)
	})
}

func BenchmarkParseFilter(b *testing.B) {
	for name, filter := range map[string]string{
		"userName": `userName eq "x"`,
		"email":    `emails[type eq "work"].value eq "jamie.morgan@ringling.example"`,
		"RFC":      `userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseFilter(filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBind(b *testing.B) {
	f, err := ParseFilter(`userName eq "Jamie.Morgan@ringling.example"`)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Bind(UserType(), Lenient); err != nil {
			b.Fatal(err)
		}
	}
}
