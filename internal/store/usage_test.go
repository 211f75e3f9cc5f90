package store_test

import (
	"errors"
	"testing"

	"github.com/muster-id/muster/internal/store"
)

// Only a token that held is noted as used: an admin who reads that a revoked one
// still is would look for a leak that is not there.
func TestOnlyATokenThatHoldsIsNotedAsUsed(t *testing.T) {
	c := ringling(t)
	used := func() bool {
		t.Helper()
		c.store.FlushUsage(t.Context())
		tokens, err := c.vendor.Tokens(t.Context(), "ringling")
		if err != nil || len(tokens) != 1 {
			t.Fatalf("tokens: %v %v", tokens, err)
		}
		return tokens[0].LastUsedAt != nil
	}
	c.scim() // known, and not verified yet
	if used() {
		t.Error("a token that nothing was asked with is noted as used")
	}
	tokens, err := c.vendor.Tokens(t.Context(), "ringling")
	if err != nil {
		t.Fatal(err)
	}
	before := c.scim()
	if err := c.vendor.RevokeToken(t.Context(), "ringling", tokens[0].ID); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []*store.Directory{before, c.scim()} {
		if err := dir.Enter(t.Context()); !errors.Is(err, store.ErrUnauthenticated) {
			t.Errorf("a revoked token: got %v, want unauthenticated", err)
		}
	}
	if used() {
		t.Error("a revoked token is noted as used")
	}
}

func TestATokenThatHoldsIsNotedAsUsed(t *testing.T) {
	c := ringling(t)
	c.create("jamie@ringling.example", "oid-jamie")
	c.store.FlushUsage(t.Context())
	tokens, err := c.vendor.Tokens(t.Context(), "ringling")
	if err != nil || len(tokens) != 1 || tokens[0].LastUsedAt == nil {
		t.Errorf("got %+v %v, want a time of use", tokens, err)
	}
}
