package store_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A circus is one tenant with one connection, an application and its SCIM client.
type circus struct {
	t      *testing.T
	store  *store.Store
	vendor *registry.Vendor
	token  string
	secret string
	conn   registry.Connection
}

const rules = `
version: 1
groupRoles:
  - name: Ringling Managers
    grant: [timesheet.manager]
rules:
  - id: everyone
    everyone: true
    grant: [timesheet.viewer]
  - id: finance-approvers
    when: |
      "Finance" in groups
    grant: [timesheet.approver]
`

// ruleGrants is what rules come to.
var ruleGrants = storetest.Grants{
	Everyone: "timesheet.viewer",
	Groups:   map[string]string{"Finance": "timesheet.approver", "Ringling Managers": "timesheet.manager"},
}

func ringling(t *testing.T) *circus { return ringlingOn(t, storetest.New(t)) }

func ringlingOn(t *testing.T, s *store.Store) *circus {
	t.Helper()
	ctx := t.Context()
	c := &circus{t: t, store: s, vendor: s.Vendor("test")}
	must[registry.Tenant](t)(c.vendor.CreateTenant(ctx, registry.NewTenant{Slug: "ringling"}))
	c.conn = must[registry.Connection](t)(c.vendor.AddConnection(ctx, "ringling", registry.Connection{
		Name: "entra", Kind: "entra", Issuer: "http://127.0.0.1:1", ClientID: "muster", Secret: "s",
	}))
	var err error
	if c.token, _, err = c.vendor.CreateToken(ctx, "ringling", "entra", registry.NewToken{Name: "test"}); err != nil {
		t.Fatal(err)
	}
	c.secret, _, err = c.vendor.AddApplication(ctx, registry.NewApplication{
		ClientID: "timesheet", RedirectURIs: []string{"https://timesheet.example/cb"},
		Tenants: []string{"ringling"}, Roles: []string{"viewer", "approver", "manager"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, issues, err := c.admin().PublishRules(ctx, []byte(rules)); err != nil {
		t.Fatal(err, issues)
	}
	return c
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (c *circus) admin() *store.Directory {
	return must[*store.Directory](c.t)(c.store.Admin(c.t.Context(), "ringling", "test", store.Request{ID: uuid.New()}))
}

// scim is one request of the SCIM client.
func (c *circus) scim() *store.Directory { return c.scimOn(c.store) }

func (c *circus) scimOn(s *store.Store) *store.Directory {
	c.t.Helper()
	return must[*store.Directory](c.t)(s.SCIM(c.t.Context(), "ringling", c.token, store.Request{ID: uuid.New(), Method: "POST", Path: "/Users"}))
}

func (c *circus) publish(rules string) {
	c.t.Helper()
	if _, issues, err := c.admin().PublishRules(c.t.Context(), []byte(rules)); err != nil {
		c.t.Fatal(err, issues)
	}
}

func person(userName, externalID string) scim.Document {
	return scim.Document{Resource: scim.Resource{
		"userName": userName, "externalId": externalID, "displayName": userName,
		"emails": []any{map[string]any{"type": "work", "value": userName}},
	}}
}

// tend does the background work until nobody's roles are stale.
func (c *circus) tend() {
	c.t.Helper()
	tenant := must[registry.Tenant](c.t)(c.vendor.Tenant(c.t.Context(), "ringling"))
	for range 3 {
		c.store.Tend(c.t.Context(), tenant.ID)
	}
}

func (c *circus) create(userName, externalID string) store.User {
	c.t.Helper()
	u, _, err := c.scim().CreateUser(c.t.Context(), person(userName, externalID))
	if err != nil {
		c.t.Fatal(err)
	}
	return u
}

func group(name string, members ...store.User) scim.Document {
	doc := scim.Document{Resource: scim.Resource{"displayName": name}}
	for _, u := range members {
		doc.Members = append(doc.Members, scim.Member{Value: u.ID.String()})
	}
	return doc
}

func members(kind scim.MemberOpKind, users ...store.User) []scim.MemberOp {
	op := scim.MemberOp{Kind: kind}
	for _, u := range users {
		op.Members = append(op.Members, scim.Member{Value: u.ID.String()})
	}
	return []scim.MemberOp{op}
}

func set(attribute string, value any) func(scim.Resource) (scim.Resource, []scim.Note, error) {
	return func(r scim.Resource) (scim.Resource, []scim.Note, error) {
		next := scim.Resource{}
		for k, v := range r {
			next[k] = v
		}
		next[attribute] = value
		return next, nil, nil
	}
}

func (c *circus) check(u store.User) store.Decision {
	c.t.Helper()
	return must[store.Decision](c.t)(c.store.Check(context.Background(), store.CheckRequest{
		Tenant: "ringling", ClientID: "timesheet", Secret: c.secret, UserID: u.ID.String(),
	}))
}
