package scim

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Where the schemas that are built differ from RFC 7643 §8.7.1 as published:
// the column of rfc7643-attributes.csv, then why.
var corrected = map[string]string{
	"Group displayName required":             "erratum 5368",
	"User groups.$ref referenceTypes":        "erratum 8471",
	"Group members.$ref caseExact":           "erratum 6001",
	"User groups.$ref caseExact":             "erratum 6001",
	"User photos.value caseExact":            "erratum 6001",
	"User profileUrl caseExact":              "erratum 6001",
	"EnterpriseUser manager.$ref caseExact":  "erratum 6001",
	"EnterpriseUser manager.value caseExact": "erratum 8472",
	"User x509Certificates.value caseExact":  "RFC 7643 §2.3.6: binary is case-exact",
	"User x509Certificates caseExact":        "a complex attribute has no case",
}

func TestSchemasAreThePublishedOnesWithErrata(t *testing.T) {
	names := map[string]string{UserSchema: "User", GroupSchema: "Group", EnterpriseSchema: "EnterpriseUser"}
	f, err := os.Open("testdata/rfc7643-attributes.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	published := make(map[string]bool)
	for _, row := range rows[1:] {
		name, ok := names[row[0]]
		if !ok {
			continue
		}
		a := find(schemaByID(row[0]), row[1])
		if a == nil {
			t.Errorf("%s lacks %s", name, row[1])
			continue
		}
		published[a.Path] = true
		compareRow(t, name, rows[0], row, a)
	}
	for _, s := range AllSchemas(ResourceTypes()) {
		for _, a := range s.Attributes {
			if !published[a.Path] && a.Name != "externalId" {
				t.Errorf("%s has %s, which is not published", s.ID, a.Path)
			}
		}
	}
}

func compareRow(t *testing.T, schema string, columns, row []string, a *Attribute) {
	t.Helper()
	flag := func(b bool) string { return strings.ToUpper(fmt.Sprint(b)[:1]) + fmt.Sprint(b)[1:] }
	got := []string{row[0], row[1], a.Type.String(), flag(a.Multi), flag(a.Required), flag(a.CaseExact), a.Mutability,
		a.Returned, a.Uniqueness, strings.Join(a.Canonical, "|"), strings.Join(a.References, "|")}
	for i, column := range columns {
		if row[i] == "" && (column == "caseExact" || column == "uniqueness") {
			continue
		}
		if _, why := corrected[schema+" "+row[1]+" "+column]; got[i] != row[i] && !why {
			t.Errorf("%s %s %s: got %q, published %q", schema, row[1], column, got[i], row[i])
		}
	}
}

func schemaByID(id string) *Schema {
	for _, s := range AllSchemas(ResourceTypes()) {
		if s.ID == id {
			return s
		}
	}
	return nil
}

func find(s *Schema, path string) *Attribute {
	attr, sub, dotted := strings.Cut(path, ".")
	a := s.Attribute(attr)
	if a == nil || !dotted {
		return a
	}
	return a.SubAttribute(sub)
}

func TestResolve(t *testing.T) {
	const enterprise = EnterpriseSchema
	cases := []struct{ name, want string }{
		{"userName", "userName"},
		{"USERNAME", "userName"},
		{"name.FamilyName", "name.familyName"},
		{"emails.value", "emails.value"},
		{"groups.$ref", "groups.$ref"},
		{"id", "id"},
		{"externalid", "externalId"},
		{"schemas", "schemas"},
		{"meta.Created", "meta.created"},
		{UserSchema + ":userName", "userName"},
		{UserSchema + ":name.givenName", "name.givenName"},
		{UserSchema + ":id", "id"},
		{UserSchema + ".userName", "userName"},
		{enterprise, "whole " + enterprise},
		{strings.ToUpper(enterprise), "whole " + enterprise},
		{enterprise + ":department", enterprise + ":department"},
		{enterprise + ".department", enterprise + ":department"},
		{enterprise + ":manager.value", enterprise + ":manager.value"},
		{strings.ToUpper(enterprise) + ":MANAGER.$REF", enterprise + ":manager.$ref"},
		{"manager", "alias " + enterprise + ":manager"},
		{"Manager.value", "alias " + enterprise + ":manager.value"},

		{"", "error"},
		{"department", "error"},
		{"uſerName", "error"},
		{"userName.value", "error"},
		{"name.first", "error"},
		{"name.", "error"},
		{"a.b.c", "error"},
		{UserSchema, "error"},
		{UserSchema + ":", "error"},
		{UserSchema + ":department", "error"},
		{enterprise + ":", "error"},
		{enterprise + ":id", "error"},
		{enterprise + "x:department", "error"},
		{"urn:", "error"},
		{"urn:example:other:department", "error"},
		{strings.Repeat("x", 1000), "error"},
	}
	for _, c := range cases {
		if got := resolved(c.name); got != c.want {
			t.Errorf("Resolve(%q) = %s, want %s", c.name, got, c.want)
		}
	}
}

func resolved(name string) string {
	ref, err := UserType().Resolve(name)
	switch {
	case err != nil && err.(*Error).Type == "invalidPath":
		return "error"
	case err != nil:
		return err.Error()
	case ref.Whole:
		return "whole " + ref.Extension.ID
	case ref.Alias:
		return "alias " + ref.Last().Path
	}
	return ref.Last().Path
}

func FuzzResolve(f *testing.F) {
	for _, name := range []string{"name.familyName", EnterpriseSchema + ":manager.value", "URN:", "manager.", "a.b.c"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		ref, err := UserType().Resolve(name)
		if err != nil || ref.Whole {
			return
		}
		again, err := UserType().Resolve(ref.Last().Path)
		if err != nil || again.Last() != ref.Last() {
			t.Fatalf("Resolve(%q) = %s, which resolves to %v, %v", name, ref.Last().Path, again, err)
		}
	})
}

func TestGroupsHaveNoManager(t *testing.T) {
	if ref, err := GroupType().Resolve("manager"); err == nil {
		t.Errorf("got %v, want an error", ref)
	}
}

// Entra's schema check fails on nulls, and expects back what it sent (Q120, Q123).
func TestDiscovery(t *testing.T) {
	for _, s := range AllSchemas(ResourceTypes()) {
		text := string(s.Discovery("https://muster.example/t/ringling/scim/v2"))
		for _, unwanted := range []string{"null", `:""`, "[]", `"password"`} {
			if strings.Contains(text, unwanted) {
				t.Errorf("%s: discovery holds %s", s.ID, unwanted)
			}
		}
		var shown struct {
			ID         string
			Attributes []struct {
				Name, Type, Mutability, Uniqueness string
				CaseExact                          *bool
				SubAttributes                      []any
			}
			Meta struct{ Location string }
		}
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			t.Fatal(err)
		}
		if want := "https://muster.example/t/ringling/scim/v2/Schemas/" + s.ID; shown.Meta.Location != want {
			t.Errorf("location %s, want %s", shown.Meta.Location, want)
		}
		for _, a := range shown.Attributes {
			complex := a.Type == "complex"
			if complex != (a.SubAttributes != nil) || complex && (a.Uniqueness != "" || a.CaseExact != nil) {
				t.Errorf("%s: %+v does not fit its type (erratum 6004)", s.ID, a)
			}
		}
	}
}

func TestDiscoveryOfResourceTypes(t *testing.T) {
	got := string(UserType().Discovery("https://muster.example"))
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"User","name":"User","description":"User Account",` +
		`"endpoint":"/Users","schema":"urn:ietf:params:scim:schemas:core:2.0:User",` +
		`"schemaExtensions":[{"schema":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","required":false}],` +
		`"meta":{"resourceType":"ResourceType","location":"https://muster.example/ResourceTypes/User"}}`
	if got != want {
		t.Error(cmp.Diff(want, got))
	}
}

func TestErrorsSpeakTheWireForm(t *testing.T) {
	for want, err := range map[string]*Error{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"scimType":"uniqueness","detail":"userName \"jamie\" is taken","status":"409"}`: Uniqueness("userName %q is taken", "jamie"),
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"detail":"no such user","status":"404"}`:                                        NotFound("no such user"),
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"scimType":"invalidPath","detail":"op 2: unknown","status":"400"}`:              BadPath("unknown").Prefix("op %d", 2),
	} {
		got, marshalErr := json.Marshal(err)
		if marshalErr != nil || string(got) != want {
			t.Errorf("got %s, %v; want %s", got, marshalErr, want)
		}
	}
}
