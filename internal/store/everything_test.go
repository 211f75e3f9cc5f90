package store_test

import (
	"slices"
	"testing"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/storetest"
)

// One PATCH changes everything that can change about a person: all of it is done, by as
// many parts as a write has room for.
func TestOneChangeOfEverything(t *testing.T) {
	ctx := t.Context()
	owner, server := storetest.Database(t)
	p := newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient")
	if _, issues, err := p.admin().PublishRules(ctx, []byte(`
version: 1
rules:
  - id: payroll
    when: |
      user.title == "Payroll"
    grant: [sheet-ringling.approver]
  - id: rigger
    when: |
      user.title == "Rigger"
    grant: [sheet-ringling.viewer]
`)); err != nil {
		t.Fatal(err, issues)
	}
	doc := person("jamie@ringling.example", "jamie")
	doc.Resource["title"] = "Payroll"
	jamie, _, err := p.scim().CreateUser(ctx, doc)
	if err != nil {
		t.Fatal(err)
	}
	p.signIn("jamie")
	_, changed, err := p.scim().UpdateUser(ctx, jamie.ID.String(), "", func(r scim.Resource) (scim.Resource, []scim.Note, error) {
		next := scim.Resource{}
		for name, value := range r {
			next[name] = value
		}
		next["title"], next["externalId"], next["userName"] = "Rigger", "jamie.m", "jamie.m@ringling.example"
		next["emails"] = []any{map[string]any{"type": "work", "value": "jamie.m@ringling.example"}}
		return next, nil, nil
	})
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	look := storetest.Look(t, owner, "ringling")
	for query, want := range map[string][]string{
		`select role from assignments where until_change is null`:                                                                                   {"sheet-ringling.viewer"},
		`select role from assignments a join changes c on c.n = a.until_change where c.kind = 'user.updated'`:                                       {"sheet-ringling.approver"},
		`select role from assignments a join changes c on c.n = a.from_change where c.kind = 'user.updated'`:                                        {"sheet-ringling.viewer"},
		`select value_key from user_values`:                                                                                                         {"jamie.m@ringling.example"},
		`select user_name_key || ' ' || external_id from users`:                                                                                     {"jamie.m@ringling.example jamie.m"},
		`select case when ended_at is null then 'living' else 'ended' end from sessions`:                                                            {"ended"},
		`select case when ended_at is null then 'bound' else 'unbound' end from identities`:                                                         {"unbound"},
		`select p.method || ' ' || p.status::text from provisioning_requests p join changes c on c.request_id = p.id where c.kind = 'user.updated'`: {"POST 200"},
	} {
		if got := column[string](t, look, query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	if d, err := p.check(jamie.ID.String()); err != nil || !slices.Equal(d.Roles, []string{"sheet-ringling.viewer"}) {
		t.Errorf("%+v %v", d, err)
	}
}
