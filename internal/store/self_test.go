package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// selfOf is what the grant's access token says.
func selfOf(g store.Grant) store.PersonToken {
	return store.PersonToken{
		Tenant: g.Tenant(), User: g.Subject(), Session: g.SessionID(), ClientID: g.ClientID(), Audience: g.Audience(),
		Expires: g.Expires(), RoleEpoch: g.RoleEpoch(), ClientEpoch: g.ClientEpoch(),
	}
}

// reads reads the person whom a token speaks for.
func (c *circus) reads(token store.PersonToken) (store.User, error) {
	c.t.Helper()
	self, err := c.store.Self(c.t.Context(), "ringling", token)
	if err != nil {
		return store.User{}, err
	}
	return self.User(c.t.Context(), true)
}

// A person's own view is of the person, groups through nesting too, and ends with
// the token, with the session and with what the rules grant: as a check would say, and
// not a moment later, whatever the background pass has written.
func TestSelf(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	jamie, robin := c.create("jamie@ringling.example", "oid-jamie"), c.create("robin@ringling.example", "oid-robin")
	finance, _, err := c.scim().CreateGroup(t.Context(), group("Finance", jamie))
	if err != nil {
		t.Fatal(err)
	}
	staff := group("Staff")
	staff.Members = []scim.Member{{Value: finance.ID.String()}}
	if _, _, err := c.scim().CreateGroup(t.Context(), staff); err != nil {
		t.Fatal(err)
	}
	token := func() store.PersonToken {
		_, code := c.signIn(c.store, identity("oid-jamie"))
		_, g, err := c.store.MintToken(t.Context(), c.redemption(code))
		if err != nil {
			t.Fatal(err)
		}
		return selfOf(g)
	}
	good := token()
	u, err := c.reads(good)
	if err != nil || u.ID != jamie.ID || len(u.Groups) != 2 || !u.Groups[0].Direct && !u.Groups[1].Direct {
		t.Fatalf("got %+v %v, want jamie in Finance and, through it, in Staff", u, err)
	}
	refused := func(what string, token store.PersonToken) {
		t.Helper()
		if u, err := c.reads(token); !errors.Is(err, store.ErrUnauthenticated) {
			t.Errorf("%s: got %+v %v, want not authenticated", what, u, err)
		}
	}
	for what, change := range map[string]func(*store.PersonToken){
		"another tenant's":         func(t *store.PersonToken) { t.Tenant = "cirque" },
		"somebody else's":          func(t *store.PersonToken) { t.User = robin.ID.String() },
		"nobody's":                 func(t *store.PersonToken) { t.User = "" },
		"of another session":       func(t *store.PersonToken) { t.Session = uuid.NewString() },
		"of no session":            func(t *store.PersonToken) { t.Session = "x" },
		"of another application":   func(t *store.PersonToken) { t.ClientID = "payroll" },
		"for another audience":     func(t *store.PersonToken) { t.Audience = "payroll" },
		"expired":                  func(t *store.PersonToken) { t.Expires = time.Now().Add(-time.Second) },
		"of roles taken away":      func(t *store.PersonToken) { t.RoleEpoch-- },
		"of an application before": func(t *store.PersonToken) { t.ClientEpoch-- },
	} {
		changed := good
		change(&changed)
		refused(what, changed)
	}

	// Rules that grant nothing any more, before anybody's roles are derived anew.
	c.publish("version: 1\nrules: []\n")
	refused("without a role", good)
	c.publish(rules)
	if _, err := c.reads(good); err != nil {
		t.Errorf("with the role again: %v", err)
	}

	if _, err := storetest.Look(t, owner, "ringling").Exec(t.Context(), `update sessions set expires_at = now()`); err != nil {
		t.Fatal(err)
	}
	refused("of a session that is over", good)
	good = token()
	if _, err := c.reads(good); err != nil {
		t.Errorf("after another sign-in: %v", err)
	}
	if err := c.scim().DeleteUser(t.Context(), jamie.ID.String(), ""); err != nil {
		t.Fatal(err)
	}
	refused("of somebody deleted", good)
}
