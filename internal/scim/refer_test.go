package scim

import "testing"

func TestRefer(t *testing.T) {
	const base = "https://muster.example/t/acme/scim/v2"
	for _, c := range []struct{ filter, want string }{
		{`members.$ref eq "` + base + `/Users/1"`, `members[value eq "1" and type eq "User"]`},
		{`members.$ref eq "https://muster.example/t/acme/scim/Groups/1"`, `members[value eq "1" and type eq "Group"]`},
		{`members.$REF eq "../Users/1"`, `members[value eq "1" and type eq "User"]`},
		{GroupSchema + `:members.$ref eq "Users/1"`, GroupSchema + `:members[value eq "1" and type eq "User"]`},
		{`members[$ref eq "Users/1" and display eq "x"]`, `members[value eq "1" and type eq "User" and display eq "x"]`},
		{`not (members.$ref eq "Users/1") and members.$ref ne "Users/2"`, `not (members[value eq "1" and type eq "User"]) and members.value ne "2"`},
		{`not (not (members.$ref pr))`, `not (not (members.value pr))`},
		{`members.$ref eq null`, `members.value eq null`},
		{`groups.$ref eq "` + base + `/Groups/1"`, `groups.value eq "1"`},
		{`manager.$ref eq "../Users/1"`, `manager.$ref eq "../Users/1" or manager.value eq "1"`},
		{EnterpriseSchema + `:manager.$ref eq "Users/1"`, EnterpriseSchema + `:manager.$ref eq "Users/1" or ` + EnterpriseSchema + `:manager.value eq "1"`},
		{`meta.location eq "https://muster.example/t/acme/scim/Users/1"`, `meta.location eq "` + base + `/Users/1"`},
		{`meta.location ne "../Users/1"`, `meta.location ne "` + base + `/Users/1"`},
		{UserSchema + `:Meta.Location eq "` + base + `/Users/1"`, UserSchema + `:Meta.Location eq "` + base + `/Users/1"`},

		// Addresses of nobody here, and what is no address of a resource.
		{`members.$ref eq "https://elsewhere.example/Users/1"`, `members.value eq ""`},
		{`members.$ref eq "` + base + `/USERS/1"`, `members.value eq ""`},
		{`members.$ref eq "Users/1/x"`, `members.value eq ""`},
		{`groups.$ref eq "Users/1"`, `groups.value eq ""`},
		{`manager.$ref eq "x"`, `manager.$ref eq "x"`},
		{`members.$ref sw "Users"`, `members.$ref sw "Users"`},
		{`profileUrl eq "Users/1"`, `profileUrl eq "Users/1"`},
		{`emails[type eq "work"].value eq "x"`, `emails[type eq "work"].value eq "x"`},
	} {
		f, err := ParseFilter(c.filter)
		if err != nil {
			t.Fatalf("%s: %v", c.filter, err)
		}
		if got := f.Refer(base).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.filter, got, c.want)
		}
	}
}
