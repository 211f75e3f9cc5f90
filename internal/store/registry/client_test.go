package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store/registry"
)

// client adds an OAuth client with a secret that lives an hour.
func (p *partner) client() (string, registry.Client) {
	p.t.Helper()
	secret, c, err := p.vendor.AddClient(p.t.Context(), "ringling", registry.Client{Connection: "entra", Name: "provisioning"}, time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	return secret, c
}

// fetched is an access token that the client gets by a secret, at another process; or
// none.
func (p *partner) fetched(c registry.Client, secret string) (string, error) {
	p.t.Helper()
	found, err := p.other.Client(p.t.Context(), "ringling", c.ID.String())
	if err == nil {
		err = found.ProveSecret(secret)
	}
	if err != nil {
		return "", err
	}
	token, err := found.Token(p.t.Context())
	return token.Token, err
}

// listed is a client as the list has it.
func (p *partner) listed(id uuid.UUID) registry.Client {
	p.t.Helper()
	list, err := p.vendor.Clients(p.t.Context(), "ringling")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range list {
		if c.ID == id {
			return c
		}
	}
	p.t.Fatalf("no client %s among %+v", id, list)
	return registry.Client{}
}

// A client that could not work, or would work for somebody else, is refused, and is not
// there afterwards.
func TestClientsThatAreRefused(t *testing.T) {
	p := open(t)
	const issuer, keys = "https://login.microsoftonline.com/8edb4b9a/v2.0", "https://keys.example/jwks"
	trust := func(change func(*registry.Trust)) func(*registry.Client) {
		return func(c *registry.Client) {
			c.Trust = registry.Trust{Issuer: issuer, Subject: "sync", Audiences: []string{"api://muster"}}
			change(&c.Trust)
		}
	}
	for what, test := range map[string]struct {
		change   func(*registry.Client)
		lifetime time.Duration
		says     string
	}{
		"no name":                     {func(c *registry.Client) { c.Name = "" }, time.Hour, "a name is needed"},
		"tokens of a minute":          {func(c *registry.Client) { c.Lifetime = 60 }, time.Hour, "one to six hours"},
		"tokens of a day":             {func(c *registry.Client) { c.Lifetime = 86400 }, time.Hour, "one to six hours"},
		"no proof":                    {func(*registry.Client) {}, 0, "a secret, or an issuer"},
		"a secret that has ended":     {func(*registry.Client) {}, -time.Hour, "three years"},
		"a secret for ever":           {func(*registry.Client) {}, registry.MaxSecretLife + time.Second, "three years"},
		"no audience":                 {trust(func(t *registry.Trust) { t.Audiences = nil }), 0, "audiences"},
		"too many audiences":          {trust(func(t *registry.Trust) { t.Audiences = strings.Split(strings.Repeat("a,", 10)+"a", ",") }), 0, "audiences"},
		"an audience with a space":    {trust(func(t *registry.Trust) { t.Audiences = []string{"a b"} }), 0, "visible ASCII"},
		"an empty audience":           {trust(func(t *registry.Trust) { t.Audiences = []string{""} }), 0, "visible ASCII"},
		"a subject out of ASCII":      {trust(func(t *registry.Trust) { t.Subject = "sýnc" }), 0, "visible ASCII"},
		"an issuer by HTTP":           {trust(func(t *registry.Trust) { t.Issuer = "http://login.example" }), 0, "https"},
		"the issuer of every tenant":  {trust(func(t *registry.Trust) { t.Issuer = "https://login.microsoftonline.com/common/v2.0" }), 0, "every Entra tenant"},
		"keys by HTTP":                {trust(func(t *registry.Trust) { t.JWKSURI = "http://keys.example/jwks" }), 0, "https URL"},
		"keys with a query":           {trust(func(t *registry.Trust) { t.JWKSURI = keys + "?a=b" }), 0, "https URL"},
		"its own issuer, and no keys": {trust(func(t *registry.Trust) { t.Issuer, t.Subject = "", "" }), 0, "address of its keys"},
		"its own issuer, another subject": {trust(func(t *registry.Trust) { t.Issuer, t.JWKSURI = "", keys }), 0,
			"signs for itself is its own subject"},
	} {
		c := registry.Client{Connection: "entra", Name: "provisioning"}
		test.change(&c)
		_, _, err := p.vendor.AddClient(t.Context(), "ringling", c, test.lifetime)
		refusedFor(t, what, err, test.says)
	}
	for what, where := range map[string][2]string{"no connection": {"ringling", "okta"}, "no tenant": {"cirque", "entra"}} {
		_, _, err := p.vendor.AddClient(t.Context(), where[0], registry.Client{Connection: where[1], Name: "x"}, time.Hour)
		if !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s: got %v, want not found", what, err)
		}
	}
	if list, err := p.vendor.Clients(t.Context(), "ringling"); err != nil || len(list) != 0 {
		t.Errorf("the list has %+v %v, want nobody", list, err)
	}
}

// A secret is shown once. What is left out is filled in, and who made it is kept.
func TestAClientIsListedWithoutItsSecrets(t *testing.T) {
	p := open(t)
	secret, c := p.client()
	if len(secret) != len(registry.SecretPrefix)+registry.SecretLength || !strings.HasPrefix(secret, c.Secrets[0].Prefix) || len(c.Secrets[0].Prefix) > len(registry.SecretPrefix)+8 {
		t.Errorf("a secret of %d characters with the prefix %q", len(secret), c.Secrets[0].Prefix)
	}
	found := p.listed(c.ID)
	if found.Connection != "entra" || found.Lifetime != 3600 || found.CreatedBy != "pat" || found.ReadOnly || found.RevokedAt != nil || found.LastUsedAt != nil ||
		len(found.Secrets) != 1 || found.Secrets[0].ID != c.Secrets[0].ID || found.Secrets[0].CreatedBy != "pat" || found.Secrets[0].LastUsedAt != nil {
		t.Errorf("the list has %+v", found)
	}
	if life := found.Secrets[0].ExpiresAt.Sub(found.Secrets[0].CreatedAt); life != time.Hour {
		t.Errorf("the secret lives %s, want an hour", life)
	}
	_, own, err := p.vendor.AddClient(t.Context(), "ringling", registry.Client{Connection: "entra", Name: "own", Trust: registry.Trust{
		JWKSURI: "https://keys.example/jwks", Audiences: []string{"muster"},
	}}, 0)
	if err != nil || own.Trust.Issuer != own.ID.String() || own.Trust.Subject != own.ID.String() || len(own.Secrets) != 0 {
		t.Errorf("a client that signs for itself: %+v %v, want it its own issuer and subject", own, err)
	}
}

// Several secrets are good at once, so many and no more; each ends by itself.
func TestSecretsOfAClientComeAndGo(t *testing.T) {
	p := open(t)
	first, c := p.client()
	second, added, err := p.vendor.AddClientSecret(t.Context(), "ringling", c.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{first, second} {
		if token, err := p.fetched(c, secret); err != nil || !p.accepted(token) {
			t.Errorf("one of two secrets: %v", err)
		}
	}
	for range 8 {
		if _, _, err := p.vendor.AddClientSecret(t.Context(), "ringling", c.ID, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = p.vendor.AddClientSecret(t.Context(), "ringling", c.ID, time.Hour)
	refusedFor(t, "the eleventh secret", err, "revoke one first")
	if err := p.vendor.RevokeClientSecret(t.Context(), "ringling", added.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := p.fetched(c, second); err == nil {
		t.Error("a revoked secret still proves the client")
	}
	if _, err := p.fetched(c, first); err != nil {
		t.Errorf("the other secret: %v", err)
	}
	if _, _, err := p.vendor.AddClientSecret(t.Context(), "ringling", c.ID, time.Hour); err != nil {
		t.Errorf("a secret in the place of the revoked one: %v", err)
	}
	for what, err := range map[string]error{
		"revoked again":               p.vendor.RevokeClientSecret(t.Context(), "ringling", added.ID),
		"an unknown secret":           p.vendor.RevokeClientSecret(t.Context(), "ringling", uuid.New()),
		"by way of an unknown tenant": p.vendor.RevokeClientSecret(t.Context(), "cirque", c.Secrets[0].ID),
	} {
		if !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s: got %v, want not found", what, err)
		}
	}
}

// A changed name ends nothing; a changed condition ends the tokens that were given out
// under the one before; and what is refused changes nothing.
func TestAChangedClient(t *testing.T) {
	p := open(t)
	secret, c := p.client()
	token := func() string {
		t.Helper()
		token, err := p.fetched(c, secret)
		if err != nil || !p.accepted(token) {
			t.Fatalf("a new token: %v", err)
		}
		return token
	}
	for what, test := range map[string]struct {
		change func(*registry.Client)
		ends   bool
	}{
		"its name":         {func(c *registry.Client) { c.Name = "renamed" }, false},
		"nothing":          {func(*registry.Client) {}, false},
		"its rights":       {func(c *registry.Client) { c.ReadOnly = !c.ReadOnly }, true},
		"its tokens' life": {func(c *registry.Client) { c.Lifetime = 7200 }, true},
		"whom it trusts": {func(c *registry.Client) {
			c.Trust = registry.Trust{Issuer: "https://idp.example", Subject: "sync", Audiences: []string{"muster"}}
		}, true},
		"its id, which stays": {func(c *registry.Client) { c.ID, c.Connection = uuid.New(), "okta" }, false},
	} {
		given := token()
		after, err := p.vendor.SetClient(t.Context(), "ringling", c.ID, func(c *registry.Client) error { test.change(c); return nil })
		if err != nil || after.ID != c.ID || after.Connection != "entra" {
			t.Errorf("%s: %+v %v", what, after, err)
		}
		if p.accepted(given) == test.ends {
			t.Errorf("%s: a token from before is accepted: %t, want %t", what, test.ends, !test.ends)
		}
	}
	before := p.listed(c.ID)
	given := token()
	_, err := p.vendor.SetClient(t.Context(), "ringling", c.ID, func(c *registry.Client) error { c.Lifetime = 1; return nil })
	refusedFor(t, "tokens of a second", err, "one to six hours")
	if after := p.listed(c.ID); after.Lifetime != before.Lifetime || !p.accepted(given) {
		t.Errorf("what was refused changed %+v to %+v, or ended its tokens", before, after)
	}
}

// A removed client gets nothing and changes no more, and stays in the list.
func TestARemovedClient(t *testing.T) {
	p := open(t)
	secret, c := p.client()
	given, err := p.fetched(c, secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.vendor.RemoveClient(t.Context(), "ringling", c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := p.fetched(c, secret); err == nil || p.accepted(given) {
		t.Error("a removed client gets a token, or keeps one")
	}
	if found := p.listed(c.ID); found.RevokedAt == nil {
		t.Errorf("the list has it as %+v, want it removed", found)
	}
	_, _, added := p.vendor.AddClientSecret(t.Context(), "ringling", c.ID, time.Hour)
	_, set := p.vendor.SetClient(t.Context(), "ringling", c.ID, func(*registry.Client) error { return nil })
	for what, err := range map[string]error{"removed again": p.vendor.RemoveClient(t.Context(), "ringling", c.ID), "one more secret": added, "changed": set} {
		if !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s: got %v, want not found", what, err)
		}
	}
}
