package store_test

import (
	"testing"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A server that knows the tenant already reads a new connection's first request
// as that connection says, not as it would one it has never heard of.
func TestANewConnectionIsReadAsItSays(t *testing.T) {
	_, server := storetest.Database(t)
	c, other := ringlingOn(t, storetest.Open(t, server)), storetest.Open(t, server)
	c.scimOn(other)
	must[registry.Connection](t)(c.vendor.AddConnection(t.Context(), "ringling", registry.Connection{
		Name: "okta", Kind: "okta", Profile: "strict", Issuer: "http://127.0.0.1:2", ClientID: "muster", Secret: "s",
	}))
	var err error
	if c.token, _, err = c.vendor.CreateToken(t.Context(), "ringling", "okta", registry.NewToken{Name: "test"}); err != nil {
		t.Fatal(err)
	}
	if got := c.scimOn(other).Profile(); got != scim.Strict {
		t.Errorf("the profile is %q, want %q", got, scim.Strict)
	}
}
