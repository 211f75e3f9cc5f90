package filter_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/filter"
)

func compile(t testing.TB, rt *scim.ResourceType, text string) filter.Query {
	t.Helper()
	f, err := scim.ParseFilter(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	bound, err := f.Bind(rt, scim.Lenient)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	q, err := filter.Compile(bound, rt, base, 3)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return q
}

func TestConditions(t *testing.T) {
	const elements = "jsonb_path_query((u.search #> $3::text[]), '$[*]') e(v)"
	for _, c := range []struct {
		filter, where string
		args          []any
	}{
		{`userName eq "Ann"`, "(u.user_name_key is not null and u.user_name_key = $3::text)", []any{"ann"}},
		{`externalId eq "Ann"`, "(u.external_id is not null and u.external_id = $3::text)", []any{"Ann"}},
		{`id eq "0f9c5e1e-0000-7000-8000-000000000001"`, "($3::uuid is not null and u.id = $3::uuid)", []any{"0f9c5e1e-0000-7000-8000-000000000001"}},
		{`id eq "nonsense"`, "($3::uuid is not null and u.id = $3::uuid)", []any{nil}},
		{`active eq "False"`, "(u.active = $3::boolean)", []any{false}},
		{`userName sw "O"`, "coalesce(starts_with(u.user_name_key, $3::text), false)", []any{"o"}},
		{`userName gt "O"`, `coalesce(u.user_name_key collate "C" > $3::text, false)`, []any{"o"}},
		{`title co "%"`, "coalesce(strpos((u.search #>> $3::text[]), $4::text) > 0, false)", []any{[]string{"title"}, "%"}},
		{`title ew "x"`, "coalesce(right((u.search #>> $3::text[]), length($4::text)) = $4::text, false)", []any{[]string{"title"}, "x"}},
		{`title ne "x"`, "coalesce((u.search #>> $3::text[]) <> $4::text, true)", []any{[]string{"title"}, "x"}},
		{scim.EnterpriseSchema + `:manager.value eq "x"`, "coalesce((u.search #>> $3::text[]) = $4::text, false)",
			[]any{[]string{scim.EnterpriseSchema, "manager", "value"}, "x"}},
		{`emails.type eq "Work"`, "exists (select from " + elements + " where (e.v ->> $4::text) = $5::text)",
			[]any{[]string{"emails"}, "type", "work"}},
		{`emails.type ne "Work"`, "coalesce((select bool_or((e.v ->> $4::text) <> $5::text) from " + elements + "), true)",
			[]any{[]string{"emails"}, "type", "work"}},
		{`roles[type eq "a" and not (primary eq true)]`, "exists (select from " + elements +
			" where (coalesce((e.v ->> $4::text) = $5::text, false) and not (coalesce(((e.v -> $6::text) = to_jsonb($7::boolean)), false))))",
			[]any{[]string{"roles"}, "type", "a", "primary", true}},
		{`userName eq "a" or userName eq "b"`,
			"((u.user_name_key is not null and u.user_name_key = $3::text) or (u.user_name_key is not null and u.user_name_key = $4::text))",
			[]any{"a", "b"}},
	} {
		q := compile(t, scim.UserType(), c.filter)
		if q.Where != c.where {
			t.Errorf("%s:\n got %s\nwant %s", c.filter, q.Where, c.where)
		}
		if diff := cmp.Diff(c.args, q.Args); diff != "" {
			t.Errorf("%s: arguments: want -, got +\n%s", c.filter, diff)
		}
	}
}

// Neither a value nor an attribute's name reaches the text of a condition, so
// that nothing can be injected and PostgreSQL sees few different statements.
func TestTextDependsOnTheShapeAlone(t *testing.T) {
	const hostile = `'); drop table users; --$1%_\\`
	for _, c := range []struct{ filter, other string }{
		{`title eq "VALUE"`, `nickName eq "a"`},
		{`title co "VALUE" and not (userType sw "VALUE")`, `nickName co "a" and not (title sw "b")`},
		{`roles[value eq "VALUE" and type gt "VALUE"]`, `entitlements[display eq "a" and value gt "b"]`},
		{`roles.value ne "VALUE"`, `ims.type ne "a"`},
		{`id eq "VALUE"`, `id eq "` + userID(0) + `"`},
		{`schemas eq "VALUE"`, `schemas eq "` + scim.UserSchema + `"`},
		{`userName eq "VALUE"`, `userName eq "a"`},
		{`emails[type eq "VALUE"].value eq "VALUE"`, `emails[display eq "a"].value eq "b"`},
		{`groups.value eq "VALUE"`, `groups.value eq "` + groupID(0) + `"`},
		{`meta.resourceType eq "VALUE"`, `meta.resourceType eq "User"`},
	} {
		got := compile(t, scim.UserType(), strings.ReplaceAll(c.filter, "VALUE", hostile)).Where
		if want := compile(t, scim.UserType(), c.other).Where; got != want {
			t.Errorf("%s:\n got %s\nwant %s\nas of %s", c.filter, got, want, c.other)
		}
		if strings.Contains(got, "drop") {
			t.Errorf("%s: its value is in %s", c.filter, got)
		}
	}
}

func TestFilterThatIsNotBoundIsNotCompiled(t *testing.T) {
	for _, text := range []string{`userName eq "a"`, `title pr and (emails[type eq "work"])`, `not (active eq true)`} {
		f, err := scim.ParseFilter(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if q, err := filter.Compile(f, scim.UserType(), base, 1); err == nil {
			t.Errorf("%s: compiled to %s", text, q.Where)
		}
	}
}
