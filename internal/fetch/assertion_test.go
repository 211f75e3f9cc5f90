package fetch

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// syncFabric is Entra's provisioning client, by its object id.
const syncFabric = "6d1b6fd1-3f8c-4b5c-8f2e-0a1b2c3d4e5f"

// assertion returns the claims that Entra's workload identity federation sends, made five
// minutes ago for 65, with changes applied; a nil value removes the claim.
func (p *provider) assertion(changes map[string]any) string {
	claims := map[string]any{
		"sub": syncFabric, "oid": syncFabric, "aud": "api://muster", "nonce": nil, "ver": "2.0", "azp": "app", "uti": "u-1",
		"iat": noon.Add(-5 * time.Minute).Unix(), "nbf": noon.Add(-5 * time.Minute).Unix(), "exp": noon.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	return p.claims(claims)
}

func (p *provider) expectAssertion() ExpectAssertion {
	return ExpectAssertion{
		Scope: "ringling/entra", Issuer: p.URL, JWKSURI: p.URL + "/keys", Subject: syncFabric,
		Audiences: []string{"api://muster", "muster", "api://muster/id.example.com"},
	}
}

func TestAnAssertionIsVerified(t *testing.T) {
	p := newProvider(t)
	c := localClient(t, newClock())
	rs, es := rsaKey("r1", 0), ecKey(t, "e1")
	p.publish(rs, es)
	for name, raw := range map[string]string{
		"as Entra sends it":        sign(t, rs, p.assertion(nil), nil),
		"by another algorithm":     sign(t, es, p.assertion(nil), nil),
		"the application alone":    sign(t, rs, p.assertion(map[string]any{"aud": "muster"}), nil),
		"of a newer slice":         sign(t, rs, p.assertion(map[string]any{"aud": "api://muster/id.example.com"}), nil),
		"one audience in an array": sign(t, rs, p.assertion(map[string]any{"aud": []string{"api://muster"}}), nil),
		"two of ours":              sign(t, rs, p.assertion(map[string]any{"aud": []string{"api://muster", "muster"}}), nil),
		"explicitly typed":         sign(t, rs, p.assertion(nil), map[string]any{"typ": "client-authentication+jwt"}),
		"without iat and nbf":      sign(t, rs, p.assertion(map[string]any{"iat": nil, "nbf": nil}), nil),
		"a clock behind":           sign(t, rs, p.assertion(map[string]any{"exp": noon.Add(-30 * time.Second).Unix()}), nil),
	} {
		a, err := c.VerifyAssertion(context.Background(), raw, p.expectAssertion())
		if err != nil || a.ID != "" || a.Expires.Before(noon) {
			t.Errorf("%s: got %+v %v: %s", name, a, err, Detail(err))
		}
	}
	raw := sign(t, rs, p.assertion(map[string]any{"jti": "once"}), nil)
	a, err := c.VerifyAssertion(context.Background(), raw, p.expectAssertion())
	if err != nil || a.ID != "once" || !a.Expires.Equal(noon.Add(time.Hour+leeway)) {
		t.Errorf("with a jti: got %+v %v", a, err)
	}
	if got := AssertionSubject(raw); got != syncFabric {
		t.Errorf("the assertion says it is from %q", got)
	}
}

// What is not an assertion for us, by that client, now, is refused (RFC 7523 §3).
func TestAnAssertionOfAnotherKindIsRefused(t *testing.T) {
	p := newProvider(t)
	key, stranger := rsaKey("k", 0), rsaKey("k", 1)
	p.publish(key)
	c := localClient(t, newClock())
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	tokens := map[string]string{
		"another's key":    sign(t, stranger, p.assertion(nil), nil),
		"a key unknown":    sign(t, rsaKey("other", 1), p.assertion(nil), nil),
		"no algorithm":     encode(`{"alg":"none"}`) + "." + encode(p.assertion(nil)) + ".",
		"a shared secret":  sign(t, jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), Algorithm: "HS256"}, p.assertion(nil), nil),
		"an ID Token":      sign(t, key, p.assertion(map[string]any{"nonce": "n"}), nil),
		"a logout token":   sign(t, key, p.assertion(map[string]any{"events": map[string]any{}}), nil),
		"an access token":  sign(t, key, p.assertion(nil), map[string]any{"typ": "at+jwt"}),
		"typed ID Token":   sign(t, key, p.assertion(nil), map[string]any{"typ": "id_token+jwt"}),
		"a key of its own": sign(t, key, p.assertion(nil), map[string]any{"jku": p.URL + "/keys"}),
		"two subjects":     sign(t, key, `{"sub":"x",`+p.assertion(nil)[1:], nil),
		"no token":         "", "two dots": "..", "no JSON": "e30.e30.e30",
	}
	for name, changes := range map[string]map[string]any{
		"another issuer": {"iss": "https://login.example"}, "no issuer": {"iss": nil},
		"another subject": {"sub": "somebody"}, "no subject": {"sub": nil}, "a number as subject": {"sub": 7},
		"no audience": {"aud": nil}, "another audience": {"aud": "api://other"}, "a longer one": {"aud": "api://muster/"},
		"in other case": {"aud": "API://muster"}, "ours and another": {"aud": []string{"api://muster", "api://other"}}, "none at all": {"aud": []string{}},
		"no exp": {"exp": nil}, "exp a string": {"exp": "2026"}, "expired": {"exp": at(-2 * time.Minute)}, "for a day": {"exp": at(24 * time.Hour)},
		"of tomorrow": {"iat": at(5 * time.Minute)}, "of yesterday": {"iat": at(-24 * time.Hour)}, "iat a string": {"iat": "now"},
		"not yet": {"nbf": at(5 * time.Minute)}, "nbf a string": {"nbf": "now"},
		"jti a number": {"jti": 7}, "jti empty": {"jti": ""}, "jti null": {"jti": jsonNull{}},
	} {
		tokens[name] = sign(t, key, p.assertion(changes), nil)
	}
	for name, raw := range tokens {
		if a, err := c.VerifyAssertion(context.Background(), raw, p.expectAssertion()); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: got %+v %v, want it refused", name, a, err)
		}
	}
	good := sign(t, key, p.assertion(nil), nil)
	for name, forget := range map[string]func(*ExpectAssertion){
		"the scope": func(e *ExpectAssertion) { e.Scope = "" }, "the issuer": func(e *ExpectAssertion) { e.Issuer = "" },
		"the keys": func(e *ExpectAssertion) { e.JWKSURI = "" }, "the subject": func(e *ExpectAssertion) { e.Subject = "" },
		"the audiences": func(e *ExpectAssertion) { e.Audiences = nil }, "a jti": func(e *ExpectAssertion) { e.TokenID = true },
	} {
		want := p.expectAssertion()
		forget(&want)
		if a, err := c.VerifyAssertion(context.Background(), good, want); !errors.Is(err, ErrRefused) {
			t.Errorf("without %s: got %+v %v, want it refused", name, a, err)
		}
	}
}

func FuzzAssertion(f *testing.F) {
	f.Add(`{"iss":"i","sub":"s","aud":"a","exp":1763640000,"iat":1763636400,"jti":"x"}`)
	f.Add(`{"aud":["a","b"],"exp":1e300,"nonce":null}`)
	want := ExpectAssertion{Scope: "s", Issuer: "i", JWKSURI: "k", Subject: "s", Audiences: []string{"a"}}
	f.Fuzz(func(t *testing.T, payload string) {
		AssertionSubject(payload)
		subject := AssertionSubject(encode(`{}`) + "." + encode(payload) + ".x")
		claims, err := parseClaims([]byte(payload))
		if err != nil {
			if subject != "" {
				t.Errorf("claims that are refused (%v) have the subject %q", err, subject)
			}
			return
		}
		if a, err := want.check(claims, noon); err == nil && (claims.Issuer != "i" || claims.Subject != "s" || a.Expires.Before(noon)) {
			t.Errorf("accepted %q: %+v", payload, a)
		}
	})
}
