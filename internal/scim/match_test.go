package scim

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// circus is who the filters of TestFilterFinds look for.
func circus(t testing.TB) map[string]circusMember {
	day := func(s string) time.Time {
		d, ok := parseDateTime(s)
		if !ok {
			t.Fatalf("%q is no date", s)
		}
		return d
	}
	return map[string]circusMember{
		"ann": {
			Resource{
				"externalId": "E-1", "userName": "Ann@Ringling.example", "title": "Acrobat", "userType": "Employee",
				"name": map[string]any{"givenName": "Ann", "familyName": "Straße"},
				"emails": []any{
					map[string]any{"value": "ann@work.example", "type": "work", "primary": true},
					map[string]any{"value": "Ann@Home.example", "type": "home"},
				},
				EnterpriseSchema: map[string]any{
					"department": "Ring", "manager": map[string]any{"value": "0f9c5e1e-0000-7000-8000-000000000002"},
				},
			},
			Common{ID: "0f9c5e1e-0000-7000-8000-000000000001", Active: true,
				Created: day("2024-01-01T00:00:00Z"), LastModified: day("2024-06-01T12:00:00.5Z"),
				Groups: []Member{{Value: "0f9c5e1e-0000-7000-8000-0000000000aa", Type: "direct"}}},
		},
		"bob": {
			Resource{
				"userName": "bob_100%", "userType": "", "name": map[string]any{},
				"emails":       []any{map[string]any{"value": "bob@home.example", "type": "home"}},
				"phoneNumbers": []any{},
			},
			Common{ID: "0f9c5e1e-0000-7000-8000-000000000002", Active: false,
				Created: day("2024-01-01T01:00:00Z"), LastModified: day("2024-06-01T12:00:00.500001Z")},
		},
	}
}

type circusMember struct {
	resource Resource
	common   Common
}

func TestFilterFinds(t *testing.T) {
	people := circus(t)
	for _, c := range []struct{ filter, want string }{
		// Strings, by case and literally.
		{`userName eq "ANN@ringling.EXAMPLE"`, "ann"},
		{`UserName Eq "Ann@Ringling.example"`, "ann"},
		{`externalId eq "E-1"`, "ann"},
		{`externalId eq "e-1"`, ""},
		{`externalId eq E-1`, "ann"},
		{`userName co "%"`, "bob"},
		{`userName co "_"`, "bob"},
		{`userName co ".*"`, ""},
		{`userName sw "bob" and userName ew "0%"`, "bob"},
		{`userName sw "ANN@RINGLING.EXAMPLE"`, "ann"},
		{`name.familyName eq "STRASSE"`, "ann"},
		{`userName gt "b"`, "bob"},
		{`userName le "ann@ringling.example"`, "ann"},
		{`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "B"`, "bob"},
		{`URN:IETF:PARAMS:SCIM:SCHEMAS:CORE:2.0:USER:USERNAME SW "B"`, "bob"},
		{`title co ""`, "ann"},
		{`userType co ""`, "ann bob"},

		// No value.
		{`title ne "Acrobat"`, "bob"},
		{`title ne "Clown"`, "ann bob"},
		{`title eq null`, "bob"},
		{`title ne null`, "ann"},
		{`userType pr`, "ann"},
		{`userType eq ""`, "bob"},
		{`name pr`, "ann"},
		{`phoneNumbers pr`, ""},
		{`emails pr`, "ann bob"},
		{`not (title eq "Acrobat")`, "bob"},
		{`active pr`, "ann bob"},

		// Booleans.
		{`active eq true`, "ann"},
		{`active eq "False"`, "bob"},
		{`active ne true`, "bob"},
		{`emails.primary eq true`, "ann"},
		{`emails.primary eq false`, "ann bob"},

		// Several values: any of them, unless brackets say the same one.
		{`emails.value eq "ann@home.example"`, "ann"},
		{`emails eq "BOB@home.example"`, "bob"},
		{`emails co "home"`, "ann bob"},
		{`emails.value ne "bob@home.example"`, "ann"},
		{`phoneNumbers.value ne "1"`, "ann bob"},
		{`emails.type eq "work" and emails.value co "home"`, "ann"},
		{`emails[type eq "work" and value co "home"]`, ""},
		{`emails[type eq "home" and value co "home"]`, "ann bob"},
		{`emails[type eq "work"].value eq "ann@work.example"`, "ann"},
		{`emails[type eq "home"].value eq "ann@work.example"`, ""},
		{`emails[not (type eq "home")]`, "ann"},
		{`emails[type eq "work" or (type eq "home" and value sw "bob")]`, "ann bob"},
		{`name[familyName eq "strasse"]`, "ann"},

		// Dates.
		{`meta.created eq "2024-01-01T02:00:00+02:00"`, "ann"},
		{`meta.created eq "2024-01-01T00:00:00.000Z"`, "ann"},
		{`meta.created gt 2023-12-31T16:00:00.0000000-08:00`, "bob"},
		{`meta.lastModified gt "2024-06-01T12:00:00.5Z"`, "bob"},
		{`meta.lastModified ge "2024-06-01T12:00:00.500000001Z"`, "bob"},
		{`meta.lastModified eq "2024-06-01T12:00:00.500000001Z"`, ""},
		{`meta.resourceType eq "User"`, "ann bob"},
		{`meta.resourceType eq "user"`, ""},

		// Logic: not before and before or.
		{`title pr or userType pr and active eq false`, "ann"},
		{`(title pr or userName pr) and active eq false`, "bob"},
		{`not (title pr) and active eq false`, "bob"},

		// What the server computes, and extensions.
		{`id eq "0f9c5e1e-0000-7000-8000-000000000001"`, "ann"},
		{`id eq "0F9C5E1E-0000-7000-8000-000000000001"`, ""},
		{`id ne "nonsense"`, "ann bob"},
		{`schemas eq "` + EnterpriseSchema + `"`, "ann"},
		{`schemas ne "` + UserSchema + `"`, "ann"},
		{EnterpriseSchema + ` pr`, "ann"},
		{EnterpriseSchema + `:department eq "ring"`, "ann"},
		{`manager eq "0f9c5e1e-0000-7000-8000-000000000002"`, "ann"},
		{`id eq 0f9c5e1e-0000-7000-8000-000000000001 and manager eq 0f9c5e1e-0000-7000-8000-000000000002`, "ann"},
		{`groups.value eq "0f9c5e1e-0000-7000-8000-0000000000AA"`, "ann"},
		{`groups[value eq "0f9c5e1e-0000-7000-8000-0000000000aa" and type eq "direct"]`, "ann"},
		{`groups pr`, "ann"},
	} {
		f := bound(t, UserType(), Lenient, c.filter)
		var got []string
		for name, p := range people {
			if f.Match(UserType(), p.resource, p.common) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: finds %q, want %q", c.filter, got, c.want)
		}
	}
}

func TestFilterFindsGroupsByMember(t *testing.T) {
	group := Common{ID: "0f9c5e1e-0000-7000-8000-0000000000aa", Members: []Member{
		{Value: "0f9c5e1e-0000-7000-8000-000000000001", Type: "User"},
		{Value: "0f9c5e1e-0000-7000-8000-0000000000bb", Type: "Group"},
	}}
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{`displayName eq "RIGGERS"`, true},
		{`members eq 0f9c5e1e-0000-7000-8000-000000000001`, true},
		{`id eq 0f9c5e1e-0000-7000-8000-0000000000aa and members eq 0f9c5e1e-0000-7000-8000-000000000002`, false},
		{`members.value eq "0f9c5e1e-0000-7000-8000-0000000000bb"`, true},
		{`members[value eq "0f9c5e1e-0000-7000-8000-0000000000bb" and type eq "User"]`, false},
		{`members.type eq "group"`, true},
		{`members.value ne "0f9c5e1e-0000-7000-8000-000000000001"`, true},
		{`members pr`, true},
	} {
		f := bound(t, GroupType(), Lenient, c.filter)
		if got := f.Match(GroupType(), Resource{"displayName": "Riggers"}, group); got != c.want {
			t.Errorf("%s: %t, want %t", c.filter, got, c.want)
		}
	}
}

// The stock schemas have neither numbers nor dates of their own.
func TestNumbersAndDatesCompareByValue(t *testing.T) {
	height := &Attribute{Name: "height", Path: "height", Type: TypeInteger}
	weight := &Attribute{Name: "weight", Path: "weight", Type: TypeDecimal}
	since := &Attribute{Name: "since", Path: "since", Type: TypeDateTime}
	artist := &Attribute{Name: "artists", Path: "artists", Type: TypeComplex, Multi: true, Sub: []*Attribute{height, weight, since}}
	artist.byName = index(artist.Sub)
	element := map[string]any{"height": int64(10), "weight": 4.5, "since": "2024-01-01T02:00:00.1234567+02:00"}
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{`height gt 9`, true},
		{`height ge 4.5`, true},
		{`height eq 1e1`, true},
		{`height eq 10.0`, true},
		{`height lt 10.5`, true},
		{`height ne 10`, false},
		{`weight eq 4.50`, true},
		{`weight gt 4`, true},
		{`weight lt 45e-1`, false},
		{`since eq "2024-01-01T00:00:00.1234567Z"`, true},
		{`since gt "2024-01-01T00:00:00.1234566Z"`, true},
		{`since lt "2024-01-01T00:00:01"`, true},
		{`height pr and weight pr and since pr`, true},
	} {
		path, err := ParsePath(`artists[` + c.filter + `]`)
		if err != nil {
			t.Fatalf("%s: %v", c.filter, err)
		}
		f, err := path.Filter.BindElement(artist, Strict)
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
		} else if got := f.MatchElement(element); got != c.want {
			t.Errorf("%s: %t, want %t", c.filter, got, c.want)
		}
	}
	for _, filter := range []string{`height eq "10"`, `height co 1`, `height eq 1e30`, `weight sw 4`, `weight eq true`} {
		f, err := ParseFilter(filter)
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		if b, err := f.BindElement(artist, Lenient); err == nil {
			t.Errorf("%s: bound as %s", filter, b)
		}
	}
}
