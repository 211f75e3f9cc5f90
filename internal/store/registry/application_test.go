package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// remote is a server that does not run with --local.
func remote(c *store.Config) { c.Local = false }

func TestApplicationsThatAreRefused(t *testing.T) {
	v := storetest.New(t).Vendor("test")
	ctx := t.Context()
	if _, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "ringling"}); err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		app  registry.NewApplication
		says string
	}{
		"no client id":              {registry.NewApplication{}, "client id"},
		"a client id in capitals":   {registry.NewApplication{ClientID: "Timesheet"}, "client id"},
		"a client id with a dot":    {registry.NewApplication{ClientID: "time.sheet"}, "client id"},
		"a role in capitals":        {registry.NewApplication{ClientID: "timesheet", Roles: []string{"Viewer"}}, "role"},
		"a role with a space":       {registry.NewApplication{ClientID: "timesheet", Privileged: []string{"a b"}}, "role"},
		"an empty role":             {registry.NewApplication{ClientID: "timesheet", Roles: []string{""}}, "role"},
		"a role named twice":        {registry.NewApplication{ClientID: "timesheet", Roles: []string{"viewer", "viewer"}}, "twice"},
		"a role privileged and not": {registry.NewApplication{ClientID: "timesheet", Roles: []string{"viewer"}, Privileged: []string{"viewer"}}, "twice"},
	} {
		secret, _, err := v.AddApplication(ctx, test.app)
		refusedFor(t, what, err, test.says)
		if secret != "" {
			t.Errorf("%s: a secret was given out", what)
		}
	}
	nowhere := registry.NewApplication{ClientID: "timesheet", Roles: []string{"viewer"}, Tenants: []string{"ringling", "cirque"}}
	_, _, err := v.AddApplication(ctx, nowhere)
	noTenant(t, err, "cirque")
	if list, err := v.Applications(ctx); err != nil || len(list) != 0 {
		t.Errorf("got %v %v, want no application", list, err)
	}
	app := registry.NewApplication{ClientID: "timesheet", Roles: []string{"viewer"}, Tenants: []string{"ringling"}}
	if _, _, err := v.AddApplication(ctx, app); err != nil {
		t.Errorf("something of what was refused was kept: %v", err)
	}
}

func TestRedirectURIs(t *testing.T) {
	v := storetest.New(t).Vendor("test")
	n := 0
	for uri, good := range map[string]bool{
		"https://timesheet.example/callback":       true,
		"https://timesheet.example:8443/cb?a=b":    true,
		"http://localhost:3000/cb":                 true,
		"http://127.0.0.1/cb":                      true,
		"http://[::1]:8080/cb":                     true,
		"":                                         false,
		"/cb":                                      false,
		"timesheet.example/cb":                     false,
		"http://timesheet.example/cb":              false,
		"http://localhost.evil.example/cb":         false,
		"http://127.0.0.1.evil.example/cb":         false,
		"http://10.0.0.1/cb":                       false,
		"javascript:alert(1)":                      false,
		"data:text/html,x":                         false,
		"custom://timesheet.example/cb":            false,
		"https:///cb":                              false,
		"https://user@timesheet.example/cb":        false,
		"https://timesheet.example/cb#":            false,
		"https://timesheet.example/cb#x":           false,
		"https://*.timesheet.example/cb":           false,
		"https://timesheet.example/*":              false,
		"https://timesheet.example\\@evil.example": false,
		"https://timesheet.example/c b":            false,
		"https://timesheet.example/cb\r\nX: y":     false,
	} {
		n++
		app := registry.NewApplication{ClientID: fmt.Sprintf("app-%d", n), RedirectURIs: []string{"https://good.example/cb", uri}}
		_, a, err := v.AddApplication(t.Context(), app)
		if good && (err != nil || !slices.Equal(a.RedirectURIs, app.RedirectURIs)) {
			t.Errorf("%q: got %v %v, want it kept to the letter", uri, a.RedirectURIs, err)
		}
		if !good {
			refusedFor(t, uri, err, "redirect URI")
		}
	}
}

// An application is registered whole or not at all, and a tenant that is named
// twice is served once.
func TestAnApplicationIsRegisteredWhole(t *testing.T) {
	s := storetest.New(t)
	v := s.Vendor("test")
	ctx := t.Context()
	ids := map[string]uuid.UUID{}
	for _, slug := range []string{"ringling", "cirque"} {
		tenant, err := v.CreateTenant(ctx, registry.NewTenant{Slug: slug})
		if err != nil {
			t.Fatal(err)
		}
		ids[slug] = tenant.ID
	}
	app := registry.NewApplication{ClientID: "timesheet", Tenants: []string{"cirque", "ringling", "cirque"}, Roles: []string{"viewer"}, Privileged: []string{"owner"}}
	secret, a, err := v.AddApplication(ctx, app)
	if err != nil || !strings.HasPrefix(secret, registry.ClientPrefix) || len(a.Tenants) != 2 {
		t.Fatalf("got %+v %v, want two tenants and a secret", a, err)
	}
	_, _, err = v.AddApplication(ctx, app)
	refusedFor(t, "the same client id", err, "exists already")
	found, err := v.Application(ctx, "timesheet")
	if err != nil || found.ID != a.ID || !slices.Contains(found.Tenants, ids["cirque"]) || !slices.Contains(found.Tenants, ids["ringling"]) {
		t.Errorf("found %+v %v, want what was registered", found, err)
	}
	for _, slug := range []string{"ringling", "cirque"} {
		if got := refusedRoles(t, s, slug); got != 0 {
			t.Errorf("%s may not grant %d of the application's roles", slug, got)
		}
	}
}

// A customer who comes later is let into an application that exists: its people
// are served, its rules grant all the roles, its log says so; nobody else's
// changes. Whatever is refused lets nobody in.
func TestATenantIsLetIntoAnApplication(t *testing.T) {
	owner, server := storetest.Database(t)
	s := storetest.Open(t, server)
	v := s.Vendor("anna")
	ctx := t.Context()
	ids := map[string]uuid.UUID{}
	for _, slug := range []string{"ringling", "cirque", "roncalli"} {
		tenant, err := v.CreateTenant(ctx, registry.NewTenant{Slug: slug})
		if err != nil {
			t.Fatal(err)
		}
		ids[slug] = tenant.ID
	}
	app := registry.NewApplication{ClientID: "timesheet", Tenants: []string{"ringling"}, Roles: []string{"viewer"}, Privileged: []string{"owner"}}
	if _, _, err := s.Vendor("test").AddApplication(ctx, app); err != nil {
		t.Fatal(err)
	}
	if _, err := v.AllowTenant(ctx, "nothing", "cirque"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("an unknown application: got %v, want ErrNotFound", err)
	}
	_, err := v.AllowTenant(ctx, "timesheet", "cirque", "nobody")
	noTenant(t, err, "nobody")
	_, err = s.Vendor("").AllowTenant(ctx, "timesheet", "cirque")
	refusedFor(t, "nobody who acts", err, "say who acts")
	if got := refusedRoles(t, s, "cirque"); got != 2 {
		t.Errorf("before: %d of the 2 roles are refused to cirque", got)
	}
	for range 2 {
		a, err := v.AllowTenant(ctx, "timesheet", "cirque", "ringling", "cirque")
		if want := []uuid.UUID{ids["ringling"], ids["cirque"]}; err != nil || !slices.Equal(a.Tenants, want) {
			t.Fatalf("got %v %v, want %v", a.Tenants, err, want)
		}
	}
	found, err := v.Application(ctx, "timesheet")
	if err != nil || len(found.Tenants) != 2 {
		t.Errorf("found %v %v, want two tenants", found.Tenants, err)
	}
	for slug, want := range map[string]int{"ringling": 0, "cirque": 0, "roncalli": 2} {
		if got := refusedRoles(t, s, slug); got != want {
			t.Errorf("%s: %d roles are refused, want %d", slug, got, want)
		}
	}
	for slug, want := range map[string][]string{
		"ringling": {"application.added test"}, "cirque": {"application.allowed anna"}, "roncalli": nil,
	} {
		if got := applicationLog(t, owner, slug); !slices.Equal(got, want) {
			t.Errorf("%s: the log has %q, want %q", slug, got, want)
		}
	}
}

// applicationLog is what a tenant's log says of applications, and who did it. It
// fails where an entry names another tenant.
func applicationLog(t *testing.T, owner, slug string) (entries []string) {
	t.Helper()
	rows, err := storetest.Look(t, owner, slug).Query(t.Context(), `
		select kind || ' ' || actor, body::jsonb -> 'tenants' = jsonb_build_array(tenant_id)
		from changes
		where kind like 'application.%'`)
	if err != nil {
		t.Fatal(err)
	}
	var entry string
	var alone bool
	_, err = pgx.ForEachRow(rows, []any{&entry, &alone}, func() error {
		if entries = append(entries, entry); !alone {
			t.Errorf("%s: it names another tenant than its own", entry)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// refusedRoles counts the application's roles that a tenant may not grant.
func refusedRoles(t *testing.T, s *store.Store, slug string) (n int) {
	t.Helper()
	dir, err := s.Admin(t.Context(), slug, "test", store.Request{})
	if err != nil {
		t.Fatal(err)
	}
	_, issues, err := dir.CheckRules(t.Context(), []byte("version: 1\ngroupRoles:\n  - id: \"0193a5b0-0000-7000-8000-000000000000\"\n    grant: [timesheet.owner, timesheet.viewer]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, issue := range issues {
		if strings.Contains(issue.Message, "timesheet.") {
			n++
		}
	}
	return n
}

// Applications that are registered at once for the same tenants, named in
// different order, do not wait for one another in a circle.
func TestApplicationsAreRegisteredAtOnce(t *testing.T) {
	v := storetest.New(t).Vendor("test")
	slugs := []string{"aaa", "bbb", "ccc", "ddd"}
	for _, slug := range slugs {
		if _, err := v.CreateTenant(t.Context(), registry.NewTenant{Slug: slug}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range 6 {
		order := slices.Clone(slugs)
		if i%2 == 1 {
			slices.Reverse(order)
		}
		wg.Go(func() {
			_, _, err := v.AddApplication(context.Background(), registry.NewApplication{ClientID: fmt.Sprintf("app-%d", i), Tenants: order, Roles: []string{"viewer"}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A token of one application is never one of another: no audience is another's
// audience or client id, also of two that are registered at once.
func TestAudiencesAreOfOneApplication(t *testing.T) {
	v := storetest.New(t).Vendor("test")
	for _, app := range []registry.NewApplication{
		{ClientID: "timesheet"},
		{ClientID: "payroll", Audience: "https://payroll.example/api"},
	} {
		if _, _, err := v.AddApplication(t.Context(), app); err != nil {
			t.Fatal(err)
		}
	}
	for what, app := range map[string]registry.NewApplication{
		"another's audience":               {ClientID: "evil", Audience: "https://payroll.example/api"},
		"another's client id":              {ClientID: "evil", Audience: "payroll"},
		"another's client id and audience": {ClientID: "evil", Audience: "timesheet"},
	} {
		_, _, err := v.AddApplication(t.Context(), app)
		refusedFor(t, what, err, "its tokens would open both")
	}
	if _, _, err := v.AddApplication(t.Context(), registry.NewApplication{ClientID: "first-app", Audience: "second-app"}); err != nil {
		t.Fatal(err)
	}
	_, _, err := v.AddApplication(t.Context(), registry.NewApplication{ClientID: "second-app"})
	refusedFor(t, "a client id that is an audience", err, "its tokens would open both")

	for i := range 8 { // each is the audience of the other: one of them is there
		one, two := fmt.Sprintf("one-%d", i), fmt.Sprintf("two-%d", i)
		var both [2]error
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, both[0] = v.AddApplication(context.Background(), registry.NewApplication{ClientID: one, Audience: two})
		})
		wg.Go(func() {
			_, _, both[1] = v.AddApplication(context.Background(), registry.NewApplication{ClientID: two, Audience: one})
		})
		wg.Wait()
		if (both[0] == nil) == (both[1] == nil) {
			t.Errorf("got %v and %v, want one of them refused", both[0], both[1])
		}
	}
}

func TestAnUnknownApplicationIsNotFound(t *testing.T) {
	v := storetest.New(t).Vendor("test")
	if _, err := v.Application(t.Context(), "nobody"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}
