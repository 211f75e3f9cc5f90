package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestAbuse_J04(t *testing.T) {
	a, b := newProvider(t), newProvider(t)
	keyA, keyB := rsaKey("1", 0), rsaKey("1", 1)
	a.publish(keyA)
	b.publish(keyB)
	c := localClient(t, newClock())
	accepts := func(p *provider, key jose.JSONWebKey, want bool) {
		if _, err := verify(t, c, p, sign(t, key, p.claims(nil), nil)); (err == nil) != want {
			t.Errorf("accepted = %v, want %v (%s)", err == nil, want, Detail(err))
		}
	}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() { accepts(a, keyA, true); accepts(b, keyA, false) })
		running.Go(func() { accepts(b, keyB, true); accepts(a, keyB, false) })
	}
	running.Wait()

	// The same issuer and key set in the hands of another tenant is another entry.
	other := a.expect()
	other.Scope = "cirque/entra"
	gets := a.keyGets.Load()
	if _, err := c.VerifyIDToken(context.Background(), sign(t, keyA, a.claims(nil), nil), other); err != nil {
		t.Fatal(Detail(err))
	}
	if a.keyGets.Load() != gets+1 {
		t.Error("two tenants shared one cached key set")
	}
}

func TestAbuse_J06(t *testing.T) {
	p := newProvider(t)
	p.publish(rsaKey("k", 0))
	clock := newClock()
	c := localClient(t, clock)
	var running sync.WaitGroup
	for i := range 1000 {
		raw := encode(fmt.Sprintf(`{"alg":"RS256","kid":"random-%d"}`, i)) + ".e30." + encode("signature")
		running.Go(func() {
			if _, err := verify(t, c, p, raw); !errors.Is(err, ErrRefused) {
				t.Errorf("kid random-%d: error = %v, want ErrRefused", i, err)
			}
		})
	}
	running.Wait()
	if n := p.keyGets.Load(); n > 2 {
		t.Errorf("1000 unknown kids caused %d requests, want at most 2", n)
	}

	clock.advance(59 * time.Second)
	verify(t, c, p, encode(`{"alg":"RS256","kid":"late"}`)+".e30."+encode("signature"))
	if n := p.keyGets.Load(); n > 2 {
		t.Errorf("within a minute: %d requests, want at most 2", n)
	}
	clock.advance(time.Second)
	verify(t, c, p, encode(`{"alg":"RS256","kid":"later"}`)+".e30."+encode("signature"))
	if n := p.keyGets.Load(); n != 3 {
		t.Errorf("after a minute: %d requests, want 3", n)
	}
}

func TestAbuse_J06_aProviderThatFailsIsNotAskedAgainAtOnce(t *testing.T) {
	p := newProvider(t)
	p.serveKeys(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c := localClient(t, newClock())
	raw := sign(t, rsaKey("k", 0), p.claims(nil), nil)
	for range 50 {
		if _, err := verify(t, c, p, raw); !errors.Is(err, ErrUnreachable) {
			t.Fatalf("error = %v, want ErrUnreachable", err)
		}
	}
	if n := p.keyGets.Load(); n > 2 {
		t.Errorf("50 sign-ins at a provider that fails caused %d requests, want at most 2", n)
	}
}

func TestAbuse_J07(t *testing.T) {
	p := newProvider(t)
	p.publish(rsaKey("k1", 0), rsaKey("k2", 1))
	clock := newClock()
	c := localClient(t, clock)
	byK1 := func() string {
		return sign(t, rsaKey("k1", 0), p.claims(map[string]any{
			"iat": clock.now().Unix(), "exp": clock.now().Add(time.Hour).Unix(),
		}), nil)
	}
	if _, err := verify(t, c, p, byK1()); err != nil {
		t.Fatal(Detail(err))
	}
	p.publish(rsaKey("k2", 1))
	clock.advance(cacheTTL)
	if _, err := verify(t, c, p, byK1()); !errors.Is(err, ErrRefused) {
		t.Errorf("a key removed 15 minutes ago: error = %v, want ErrRefused", err)
	}
}

func TestKeysOfAProviderThatFailsAreUsedForADayAndNoLonger(t *testing.T) {
	p := newProvider(t)
	key := rsaKey("k", 0)
	p.publish(key)
	clock := newClock()
	c := localClient(t, clock)
	signIn := func() error {
		_, err := verify(t, c, p, sign(t, key, p.claims(map[string]any{
			"iat": clock.now().Unix(), "exp": clock.now().Add(time.Hour).Unix(),
		}), nil))
		return err
	}
	if err := signIn(); err != nil {
		t.Fatal(Detail(err))
	}
	p.publishText(`<html>maintenance</html>`)
	clock.advance(cacheMaxAge - time.Second)
	if err := signIn(); err != nil {
		t.Errorf("after almost a day: %s", Detail(err))
	}
	clock.advance(time.Second)
	if err := signIn(); !errors.Is(err, ErrUnreachable) {
		t.Errorf("after a day: error = %v, want ErrUnreachable", err)
	}
	p.publish(key)
	clock.advance(refetchEvery)
	if err := signIn(); err != nil {
		t.Errorf("after the provider recovered: %s", Detail(err))
	}
}

func TestAbuse_J09(t *testing.T) {
	p := newProvider(t)
	p.publish(rsaKey("old", 0))
	c := localClient(t, newClock())
	if _, err := verify(t, c, p, sign(t, rsaKey("old", 0), p.claims(nil), nil)); err != nil {
		t.Fatal(Detail(err))
	}
	p.publish(rsaKey("new", 1))
	if _, err := verify(t, c, p, sign(t, rsaKey("new", 1), p.claims(nil), nil)); err != nil {
		t.Errorf("a key rotated just before signing: %s", Detail(err))
	}
}

func TestAbuse_J08(t *testing.T) {
	good := rsaKey("good", 0)
	public := good.Public()
	goodText, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	private, err := good.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	other := rsaKey("good", 1)
	public = other.Public()
	otherText, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	modulus := func(bits int) string {
		return `{"kty":"RSA","kid":"good","e":"AQAB","n":"` + encode("\xff"+strings.Repeat("\xff", bits/8-1)) + `"}`
	}
	change := func(member, value string) string {
		var jwk map[string]any
		json.Unmarshal(goodText, &jwk)
		jwk[member] = value
		text, _ := json.Marshal(jwk)
		return string(text)
	}
	for name, document := range map[string]string{
		"10,000 keys":           set(strings.TrimSuffix(strings.Repeat(`{"kty":"RSA"},`, 10_000), ","), string(goodText)),
		"over 512 KiB":          set(string(goodText)) + strings.Repeat(" ", maxBody),
		"not JSON":              `<html>`,
		"no keys member":        `{}`,
		"keys null":             `{"keys":null}`,
		"duplicate keys member": `{"keys":[],"keys":[` + string(goodText) + `]}`,
		"two keys of one kid":   set(string(goodText), string(otherText)),
		"RSA of 512 bits":       set(modulus(512)),
		"RSA of 16384 bits":     set(modulus(16384)),
		"exponent 1":            set(change("e", "AQ")),
		"exponent even":         set(change("e", "Ag")),
		"symmetric":             set(`{"kty":"oct","kid":"good","k":"c2VjcmV0"}`),
		"private":               set(string(private)),
		"for encryption":        set(change("use", "enc")),
		"for another algorithm": set(change("alg", "PS256")),
		"unknown kind":          set(`{"kty":"XYZ","kid":"good"}`),
		"kind missing":          set(`{"kid":"good"}`),
		"key is null":           set("null"),
		"key is a number":       set("7"),
		"empty modulus":         set(change("n", "")),
		"point not on curve":    set(`{"kty":"EC","crv":"P-256","kid":"good","x":"AQ","y":"AQ"}`),
		"empty":                 set(),
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t)
			p.publishText(document)
			if _, err := verify(t, localClient(t, newClock()), p, sign(t, good, p.claims(nil), nil)); err == nil {
				t.Error("the token was accepted")
			}
		})
	}
	t.Run("bad keys beside a good one are skipped", func(t *testing.T) {
		p := newProvider(t)
		p.publishText(set(`{"kty":"oct","kid":"o","k":"c2VjcmV0"}`, `{"kty":"XYZ"}`, `{"kty":"RSA","n":"!","e":"AQAB"}`, string(goodText), string(goodText)))
		if _, err := verify(t, localClient(t, newClock()), p, sign(t, good, p.claims(nil), nil)); err != nil {
			t.Error(Detail(err))
		}
	})
}

func TestAbuse_S09(t *testing.T) {
	p := newProvider(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	for name, body := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for chunk := strings.Repeat(" ", 1<<20); ; {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
		},
		"one byte, then nothing": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"no answer": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
	} {
		p.serveKeys(body)
		c := localClient(t, newClock())
		c.timeout = 50 * time.Millisecond
		if _, err := verify(t, c, p, sign(t, rsaKey("k", 0), p.claims(nil), nil)); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: error = %v, want ErrUnreachable", name, err)
		}
	}
}

func TestSignInsShareOneDiscoveryDocument(t *testing.T) {
	p := newProvider(t)
	clock := newClock()
	c := localClient(t, clock)
	var running sync.WaitGroup
	for range 50 {
		running.Go(func() {
			if metadata, err := c.Metadata(context.Background(), "ringling/entra", p.URL); err != nil || metadata.JWKSURI != p.URL+"/keys" {
				t.Errorf("metadata = %+v, %s", metadata, Detail(err))
			}
		})
	}
	running.Wait()
	if n := p.requests.Load(); n != 1 {
		t.Errorf("50 sign-ins caused %d requests, want 1", n)
	}
	if _, err := c.Metadata(context.Background(), "cirque/entra", p.URL); err != nil || p.requests.Load() != 2 {
		t.Errorf("another connection: %d requests, want 2 (%s)", p.requests.Load(), Detail(err))
	}
	clock.advance(cacheTTL)
	if _, err := c.Metadata(context.Background(), "ringling/entra", p.URL); err != nil || p.requests.Load() != 3 {
		t.Errorf("after 15 minutes: %d requests, want 3 (%s)", p.requests.Load(), Detail(err))
	}
	if _, err := c.Metadata(context.Background(), "ringling/entra", "https://127.0.0.1?x"); !errors.Is(err, ErrURL) {
		t.Errorf("an issuer with a query: error = %v, want ErrURL", err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	clock := newClock()
	cache := newCache[keySet](nil, clock.now)
	for i := range maxCached + 10 {
		cache.entry(cacheKey{scope: fmt.Sprint(i)})
		clock.advance(time.Second)
	}
	if n := len(cache.entries); n != maxCached {
		t.Errorf("%d key sets are kept, want %d", n, maxCached)
	}
	if cache.entries[cacheKey{scope: "0"}] != nil || cache.entries[cacheKey{scope: "10"}] == nil {
		t.Error("not the least recently used entries were dropped")
	}
}

func FuzzKeySet(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},null,7]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := parseKeySet(document)
		if err != nil {
			return
		}
		for _, key := range set {
			if !isStrong(key.public) {
				t.Errorf("%q: weak key %q was kept", document, key.id)
			}
		}
	})
}
