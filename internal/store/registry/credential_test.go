package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A partner is a tenant with one connection, seen by two server processes.
type partner struct {
	t      *testing.T
	vendor *registry.Vendor
	other  *store.Store // the process that has just accepted what the vendor changes
}

func open(t *testing.T) *partner {
	t.Helper()
	_, url := storetest.Database(t)
	p := &partner{t: t, vendor: storetest.Open(t, url).Vendor("pat"), other: storetest.Open(t, url)}
	if _, err := p.vendor.CreateTenant(t.Context(), registry.NewTenant{Slug: "ringling"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.vendor.AddConnection(t.Context(), "ringling", registry.Connection{Name: "entra", Kind: "entra"}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *partner) token(name string) (string, registry.Credential) {
	p.t.Helper()
	token, c, err := p.vendor.CreateToken(p.t.Context(), "ringling", "entra", registry.NewToken{Name: name})
	if err != nil {
		p.t.Fatal(err)
	}
	return token, c
}

// accepted asks the other process.
func (p *partner) accepted(token string) bool {
	p.t.Helper()
	dir, err := p.other.SCIM(p.t.Context(), "ringling", token, store.Request{})
	if err == nil {
		err = dir.Enter(p.t.Context())
	}
	if err != nil && !errors.Is(err, store.ErrUnauthenticated) {
		p.t.Fatal(err)
	}
	return err == nil
}

func TestATokenIsShownOnceAndNamesItsMaker(t *testing.T) {
	p := open(t)
	token, c := p.token("entra")
	if len(token) != len(registry.SCIMPrefix)+registry.SecretLength || !strings.HasPrefix(token, c.Prefix) || len(c.Prefix) > len(registry.SCIMPrefix)+8 {
		t.Errorf("token of %d characters with the prefix %q", len(token), c.Prefix)
	}
	list, err := p.vendor.Tokens(t.Context(), "ringling")
	if err != nil || len(list) != 1 || list[0].CreatedBy != "pat" || list[0].Connection != "entra" || list[0].Kind != "scim" {
		t.Errorf("got %+v %v", list, err)
	}
	_, _, err = p.vendor.CreateToken(t.Context(), "ringling", "entra", registry.NewToken{})
	refusedFor(t, "a token without a name", err, "a name is needed")
	if _, _, err = p.vendor.CreateToken(t.Context(), "ringling", "okta", registry.NewToken{Name: "x"}); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a token of no connection: got %v, want not found", err)
	}
	if _, _, err = p.vendor.CreateToken(t.Context(), "cirque", "entra", registry.NewToken{Name: "x"}); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a token of no tenant: got %v, want not found", err)
	}
}

func TestARotatedTokenOverlapsItsSuccessor(t *testing.T) {
	p := open(t)
	old, c := p.token("entra")
	next, successor, err := p.vendor.RotateToken(t.Context(), "ringling", c.ID, registry.Rotation{Overlap: time.Hour})
	if err != nil || next == old || successor.Name != "entra" || successor.Connection != "entra" {
		t.Fatalf("rotation: %+v %v", successor, err)
	}
	if !p.accepted(old) || !p.accepted(next) {
		t.Errorf("within the overlap: the old one is accepted %t, the new one %t; want both", p.accepted(old), p.accepted(next))
	}
	list, err := p.vendor.Tokens(t.Context(), "ringling")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, found := range list {
		if found.ID == c.ID && (found.ExpiresAt == nil || found.ExpiresAt.Sub(found.CreatedAt) > 2*time.Hour) {
			t.Errorf("the old token expires at %v, want within the overlap", found.ExpiresAt)
		}
	}

	last, _, err := p.vendor.RotateToken(t.Context(), "ringling", successor.ID, registry.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	if p.accepted(next) || !p.accepted(last) {
		t.Errorf("without an overlap: the old one is accepted %t, the new one %t", p.accepted(next), p.accepted(last))
	}
}

// Rotation never makes a token live longer.
func TestRotationDoesNotProlong(t *testing.T) {
	p := open(t)
	soon := time.Now().Add(time.Minute)
	_, c, err := p.vendor.CreateToken(t.Context(), "ringling", "entra", registry.NewToken{Name: "entra", ExpiresAt: soon})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.vendor.RotateToken(t.Context(), "ringling", c.ID, registry.Rotation{Overlap: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	list, err := p.vendor.Tokens(t.Context(), "ringling")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range list {
		if found.ID == c.ID && found.ExpiresAt.After(soon) {
			t.Errorf("the old token expires at %v, was to expire at %v", found.ExpiresAt, soon)
		}
	}
}

func TestARevokedTokenIsRefusedAtOnceEverywhere(t *testing.T) {
	p := open(t)
	stays, _ := p.token("stays")
	for range 20 {
		token, c := p.token("goes")
		if !p.accepted(token) {
			t.Fatal("a new token is not accepted")
		}
		if err := p.vendor.RevokeToken(t.Context(), "ringling", c.ID); err != nil {
			t.Fatal(err)
		}
		if p.accepted(token) {
			t.Fatal("a token is accepted after its revocation")
		}
		if err := p.vendor.RevokeToken(t.Context(), "ringling", c.ID); !errors.Is(err, registry.ErrNotFound) {
			t.Fatalf("revoked again: got %v, want not found", err)
		}
		if _, _, err := p.vendor.RotateToken(t.Context(), "ringling", c.ID, registry.Rotation{Overlap: time.Hour}); !errors.Is(err, registry.ErrNotFound) {
			t.Fatalf("rotated when revoked: got %v, want not found", err)
		}
	}
	if !p.accepted(stays) {
		t.Error("another token of the connection is not accepted any more")
	}
	if err := p.vendor.RevokeToken(t.Context(), "ringling", uuid.New()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("an unknown token: got %v, want not found", err)
	}
}

func TestAnExpiredTokenIsRefused(t *testing.T) {
	p := open(t)
	token, _, err := p.vendor.CreateToken(t.Context(), "ringling", "entra", registry.NewToken{Name: "late", ExpiresAt: time.Now().Add(-time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if p.accepted(token) {
		t.Error("a token is accepted after it has expired")
	}
}

// A key of another kind, and a token of another tenant, open nothing here.
func TestAKeyOfAnotherKindIsNoToken(t *testing.T) {
	p := open(t)
	key, c, err := p.vendor.CreateKey(t.Context(), "ringling", "ci")
	if err != nil || c.Kind != "api" {
		t.Fatal(c, err)
	}
	if p.accepted(key) || p.accepted(registry.SCIMPrefix+strings.TrimPrefix(key, registry.APIPrefix)) {
		t.Error("an API key is accepted as a SCIM token")
	}
	_, _, err = p.vendor.RotateToken(t.Context(), "ringling", c.ID, registry.Rotation{Overlap: time.Hour})
	refusedFor(t, "rotating a key", err, "only SCIM tokens")

	if _, err := p.vendor.CreateTenant(t.Context(), registry.NewTenant{Slug: "cirque"}); err != nil {
		t.Fatal(err)
	}
	_, mine := p.token("entra")
	if err := p.vendor.RevokeToken(t.Context(), "cirque", mine.ID); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("revoked by way of another tenant: got %v, want not found", err)
	}
	if _, _, err := p.vendor.RotateToken(t.Context(), "cirque", mine.ID, registry.Rotation{}); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("rotated by way of another tenant: got %v, want not found", err)
	}
}
