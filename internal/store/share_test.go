package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// Whatever a client or a person of a tenant asks takes a place in a share of the pool:
// that of the strangers at the tenant's address, until this process has seen that it
// holds, and the tenant's from then on. Strangers elsewhere are in nobody's way.
func TestEveryRequestIsInAShare(t *testing.T) {
	p, _ := beside(t)
	p.live()
	token := p.visit()
	self := func() *store.Self { return must[*store.Self](t)(p.store.Self(t.Context(), p.slug, token)) }
	me := func() error { return self().Enter(t.Context()) }
	scim := func() error {
		dir, err := p.store.SCIM(t.Context(), p.slug, p.token, p.request())
		if err != nil {
			return err
		}
		return dir.Enter(dir.InShare(t.Context()))
	}
	stranger := func() error {
		_, err := p.store.SCIM(t.Context(), p.slug, registry.SCIMPrefix+p.token[len(p.token)-registry.SecretLength:][1:]+"A", p.request())
		return err
	}
	find := func() error {
		_, err := p.store.Client(t.Context(), p.slug, p.oauth.ID.String())
		return err
	}
	proved := must[*store.Client](t)(p.store.Client(t.Context(), p.slug, p.oauth.ID.String()))
	if err := proved.ProveSecret(p.oauthSecret); err != nil {
		t.Fatal(err)
	}
	fetch := func() error {
		_, err := proved.Token(t.Context())
		return err
	}
	busy := func(fill func(uuid.UUID) func(), share uuid.UUID, when string, asks map[string]func() error, want map[string]bool) {
		t.Helper()
		empty := fill(share)
		defer empty()
		for who, ask := range asks {
			err := ask()
			if refused := errors.Is(err, store.ErrBusy); refused != want[who] {
				t.Errorf("%s, %s: got %v, want it refused: %t", when, who, err, want[who])
			}
		}
	}
	if self().Held() {
		t.Error("a person whom nobody has asked about counts as let in")
	}
	newcomer := must[*store.Directory](t)(p.store.SCIM(t.Context(), p.slug, p.fetch(), p.request()))
	enter := func() error { return newcomer.Enter(newcomer.InShare(t.Context())) }
	tenant, strangers := uuid.MustParse(p.tenant), p.store.FillStrangers
	first := map[string]func() error{"a person's first request": me, "a token's first request": enter}
	busy(strangers, tenant, "the strangers' share is full", first, map[string]bool{"a person's first request": true, "a token's first request": true})
	if err := me(); err != nil || !self().Held() {
		t.Fatalf("a person who was let in does not count as such: %v", err)
	}
	if err := enter(); err != nil || !newcomer.Held() {
		t.Fatalf("a token that held does not count as such: %v", err)
	}
	busy(strangers, tenant, "the strangers' share is full", map[string]func() error{"a token's second request": enter}, nil)
	newcomer.Refused()
	busy(strangers, tenant, "the strangers' share is full", map[string]func() error{"a token that was refused": enter}, map[string]bool{"a token that was refused": true})
	asks := map[string]func() error{"a person": me, "a token": scim, "a stranger's token": stranger, "who a client is": find, "a client that proved itself": fetch}
	busy(p.store.FillShare, tenant, "the tenant's share is full", asks, map[string]bool{"a person": true, "a token": true, "a client that proved itself": true})
	busy(strangers, tenant, "the strangers' share is full", asks, map[string]bool{"a stranger's token": true, "who a client is": true})
	unknown := map[string]func() error{}
	for _, who := range []string{"a stranger's token", "who a client is"} {
		unknown[who] = func() error {
			p.store.ForgetNames()
			return asks[who]()
		}
	}
	busy(strangers, tenant, "the tenant's name has to be looked up", unknown, map[string]bool{"a stranger's token": true, "who a client is": true})
	for who, ask := range map[string]func() error{"a token": scim, "a person": me} {
		p.store.ForgetSettings(tenant)
		busy(strangers, tenant, "the settings have to be read", map[string]func() error{who: ask}, nil)
	}
	busy(strangers, uuid.New(), "the share of strangers at another tenant is full", asks, nil)
	busy(strangers, uuid.Nil, "the share of strangers at no tenant is full", asks, nil)
	busy(strangers, uuid.Nil, "the share of strangers at no tenant is full", nowhere(t, p.store), map[string]bool{"a token": true, "a client": true, "a person": true})
	for who, ask := range asks {
		if err := ask(); errors.Is(err, store.ErrBusy) {
			t.Errorf("no share is full, %s: %v", who, err)
		}
	}
	if _, _, err := p.scim().UpdateUser(t.Context(), p.jamie.ID.String(), "", set("active", false)); err != nil {
		t.Fatal(err)
	}
	if err := me(); !errors.Is(err, store.ErrUnauthenticated) || self().Held() {
		t.Errorf("a person who may not enter any more: %v, and counts as let in: %t", err, self().Held())
	}
}

// nowhere asks at addresses that are no tenant's, another each time.
func nowhere(t *testing.T, s *store.Store) map[string]func() error {
	token := registry.SCIMPrefix + strings.Repeat("A", registry.SecretLength)
	return map[string]func() error{
		"a token": func() error {
			_, err := s.SCIM(t.Context(), "nobody1", token, store.Request{})
			return err
		},
		"a client": func() error {
			_, err := s.Client(t.Context(), "nobody2", uuid.NewString())
			return err
		},
		"a person": func() error {
			_, err := s.Self(t.Context(), "nobody3", store.PersonToken{Tenant: "nobody3", User: uuid.NewString(), Session: uuid.NewString()})
			return err
		},
	}
}

// visit is what jamie's access token of a sign-in says.
func (p *stand) visit() store.PersonToken {
	p.t.Helper()
	d, g, err := p.store.MintToken(p.t.Context(), p.redemption(p.signIn("jamie")))
	if err != nil || !d.Allowed {
		p.t.Fatal(d, err)
	}
	return selfOf(g)
}
