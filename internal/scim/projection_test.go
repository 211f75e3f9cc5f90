package scim

import (
	"strings"
	"testing"
)

func TestProjection(t *testing.T) {
	const body = `{"schemas":["` + UserSchema + `"],"userName":"jamie","title":"Clown","name":{"givenName":"Jamie","familyName":"Morgan"},
		"emails":[{"value":"a@x.example","type":"work"},{"type":"home"}],
		"` + EnterpriseSchema + `":{"department":"Payroll","manager":{"value":"7","$ref":"../Users/7"}}}`
	const all = `"userName":"jamie","name":{"familyName":"Morgan","givenName":"Jamie"},"title":"Clown",` +
		`"emails":[{"value":"a@x.example","type":"work"},{"type":"home"}],` +
		`"E":{"department":"Payroll","manager":{"value":"7","$ref":"../Users/7"}}`
	cases := []struct{ attributes, excluded, want string }{
		{"", "", all},
		{"userName", "", `"userName":"jamie"`},
		{"USERNAME, title", "", `"userName":"jamie","title":"Clown"`},
		{"id", "", ``},
		{"nope", "", ``},
		{"password", "", ``},
		{",, ,", "", ``},
		{"name.familyName", "", `"name":{"familyName":"Morgan"}`},
		{"name,name.familyName", "", `"name":{"familyName":"Morgan","givenName":"Jamie"}`},
		{"emails.value", "", `"emails":[{"value":"a@x.example"}]`},
		{`emails[type eq "work, or ]"],title`, "", `"title":"Clown","emails":[{"value":"a@x.example","type":"work"},{"type":"home"}]`},
		{`emails[type eq "\"],userName"].value`, "", `"emails":[{"value":"a@x.example"}]`},
		{EnterpriseSchema, "", `"E":{"department":"Payroll","manager":{"value":"7","$ref":"../Users/7"}}`},
		{strings.ToUpper(EnterpriseSchema) + ":Department", "", `"E":{"department":"Payroll"}`},
		{EnterpriseSchema + ":manager.value", "", `"E":{"manager":{"value":"7"}}`},
		{UserSchema + ":title", "", `"title":"Clown"`},
		{"", "title,emails,name.givenName," + EnterpriseSchema, `"userName":"jamie","name":{"familyName":"Morgan"}`},
		{"", "id,schemas", all},
		{"", "nope", all},
		{"", "name.familyName,name.givenName", strings.Replace(all, `"name":{"familyName":"Morgan","givenName":"Jamie"},`, "", 1)},
		{"", EnterpriseSchema + ":department", strings.Replace(all, `"department":"Payroll",`, "", 1)},
	}
	doc, err := Decode(UserType(), []byte(body), Strict)
	if err != nil {
		t.Fatal(err)
	}
	before := string(AppendJSON(nil, UserType(), doc.Resource))
	for _, c := range cases {
		p, err := ParseProjection(UserType(), c.attributes, c.excluded)
		if err != nil {
			t.Errorf("attributes=%s excludedAttributes=%s: %v", c.attributes, c.excluded, err)
			continue
		}
		got := strings.ReplaceAll(string(AppendJSON(nil, UserType(), p.Apply(UserType(), doc.Resource))), EnterpriseSchema, "E")
		if got != "{"+c.want+"}" {
			t.Errorf("attributes=%s excludedAttributes=%s:\ngot  %s\nwant {%s}", c.attributes, c.excluded, got, c.want)
		}
	}
	if after := string(AppendJSON(nil, UserType(), doc.Resource)); after != before {
		t.Errorf("the resource changed: %s", after)
	}
}

func TestProjectionIncludes(t *testing.T) {
	cases := []struct {
		attributes, excluded, name string
		want                       bool
	}{
		{"", "", "members", true},
		{"", "", "meta", true},
		{"", "members", "members", false},
		{"", "members", "id", true},
		{"", "members", "meta.location", true},
		{"", "id,schemas", "id", true},
		{"", "id,schemas", "schemas", true},
		{"displayName", "", "members", false},
		{"displayName", "", "meta", false},
		{"displayName", "", "id", true},
		{"displayName", "", "schemas", true},
		{"members", "", "members.display", true},
		{"members.value", "", "members", true},
		{"members.value", "", "members.value", true},
		{"members.value", "", "members.display", false},
		{"meta.version", "", "meta", true},
		{"meta.version", "", "meta.created", false},
		{"", "members.display", "members", true},
		{"", "members.display", "members.display", false},
		{"", "members.display", "members.value", true},
		{"displayName", "", "unknown", false},
	}
	for _, c := range cases {
		p, err := ParseProjection(GroupType(), c.attributes, c.excluded)
		if got := p.Includes(c.name); err != nil || got != c.want {
			t.Errorf("attributes=%s excludedAttributes=%s: Includes(%s) = %v, %v; want %v", c.attributes, c.excluded, c.name, got, err, c.want)
		}
	}
}

func TestProjectionRefusesBothParameters(t *testing.T) {
	_, err := ParseProjection(UserType(), "userName", "title")
	if refused, ok := err.(*Error); !ok || refused.Type != "invalidValue" {
		t.Errorf("got %v, want invalidValue (RFC 7644 §3.9)", err)
	}
	if _, err := ParseProjection(UserType(), strings.Repeat("a,", 5000), ""); err == nil {
		t.Error("10,000 bytes were accepted")
	}
}

func FuzzProjection(f *testing.F) {
	f.Add("userName,emails[type eq \"work\"].value,"+EnterpriseSchema+":manager.value", false)
	f.Add(`a[b "\"`, true)
	doc := typical(f)
	f.Fuzz(func(t *testing.T, names string, excluded bool) {
		attributes, without := names, ""
		if excluded {
			attributes, without = "", names
		}
		p, err := ParseProjection(UserType(), attributes, without)
		if err != nil {
			return
		}
		roundTrip(t, UserType(), p.Apply(UserType(), doc.Resource))
		if !p.Includes("id") || !p.Includes("schemas") {
			t.Fatalf("%q leaves out id or schemas", names)
		}
	})
}
