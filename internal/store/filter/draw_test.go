package filter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/scim"
)

// words are few, so that filters meet values; and hard: wildcards, escapes,
// letters that fold to more than one, compose or sort apart in collations.
var words = []string{
	"", "a", "A", "aB", "ab", "a%", "a_b", `a\`, `\`, "'", `"`, "$1", "work", "Home", "true", "5", "10", "Z", "z", "_",
	"ß", "SS", "İ", "ſ", "ﬁ", "é", "e\u0301", "É", "Å", "K", "ａ", "日本", "🎪", "a b", " a", "null", "{}", "User", "group", "direct",
	scim.UserSchema, scim.EnterpriseSchema, userID(0), groupID(0), strings.ToUpper(userID(1)),
	`W/"1"`, `W/"10"`, "indirect", userURL(0), groupURL(1), base, "../Users/" + userID(0), strings.Replace(userURL(1), "/v2", "", 1),
}

const base = "https://muster.example/t/ringling/scim/v2"

func userURL(n int) string  { return base + "/Users/" + userID(n) }
func groupURL(n int) string { return base + "/Groups/" + groupID(n) }

const testExtension = "urn:ietf:params:scim:schemas:extension:test:2.0:TestResource"

// known are filters that identity providers send, and their negations.
var known = map[string][]string{
	"User": {
		`userName eq "` + userID(0) + `a"`, `not (externalId eq a)`, `emails.value eq "A"`, `emails eq ""`, `emails[type eq "work" and value eq ""]`, `not (emails eq "ss")`,
		`emails[type eq "work"].value eq "a"`, `not (emails[type eq "WORK" and value eq "a"])`, `emails[value eq "a" or type eq "work"]`,
		`id eq ` + userID(0) + ` and manager eq ` + userID(1), `id ne "a"`, `not (id eq "a")`,
		`groups.value eq "` + groupID(0) + `"`, `groups[value eq "` + groupID(1) + `" and type eq "indirect"]`, `groups.type eq "indirect"`,
		`not (groups.$ref eq "` + groupURL(0) + `")`, `meta.location eq "` + userURL(0) + `"`, `meta.location ne "` + userURL(1) + `"`, `meta.version gt "W/\"1\""`,
		`groups[not (value eq "a")]`, `groups.value ne "` + groupID(0) + `"`, `groups[not (value eq "` + groupID(1) + `")]`,
		`schemas eq "` + scim.EnterpriseSchema + `"`, `not (schemas ne "` + scim.UserSchema + `")`, `active eq "False"`,
	},
	"Group": {
		`members.$ref eq "` + userURL(0) + `"`, `members[$ref eq "` + groupURL(1) + `" or display sw "a"]`, `not (members.display pr)`,
		`meta.location eq "` + groupURL(0) + `"`, `meta.version eq "W/\"1\""`,
		`displayName eq "` + groupID(0) + `a"`, `not (externalId eq a)`, `members[not (value eq "a")]`, `not (members eq "a")`,
		`id eq ` + groupID(0) + ` and members eq ` + userID(0), `members[value eq "` + userID(1) + `" and type eq "User"]`,
		`members[not (value eq "` + userID(0) + `")]`, `members[not (value eq "` + groupID(0) + `")]`,
		`members.value ne "` + userID(0) + `"`, `members[type eq "group"].value ne "` + groupID(0) + `"`, `not (members pr)`,
	},
	"TestResource": {
		`integerAttr gt 2`, `integerAttr le 10`, `not (integerAttr ge 9)`, `dec lt 2`, `dec ge 1.50`, `dec eq 0.10`, `dateTimeAttr le "2024-03-01T00:59:59.999999+01:00"`,
		`complexAttr.sub2 gt 2`, `complexAttr[sub2 lt 11 and sub3 ne true]`, testExtension + `:extInteger gt 2`, `not (` + testExtension + `:extInteger lt 11)`,
		`uniqueString eq "ss"`, `uniqueExactString eq "a"`, `not (` + oneOf("uniqueGlobalString", "A", "ss", "work", "z", "5", "é", "a b") + `)`, oneOf("uniqueString", "a", "home", "10", "k", "_"),
		`identifier eq "ab" or multiStrings eq "K"`,
		`multiComplex[primary eq false and not (type eq "work")]`, `multiComplex eq "a"`, `multiStrings ne "z"`, testExtension + ` pr`, `schemas eq "` + testExtension + `"`,
	},
}

// oneOf is a filter by any of the values.
func oneOf(attribute string, values ...string) string {
	var terms []string
	for _, v := range values {
		terms = append(terms, attribute+` eq "`+v+`"`)
	}
	return strings.Join(terms, " or ")
}

func userID(n int) string  { return fmt.Sprintf("0f9c5e1e-0000-7000-8000-%012x", 0xa00+n) }
func groupID(n int) string { return fmt.Sprintf("0f9c5e1e-0000-7000-8000-%012x", 0xb00+n) }

func drawDirectory(t *rapid.T) directory {
	var d directory
	for i := range rapid.IntRange(1, 6).Draw(t, "users") {
		d.users = append(d.users, drawRecord(t, scim.UserType(), userID(i)))
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "groups") {
		d.groups = append(d.groups, drawRecord(t, scim.GroupType(), groupID(i)))
	}
	for _, g := range d.groups {
		for _, u := range d.users {
			if rapid.IntRange(0, 3).Draw(t, "member") == 0 {
				g.common.Members = append(g.common.Members, scim.Member{Value: u.common.ID, Type: "User"})
			}
		}
		if other := rapid.SampledFrom(d.groups).Draw(t, "nested"); other != g {
			g.common.Members = append(g.common.Members, scim.Member{Value: other.common.ID, Type: "Group"})
		}
	}
	return d
}

func drawRecord(t *rapid.T, rt *scim.ResourceType, id string) *record {
	r := &record{resource: scim.Resource(drawAttributes(t, rt.Core.Attributes))}
	for _, ext := range rt.Extensions {
		if rapid.Bool().Draw(t, "extension") {
			r.resource[ext.ID] = drawAttributes(t, ext.Attributes)
		}
	}
	for _, name := range []string{"password", "active", "groups", "members"} {
		delete(r.resource, name)
	}
	if unique := map[string]string{"User": "userName", "Group": "displayName"}[rt.Name]; unique != "" {
		name, _ := r.resource[unique].(string)
		if rapid.Bool().Draw(t, "other") {
			name += id // names are unique: others are dropped by their id
		} else {
			name = id + name
		}
		r.resource[unique] = name
	}
	r.version = rapid.IntRange(1, 11).Draw(t, "version")
	r.common = scim.Common{
		Base:         base,
		ID:           id,
		Version:      fmt.Sprintf(`W/"%d"`, r.version),
		Created:      drawTime(t).Truncate(time.Microsecond),
		LastModified: drawTime(t).Truncate(time.Microsecond),
		Active:       rapid.Bool().Draw(t, "active"),
	}
	r.deleted = rapid.IntRange(0, 5).Draw(t, "deleted") == 0
	return r
}

func drawAttributes(t *rapid.T, attributes []*scim.Attribute) map[string]any {
	values := map[string]any{}
	for _, a := range attributes {
		switch present := rapid.IntRange(0, 2).Draw(t, a.Name); {
		case present == 0:
		case a.Multi:
			list := []any{}
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				list = append(list, drawElement(t, a))
			}
			values[a.Name] = list
		default:
			values[a.Name] = drawElement(t, a)
		}
	}
	return values
}

func drawElement(t *rapid.T, a *scim.Attribute) any {
	switch a.Type {
	case scim.TypeComplex:
		return drawAttributes(t, a.Sub)
	case scim.TypeBoolean:
		return rapid.Bool().Draw(t, a.Name)
	case scim.TypeInteger, scim.TypeDecimal, scim.TypeDateTime:
		return drawTrapezeValue(t, a)
	}
	return rapid.SampledFrom(words).Draw(t, a.Name)
}

func drawTime(t *rapid.T) time.Time {
	return epoch.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "nanoseconds"))).
		Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "microseconds")) * time.Microsecond)
}

// drawBound draws a filter that rt answers, or nil if what it drew is refused.
func drawBound(t *rapid.T, rt *scim.ResourceType) *scim.Filter {
	text := drawFilter(t, rt, nil, 3)
	if len(known[rt.Name]) > 0 && rapid.IntRange(0, 3).Draw(t, "known") == 0 {
		text = rapid.SampledFrom(known[rt.Name]).Draw(t, "filter")
	}
	f, err := scim.ParseFilter(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if rapid.Bool().Draw(t, "refer") { // addresses as ids
		f = f.Refer(base)
	}
	bound, err := f.Bind(rt, scim.Lenient)
	if err != nil {
		return nil
	}
	return bound
}

// drawBoundTo draws a filter that resources of all the types answer.
func drawBoundTo(t *rapid.T, types []*scim.ResourceType) []*scim.Filter {
	rt := rapid.SampledFrom(types).Draw(t, "filtered type")
	f, err := scim.ParseFilter(drawFilter(t, rt, nil, 2))
	if err != nil {
		t.Fatal(err)
	}
	bound, err := f.BindAll(types, scim.Lenient)
	if err != nil {
		return nil
	}
	return bound
}

// drawFilter draws a filter on rt, or on the elements of parent.
func drawFilter(t *rapid.T, rt *scim.ResourceType, parent *scim.Attribute, depth int) string {
	switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
	case depth > 0 && kind < 3:
		op := rapid.SampledFrom([]string{" and ", " or "}).Draw(t, "op")
		return "(" + drawFilter(t, rt, parent, depth-1) + op + drawFilter(t, rt, parent, depth-1) + ")"
	case depth > 0 && kind == 3:
		return "not (" + drawFilter(t, rt, parent, depth-1) + ")"
	case depth > 0 && kind < 6 && parent == nil:
		a := drawComplex(t, rt)
		if rt.Name == "Group" {
			a = rt.Core.Attribute("members")
		}
		sub := rapid.SampledFrom([]string{"", "", ".value eq " + drawLiteral(t, nil)}).Draw(t, "behind")
		return a.Path + "[" + drawFilter(t, rt, a, depth-1) + "]" + sub
	}
	a, path := drawPath(t, rt, parent)
	op := rapid.SampledFrom([]string{"pr", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "eq", "ne", "eq"}).Draw(t, "op")
	if op == "pr" {
		return path + " pr"
	}
	return path + " " + op + " " + drawLiteral(t, a)
}

func drawComplex(t *rapid.T, rt *scim.ResourceType) *scim.Attribute {
	var complex []*scim.Attribute
	for _, a := range allAttributes(rt) {
		if a.Type == scim.TypeComplex {
			complex = append(complex, a)
		}
	}
	return rapid.SampledFrom(complex).Draw(t, "complex")
}

func drawPath(t *rapid.T, rt *scim.ResourceType, parent *scim.Attribute) (*scim.Attribute, string) {
	if parent != nil {
		sub := rapid.SampledFrom(parent.Sub).Draw(t, "sub")
		return sub, sub.Name
	}
	if rapid.IntRange(0, 3).Draw(t, "common") == 0 {
		name := rapid.SampledFrom([]string{
			"id", "schemas", "meta.created", "meta.lastModified", "meta.resourceType", "meta.version", "meta.location", "meta", "externalId", scim.EnterpriseSchema,
		}).Draw(t, "name")
		return nil, name
	}
	a := rapid.SampledFrom(allAttributes(rt)).Draw(t, "attribute")
	if len(a.Sub) > 0 && rapid.IntRange(0, 3).Draw(t, "whole") > 0 {
		a = rapid.SampledFrom(a.Sub).Draw(t, "sub")
	}
	return a, a.Path
}

func allAttributes(rt *scim.ResourceType) []*scim.Attribute {
	all := append([]*scim.Attribute{}, rt.Core.Attributes...)
	for _, ext := range rt.Extensions {
		all = append(all, ext.Attributes...)
	}
	return all
}

// drawLiteral draws a right side, mostly of a's type.
func drawLiteral(t *rapid.T, a *scim.Attribute) string {
	if a != nil && a.Type == scim.TypeBoolean {
		return rapid.SampledFrom([]string{"true", "false", `"True"`}).Draw(t, "boolean")
	}
	if a != nil && (a.Type == scim.TypeInteger || a.Type == scim.TypeDecimal) {
		return fmt.Sprint(drawOperand(t, a))
	}
	kind := rapid.IntRange(0, 9).Draw(t, "literal")
	if a != nil && a.Type == scim.TypeDateTime {
		kind = 0
	}
	if a != nil && (a.Path == "members.value" || a.Path == "groups.value") {
		kind = min(kind, 4)
	}
	switch kind {
	case 9:
		return "null"
	case 0, 1:
		zone := time.FixedZone("", rapid.SampledFrom([]int{0, 3600, -5 * 3600}).Draw(t, "zone"))
		return `"` + drawTime(t).In(zone).Format(time.RFC3339Nano) + `"`
	case 2, 3, 4:
		return `"` + rapid.SampledFrom([]string{userID(0), userID(1), groupID(0), groupID(1)}).Draw(t, "id") + `"`
	}
	quoted, err := json.Marshal(rapid.SampledFrom(words).Draw(t, "word"))
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}
