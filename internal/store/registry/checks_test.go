package registry_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// refusedFor fails unless err is a mistake in what was asked for that says word.
func refusedFor(t *testing.T, what string, err error, word string) {
	t.Helper()
	var argument *registry.ArgumentError
	if !errors.As(err, &argument) || !strings.Contains(err.Error(), word) {
		t.Errorf("%s: got %v, want a refusal that says %q", what, err, word)
	}
}

// noTenant fails unless err says that there is no tenant of that slug.
func noTenant(t *testing.T, err error, slug string) {
	t.Helper()
	unknown, ok := errors.AsType[*registry.TenantError](err)
	if !ok || unknown.Slug != slug || !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("got %v, want a TenantError of %q", err, slug)
	}
}

func TestConnectionsOnWhichTheWrongPersonCouldEnterAreRefused(t *testing.T) {
	for what, test := range map[string]struct {
		change func(*registry.Connection)
		says   string
	}{
		"no name":             {func(c *registry.Connection) { c.Name = "" }, "connection name"},
		"a name in capitals":  {func(c *registry.Connection) { c.Name = "Entra" }, "connection name"},
		"a name with a slash": {func(c *registry.Connection) { c.Name = "a/b" }, "connection name"},
		"an unknown kind":     {func(c *registry.Connection) { c.Kind = "ldap" }, "kind"},
		"an unknown profile":  {func(c *registry.Connection) { c.Profile = "loose" }, "profile"},
		"e-mail":              {func(c *registry.Connection) { c.MatchClaim = "email" }, "another person"},
		"e-mail in capitals":  {func(c *registry.Connection) { c.MatchClaim = "Email" }, "another person"},
		"the UPN":             {func(c *registry.Connection) { c.MatchClaim = "upn" }, "another person"},
		"the preferred name":  {func(c *registry.Connection) { c.MatchClaim = "preferred_username" }, "another person"},
		"a unique name":       {func(c *registry.Connection) { c.MatchClaim = "unique_name" }, "another person"},
		"a login":             {func(c *registry.Connection) { c.MatchClaim = "login" }, "another person"},
		"userName":            {func(c *registry.Connection) { c.MatchAttribute = "userName" }, "only externalId"},
		"an e-mail attribute": {func(c *registry.Connection) { c.MatchAttribute = "emails.value" }, "only externalId"},
	} {
		c := registry.Connection{Name: "entra", Kind: "entra"}
		test.change(&c)
		refusedFor(t, what, c.Check(true), test.says)
	}
}

func TestWhatAConnectionLeavesOutIsTheSafeChoice(t *testing.T) {
	for kind, claim := range map[string]string{"entra": "oid", "okta": "sub", "generic": "sub"} {
		c := registry.Connection{Name: "c", Kind: kind}
		if err := c.Check(false); err != nil || c.MatchClaim != claim || c.MatchAttribute != "externalId" || c.Profile != "lenient" {
			t.Errorf("%s: got %+v %v, want %s joined to externalId", kind, c, err, claim)
		}
	}
}

// Of a provider that is known, one claim will do; of any other, none that is known
// to be reassigned, however it is written.
func TestMatchClaims(t *testing.T) {
	for _, test := range []struct {
		kind, claim string
		good        bool
	}{
		{"entra", "oid", true}, {"entra", "sub", false}, {"entra", "OID", false}, {"entra", "employeeid", false}, {"entra", "onprem_sid", false},
		{"okta", "sub", true}, {"okta", "uid", false}, {"okta", "oid", false}, {"okta", "preferred_username", false},
		{"generic", "sub", true}, {"generic", "oid", true}, {"generic", "employee_number", true}, {"generic", "https://hr.example/claims/person_id", true},
		{"generic", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", true},
		{"generic", "http://schemas.microsoft.com/identity/claims/objectidentifier", true},
		{"generic", "email", false}, {"generic", "E-Mail", false}, {"generic", "emails", false}, {"generic", " email ", false}, {"generic", "work.email", false},
		{"generic", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", false},
		{"generic", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", false},
		{"generic", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", false},
		{"generic", "https://hr.example/Email/", false}, {"generic", "urn:oid:mail", false}, {"generic", "cognito:username", false},
		{"generic", "userPrincipalName", false}, {"generic", "user-principal-name", false}, {"generic", "sAMAccountName", false},
		{"generic", "nickname", false}, {"generic", "given_name", false}, {"generic", "phone_number", false}, {"generic", "//", false}, {"generic", "-", false},
	} {
		c := registry.Connection{Name: "c", Kind: test.kind, MatchClaim: test.claim}
		err := c.Check(false)
		if test.good && err != nil {
			t.Errorf("%s by %q: %v", test.kind, test.claim, err)
		}
		if !test.good {
			refusedFor(t, test.kind+" by "+test.claim, err, "another person")
		}
	}
}

func TestIssuers(t *testing.T) {
	const good, loopback = "", "--local"
	for issuer, says := range map[string]string{
		"https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0": good,
		"https://ringling.okta.com":                            good,
		"https://ringling.okta.com/oauth2/default":             good,
		"https://idp.example:8443/realms/circus":               good,
		"http://ringling.okta.com":                             "use https",
		"ftp://ringling.okta.com":                              "use https",
		"HTTPS://ringling.okta.com":                            good,
		"ringling.okta.com":                                    "https URL",
		"https://":                                             "https URL",
		"https://user:secret@ringling.okta.com":                "https URL",
		"https://ringling.okta.com?x=1":                        "https URL",
		"https://ringling.okta.com?":                           "https URL",
		"https://ringling.okta.com#x":                          "https URL",
		"https://10.0.0.1":                                     "not an address",
		"https://169.254.169.254/latest":                       "not an address",
		"https://[fd00::1]":                                    "not an address",
		"https://[fe80::1%25eth0]":                             "not an address",
		"https://127.1":                                        "not an address",
		"https://0x7f000001":                                   "not an address",
		"https://2130706433":                                   "not an address",
		"https://idp.example.":                                 "not an address",
		"https://127.0.0.1":                                    loopback,
		"https://[::1]":                                        loopback,
		"https://localhost":                                    loopback,
		"https://localhost.":                                   loopback,
		"https://LOCALHOST:1":                                  loopback,
		"http://idp.localhost":                                 loopback,
		"https://login.microsoftonline.com/common/v2.0":        "every Entra tenant",
		"https://login.microsoftonline.com/Common/v2.0":        "every Entra tenant",
		"https://login.microsoftonline.com//common/v2.0":       "every Entra tenant",
		"https://login.microsoftonline.com":                    "every Entra tenant",
		"https://login.microsoftonline.com/organizations/v2.0": "every Entra tenant",
		"https://login.microsoftonline.com/consumers/v2.0":     "every Entra tenant",
		"https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0": "every Entra tenant",
		"https://login.microsoftonline.us/common/v2.0":                                "every Entra tenant",
		"https://sts.windows.net/common/":                                             "every Entra tenant",
	} {
		c := registry.Connection{Name: "c", Kind: "generic", Issuer: issuer}
		err := c.Check(false)
		if says != good {
			refusedFor(t, issuer, err, says)
		} else if err != nil {
			t.Errorf("%s: got %v, want it accepted", issuer, err)
		}
		err = c.Check(true)
		if says == loopback && err != nil {
			t.Errorf("%s with --local: %v", issuer, err)
		}
		if says != loopback && says != good && err == nil {
			t.Errorf("%s is accepted with --local", issuer)
		}
		if c.OnLoopback() != (says == loopback) {
			t.Errorf("%s: on loopback %t, want %t", issuer, c.OnLoopback(), says == loopback)
		}
	}
	ftp := registry.Connection{Name: "c", Kind: "generic", Issuer: "ftp://localhost"}
	refusedFor(t, "another scheme on loopback", ftp.Check(true), "use https")
}

func TestAConnectionThatIsRefusedIsNotSaved(t *testing.T) {
	v := storetest.New(t, remote).Vendor("test")
	ctx := t.Context()
	if _, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "ringling"}); err != nil {
		t.Fatal(err)
	}
	_, err := v.AddConnection(ctx, "ringling", registry.Connection{Name: "entra", Kind: "entra", Issuer: "http://127.0.0.1:1"})
	refusedFor(t, "loopback", err, "--local")
	good := registry.Connection{Name: "entra", Kind: "entra", Issuer: "https://idp.example", ClientID: "muster", Secret: "first"}
	if _, err := v.AddConnection(ctx, "ringling", good); err != nil {
		t.Fatal(err)
	}
	_, err = v.AddConnection(ctx, "ringling", good)
	refusedFor(t, "the same name", err, "already")
	for what, test := range map[string]struct {
		change func(*registry.Connection)
		says   string
	}{
		"loopback":                          {func(c *registry.Connection) { c.Issuer = "https://localhost" }, "--local"},
		"a weak claim":                      {func(c *registry.Connection) { c.MatchClaim = "email" }, "another person"},
		"an issuer without its secret":      {func(c *registry.Connection) { c.Issuer = "https://other.example" }, "secret again"},
		"another client without its secret": {func(c *registry.Connection) { c.ClientID = "other" }, "secret again"},
	} {
		_, err := v.SetConnection(ctx, "ringling", "entra", func(c *registry.Connection) error {
			test.change(c)
			return nil
		})
		refusedFor(t, what, err, test.says)
	}
	kept, err := v.Connection(ctx, "ringling", "entra")
	if err != nil || kept.Issuer != good.Issuer || kept.ClientID != good.ClientID || kept.MatchClaim != "oid" || kept.Secret != "" {
		t.Errorf("got %+v %v, want it as it was, its secret unread", kept, err)
	}
	_, err = v.SetConnection(ctx, "ringling", "entra", func(c *registry.Connection) error {
		c.Issuer, c.Secret = "https://other.example", "second"
		return nil
	})
	if err != nil {
		t.Errorf("another issuer with its secret: %v", err)
	}
	if _, err := v.SetConnection(ctx, "ringling", "okta", func(*registry.Connection) error { return nil }); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("an unknown connection: got %v, want not found", err)
	}
}

func TestTenants(t *testing.T) {
	v := storetest.New(t).Vendor("test")
	ctx := t.Context()
	for _, slug := range []string{"", "ab", "-ab", "ab-", "Ringling", "a_b", "a.b", "xn--ringling", "www", "admin", "login", "ring ling",
		"ringling\n", "rînglîng", strings.Repeat("a", 41)} {
		_, err := v.CreateTenant(ctx, registry.NewTenant{Slug: slug})
		refusedFor(t, "the slug "+slug, err, "lower-case letters")
	}
	for _, domain := range []string{"", "example", "@example.com", "exa mple.com", "example.com.", "*.example.com", "bücher.example", "1.2.3.4", "https://example.com"} {
		_, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "ringling", Domains: []string{"good.example", domain}})
		refusedFor(t, "the domain "+domain, err, "host name")
	}
	for _, slug := range []string{"abc", "1-2", strings.Repeat("a", 40)} {
		if _, err := v.CreateTenant(ctx, registry.NewTenant{Slug: slug}); err != nil {
			t.Errorf("the slug %s: %v", slug, err)
		}
	}
	if _, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "ringling", Domains: []string{"Ringling.Example"}}); err != nil {
		t.Fatal(err)
	}
	_, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "ringling"})
	refusedFor(t, "the same slug", err, "exists already")
	_, err = v.CreateTenant(ctx, registry.NewTenant{Slug: "cirque", Domains: []string{"ringling.example"}})
	refusedFor(t, "another's domain", err, "belongs to another")
	if _, err := v.Tenant(ctx, "cirque"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a tenant that was refused: got %v, want not found", err)
	}
}
