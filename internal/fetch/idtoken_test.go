package fetch

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestVerifyIDToken(t *testing.T) {
	p := newProvider(t)
	c := localClient(t, newClock())
	rs, es := rsaKey("r1", 0), ecKey(t, "e1")
	p.publish(rs, es)

	for _, key := range []jose.JSONWebKey{rs, es} {
		want := p.expect()
		want.Algorithms = []string{"RS256", "ES256"}
		raw := sign(t, key, p.claims(map[string]any{"oid": "9b1d", "level": 7, "email_verified": "true"}), nil)
		claims, err := c.VerifyIDToken(context.Background(), raw, want)
		if err != nil {
			t.Fatalf("%s: %v: %s", key.Algorithm, err, Detail(err))
		}
		if claims.Subject != "alice" || claims.Issuer != p.URL || !claims.Expiry.Equal(noon.Add(time.Hour)) {
			t.Errorf("%s: claims = %+v", key.Algorithm, claims)
		}
		if oid, ok := claims.String("oid"); oid != "9b1d" || !ok {
			t.Errorf("%s: oid = %q, %v", key.Algorithm, oid, ok)
		}
		if level, ok := claims.String("level"); ok {
			t.Errorf("%s: the number level reads as the string %q", key.Algorithm, level)
		}
		if value, ok := claims.Bool("email_verified"); ok {
			t.Errorf(`%s: the string "true" reads as %v`, key.Algorithm, value)
		}
	}
}

// refuses verifies every token and fails for one that is accepted or refused in another class.
func refuses(t *testing.T, c *Client, p *provider, tokens map[string]string) {
	t.Helper()
	for name, raw := range tokens {
		if _, err := verify(t, c, p, raw); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: error = %v, want ErrRefused", name, err)
		}
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestAbuse_J01(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	payload := encode(p.claims(nil))
	good := sign(t, key, p.claims(nil), nil)
	tokens := map[string]string{
		"signature stripped": good[:strings.LastIndex(good, ".")+1],
		"empty parts":        "a.b.",
		"nothing":            "..",
	}
	for _, alg := range []string{"none", "None", "nOnE", "", "RS256"} {
		tokens["alg "+alg+" without signature"] = encode(`{"alg":"`+alg+`"}`) + "." + payload + "."
	}
	refuses(t, localClient(t, newClock()), p, tokens)
}

func TestAbuse_J02(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	der, err := x509.MarshalPKIXPublicKey(rsaKeys()[0].Public())
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public()
	jwk, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	for name, secret := range map[string][]byte{
		"DER": der,
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"JWK": jwk,
	} {
		tokens[name] = sign(t, jose.JSONWebKey{Key: secret, KeyID: "k", Algorithm: "HS256"}, p.claims(nil), nil)
	}
	c := localClient(t, newClock())
	refuses(t, c, p, tokens)

	want := p.expect()
	want.Algorithms = []string{"HS256", "none"} // what a provider's metadata may claim
	for name, raw := range tokens {
		if _, err := c.VerifyIDToken(context.Background(), raw, want); !errors.Is(err, ErrRefused) {
			t.Errorf("%s with HS256 asked for: error = %v, want ErrRefused", name, err)
		}
	}
}

func TestAbuse_J03(t *testing.T) {
	p := newProvider(t)
	p.publish(rsaKey("k", 0))
	attacker := rsaKey("k", 1)
	own := attacker.Public()
	tokens := map[string]string{}
	for name, value := range map[string]any{
		"jwk": own, "jku": p.URL + "/evil", "x5u": p.URL + "/evil", "x5c": []string{"MIIB"},
	} {
		tokens[name] = sign(t, attacker, p.claims(nil), map[string]any{name: value})
	}
	refuses(t, localClient(t, newClock()), p, tokens)
	if n := p.requests.Load(); n != 0 {
		t.Errorf("%d requests were made for tokens that bring their own key, want 0", n)
	}
}

func TestAbuse_J05(t *testing.T) {
	p := newProvider(t)
	p.publish(rsaKey("k1", 0), rsaKey("k2", 1))
	mislabelled := rsaKey("k2", 0)
	refuses(t, localClient(t, newClock()), p, map[string]string{
		"signed by k1, names k2": sign(t, mislabelled, p.claims(nil), nil),
	})
	if n := p.keyGets.Load(); n != 1 {
		t.Errorf("a wrong signature under a known kid caused %d requests, want the first one only", n)
	}
}

func TestATokenWithoutKidIsTriedWithEveryKeyThatFits(t *testing.T) {
	p := newProvider(t)
	p.publish(ecKey(t, "e"), rsaKey("k1", 0), rsaKey("k2", 1))
	anonymous := rsaKey("", 1)
	if _, err := verify(t, localClient(t, newClock()), p, sign(t, anonymous, p.claims(nil), nil)); err != nil {
		t.Errorf("%v: %s", err, Detail(err))
	}
}

func TestAbuse_J10(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	tokens := map[string]string{}
	for _, issuer := range []any{
		p.URL + "/", strings.ToUpper(p.URL), p.URL + "/oauth2/default", strings.Replace(p.URL, "http", "https", 1),
		strings.Replace(p.URL, "1", "１", 1), " " + p.URL, "", 7, nil, []string{p.URL},
	} {
		tokens[fmt.Sprint(issuer)] = sign(t, key, p.claims(map[string]any{"iss": issuer}), nil)
	}
	refuses(t, localClient(t, newClock()), p, tokens)
}

func TestAbuse_J11(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	c := localClient(t, newClock())
	tokens := map[string]string{}
	for name, changes := range map[string]map[string]any{
		"missing":                {"aud": nil},
		"another client":         {"aud": "other"},
		"substring":              {"aud": "must"},
		"superstring":            {"aud": "muster2"},
		"empty list":             {"aud": []string{}},
		"list with a stranger":   {"aud": []string{"muster", "other"}, "azp": "muster"},
		"list with a number":     {"aud": []any{"muster", 7}, "azp": "muster"},
		"twice without azp":      {"aud": []string{"muster", "muster"}},
		"object":                 {"aud": map[string]any{"muster": true}},
		"azp of another":         {"azp": "other"},
		"azp that is no string":  {"azp": []string{"muster"}},
		"azp null":               {"azp": jsonNull{}},
		"azp differs in case":    {"azp": "Muster"},
		"audience of other case": {"aud": "MUSTER"},
	} {
		tokens[name] = sign(t, key, p.claims(changes), nil)
	}
	refuses(t, c, p, tokens)

	if _, err := verify(t, c, p, sign(t, key, p.claims(map[string]any{"aud": []string{"muster"}}), nil)); err != nil {
		t.Errorf("a list of us alone: %v: %s", err, Detail(err))
	}
	want := p.expect()
	want.Audiences = []string{"api"}
	raw := sign(t, key, p.claims(map[string]any{"aud": []string{"api", "muster"}, "azp": "muster"}), nil)
	if _, err := c.VerifyIDToken(context.Background(), raw, want); err != nil {
		t.Errorf("a trusted audience beside us: %v: %s", err, Detail(err))
	}
}

// jsonNull is a claim that is there and null.
type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

func TestAbuse_J12(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	c := localClient(t, newClock())
	at := func(d time.Duration) int64 { return noon.Add(d).Unix() }
	tokens := map[string]string{}
	for name, changes := range map[string]map[string]any{
		"exp missing":         {"exp": nil},
		"exp a string":        {"exp": fmt.Sprint(at(time.Hour))},
		"exp past":            {"iat": at(-5 * time.Minute), "exp": at(-2 * time.Minute)},
		"exp in three days":   {"exp": at(72 * time.Hour)},
		"exp beyond all time": {"exp": 1e300},
		"exp negative":        {"exp": -1},
		"exp before iat":      {"iat": at(50 * time.Second), "exp": at(10 * time.Second)},
		"iat missing":         {"iat": nil},
		"iat a string":        {"iat": fmt.Sprint(at(0))},
		"iat in the future":   {"iat": at(5 * time.Minute)},
		"iat an hour ago":     {"iat": at(-time.Hour)},
		"nbf in the future":   {"nbf": at(5 * time.Minute)},
		"nbf a string":        {"nbf": "yesterday"},
	} {
		tokens[name] = sign(t, key, p.claims(changes), nil)
	}
	refuses(t, c, p, tokens)

	for name, changes := range map[string]map[string]any{
		"their clock 30 s ahead":  {"iat": at(30 * time.Second), "nbf": at(30 * time.Second)},
		"their clock 30 s behind": {"iat": at(-90 * time.Second), "exp": at(-30 * time.Second)},
		"iat five minutes ago":    {"iat": at(-5 * time.Minute), "nbf": at(-5 * time.Minute)},
		"fractions of a second":   {"iat": float64(at(0)) + 0.25},
	} {
		if _, err := verify(t, c, p, sign(t, key, p.claims(changes), nil)); err != nil {
			t.Errorf("%s: %v: %s", name, err, Detail(err))
		}
	}
}

func TestAbuse_J13(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	events := map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	refuses(t, localClient(t, newClock()), p, map[string]string{
		"access token":         sign(t, key, p.claims(nil), map[string]any{"typ": "at+jwt"}),
		"access token, long":   sign(t, key, p.claims(nil), map[string]any{"typ": "application/at+jwt"}),
		"logout token by type": sign(t, key, p.claims(nil), map[string]any{"typ": "logout+jwt"}),
		"logout token by body": sign(t, key, p.claims(events), nil),
		"event token":          sign(t, key, p.claims(nil), map[string]any{"typ": "secevent+jwt"}),
	})
}

func TestAbuse_J14(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	good := p.claims(nil)
	with := func(members string) string {
		return sign(t, key, strings.TrimSuffix(good, "}")+","+members+"}", nil)
	}
	header := encode(`{"alg":"RS256","kid":"k","ALG":"none"}`)
	refuses(t, localClient(t, newClock()), p, map[string]string{
		"duplicate":                  with(`"sub":"mallory"`),
		"case variant":               with(`"SUB":"mallory"`),
		"long s":                     with(`"ſub":"mallory"`),
		"escaped duplicate":          with(`"\u0073ub":"mallory"`),
		"nested duplicate":           with(`"address":{"a":1,"a":2}`),
		"nested case variant":        with(`"address":{"a":1,"A":2}`),
		"invalid UTF-8":              with("\"name\":\"\xff\""),
		"lone surrogate":             with(`"name":"\ud800"`),
		"text after it":              sign(t, key, good+"{}", nil),
		"array":                      sign(t, key, "["+good+"]", nil),
		"null":                       sign(t, key, "null", nil),
		"too deep":                   with(`"x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)),
		"case variant in header":     header + "." + encode(good) + ".AA",
		"only a case variant: Sub":   sign(t, key, strings.Replace(good, `"sub"`, `"Sub"`, 1), nil),
		"only a case variant: noNce": sign(t, key, strings.Replace(good, `"nonce"`, `"noNce"`, 1), nil),
	})
}

func TestAbuse_J15(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	good := sign(t, key, p.claims(nil), nil)
	parts := strings.Split(good, ".")
	refuses(t, localClient(t, newClock()), p, map[string]string{
		"JSON serialisation": fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"crit":               sign(t, key, p.claims(nil), map[string]any{"crit": []string{"exp"}, "exp": 1}),
		"crit, empty":        encode(`{"alg":"RS256","kid":"k","crit":[]}`) + "." + parts[1] + "." + parts[2],
		"b64 false":          encode(`{"alg":"RS256","kid":"k","b64":false}`) + "." + parts[1] + "." + parts[2],
		"encrypted":          encode(`{"alg":"RS256","enc":"A256GCM","zip":"DEF"}`) + "." + parts[1] + "." + parts[2],
		"nested":             sign(t, key, p.claims(nil), map[string]any{"cty": "JWT"}),
		"line end inside":    parts[0] + "." + parts[1] + "\n." + parts[2],
		"space before":       " " + good,
	})
}

func TestAbuse_J16(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	padding := strings.Repeat("x", maxToken)
	refuses(t, localClient(t, newClock()), p, map[string]string{
		"a million dots": strings.Repeat(".", 1_000_000),
		"too long":       sign(t, key, p.claims(map[string]any{"padding": padding}), nil),
		"one dot":        "a.b",
		"three dots":     "a.b.c.d",
		"empty":          "",
	})
	if n := p.requests.Load(); n != 0 {
		t.Errorf("%d requests were made for oversized tokens, want 0", n)
	}
	dots := strings.Repeat(".", 1_000_000)
	allocated := testing.AllocsPerRun(10, func() { parseHeader(dots, signed{algorithms: []string{"RS256"}}) })
	if allocated > 10 {
		t.Errorf("a million dots made us allocate %v times, want at most 10", allocated)
	}
}

func TestAbuse_J17(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	tokens := map[string]string{}
	for _, subject := range []any{nil, "", " ", "a b", "alice\n", "alicé", strings.Repeat("a", 256), 7, []string{"alice"}, jsonNull{}, "a\u0000"} {
		tokens[fmt.Sprintf("%.20q", fmt.Sprint(subject))] = sign(t, key, p.claims(map[string]any{"sub": subject}), nil)
	}
	refuses(t, localClient(t, newClock()), p, tokens)
}

func TestAbuse_J19(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	c := localClient(t, newClock())
	sum := sha256.Sum256([]byte("the-access-token"))
	right := base64.RawURLEncoding.EncodeToString(sum[:16])
	sum = sha256.Sum256(nil)
	ofNothing := base64.RawURLEncoding.EncodeToString(sum[:16])
	for _, test := range []struct {
		claim, value string
		access, code string
		ok           bool
	}{
		{"at_hash", right, "the-access-token", "", true},
		{"at_hash", right, "another", "", false},
		{"at_hash", right, "", "", false},
		{"at_hash", "", "the-access-token", "", false},
		{"at_hash", ofNothing, "", "", false},
		{"c_hash", right, "", "the-access-token", true},
		{"c_hash", right, "the-access-token", "another", false},
	} {
		want := p.expect()
		want.AccessToken, want.Code = test.access, test.code
		raw := sign(t, key, p.claims(map[string]any{test.claim: test.value}), nil)
		if _, err := c.VerifyIDToken(context.Background(), raw, want); (err == nil) != test.ok {
			t.Errorf("%+v: error = %v: %s", test, err, Detail(err))
		}
	}
}

func TestAbuse_F05(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	c := localClient(t, newClock())
	tokens := map[string]string{}
	for _, nonce := range []any{nil, "", "n-2", "N-1", 1, []string{"n-1"}} {
		tokens[fmt.Sprint(nonce)] = sign(t, key, p.claims(map[string]any{"nonce": nonce}), nil)
	}
	refuses(t, c, p, tokens)

	want := p.expect()
	want.Nonce = ""
	raw := sign(t, key, p.claims(map[string]any{"nonce": ""}), nil)
	if _, err := c.VerifyIDToken(context.Background(), raw, want); !errors.Is(err, ErrRefused) {
		t.Errorf("no nonce was expected: error = %v, want ErrRefused", err)
	}
}

func TestAbuse_F20(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	c := localClient(t, newClock())
	want := p.expect()
	want.MaxAge, want.ACR, want.AMR = 10*time.Minute, []string{"phr"}, []string{"mfa"}
	fulfilled := map[string]any{"auth_time": noon.Add(-5 * time.Minute).Unix(), "acr": "phr", "amr": []string{"pwd", "mfa"}}
	if _, err := c.VerifyIDToken(context.Background(), sign(t, key, p.claims(fulfilled), nil), want); err != nil {
		t.Fatalf("%v: %s", err, Detail(err))
	}
	for name, values := range map[string][]any{
		"auth_time": {nil, noon.Add(-time.Hour).Unix(), noon.Add(time.Hour).Unix(), "now"},
		"acr":       {nil, "pwd", []string{"phr"}},
		"amr":       {nil, []string{"pwd"}, "mfa", []any{"mfa", 1}},
	} {
		for _, value := range values {
			changes := map[string]any{"auth_time": fulfilled["auth_time"], "acr": "phr", "amr": fulfilled["amr"]}
			changes[name] = value
			if _, err := c.VerifyIDToken(context.Background(), sign(t, key, p.claims(changes), nil), want); !errors.Is(err, ErrRefused) {
				t.Errorf("%s = %v: error = %v, want ErrRefused", name, value, err)
			}
		}
	}
}

func FuzzVerifyIDToken(f *testing.F) {
	for _, seed := range []string{"", "..", "a.b.c", encode(`{"alg":"RS256"}`) + ".e30.AA", encode(`{"alg":"none"}`) + ".e30.", encode(`{"alg":"RS256","kid":1}`) + ".e30.AA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if header, err := parseHeader(raw, signed{algorithms: []string{"RS256"}}); err == nil && header.Algorithm != "RS256" {
			t.Errorf("%q: a header with alg %q was accepted", raw, header.Algorithm)
		}
	})
}

func FuzzClaims(f *testing.F) {
	for _, seed := range []string{`{}`, `{"sub":"a","SUB":"b"}`, `{"exp":1e999}`, `{"aud":["a",1]}`, `null`, `{"a":{"b":[{}]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		claims, err := parseClaims(payload)
		if err != nil {
			return
		}
		if text, ok := claims.String("sub"); ok != (text != "") || text != claims.Subject {
			t.Errorf("%q: sub is %q, %v and %q", payload, text, ok, claims.Subject)
		}
		Expect{Issuer: "x", ClientID: "c", Nonce: "n"}.check(claims, algorithms["RS256"], noon)
	})
}
