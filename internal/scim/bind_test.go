package scim

import (
	"strings"
	"testing"
)

// refused fails the test unless filter is read and then refused by Bind with
// invalidFilter and a detail that holds want.
func refused(t *testing.T, rt *ResourceType, p Profile, filter, want string) {
	t.Helper()
	f, err := ParseFilter(filter)
	if err != nil {
		t.Errorf("%s: %v", filter, err)
		return
	}
	bound, err := f.Bind(rt, p)
	e, ok := err.(*Error)
	if !ok || e.Status != 400 || e.Type != "invalidFilter" || !strings.Contains(e.Detail, want) {
		t.Errorf("%s, %s:\n got %v, %v\nwant invalidFilter … %s", p, filter, bound, err, want)
	}
}

func bound(t testing.TB, rt *ResourceType, p Profile, filter string) *Filter {
	t.Helper()
	f, err := ParseFilter(filter)
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	b, err := f.Bind(rt, p)
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	return b
}

func TestWhatCannotBeComparedIsRefused(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{`nope eq "x"`, `unknown attribute "nope"`},
		{`name.nope eq "x"`, `unknown attribute "name.nope"`},
		{`department eq "x"`, `unknown attribute "department"`},
		{`urn:example:User:x pr`, `unknown attribute "urn:example:User:x"`},
		{`active gt true`, `active is boolean: "gt" does not apply to it`},
		{`active co true`, `active is boolean: "co" does not apply to it`},
		{`active eq "maybe"`, `active is compared with true or false`},
		{`active eq 1`, `active is compared with true or false`},
		{`x509Certificates.value gt "a"`, `x509Certificates.value is binary: "gt" does not apply to it`},
		{`x509Certificates co "a"`, `x509Certificates.value is binary: "co" does not apply to it`},
		{`meta.created co "2024"`, `meta.created is dateTime: "co" does not apply to it`},
		{`meta.created eq "yesterday"`, `meta.created is compared with a date such as 2026-01-31T12:00:00Z, not "yesterday"`},
		{`meta.created gt 5`, `meta.created is compared with a date`},
		{`meta.created gt "0000-01-01T00:00:00+01:00"`, `is compared with a date`},
		{`userName eq true`, `userName is compared with a string`},
		{`userName gt null`, `userName is compared with a string`},
		{`externalId eq "\u0000"`, `externalId: no value holds the character U+0000`},
		{`name eq "x"`, `name is complex: name one of its sub-attributes: formatted, familyName, givenName`},
		{`addresses co "x"`, `addresses is complex: name one of its sub-attributes`},
		{`meta eq "x"`, `meta is complex`},
		{`password eq "x"`, `password cannot be filtered by`},
		{`password pr`, `password cannot be filtered by`},
		{`password eq null`, `password cannot be filtered by`},
		{`emails[userName eq "x"]`, `emails has no sub-attribute "userName"`},
		{`emails[emails.value eq "x"]`, `emails has no sub-attribute "emails.value"`},
		{`emails[password eq "x"]`, `emails has no sub-attribute "password"`},
		{`emails.value[type eq "x"]`, `emails.value takes no filter in brackets`},
		{`userName[value eq "x"]`, `userName takes no filter in brackets`},
		{`meta[created pr]`, `meta takes no filter in brackets`},
		{EnterpriseSchema + ` eq "x"`, `is a schema, not an attribute: only pr applies to it`},
		{EnterpriseSchema + `[department eq "x"]`, `takes no filter in brackets`},
		{UserSchema + ` pr`, `names a schema, not an attribute`},
		{`title pr and (active eq true or nope pr)`, `unknown attribute "nope"`},
	} {
		refused(t, UserType(), Lenient, c.filter, c.want)
	}
	refused(t, GroupType(), Lenient, `manager eq "x"`, `unknown attribute "manager"`)
	refused(t, GroupType(), Lenient, `userName eq "x"`, `unknown attribute "userName"`)
}

func TestStrictRefusesWhatOnlyCustomAllows(t *testing.T) {
	for _, c := range []struct{ filter, want, quirk string }{
		{`userName eq ann`, `a string stands in double quotes`, "Q26"},
		{`emails[type eq work]`, `a string stands in double quotes`, "Q26"},
		{`not (title pr or externalId eq jyoung)`, `a string stands in double quotes`, "Q26"},
		{`emails[type eq "work"].value eq "x"`, `may not be followed by ".value"`, "Q24"},
		{`externalId eq 701984`, `externalId is compared with a string`, "Q26"},
		{`active eq "True"`, `active is compared with true or false`, "Q30"},
		{`manager eq "x"`, `unknown attribute "manager"`, "Q27"},
		{`manager.value eq "x"`, `unknown attribute "manager.value"`, "Q27"},
		{EnterpriseSchema + `:manager eq "x"`, `manager is complex`, "Q27"},
		{EnterpriseSchema + `.department eq "x"`, `unknown attribute`, "Q97"},
		{`userName eq"ann"`, `a space stands before the value`, "J57"},
	} {
		refused(t, UserType(), Strict, c.filter, c.want)
		notes := bound(t, UserType(), Lenient, c.filter).Notes
		if len(notes) != 1 || notes[0].Quirk != c.quirk || notes[0].Path == "" || notes[0].Reason == "" {
			t.Errorf("%s: got notes %q, want one of %s", c.filter, notes, c.quirk)
		}
	}
}

// What the RFC allows is no deviation, however it is spelled.
func TestAFilterOfTheRFCIsNotNoted(t *testing.T) {
	for _, f := range []string{
		`USERNAME EQ "ann"`, `emails co "example.com"`, `emails[type eq "work" and value co "@"]`, `active eq true and not(title pr)`,
		UserSchema + `:userName sw "a"`, EnterpriseSchema + `:manager.value eq "7"`, `title eq null`, `meta.created gt "2011-05-13T04:42:34Z"`,
	} {
		for _, p := range []Profile{Lenient, Strict} {
			if notes := bound(t, UserType(), p, f).Notes; len(notes) > 0 {
				t.Errorf("%s: %s: got notes %q, want none", p, f, notes)
			}
		}
	}
}

// Whatever the profile, the RFC's own example and its like mean the value.
func TestBindSaysWhatAFilterMeans(t *testing.T) {
	for _, c := range []struct{ filter, want string }{
		{`title eq null`, `not (title pr)`},
		{`title ne null`, `title pr`},
		{`emails[value eq null]`, `emails[not (value pr)]`},
		{`emails[type eq "work"].value eq "x"`, `emails[type eq "work" and value eq "x"]`},
		{`emails[type eq "work" or primary eq true].value pr`, `emails[(type eq "work" or primary eq true) and value pr]`},
		{`emails[type eq "work"].value eq null`, `not (emails[type eq "work" and value pr])`},
		{`active eq True`, `active eq true`},
		{`emails.primary eq "false"`, `emails[not (primary eq true)]`},
		{`emails[primary eq false and type pr]`, `emails[not (primary eq true) and type pr]`},
		{`emails[primary ne false]`, `emails[primary eq true]`},
		{`externalId eq 701984`, `externalId eq "701984"`},
		{`externalId eq 1.50`, `externalId eq "1.50"`},
	} {
		if got := bound(t, UserType(), Lenient, c.filter).String(); got != c.want {
			t.Errorf("%s: bound as %s, want %s", c.filter, got, c.want)
		}
	}
	for _, p := range []Profile{Lenient, Strict} {
		f := bound(t, UserType(), p, `emails co "Example.com"`)
		if f.Ref.Last().Path != "emails.value" || f.Operand != "example.com" || f.Value != "Example.com" {
			t.Errorf("%s: emails co compares %s with %v, written %v", p, f.Ref.Last().Path, f.Operand, f.Value)
		}
	}
}

// A filter reads the attributes that it compares, however it names them: in a deployment
// that keeps one of them out of addresses, it may not stand in one.
func TestWhatAFilterReads(t *testing.T) {
	const department = EnterpriseSchema + ":department"
	for _, c := range []struct {
		filter     string
		reads, not []string
	}{
		{`userName eq "x"`, []string{"userName", UserSchema + ":userName"}, []string{"title", "id", department, EnterpriseSchema}},
		{`title pr or not (active eq true)`, []string{"title", "active"}, []string{"userName"}},
		{`name.familyName eq "x"`, []string{"name", "name.familyName"}, []string{"name.givenName"}},
		{`emails co "x"`, []string{"emails", "emails.value"}, []string{"emails.type", "phoneNumbers.value"}},
		{`emails[type eq "work" and value co "x"]`, []string{"emails", "emails.type", "emails.value"}, []string{"emails.display", "phoneNumbers"}},
		{department + ` eq "x"`, []string{department, EnterpriseSchema}, []string{EnterpriseSchema + ":division"}},
		{`title pr and (active eq true or ` + EnterpriseSchema + `:manager.value eq "x")`, []string{EnterpriseSchema + ":manager", EnterpriseSchema}, []string{department}},
		{EnterpriseSchema + ` pr`, []string{EnterpriseSchema}, []string{department, "userName"}},
	} {
		for name, want := range answers(c.reads, c.not) {
			ref, err := UserType().Resolve(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := bound(t, UserType(), Lenient, c.filter).Reads(ref); got != want {
				t.Errorf("%s reads %s: got %t, want %t", c.filter, name, got, want)
			}
		}
	}
}

// answers are true for the ones and false for the others.
func answers(ones, others []string) map[string]bool {
	all := map[string]bool{}
	for _, one := range ones {
		all[one] = true
	}
	for _, other := range others {
		all[other] = false
	}
	return all
}

func TestElementFilterOfAPatchPath(t *testing.T) {
	emails := UserType().Core.Attribute("emails")
	work := map[string]any{"value": "Ann@Example.com", "type": "work", "primary": true}
	home := map[string]any{"value": "ann@home.example", "type": "home"}
	for _, c := range []struct {
		path       string
		work, home bool
	}{
		{`emails[type eq "Work"]`, true, false},
		{`emails[type eq work and primary eq "True"]`, true, false},
		{`emails[primary eq false]`, false, true},
		{`emails[primary ne true]`, false, true},
		{`emails[not (primary eq true)]`, false, true},
		{`emails[value ew "@example.com" or type eq "home"]`, true, true},
		{`emails[display pr]`, false, false},
		{`emails[display eq null]`, true, true},
	} {
		path, err := ParsePath(c.path)
		if err != nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		f, err := path.Filter.BindElement(emails, Lenient)
		if err != nil {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		if gotWork, gotHome := f.MatchElement(work), f.MatchElement(home); gotWork != c.work || gotHome != c.home {
			t.Errorf("%s: work %t, home %t, want %t, %t", c.path, gotWork, gotHome, c.work, c.home)
		}
	}
}

func TestValueOfASimpleElement(t *testing.T) {
	tags := &Attribute{Name: "tags", Path: "tags", Multi: true}
	path, err := ParsePath(`tags[value sw "A"]`)
	if err != nil {
		t.Fatal(err)
	}
	f, err := path.Filter.BindElement(tags, Strict)
	if err != nil {
		t.Fatal(err)
	}
	if !f.MatchElement("acrobat") || f.MatchElement("clown") {
		t.Errorf("%s does not select the elements that begin with a", f)
	}
	if f, err := (&Filter{Op: Pr, Path: Path{Name: "type"}}).BindElement(tags, Strict); err == nil {
		t.Errorf("bound %s to an attribute without sub-attributes", f)
	}
}
