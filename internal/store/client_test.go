package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// opens reports whether a process accepts a token.
func opens(t *testing.T, s *store.Store, slug, token string) bool {
	t.Helper()
	dir, err := s.SCIM(t.Context(), slug, token, store.Request{})
	if err == nil {
		err = dir.Enter(t.Context())
	}
	if err != nil && !errors.Is(err, store.ErrUnauthenticated) {
		t.Fatal(err)
	}
	return err == nil
}

// beside opens one tenant with one connection, and a second process.
func beside(t *testing.T) (p *stand, other *store.Store) {
	t.Helper()
	owner, server := storetest.Database(t)
	first := newTenant(t, storetest.Open(t, server), "ringling")
	first.owner = owner
	return first.connect("first", "lenient"), storetest.Open(t, server)
}

func TestAClientFetchesATokenOfItsConnection(t *testing.T) {
	p, other := beside(t)
	second := p.connect("second", "lenient")
	token := p.fetch()
	if len(token) != len(registry.AccessPrefix)+registry.SecretLength {
		t.Errorf("the token has %d characters", len(token))
	}
	jamie := p.create("jamie")
	dir := must[*store.Directory](t)(other.SCIM(t.Context(), p.slug, token, p.request()))
	if _, err := dir.User(t.Context(), jamie.ID.String(), false); err != nil {
		t.Errorf("a user of the connection: %v", err)
	}
	theirs := second.create("robin")
	if _, err := dir.User(t.Context(), theirs.ID.String(), false); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a user of another connection: got %v, want not found", err)
	}
	actors := column[string](t, storetest.Look(t, p.owner, p.slug), `select distinct actor from changes where kind = 'user.created' and connection_id = $1`, p.id)
	r := p.request()
	dir = must[*store.Directory](t)(other.SCIM(t.Context(), p.slug, token, r))
	if _, _, err := dir.CreateUser(t.Context(), person("kim@ringling.example", "kim")); err != nil {
		t.Fatal(err)
	}
	after := column[string](t, storetest.Look(t, p.owner, p.slug), `select distinct actor from changes where kind = 'user.created' and connection_id = $1`, p.id)
	if len(actors) != 1 || len(after) != 2 {
		t.Errorf("the log names %v, then %v: want the client beside the token", actors, after)
	}
	row := column[uuid.UUID](t, storetest.Look(t, p.owner, p.slug), `select credential_id from provisioning_requests where id = $1`, r.ID)
	if len(row) != 1 || row[0] != p.oauth.ID {
		t.Errorf("the provisioning log names %v, want the client %s", row, p.oauth.ID)
	}
	if opens(t, other, "cirque", token) {
		t.Error("the token opens another tenant")
	}
}

// Whatever gave a token ends it, at every process and for good.
func TestWhatEndsATokenEndsItEverywhere(t *testing.T) {
	for story, test := range map[string]struct {
		end, undo func(p *stand) error
	}{
		"the secret is revoked": {end: func(p *stand) error {
			return p.vendor.RevokeClientSecret(p.t.Context(), p.slug, p.oauth.Secrets[0].ID)
		}},
		"the client is removed": {end: func(p *stand) error { return p.vendor.RemoveClient(p.t.Context(), p.slug, p.oauth.ID) }},
		"the client may only read": {end: func(p *stand) error {
			_, err := p.vendor.SetClient(p.t.Context(), p.slug, p.oauth.ID, func(c *registry.Client) error { c.ReadOnly = true; return nil })
			return err
		}},
		"the connection is disabled": {
			end: func(p *stand) error {
				return p.store.Revoke(p.t.Context(), "test", store.Switch{Tenant: p.slug, Connection: p.name, Off: true})
			},
			undo: func(p *stand) error {
				return p.store.Revoke(p.t.Context(), "test", store.Switch{Tenant: p.slug, Connection: p.name})
			},
		},
		"the tenant is suspended": {
			end: func(p *stand) error {
				return p.store.Revoke(p.t.Context(), "test", store.Switch{Tenant: p.slug, Off: true})
			},
			undo: func(p *stand) error { return p.store.Revoke(p.t.Context(), "test", store.Switch{Tenant: p.slug}) },
		},
		"the database is restored": {end: func(p *stand) error { return store.AfterRestore(p.t.Context(), p.owner) }},
		"it expires": {end: func(p *stand) error {
			_, err := storetest.Look(p.t, p.owner, p.slug).Exec(p.t.Context(), `update client_tokens set expires_at = now()`)
			return err
		}},
	} {
		t.Run(story, func(t *testing.T) {
			p, other := beside(t)
			token := p.fetch()
			if !opens(t, other, p.slug, token) || !opens(t, p.store, p.slug, token) {
				t.Fatal("a new token opens nothing")
			}
			if err := test.end(p); err != nil {
				t.Fatal(err)
			}
			if opens(t, other, p.slug, token) || opens(t, p.store, p.slug, token) {
				t.Error("the token still opens its connection")
			}
			if test.undo == nil {
				return
			}
			if err := test.undo(p); err != nil {
				t.Fatal(err)
			}
			if opens(t, other, p.slug, token) {
				t.Error("the token opens its connection again")
			}
			if !opens(t, other, p.slug, p.fetch()) || !opens(t, other, p.slug, p.token) {
				t.Error("new tokens, and those that admins handed over, open nothing")
			}
		})
	}
}

// Only a client that is there, at its own tenant, with a secret that holds now
// proves itself; and what does not is one answer.
func TestAClientProvesItself(t *testing.T) {
	p, _ := beside(t)
	ctx := t.Context()
	second, added, err := p.vendor.AddClientSecret(ctx, p.slug, p.oauth.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newTenant(t, p.store, "cirque").connect("first", "lenient")
	gone, removed, err := p.vendor.AddClient(ctx, p.slug, registry.Client{Connection: p.name, Name: "gone"}, time.Hour)
	if err == nil {
		err = p.vendor.RemoveClient(ctx, p.slug, removed.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	prove := func(tenant, client, secret string) error {
		c, err := p.store.Client(ctx, tenant, client)
		if err == nil {
			err = c.ProveSecret(secret)
		}
		if err == nil {
			_, err = c.Token(ctx)
		}
		return err
	}
	mine := p.oauth.ID.String()
	for _, secret := range []string{p.oauthSecret, second} {
		if err := prove(p.slug, mine, secret); err != nil {
			t.Errorf("one of two secrets: %v", err)
		}
	}
	for story, try := range map[string][3]string{
		"another secret":             {p.slug, mine, elsewhere.oauthSecret},
		"no secret":                  {p.slug, mine, ""},
		"another client's":           {p.slug, removed.ID.String(), p.oauthSecret},
		"a removed client":           {p.slug, removed.ID.String(), gone},
		"an unknown client":          {p.slug, uuid.NewString(), p.oauthSecret},
		"no client id":               {p.slug, "Entra", p.oauthSecret},
		"at another tenant":          {"cirque", mine, p.oauthSecret},
		"at no tenant":               {"nobody", mine, p.oauthSecret},
		"another tenant's client":    {p.slug, elsewhere.oauth.ID.String(), elsewhere.oauthSecret},
		"a SCIM token as the secret": {p.slug, mine, p.token},
	} {
		if err := prove(try[0], try[1], try[2]); !errors.Is(err, store.ErrUnauthenticated) {
			t.Errorf("%s: got %v, want unauthenticated", story, err)
		}
	}
	unproved := must[*store.Client](t)(p.store.Client(ctx, p.slug, mine))
	if _, err := unproved.Token(ctx); !errors.Is(err, store.ErrUnauthenticated) {
		t.Errorf("a client that proved nothing: got %v, want unauthenticated", err)
	}
	if _, err := storetest.Look(t, p.owner, p.slug).Exec(ctx, `update client_secrets set expires_at = now() where id = $1`, added.ID); err != nil {
		t.Fatal(err)
	}
	if err := prove(p.slug, mine, second); !errors.Is(err, store.ErrUnauthenticated) {
		t.Errorf("an expired secret: got %v, want unauthenticated", err)
	}
	if err := prove(p.slug, mine, p.oauthSecret); err != nil {
		t.Errorf("the other secret: %v", err)
	}
}

// A client is removed, or its secret revoked, while it is being given a token:
// the token opens nothing.
func TestATokenOfAClientThatGoesOpensNothing(t *testing.T) {
	p, other := beside(t)
	c := must[*store.Client](t)(p.store.Client(t.Context(), p.slug, p.oauth.ID.String()))
	if err := c.ProveSecret(p.oauthSecret); err != nil {
		t.Fatal(err)
	}
	if err := p.vendor.RevokeClientSecret(t.Context(), p.slug, p.oauth.Secrets[0].ID); err != nil {
		t.Fatal(err)
	}
	token, err := c.Token(t.Context())
	if err == nil && opens(t, other, p.slug, token.Token) {
		t.Error("a token that was fetched with a revoked secret opens the connection")
	}
}

// An assertion with an id is accepted once, at whichever process it comes first.
func TestAnAssertionIsAcceptedOnce(t *testing.T) {
	p, other := beside(t)
	bring := func(s *store.Store, id string) error {
		c, err := s.Client(t.Context(), p.slug, p.oauth.ID.String())
		if err != nil {
			return err
		}
		c.ProveAssertion(id, time.Now().Add(time.Hour))
		_, err = c.Token(t.Context())
		return err
	}
	var accepted, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			switch err := bring([]*store.Store{p.store, other}[i%2], "once"); {
			case err == nil:
				accepted.Add(1)
			case errors.Is(err, store.ErrUnauthenticated):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if accepted.Load() != 1 || refused.Load() != 19 {
		t.Errorf("%d were accepted and %d refused, want 1 and 19", accepted.Load(), refused.Load())
	}
	for range 2 { // what has no id cannot be told apart
		if err := bring(p.store, ""); err != nil {
			t.Errorf("without an id: %v", err)
		}
	}
	second := p.connect("second", "lenient")
	c := must[*store.Client](t)(p.store.Client(t.Context(), second.slug, second.oauth.ID.String()))
	c.ProveAssertion("once", time.Now().Add(time.Hour))
	if _, err := c.Token(t.Context()); err != nil {
		t.Errorf("the same id of another client: %v", err)
	}
}

// What nobody can use any more is deleted; what can be used stays.
func TestExpiredTokensAreSwept(t *testing.T) {
	p, other := beside(t)
	stays, goes := p.fetch(), p.fetch()
	c := must[*store.Client](t)(p.store.Client(t.Context(), p.slug, p.oauth.ID.String()))
	c.ProveAssertion("kept", time.Now().Add(-time.Minute))
	must[store.ClientToken](t)(c.Token(t.Context()))
	c.ProveAssertion("swept", time.Now().Add(-2*time.Hour))
	must[store.ClientToken](t)(c.Token(t.Context()))
	conn := storetest.Look(t, p.owner, p.slug)
	_, err := conn.Exec(t.Context(), `update client_tokens set expires_at = now() - interval '1 second' where hash = sha256($1)`, []byte(goes))
	if err != nil {
		t.Fatal(err)
	}
	p.store.Expire(t.Context())
	if n := column[int64](t, conn, `select count(*) from client_tokens`)[0]; n != 3 {
		t.Errorf("%d tokens are left, want the three that can be used", n)
	}
	if n := column[int64](t, conn, `select count(*) from client_assertions`)[0]; n != 1 {
		t.Errorf("%d assertions are remembered, want the one that a clock behind might accept", n)
	}
	if !opens(t, other, p.slug, stays) || opens(t, other, p.slug, goes) {
		t.Error("the wrong token was swept")
	}
}

// The use of a token is noted with its client, that of a secret with the secret.
func TestAClientsUseIsNoted(t *testing.T) {
	p, _ := beside(t)
	used := func() (client, secret bool) {
		t.Helper()
		p.store.FlushUsage(t.Context())
		list, err := p.vendor.Clients(t.Context(), p.slug)
		if err != nil || len(list) != 1 || len(list[0].Secrets) != 1 {
			t.Fatalf("clients: %+v %v", list, err)
		}
		return list[0].LastUsedAt != nil, list[0].Secrets[0].LastUsedAt != nil
	}
	if client, secret := used(); client || secret {
		t.Error("what was not used is noted as used")
	}
	token := p.fetch()
	if client, secret := used(); client || !secret {
		t.Errorf("after a token was fetched: client %t, secret %t, want the secret alone", client, secret)
	}
	if !opens(t, p.store, p.slug, token) {
		t.Fatal("a new token opens nothing")
	}
	if client, _ := used(); !client {
		t.Error("the client's use is not noted")
	}
}

// A credential that only reads changes nothing, also where a door forgot to look:
// its transactions cannot write.
func TestACredentialThatReadsChangesNothing(t *testing.T) {
	p, _ := beside(t)
	jamie := p.create("jamie")
	finance, _, err := p.scim().CreateGroup(t.Context(), group("Finance", jamie))
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := p.vendor.CreateToken(t.Context(), p.slug, p.name, registry.NewToken{Name: "reports", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	reader := *p
	reader.token = token
	if u, err := reader.scim().User(t.Context(), jamie.ID.String(), true); err != nil || u.ID != jamie.ID {
		t.Errorf("reading: %+v %v", u, err)
	}
	if !reader.scim().ReadOnly() || p.scim().ReadOnly() {
		t.Error("the Directory does not say which credential only reads")
	}
	conn := storetest.Look(t, p.owner, p.slug)
	state := func() string {
		return column[string](t, conn, `select (select count(*) from changes) || ' ' || (select string_agg(resource::text, ',' order by id) from users)`)[0]
	}
	before := state()
	for story, write := range map[string]func(dir *store.Directory) error{
		"create a user": func(dir *store.Directory) error {
			_, _, err := dir.CreateUser(t.Context(), person("kim@ringling.example", "kim"))
			return err
		},
		"change a user": func(dir *store.Directory) error {
			_, _, err := dir.UpdateUser(t.Context(), jamie.ID.String(), "", set("title", "Clown"))
			return err
		},
		"delete a user": func(dir *store.Directory) error { return dir.DeleteUser(t.Context(), jamie.ID.String(), "") },
		"create a group": func(dir *store.Directory) error {
			_, _, err := dir.CreateGroup(t.Context(), group("Riggers", jamie))
			return err
		},
		"rename a group": func(dir *store.Directory) error {
			_, _, err := dir.UpdateGroup(t.Context(), finance.ID.String(), "", renamed("Money"))
			return err
		},
		"delete a group": func(dir *store.Directory) error { return dir.DeleteGroup(t.Context(), finance.ID.String(), "") },
	} {
		if err := write(reader.scim()); err == nil {
			t.Errorf("%s: it was done", story)
		}
	}
	if after := state(); after != before {
		t.Errorf("the reader changed something:\n%s\n%s", before, after)
	}
	if _, _, err := p.scim().UpdateUser(t.Context(), jamie.ID.String(), "", set("title", "Clown")); err != nil {
		t.Errorf("another token of the connection, after it: %v", err)
	}
}

// A limit counts whose credential held a moment ago, and nobody else.
func TestOnlyACredentialThatHoldsCounts(t *testing.T) {
	p, other := beside(t)
	dir := func(s *store.Store) *store.Directory {
		return must[*store.Directory](t)(s.SCIM(t.Context(), p.slug, p.token, p.request()))
	}
	if dir(other).Held() {
		t.Error("a token that was never verified counts as one that holds")
	}
	if err := dir(other).Enter(t.Context()); err != nil || !dir(other).Held() {
		t.Errorf("a token that was verified does not count: %v", err)
	}
	list, err := p.vendor.Tokens(t.Context(), p.slug)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.vendor.RevokeToken(t.Context(), p.slug, list[0].ID); err != nil {
		t.Fatal(err)
	}
	refused := dir(other)
	if err := refused.Enter(t.Context()); !errors.Is(err, store.ErrUnauthenticated) {
		t.Fatalf("a revoked token: %v", err)
	}
	refused.Refused()
	if dir(other).Held() {
		t.Error("a token that was refused counts as one that holds")
	}
}

// A tenant's own rate is read at the start, and again now and then.
func TestATenantHasARateOfItsOwn(t *testing.T) {
	p, other := beside(t)
	rate := func(s *store.Store) int {
		return must[*store.Directory](t)(s.SCIM(t.Context(), p.slug, p.token, p.request())).Rate()
	}
	if got := rate(other); got != 0 {
		t.Errorf("the rate of a tenant that has none is %d", got)
	}
	if _, err := p.vendor.SetRate(t.Context(), p.slug, 250); err != nil {
		t.Fatal(err)
	}
	if err := other.ReadRates(t.Context()); err != nil || rate(other) != 250 {
		t.Errorf("the rate is %d %v, want 250", rate(other), err)
	}
	if _, err := p.vendor.SetRate(t.Context(), p.slug, 0); err != nil {
		t.Fatal(err)
	}
	if err := other.ReadRates(t.Context()); err != nil || rate(other) != 0 {
		t.Errorf("the rate is %d %v, want none", rate(other), err)
	}
	if _, err := p.vendor.SetRate(t.Context(), p.slug, registry.MaxRate+1); err == nil {
		t.Error("a rate without measure was set")
	}
}
