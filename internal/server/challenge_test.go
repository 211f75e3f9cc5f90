package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A request without a token is told how to bring one; one with a token that does not hold
// is told that too, and nothing of why (RFC 6750 §3, §3.1).
func TestAChallengeSaysWhetherATokenWasBrought(t *testing.T) {
	p := openPortal(t)
	access, _ := p.signIn("jamie", "portal")
	p.connect("acme", "connection", "lenient")
	secret, c := p.client("entra")
	fetched := p.world.ask("", post(c, secret)).token(t, "the client")
	if err := p.vendor.RemoveClient(soon(t), "acme", c.ID); err != nil {
		t.Fatal(err)
	}
	for authorization, brought := range map[string]bool{
		"": false, " ": false, "Bearer": false, "Bearer ": false, "bearer": false, "Bearer a b": false, "Basic " + basic("a", "b"): false, "Basic x": false,
		"Bearer x": true, "x": true, "bearer x": true, "Bearer " + strings.Repeat("x", 600): true,
		"Bearer " + registry.SCIMPrefix + strings.Repeat("A", registry.SecretLength): true, "Bearer " + p.expiredToken("acme"): true,
		"Bearer " + p.revokedToken("acme"): true, p.disabledToken("acme"): true, "Bearer " + fetched: true, "Bearer " + access + "x": true,
	} {
		want := `Bearer realm="SCIM"`
		if brought {
			want += `, error="invalid_token"`
		}
		for _, path := range []string{"/Users", "/Me", "/Nope"} {
			a := p.send("GET", p.base("acme")+path, authorization, "")
			a.refusal(t, path+" with "+authorization, http.StatusUnauthorized, "")
			if got := a.header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != want {
				t.Errorf("%s with %.30q: WWW-Authenticate is %q, want %q", path, authorization, got, want)
			}
		}
	}
}

// few lets a tenant send so many requests, and then none for an hour.
func few(n int) func(*server.Config) {
	return func(c *server.Config) { c.Limits.Requests = server.Rate{PerSecond: 0.0001, Burst: n} }
}

// Every request of a token that holds counts against its tenant, the first one too: who
// fetches a token for each request sends no more than who keeps one. A token that does
// not hold uses nothing up.
func TestTheFirstRequestOfATokenCounts(t *testing.T) {
	_, database := storetest.Database(t)
	w := serve(t, storetest.Open(t, database), server.NewMetrics(), few(4))
	w.tenant("acme")
	w.connect("acme", "connection", "lenient")
	strangers := []string{w.revokedToken("acme"), w.expiredToken("acme"), registry.SCIMPrefix + strings.Repeat("A", registry.SecretLength)}
	for range 10 {
		for _, token := range strangers {
			w.scim("GET", "/Users", token, "").refusal(t, "a token that does not hold", http.StatusUnauthorized, "")
		}
	}
	for n := range 8 {
		token, _, err := w.vendor.CreateToken(soon(t), "acme", "connection", registry.NewToken{Name: fmt.Sprint(n)})
		if err != nil {
			t.Fatal(err)
		}
		a := w.scim("GET", "/Users", token, "")
		if want := map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[n < 4]; a.status != want {
			t.Errorf("request %d, each with a token of its own: got %d, want %d: %s", n, a.status, want, a.body)
		}
	}
}

// What people ask at /Me is limited as what their tenant's clients ask is, and apart
// from it: people of a tenant together cannot keep its directory from being pushed.
func TestPeopleAtMeAreLimitedTogether(t *testing.T) {
	p := openPortal(t)
	jamie, _ := p.signIn("jamie", "portal")
	p.provision("robin")
	robin, _ := p.signIn("robin", "portal")
	left, _ := p.signIn("robin", "portal")
	slow := &portal{world: serve(t, p.store, server.NewMetrics(), few(4), func(c *server.Config) { c.PublicURL = p.url })}
	me := func(access string) answer { return slow.send("GET", slow.base("acme")+"/Me", "Bearer "+access, "") }
	expired := p.sign("at+jwt", func() map[string]any {
		_, payload, _ := parts(t, left)
		payload["exp"] = time.Now().Add(-time.Second).Unix()
		return payload
	}())
	for range 10 {
		me(expired).refusal(t, "a token that has expired", http.StatusUnauthorized, "")
	}
	for n, access := range []string{jamie, robin, jamie, robin, jamie, robin} {
		if a, want := me(access), map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[n < 4]; a.status != want {
			t.Errorf("request %d of the tenant's people: got %d, want %d: %s", n, a.status, want, a.body)
		}
	}
	for n := range 6 {
		a := slow.send("GET", slow.base("acme")+"/Users", "Bearer "+p.token, "")
		if want := map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[n < 4]; a.status != want {
			t.Errorf("request %d of its client: got %d, want %d: %s", n, a.status, want, a.body)
		}
	}
}
