package store_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

const verifier = "a-verifier-of-the-application-with-enough-entropy"

// begin sends a person to the identity provider and takes them back.
func (c *circus) begin(s *store.Store) store.SignIn {
	c.t.Helper()
	challenge := sha256.Sum256([]byte(verifier))
	ctx := c.t.Context()
	away := must[store.SignIn](c.t)(s.BeginSignIn(ctx, store.SignInRequest{
		Tenant: "ringling", ConnectionID: c.conn.ID.String(), ClientID: "timesheet",
		RedirectURI: "https://timesheet.example/cb", State: "s", Nonce: "n",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]), Scope: "openid",
	}))
	back, err := s.ResumeSignIn(ctx, "ringling", c.conn.ID.String(), away.State, away.Browser)
	if err != nil {
		c.t.Fatal(err)
	}
	if back.Nonce != away.Nonce || back.Verifier != away.Verifier || back.Connection.Secret != "s" {
		c.t.Fatalf("came back as %+v, went as %+v", back, away)
	}
	return back
}

func (c *circus) redemption(code string) store.CodeRedemption {
	return store.CodeRedemption{ClientID: "timesheet", Secret: c.secret, Code: code, RedirectURI: "https://timesheet.example/cb", Verifier: verifier}
}

func (c *circus) signIn(s *store.Store, who store.Identity) (store.Decision, string) {
	c.t.Helper()
	d, code, err := s.MintCode(c.t.Context(), c.begin(s), who)
	if err != nil {
		c.t.Fatal(err)
	}
	return d, code
}

func identity(oid string) store.Identity {
	return store.Identity{Issuer: "http://127.0.0.1:1", Subject: "pairwise-" + oid, Match: oid}
}

func TestSignIn(t *testing.T) {
	c := ringling(t)
	ctx := t.Context()
	jamie := c.create("jamie@ringling.example", "oid-jamie")
	d, code := c.signIn(c.store, identity("oid-jamie"))
	if !d.Allowed || d.UserID != jamie.ID {
		t.Fatalf("sign-in: %+v", d)
	}
	wrong := c.redemption(code)
	wrong.Verifier = "another"
	if _, _, err := c.store.MintToken(ctx, wrong); !errors.Is(err, store.ErrInvalidGrant) {
		t.Fatalf("wrong verifier: %v", err)
	}
	wrong = c.redemption(code)
	wrong.Secret = "muster_app_wrong"
	if _, _, err := c.store.MintToken(ctx, wrong); !errors.Is(err, store.ErrUnauthenticated) {
		t.Fatalf("wrong secret: %v", err)
	}
	d, g, err := c.store.MintToken(ctx, c.redemption(code))
	if err != nil || !d.Allowed || !slices.Equal(g.Roles(), []string{"timesheet.viewer"}) || g.Tenant() != "ringling" {
		t.Fatalf("token: %+v %+v %v", d, g, err)
	}
	if _, _, err := c.store.MintToken(ctx, c.redemption(code)); !errors.Is(err, store.ErrInvalidGrant) {
		t.Fatalf("second redemption: %v", err)
	}

	for name, test := range map[string]struct {
		who    store.Identity
		want   store.Reason
		detail string
	}{
		"a stranger":               {identity("oid-nobody"), store.NotProvisioned, ""},
		"the mapping is wrong":     {store.Identity{Issuer: "i", Subject: "x", Match: "other", Hint: "JAMIE@ringling.example"}, store.JoinMismatch, "objectId"},
		"the claim is missing":     {store.Identity{Issuer: "i", Subject: "x"}, store.JoinMismatch, "oid"},
		"the word null is no name": {store.Identity{Issuer: "i", Subject: "x", Match: "null"}, store.NotProvisioned, ""},
	} {
		d, _ := c.signIn(c.store, test.who)
		if d.Allowed || d.Reason != test.want || !strings.Contains(d.Detail, test.detail) {
			t.Errorf("%s: got %+v, want %s", name, d, test.want)
		}
	}
}

func TestTheStateAndTheCodeServeOnce(t *testing.T) {
	c := ringling(t)
	c.create("jamie@ringling.example", "oid-jamie")
	ctx := t.Context()
	away := must[store.SignIn](t)(c.store.BeginSignIn(ctx, store.SignInRequest{
		Tenant: "ringling", ConnectionID: c.conn.ID.String(), ClientID: "timesheet",
	}))
	if _, err := c.store.ResumeSignIn(ctx, "ringling", c.conn.ID.String(), away.State, "another browser"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another browser: %v", err)
	}
	if n := twenty(func() bool {
		_, err := c.store.ResumeSignIn(ctx, "ringling", c.conn.ID.String(), away.State, away.Browser)
		return err == nil
	}); n != 1 {
		t.Errorf("one state was taken up %d times", n)
	}
	journey := c.begin(c.store)
	if n := twenty(func() bool {
		d, _, err := c.store.MintCode(ctx, journey, identity("oid-jamie"))
		return err == nil && d.Allowed
	}); n != 1 {
		t.Errorf("one journey made %d codes", n)
	}
	_, code := c.signIn(c.store, identity("oid-jamie"))
	if n := twenty(func() bool {
		d, _, err := c.store.MintToken(ctx, c.redemption(code))
		return err == nil && d.Allowed
	}); n != 1 {
		t.Errorf("one code was redeemed %d times", n)
	}
}

// twenty calls do twenty times at once and counts the successes.
func twenty(do func() bool) int64 {
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if do() {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

func TestACodeDoesNotOutliveItsPerson(t *testing.T) {
	for name, shut := range map[string]func(c *circus, u store.User) error{
		"deactivated": func(c *circus, u store.User) error {
			_, _, err := c.scim().UpdateUser(c.t.Context(), u.ID.String(), "", set("active", false))
			return err
		},
		"deactivated and activated": func(c *circus, u store.User) error {
			_, _, err := c.scim().UpdateUser(c.t.Context(), u.ID.String(), "", set("active", false))
			if err == nil {
				_, _, err = c.scim().UpdateUser(c.t.Context(), u.ID.String(), "", set("active", true))
			}
			return err
		},
		"deleted": func(c *circus, u store.User) error { return c.scim().DeleteUser(c.t.Context(), u.ID.String(), "") },
		"locked": func(c *circus, u store.User) error {
			_, _, err := c.admin().LockUser(c.t.Context(), u.ID, true)
			return err
		},
		"tenant suspended": func(c *circus, u store.User) error {
			return c.store.Revoke(c.t.Context(), "test", store.Switch{Tenant: "ringling", Off: true})
		},
		"connection disabled": func(c *circus, u store.User) error {
			return c.store.Revoke(c.t.Context(), "test", store.Switch{Tenant: "ringling", Connection: "entra", Off: true})
		},
		"application disabled": func(c *circus, u store.User) error {
			return c.store.Revoke(c.t.Context(), "test", store.Switch{Client: "timesheet", Off: true})
		},
		"tenant suspended and resumed": func(c *circus, u store.User) error {
			err := c.store.Revoke(c.t.Context(), "test", store.Switch{Tenant: "ringling", Off: true})
			if err == nil {
				err = c.store.Revoke(c.t.Context(), "test", store.Switch{Tenant: "ringling"})
			}
			return err
		},
		"given another externalId": func(c *circus, u store.User) error {
			_, _, err := c.scim().UpdateUser(c.t.Context(), u.ID.String(), "", set("externalId", "another"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := ringling(t)
			u := c.create("jamie@ringling.example", "oid-jamie")
			_, code := c.signIn(c.store, identity("oid-jamie"))
			if err := shut(c, u); err != nil {
				t.Fatal(err)
			}
			d, g, err := c.store.MintToken(t.Context(), c.redemption(code))
			if err != nil || d.Allowed || d.Reason == "" || g.IssuedAt() != (store.Grant{}).IssuedAt() {
				t.Fatalf("got %+v %v", d, err)
			}
		})
	}
}

func TestTwoFirstSignInsOfOnePerson(t *testing.T) {
	c := ringling(t)
	c.create("jamie@ringling.example", "oid-jamie")
	journeys := make(chan store.SignIn, 20)
	for range cap(journeys) {
		journeys <- c.begin(c.store)
	}
	if n := twenty(func() bool {
		d, _, err := c.store.MintCode(t.Context(), <-journeys, identity("oid-jamie"))
		return err == nil && d.Allowed
	}); n != 20 {
		t.Errorf("of 20 first sign-ins in as many browsers %d were let in", n)
	}
}

// Whatever shuts a person out, lets them in again or makes them prove anew who they are is
// a new epoch for them, so that nothing from before counts; and who is out has no session.
func TestAnEpochEnds(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	look := storetest.Look(t, owner, "ringling")
	jamie := c.create("jamie@ringling.example", "oid-jamie")
	change := func(name string, value any) func() error {
		return func() error {
			_, _, err := c.scim().UpdateUser(t.Context(), jamie.ID.String(), "", set(name, value))
			return err
		}
	}
	lock := func(locked bool) func() error {
		return func() error { _, _, err := c.admin().LockUser(t.Context(), jamie.ID, locked); return err }
	}
	epoch, oid := int64(1), "oid-jamie"
	for _, step := range []struct {
		what  string
		do    func() error
		grows int64
		out   bool
	}{
		{"another title", change("title", "rigger"), 0, false},
		{"switched off", change("active", false), 1, true},
		{"another title while off", change("title", "clown"), 0, true},
		{"another externalId while off", change("externalId", "oid-2"), 1, true},
		{"let in again", change("active", true), 1, false},
		{"another externalId", change("externalId", "oid-3"), 1, true},
		{"locked", lock(true), 1, true},
		{"switched off while locked", change("active", false), 0, true},
		{"unlocked while off", lock(false), 0, true},
		{"let in at last", change("active", true), 1, false},
	} {
		if d, _ := c.signIn(c.store, identity(oid)); d.Allowed != c.check(jamie).Allowed {
			t.Fatalf("before %s: a sign-in is allowed: %t, and a check is not the same", step.what, d.Allowed)
		}
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		epoch += step.grows
		var got int64
		var externalID string
		var sessions int
		err := look.QueryRow(t.Context(), `select u.epoch, u.external_id,
			(select count(*) from sessions s where s.user_id = u.id and s.ended_at is null) from users u where u.id = $1`, jamie.ID).Scan(&got, &externalID, &sessions)
		if err != nil {
			t.Fatal(err)
		}
		if got != epoch {
			t.Errorf("%s: epoch %d, want %d", step.what, got, epoch)
		}
		if step.out && sessions > 0 {
			t.Errorf("%s: %d sessions live on", step.what, sessions)
		}
		oid = externalID
	}
}
