package store_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// Whatever a client or a person of a tenant asks takes a place in a share of the pool:
// nobody's, until this process has seen that it holds, and the tenant's from then on.
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
	busy := func(share uuid.UUID, when string, asks map[string]func() error, want map[string]bool) {
		t.Helper()
		empty := p.store.FillShare(share)
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
	busy(uuid.Nil, "nobody's share is full", map[string]func() error{"a person's first request": me}, map[string]bool{"a person's first request": true})
	if err := me(); err != nil || !self().Held() {
		t.Fatalf("a person who was let in does not count as such: %v", err)
	}
	asks := map[string]func() error{"a person": me, "a token": scim, "a stranger's token": stranger, "who a client is": find, "a client that proved itself": fetch}
	busy(uuid.MustParse(p.tenant), "the tenant's share is full", asks, map[string]bool{"a person": true, "a token": true, "a client that proved itself": true})
	busy(uuid.Nil, "nobody's share is full", asks, map[string]bool{"a stranger's token": true, "who a client is": true})
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

// visit is what jamie's access token of a sign-in says.
func (p *stand) visit() store.PersonToken {
	p.t.Helper()
	d, g, err := p.store.MintToken(p.t.Context(), p.redemption(p.signIn("jamie")))
	if err != nil || !d.Allowed {
		p.t.Fatal(d, err)
	}
	return selfOf(g)
}
