package scim

import (
	"strings"
	"testing"
)

func TestParseSort(t *testing.T) {
	user, group, both := []*ResourceType{UserType()}, []*ResourceType{GroupType()}, ResourceTypes()
	for _, c := range []struct {
		types     []*ResourceType
		by, order string
		want      string // how the order is written
	}{
		{user, "userName", "", "userName ascending"},
		{user, "USERNAME", "Descending", "userName descending"},
		{user, " name.familyName ", "ascending", "name.familyName ascending"},
		{user, UserSchema + ":name.familyName", "", "name.familyName ascending"},
		{user, EnterpriseSchema + ":Department", "", EnterpriseSchema + ":department ascending"},
		{user, "emails", "", "emails.value ascending"},
		{user, "manager", "", EnterpriseSchema + ":manager.value ascending"},
		{user, "meta.lastModified", "", "meta.lastModified ascending"},
		{group, "members.display", "", "members.display ascending"},
		{both, "displayName", "", "displayName ascending"},
		{both, "members", "descending", "members.value descending"},
		{both, "userName", "", "userName ascending"},
	} {
		s, err := ParseSort(c.types, c.by, c.order, Lenient)
		if err != nil || s.String() != c.want || len(s.Refs) != len(c.types) {
			t.Errorf("%s %s: got %v, %v, want %s", c.by, c.order, s, err, c.want)
		}
	}
	if s, err := ParseSort(user, "", "descending", Strict); s != nil || err != nil {
		t.Errorf("no attribute: got %v, %v", s, err)
	}
	s, err := ParseSort(both, "userName", "", Strict)
	if err != nil || s.Refs[0].Absent || !s.Refs[1].Absent {
		t.Errorf("of users alone: got %+v, %v", s, err)
	}
}

func TestWhatCannotBeSortedBy(t *testing.T) {
	user, both := []*ResourceType{UserType()}, ResourceTypes()
	device := &ResourceType{Name: "Device", Endpoint: "/Devices", Core: &Schema{ID: "urn:example:Device", Attributes: []*Attribute{{Name: "title", Path: "title", Type: TypeInteger}}}}
	device.Core.byName = index(device.Core.Attributes)
	for _, c := range []struct {
		types     []*ResourceType
		by, order string
		want      string
	}{
		{user, "userName", "up", `sortOrder is ascending or descending, not "up"`},
		{user, "", "up", `sortOrder is ascending or descending`},
		{user, "nope", "", `unknown attribute "nope"`},
		{user, "members", "", `unknown attribute "members"`},
		{both, "nope", "", `unknown attribute "nope"`},
		{user, "name", "", `name is complex: name one of its sub-attributes`},
		{user, "addresses", "", `addresses is complex`},
		{user, "meta", "", `meta is complex`},
		{user, "password", "", `password cannot be sorted by`},
		{user, EnterpriseSchema, "", `is a schema, not an attribute`},
		{user, `emails[type eq "work"].value`, "", `unknown attribute`},
		{user, "id;drop table users", "", `unknown attribute`},
		{append(user[:1:1], device), "title", "", `title is string of one resource type and integer of another`},
	} {
		s, err := ParseSort(c.types, c.by, c.order, Lenient)
		e, ok := err.(*Error)
		if !ok || e.Type != "invalidValue" || !strings.Contains(e.Detail, c.want) {
			t.Errorf("%s %s: got %v, %v, want invalidValue … %s", c.by, c.order, s, err, c.want)
		}
	}
	if _, err := ParseSort(user, "manager", "", Strict); err == nil {
		t.Error("a strict connection may sort by manager without its URN")
	}
}

// What only some resource types have is of no value for the others, and what none
// of them has is unknown.
func TestBindAllTakesWhatIsMissingForNoValue(t *testing.T) {
	u, g := Resource{"userName": "ann", "displayName": "x"}, Resource{"displayName": "x"}
	for _, c := range []struct {
		filter      string
		user, group bool
	}{
		{`userName pr`, true, false},
		{`not (userName pr)`, false, true},
		{`userName eq "ann"`, true, false},
		{`userName ne "ann"`, false, true},
		{`userName eq null`, false, true},
		{`userName gt "a"`, true, false},
		{`emails[type eq "work"]`, false, false},
		{`not (emails[type eq "work"])`, true, true},
		{`emails[type eq "work"].value eq "x"`, false, false},
		{`members pr or displayName eq "X"`, true, true},
		{EnterpriseSchema + ` pr`, false, false},
		{EnterpriseSchema + `:department ne "x"`, true, true},
		{`meta.resourceType eq "Group"`, false, true},
	} {
		f, err := ParseFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		bound, err := f.BindAll(ResourceTypes(), Strict)
		if err != nil {
			if strings.Contains(c.filter, "].value") { // as custom has it
				bound, err = f.BindAll(ResourceTypes(), Lenient)
			}
			if err != nil {
				t.Errorf("%s: %v", c.filter, err)
				continue
			}
		}
		if got := bound[0].Match(UserType(), u, Common{}); got != c.user {
			t.Errorf("%s: the user matches %t, want %t", c.filter, got, c.user)
		}
		if got := bound[1].Match(GroupType(), g, Common{}); got != c.group {
			t.Errorf("%s: the group matches %t, want %t", c.filter, got, c.group)
		}
	}
	for _, text := range []string{`nope pr`, `userName pr and nope eq "x"`, `nope[value eq "x"]`, `displayName eq 5 and active eq "x"`} {
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if bound, err := f.BindAll(ResourceTypes(), Strict); err == nil {
			t.Errorf("%s: bound as %v", text, bound)
		}
	}
}
