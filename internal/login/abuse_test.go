package login_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
)

// F01: somebody else's callback is of no use in this browser, and this one's in no other.
func TestAbuse_F01(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	for name, open := range map[string]func(callback string) answer{
		"a browser without cookies": func(callback string) answer { return newBrowser(t).get(callback) },
		"a browser with a sign-in of its own": func(callback string) answer {
			other := newBrowser(t)
			other.begin(h.authorize())
			return other.get(callback)
		},
		"a browser that made the cookie up": func(callback string) answer {
			other, mine := newBrowser(t), newBrowser(t)
			target, _ := url.Parse(callback)
			for _, cookie := range mine.signInCookies(h.authorize()) {
				other.client.Jar.SetCookies(target, []*http.Cookie{{Name: cookie.Name, Value: "guess", Path: "/"}})
			}
			return other.get(callback)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := h.provider.tokenCalls()
			open(newBrowser(t).begin(h.authorize())).refused(t, http.StatusBadRequest, "sign_in_expired")
			if got := h.provider.tokenCalls() - before; got != 0 {
				t.Errorf("the code went to the provider %d times, want never", got)
			}
		})
	}
}

// signInCookies begins a sign-in and returns the cookies that it set.
func (b *browser) signInCookies(address string) []*http.Cookie {
	b.Helper()
	sent := b.get(address)
	return (&http.Response{Header: sent.header}).Cookies()
}

// F02: a state works once, also when twenty requests bring it at the same moment.
func TestAbuse_F02(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	t.Run("one after the other", func(t *testing.T) {
		b := newBrowser(t)
		callback := b.begin(h.authorize())
		cookies := b.client.Jar.Cookies(mustParse(t, callback))
		before := h.provider.tokenCalls()
		b.get(callback).admitted(t)
		b.client.Jar.SetCookies(mustParse(t, callback), cookies) // the answer removed them
		b.get(callback).refused(t, http.StatusBadRequest, "sign_in_expired")
		if got := h.provider.tokenCalls() - before; got != 1 {
			t.Errorf("the code went to the provider %d times, want once", got)
		}
	})
	t.Run("all at once", func(t *testing.T) {
		b := newBrowser(t)
		callback := b.begin(h.authorize())
		before := h.provider.tokenCalls()
		answers := make([]answer, 20)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = h.direct(callback, b) })
		}
		all.Wait()
		admitted := 0
		for _, a := range answers {
			if a.query("code") != "" {
				admitted++
			} else {
				a.refused(t, http.StatusBadRequest, "sign_in_expired")
			}
		}
		if calls := h.provider.tokenCalls() - before; admitted != 1 || calls != 1 {
			t.Errorf("%d of 20 were admitted with %d token calls, want 1 with 1", admitted, calls)
		}
	})
}

// direct asks the handler with the browser's present cookies, and keeps none.
func (h *house) direct(address string, b *browser) answer {
	r := httptest.NewRequest(http.MethodGet, address, nil)
	for _, cookie := range b.client.Jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func mustParse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// F03: an answer that says it comes from another provider is not used, and its code
// goes nowhere.
func TestAbuse_F03(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	for _, test := range []struct {
		name       string
		advertised bool
		change     func(callback string) string
		reason     string
	}{
		{"wrong", false, func(c string) string { return c + "&iss=https%3A%2F%2Fevil.example" }, "issuer_mismatch"},
		{"empty", false, func(c string) string { return c + "&iss=" }, "issuer_mismatch"},
		{"missing where promised", true, func(c string) string { u, _, _ := strings.Cut(c, "&iss="); return u }, "issuer_mismatch"},
		{"wrong where promised", true, func(c string) string { return strings.Replace(c, "iss=", "iss=x", 1) }, "issuer_mismatch"},
		{"twice", true, func(c string) string { return c + "&iss=https%3A%2F%2Fevil.example" }, "bad_response"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.provider.change(func() { h.provider.metadata["authorization_response_iss_parameter_supported"] = test.advertised })
			h.serve(h.url)
			b := newBrowser(t)
			callback := withIssLast(t, b.begin(h.authorize()))
			before := h.provider.tokenCalls()
			b.get(test.change(callback)).refused(t, http.StatusBadRequest, test.reason)
			if got := h.provider.tokenCalls() - before; got != 0 {
				t.Errorf("the code went to a provider %d times, want never", got)
			}
		})
	}
	t.Run("right", func(t *testing.T) {
		h.provider.change(func() { h.provider.metadata["authorization_response_iss_parameter_supported"] = true })
		newBrowser(t).signIn(h.authorize()).admitted(t)
	})
}

// withIssLast moves the iss parameter, if there is one, to the end.
func withIssLast(t *testing.T, callback string) string {
	u := mustParse(t, callback)
	query := u.Query()
	iss := query.Get("iss")
	query.Del("iss")
	u.RawQuery = query.Encode()
	if iss != "" {
		u.RawQuery += "&iss=" + url.QueryEscape(iss)
	}
	return u.String()
}

// F04: PKCE is always S256, with a verifier of its own for every attempt, which the
// provider gets and nobody else.
func TestAbuse_F04(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	seen := map[string]bool{}
	for range 5 {
		newBrowser(t).signIn(h.authorize()).admitted(t)
		asked := h.provider.lastAsked()
		h.provider.mu.Lock()
		redeemed := h.provider.redeemed[len(h.provider.redeemed)-1]
		h.provider.mu.Unlock()
		if got := asked.Get("code_challenge_method"); got != "S256" {
			t.Errorf("code_challenge_method is %q, want S256", got)
		}
		if got, want := s256(redeemed.Get("code_verifier")), asked.Get("code_challenge"); got != want {
			t.Errorf("the verifier makes the challenge %q, want %q", got, want)
		}
		for _, value := range []string{redeemed.Get("code_verifier"), asked.Get("state"), asked.Get("nonce")} {
			if seen[value] || len(value) < 43 {
				t.Errorf("%q was used before or is too short", value)
			}
			seen[value] = true
		}
	}
}

// F05: an ID Token counts only in the sign-in that it was made for.
func TestAbuse_F05(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	var earlier string
	h.provider.change(func() { h.provider.bend = func(token map[string]any) { earlier = token["nonce"].(string) } })
	newBrowser(t).signIn(h.authorize()).admitted(t)
	for name, bend := range map[string]func(map[string]any){
		"none":              func(token map[string]any) { delete(token, "nonce") },
		"empty":             func(token map[string]any) { token["nonce"] = "" },
		"another":           func(token map[string]any) { token["nonce"] = "another" },
		"an earlier one":    func(token map[string]any) { token["nonce"] = earlier },
		"of another type":   func(token map[string]any) { token["nonce"] = []string{token["nonce"].(string)} },
		"the application's": func(token map[string]any) { token["nonce"] = "application-nonce" },
	} {
		t.Run(name, func(t *testing.T) {
			h.provider.change(func() { h.provider.bend = bend })
			newBrowser(t).signIn(h.authorize()).refused(t, http.StatusForbidden, "idp_refused")
		})
	}
}

// F06: an e-mail address, a UPN or a name identifies nobody, whatever is said about it.
func TestAbuse_F06(t *testing.T) {
	h := newHouse(t)
	h.provision("ringling", "entra", `{"userName":"jamie@ringling.example","externalId":"`+jamieOID+`","active":true,
		"emails":[{"value":"jamie@ringling.example","type":"work"}]}`)
	for _, edov := range []any{nil, false, "1", true} {
		h.provider.person(map[string]any{
			"sub": "attacker", "oid": "6f1c2d3e-0000-4000-8000-00000000eeee", "preferred_username": "jamie@ringling.example",
			"email": "jamie@ringling.example", "upn": "jamie@ringling.example", "email_verified": true, "xms_edov": edov,
		})
		if a := newBrowser(t).signIn(h.authorize()); a.status != http.StatusForbidden || a.location() != "" {
			t.Errorf("xms_edov %v: got %d %q %s, want 403", edov, a.status, a.reason(), a.location())
		}
	}
	h.provider.person(jamie())
	newBrowser(t).signIn(h.authorize()).admitted(t)
}

// F08: a sign-in that began at one connection ends there or not at all.
func TestAbuse_F08(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	second := h.connect("ringling", "second", h.provider)
	foreign := h.connect("cirque", "entra", h.provider)
	for name, path := range map[string]string{
		"another connection of the tenant": "/t/ringling/callback/" + second.ID.String(),
		"another tenant":                   "/t/cirque/callback/" + foreign.ID.String(),
		"another tenant, same connection":  "/t/cirque/callback/" + h.connection.ID.String(),
		"a tenant that is not":             "/t/nobody/callback/" + h.connection.ID.String(),
		"a connection that is not":         "/t/ringling/callback/0198f000-0000-7000-8000-000000000009",
		"not an id":                        "/t/ringling/callback/entra%00",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t)
			callback := b.begin(h.authorize("connection", "entra"))
			before := h.provider.tokenCalls()
			query := mustParse(t, callback).RawQuery
			b.get(h.url+path+"?"+query).refused(t, http.StatusBadRequest, "sign_in_expired")
			if got := h.provider.tokenCalls() - before; got != 0 {
				t.Errorf("the code went to the provider %d times, want never", got)
			}
		})
	}
}

// F09: a connection that is disabled while somebody is at its provider lets nobody in.
func TestAbuse_F09(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	b := newBrowser(t)
	callback := b.begin(h.authorize())
	h.must(h.store.Revoke(t.Context(), "test", store.Switch{Tenant: "ringling", Connection: "entra", Off: true}))
	b.get(callback).refused(t, http.StatusForbidden, "connection_disabled")
	newBrowser(t).get(h.authorize()).refused(t, http.StatusForbidden, "no_connection")
	h.must(h.store.Revoke(t.Context(), "test", store.Switch{Tenant: "ringling", Connection: "entra"}))
	newBrowser(t).signIn(h.authorize()).admitted(t)
}

// F10: a sign-in ends at a registered redirect URI; nothing in the request moves it.
func TestAbuse_F10(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	for _, target := range []string{"//evil.example", `/\evil.example`, "/%09/evil.example", "https:evil.example", `\/\/evil.example`, "/a/..//evil.example", "javascript:alert(1)", "https://evil.example"} {
		for _, name := range []string{"return_to", "next", "redirect", "RelayState", "target_link_uri"} {
			newBrowser(t).signIn(h.authorize(name, target)).admitted(t)
		}
		b := newBrowser(t)
		b.get(b.begin(h.authorize()) + "&redirect_uri=" + url.QueryEscape(target) + "&return_to=" + url.QueryEscape(target)).admitted(t)
		newBrowser(t).get(h.authorize("redirect_uri", target)).refused(t, http.StatusBadRequest, "redirect_mismatch")
	}
}

// F11: what a request says about its own host changes no address.
func TestAbuse_F11(t *testing.T) {
	h := newHouse(t)
	for _, header := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "Forwarded", "X-Original-URL", "X-Rewrite-URL"} {
		t.Run(header, func(t *testing.T) {
			ask := func(path string) answer {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Host = strings.TrimPrefix(h.url, "http://")
				r.Header.Set(header, "host=evil.example;proto=https")
				if header == "Host" {
					r.Host = "evil.example"
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return answer{w.Code, w.Header(), w.Body.String()}
			}
			sent := ask(strings.TrimPrefix(h.authorize(), h.url))
			want := h.url + "/t/ringling/callback/" + h.connection.ID.String()
			if got := sent.query("redirect_uri"); sent.status != http.StatusMisdirectedRequest && got != want {
				t.Errorf("the provider is told to come back to %q, want %q", got, want)
			}
			if body := ask("/.well-known/openid-configuration").body; strings.Contains(body, "evil") {
				t.Errorf("discovery repeats the header: %s", body)
			}
		})
	}
}

// F13: whoever begins sign-ins without end is told to wait, on a page, and stores
// none from then on. Others, and sign-ins under way, are not concerned.
func TestAbuse_F13(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	h.limits.SignIns = server.Rate{PerSecond: 0.001, Burst: 5}
	h.serve(h.url)
	underWay := newBrowser(t)
	callback := underWay.begin(h.authorize())
	path := strings.TrimPrefix(h.authorize(), h.url)
	start := func(peer, forwarded string) answer {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", forwarded)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return answer{w.Code, w.Header(), w.Body.String()}
	}
	for i := range 200 {
		a := start("127.0.0.1:9", fmt.Sprintf("192.0.2.%d", i))
		if i < 4 {
			if a.status != http.StatusSeeOther {
				t.Fatalf("sign-in %d of 5: got %d %q, want a redirect", i+2, a.status, a.reason())
			}
			continue
		}
		a.refused(t, http.StatusTooManyRequests, "too_many_requests")
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 {
			t.Fatalf("Retry-After is %q, want whole seconds", a.header.Get("Retry-After"))
		}
	}
	if a := start("192.0.2.1:9", ""); a.status != http.StatusSeeOther {
		t.Errorf("another address: got %d %q, want a redirect", a.status, a.reason())
	}
	underWay.get(callback).admitted(t)
}

// F14: what a provider or an attacker writes into the answer is never shown.
func TestAbuse_F14(t *testing.T) {
	h := newHouse(t)
	const script = "<script>alert(1)</script>"
	for name, query := range map[string]url.Values{
		"as error":             {"error": {script}},
		"as error_description": {"error": {"server_error"}, "error_description": {"<img src=x onerror=alert(1)>"}},
		"as error_uri":         {"error": {"access_denied"}, "error_uri": {"javascript:alert(1)"}},
		"as iss":               {"code": {"c"}, "iss": {script}},
		"as a name":            {script: {"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t)
			query.Set("state", mustParse(t, b.begin(h.authorize())).Query().Get("state"))
			a := b.get(h.url + "/t/ringling/callback/" + h.connection.ID.String() + "?" + query.Encode())
			for _, bad := range []string{"<script", "<img", "onerror", "javascript:", "alert("} {
				if strings.Contains(a.body, bad) {
					t.Errorf("the page holds %q:\n%s", bad, a.body)
				}
			}
			if a.status < 400 || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("got %d with the policy %q", a.status, a.header.Get("Content-Security-Policy"))
			}
		})
	}
}

// F15: an answer that nobody asked for is not used.
func TestAbuse_F15(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	callback := h.url + "/t/ringling/callback/" + h.connection.ID.String()
	code := mustParse(t, newBrowser(t).begin(h.authorize())).Query().Get("code")
	for _, query := range []string{"?code=" + code, "?code=" + code + "&state=", "?code=" + code + "&state=" + strings.Repeat("A", 43), ""} {
		newBrowser(t).get(callback+query).refused(t, http.StatusBadRequest, "sign_in_expired")
	}
	if got := h.provider.tokenCalls(); got != 0 {
		t.Errorf("the code went to the provider %d times, want never", got)
	}
}

// F19: every cookie is of this host, over TLS, out of scripts' reach, and not sent
// along with other sites' requests.
func TestAbuse_F19(t *testing.T) {
	h := newHouse(t)
	h.serve("https://id.example")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, strings.TrimPrefix(h.authorize(), h.url), nil))
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("got %d with %d cookies, want a redirect with one", w.Code, len(cookies))
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
			t.Errorf("cookie %q", c.Raw)
		}
	}
}

// F21: an address in a claim is not asked.
func TestAbuse_F21(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	claims, canary := jamie(), h.provider.URL+"/canary"
	for _, name := range []string{"picture", "profile", "website", "jku", "_claim_sources"} {
		claims[name] = canary
	}
	h.provider.person(claims)
	newBrowser(t).signIn(h.authorize()).admitted(t)
	h.provider.change(func() {
		if h.provider.canary != 0 {
			t.Errorf("the address in a claim was asked %d times, want never", h.provider.canary)
		}
	})
}

// F22: every redirect is a 303 and tells nobody where the browser was.
func TestAbuse_F22(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	b := newBrowser(t)
	first := b.get(h.authorize())
	last := b.get(b.get(first.location()).location())
	fault := b.get(h.authorize("response_type", "token"))
	page := b.get(h.authorize("client_id", "nobody"))
	for name, a := range map[string]answer{"to the provider": first, "to the application": last, "error to the application": fault, "page": page} {
		if want := http.StatusSeeOther; name != "page" && a.status != want {
			t.Errorf("%s: status is %d, want %d", name, a.status, want)
		}
		for header, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Pragma": "no-cache"} {
			if got := a.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
}
