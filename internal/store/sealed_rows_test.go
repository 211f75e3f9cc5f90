package store_test

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// TestAbuse_L04: a secret that was copied to another row does not open there:
// not to another connection, not to another tenant, not under another key id.
func TestAbuse_L04(t *testing.T) {
	f := newFair(t)
	here, beside, there := f.stands["ringling"][0], f.stands["ringling"][1], f.stands["cirque"][0]
	for what, p := range map[string]*stand{"another connection": beside, "another tenant": there} {
		superuser(t, databaseOf(f.owner), `update connections set client_secret =
			(select client_secret from connections where id = '`+here.id+`') where id = '`+p.id+`'`)
		_, err := p.store.BeginSignIn(t.Context(), store.SignInRequest{Tenant: p.slug, ConnectionID: p.id, ClientID: p.client})
		if err == nil || !strings.Contains(err.Error(), "does not open") {
			t.Errorf("%s's secret: got %v, want it not to open", what, err)
		}
	}
	here.journey() // where it belongs, it opens

	if _, err := f.store.SigningKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, f.owner, `update signing_keys set kid = 'another'`)
	if _, err := f.store.SigningKey(t.Context()); err == nil || !strings.Contains(err.Error(), "does not open") {
		t.Errorf("a signing key under another id: got %v, want it not to open", err)
	}
	if _, err := storetest.Open(t, f.server).SigningKey(t.Context()); err == nil {
		t.Error("another server opens it")
	}
}
