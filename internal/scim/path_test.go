package scim

import (
	"strings"
	"testing"
)

func TestPathsAreReadAndPrinted(t *testing.T) {
	for _, c := range []struct{ path, name, filter, sub string }{
		// RFC 7644 Figure 8.
		{path: `members`, name: `members`},
		{path: `name.familyName`, name: `name.familyName`},
		{path: `addresses[type eq "work"]`, name: `addresses`, filter: `type eq "work"`},
		{path: `members[value eq "2819c223"].displayName`, name: `members`, filter: `value eq "2819c223"`, sub: `displayName`},
		{path: `members[value eq"2819c223...919d-413861904646"]`, name: `members`, filter: `value eq "2819c223...919d-413861904646"`}, // §3.5.2.2
		// What clients send.
		{path: `emails[type eq "work" and (primary eq "True")].Value`, name: `emails`, filter: `type eq "work" and primary eq "True"`, sub: `Value`},
		{path: `phoneNumbers[type eq mobile].value`, name: `phoneNumbers`, filter: `type eq "mobile"`, sub: `value`},
		{path: `emails[value eq "a].b"]`, name: `emails`, filter: `value eq "a].b"`},
		{path: EnterpriseSchema + `:manager.value`, name: EnterpriseSchema + `:manager.value`},
		{path: EnterpriseSchema, name: EnterpriseSchema},
		{path: `urn:example:2.0:User:things[value eq "x"].sub`, name: `urn:example:2.0:User:things`, filter: `value eq "x"`, sub: `sub`},
		{path: `members.$ref`, name: `members.$ref`},
	} {
		p, err := ParsePath(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		filter := ""
		if p.Filter != nil {
			filter = p.Filter.String()
		}
		if p.Name != c.name || filter != c.filter || p.Sub != c.sub {
			t.Errorf("%s: read as %q [%s] %q, want %q [%s] %q", c.path, p.Name, filter, p.Sub, c.name, c.filter, c.sub)
		}
		again, err := ParsePath(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%s: printed as %s, which is read as %s, %v", c.path, p, again, err)
		}
	}
}

func TestPathErrorsSayWhereAndWhat(t *testing.T) {
	for _, c := range []struct{ path, scimType, want string }{
		{``, "invalidPath", `path, character 1: it ends, expected an attribute name`},
		{`1st`, "invalidPath", `path, character 1: found "1st", expected an attribute name`},
		{`name.familyName.x`, "invalidPath", `expected an attribute name`},
		{`.value`, "invalidPath", `expected an attribute name`},
		{`name familyName`, "invalidPath", `path, character 6: found "familyName", expected the end of the path`},
		{`emails[type eq "work"]value`, "invalidPath", `path, character 23: found "value", expected "." and a sub-attribute`},
		{`emails[type eq "work"].value.x`, "invalidPath", `expected "." and a sub-attribute`},
		{`emails[type eq "work"][value pr]`, "invalidPath", `expected the end of the path`},
		{`emails[]`, "invalidFilter", `filter, character 8: found "]", expected an attribute name`},
		{`emails[`, "invalidPath", `path, character 8: it ends, expected an attribute name`},
		{`emails[type eq "work"`, "invalidPath", `path, character 22: it ends, expected "and", "or" or "]"`},
		{`emails[type is "work"]`, "invalidFilter", `filter, character 13: the operator "is" is not supported`},
		{`emails[a[b pr]]`, "invalidFilter", `a value path may not hold another`},
		{`emails` + strings.Repeat("x", maxFilterBytes), "invalidPath", `a path is longer than 8192 bytes`},
	} {
		p, err := ParsePath(c.path)
		refused, ok := err.(*Error)
		if !ok || refused.Type != c.scimType || !strings.Contains(refused.Detail, c.want) {
			t.Errorf("%.60s:\n got %v, %v\nwant %s … %s", c.path, p, err, c.scimType, c.want)
		}
	}
}
