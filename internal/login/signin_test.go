package login_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/oauth2"

	"github.com/muster-id/muster/internal/store"
)

// A relying party made of x/oauth2 and go-oidc, which knows the issuer's address and
// its own credentials and nothing else, signs Jamie in.
func TestAStandardRelyingPartySignsAPersonIn(t *testing.T) {
	h := newHouse(t)
	user := h.provisionJamie()
	provider, err := oidc.NewProvider(t.Context(), h.url)
	h.must(err)
	var metadata struct {
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	h.must(provider.Claims(&metadata))
	if diff := cmp.Diff([]string{"ES256"}, metadata.Algorithms); diff != "" {
		t.Errorf("algorithms of ID Tokens: -want +got\n%s", diff)
	}
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		endpoint := provider.Endpoint()
		endpoint.AuthStyle = style
		config := oauth2.Config{ClientID: clientID, ClientSecret: h.secret, Endpoint: endpoint, RedirectURL: redirectURI, Scopes: []string{oidc.ScopeOpenID}}

		back := newBrowser(t).signIn(config.AuthCodeURL("xyz", oidc.Nonce("n-1"), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("tenant", "ringling")))
		code := back.admitted(t)
		if got, want := back.query("state")+" "+back.query("iss"), "xyz "+h.url; got != want {
			t.Errorf("state and iss are %q, want %q", got, want)
		}
		token, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
		h.must(err)

		raw, _ := token.Extra("id_token").(string)
		id, err := provider.Verifier(&oidc.Config{ClientID: clientID}).Verify(t.Context(), raw)
		h.must(err)
		if id.Subject != user.ID.String() || id.Nonce != "n-1" {
			t.Errorf("ID Token for %q with nonce %q, want %q with n-1", id.Subject, id.Nonce, user.ID)
		}
		var extra map[string]any
		h.must(id.Claims(&extra))
		for _, guess := range []string{"email", "email_verified", "name", "preferred_username", "roles"} {
			if extra[guess] != nil {
				t.Errorf("the ID Token says %s: %v", guess, extra[guess])
			}
		}
		checkAccessToken(t, h, token, user)
	}
}

func checkAccessToken(t *testing.T, h *house, token *oauth2.Token, user store.User) {
	t.Helper()
	header, claims := h.parts(token.AccessToken)
	if diff := cmp.Diff(map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": header["kid"]}, header); diff != "" || header["kid"] == "" {
		t.Errorf("header: -want +got\n%s", diff)
	}
	want := map[string]any{
		"iss": h.url, "sub": user.ID.String(), "aud": clientID, "client_id": clientID, "tenant": "ringling",
		"scope": "openid", "roles": []any{"timesheet.viewer"}, "role_epoch": 1.0, "client_epoch": 1.0,
	}
	random := cmpopts.IgnoreMapEntries(func(name string, _ any) bool {
		return slices.Contains([]string{"iat", "exp", "jti", "sid", "auth_time"}, name)
	})
	if diff := cmp.Diff(want, claims, random); diff != "" {
		t.Errorf("claims: -want +got\n%s", diff)
	}
	if got := claims["exp"].(float64) - claims["iat"].(float64); got != 300 {
		t.Errorf("the access token lives %v seconds, want 300", got)
	}
	// The signature, by the published keys.
	keys := oidc.NewRemoteKeySet(t.Context(), h.url+"/jwks")
	if _, err := keys.VerifySignature(t.Context(), token.AccessToken); err != nil {
		t.Errorf("the published keys do not verify the access token: %v", err)
	}
}

// parts reads a JWT without verifying it.
func (h *house) parts(jwt string) (header, claims map[string]any) {
	h.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		h.Fatalf("%q is not a JWT", jwt)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		h.must(err)
		h.must(json.Unmarshal(text, into))
	}
	return header, claims
}

// Whoever is refused sees a page with the reason and what to do; the log has one line.
func TestARefusalIsAPageAndALine(t *testing.T) {
	for _, test := range []struct {
		reason  store.Reason
		prepare func(h *house) // before the browser comes
		between func(h *house) // while it is at the provider
	}{
		{reason: store.NotProvisioned},
		{reason: store.Inactive, prepare: func(h *house) {
			h.patch(h.provisionJamie().ID, `[{"op":"Replace","path":"active","value":"False"}]`)
		}},
		{reason: store.Inactive, between: func(h *house) {
			h.patch(h.provisionJamie().ID, `[{"op":"Replace","path":"active","value":"False"}]`)
		}},
		{reason: store.Locked, prepare: func(h *house) {
			_, _, err := h.admin("ringling").LockUser(h.Context(), h.provisionJamie().ID, true)
			h.must(err)
		}},
		{reason: store.NoRole, prepare: func(h *house) {
			h.provisionJamie()
			h.publish("ringling", "version: 1\nrules: []\n")
		}},
		{reason: store.AmbiguousIdentity, prepare: func(h *house) {
			h.provisionJamie()
			h.provision("ringling", "entra", `{"userName":"another@ringling.example","externalId":"`+jamieOID+`","active":true}`)
		}},
		{reason: store.JoinMismatch, prepare: func(h *house) {
			h.provision("ringling", "entra", `{"userName":"jamie@ringling.example","externalId":"jmorgan","active":true}`)
		}},
		{reason: store.JoinMismatch, prepare: func(h *house) {
			h.provisionJamie()
			h.provider.person(map[string]any{"sub": jamieSubject})
		}},
		{reason: store.JoinMismatch, prepare: func(h *house) { // known by an e-mail address
			h.provision("ringling", "entra", `{"userName":"jm","externalId":"jmorgan","emails":[{"value":"jamie@ringling.example"}],"active":true}`)
			h.provider.person(map[string]any{"sub": jamieSubject, "oid": jamieOID, "email": "Jamie@Ringling.example"})
		}},
		{reason: store.NotProvisioned, prepare: func(h *house) { // what is no string names nobody
			h.provision("ringling", "entra", `{"userName":"jamie@ringling.example","externalId":"jmorgan","active":true}`)
			h.provider.person(map[string]any{"sub": jamieSubject, "oid": jamieOID, "preferred_username": []string{"jamie@ringling.example"}})
		}},
		{reason: store.TenantSuspended, prepare: func(h *house) {
			h.must(h.store.Revoke(h.Context(), "test", store.Switch{Tenant: "ringling", Off: true}))
		}},
		{reason: store.TenantSuspended, between: func(h *house) {
			h.provisionJamie()
			h.must(h.store.Revoke(h.Context(), "test", store.Switch{Tenant: "ringling", Off: true}))
		}},
		{reason: store.ConnectionDisabled, between: func(h *house) {
			h.provisionJamie()
			h.must(h.store.Revoke(h.Context(), "test", store.Switch{Tenant: "ringling", Connection: "entra", Off: true}))
		}},
		{reason: store.ConnectionDisabled, between: func(h *house) { // whoever they are
			h.must(h.store.Revoke(h.Context(), "test", store.Switch{Tenant: "ringling", Connection: "entra", Off: true}))
		}},
		{reason: store.ApplicationDisabled, prepare: func(h *house) {
			h.must(h.store.Revoke(h.Context(), "test", store.Switch{Client: clientID, Off: true}))
		}},
		{reason: store.ApplicationDisabled, between: func(h *house) {
			h.provisionJamie()
			h.must(h.store.Revoke(h.Context(), "test", store.Switch{Client: clientID, Off: true}))
		}},
	} {
		t.Run(string(test.reason), func(t *testing.T) {
			h := newHouse(t)
			if test.prepare != nil {
				test.prepare(h)
			}
			b := newBrowser(t)
			a := b.get(h.authorize())
			if a.status == http.StatusSeeOther {
				callback := b.get(a.location()).location()
				if test.between != nil {
					test.between(h)
				}
				a = b.get(callback)
			}
			a.refused(t, a.status, string(test.reason))
			if a.status != http.StatusForbidden && test.reason != store.ApplicationDisabled {
				t.Errorf("status is %d, want 403", a.status)
			}
			if lines := h.log.lines("sign-in refused"); len(lines) != 1 || !strings.Contains(lines[0], `"reason":"`+string(test.reason)+`"`) {
				t.Errorf("the log has %q, want one line with the reason", lines)
			}
		})
	}
}

// Entra's default maps mailNickname to externalId; page and log say what to change.
func TestAJoinMismatchNamesTheMappingToChange(t *testing.T) {
	h := newHouse(t)
	h.provision("ringling", "entra", `{"userName":"jamie@ringling.example","externalId":"jmorgan","active":true}`)
	a := newBrowser(t).signIn(h.authorize())
	a.refused(t, http.StatusForbidden, "join_mismatch")
	lines := h.log.lines("sign-in refused")
	if len(lines) != 1 {
		t.Fatalf("the log has %d lines, want 1: %q", len(lines), lines)
	}
	for _, word := range []string{"externalId", "mailNickname", "objectId"} {
		if !strings.Contains(a.body, word) {
			t.Errorf("the page does not say %s:\n%s", word, a.body)
		}
		if !strings.Contains(lines[0], word) {
			t.Errorf("the log does not say %s: %s", word, lines[0])
		}
	}
	if strings.Contains(a.body, "jmorgan") {
		t.Errorf("the page shows a value of the directory:\n%s", a.body)
	}
}

// The claim that links a person must be a string, whatever else it could be read as.
func TestAClaimThatLinksPeopleIsAString(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	for name, oid := range map[string]any{
		"number": 1, "list": []string{jamieOID}, "object": map[string]any{}, "null": nil, "true": true, "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			h.provider.person(map[string]any{"sub": jamieSubject, "oid": oid})
			newBrowser(t).signIn(h.authorize()).refused(t, http.StatusForbidden, "claim_not_text")
		})
	}
}

// A person whose externalId is the word null is not whoever has no identifier.
func TestTheWordNullIdentifiesNobody(t *testing.T) {
	h := newHouse(t)
	h.provision("ringling", "entra", `{"userName":"jamie@ringling.example","externalId":"null","active":true}`)
	h.provider.person(map[string]any{"sub": jamieSubject, "oid": "null"})
	if a := newBrowser(t).signIn(h.authorize()); a.status != http.StatusForbidden {
		t.Errorf("got %d %s, want 403", a.status, a.location())
	}
}

// A person is found by tenant, by e-mail domain if it is verified, or is asked.
func TestHomeIsFoundByTenantOrVerifiedDomainOrAsked(t *testing.T) {
	h := newHouse(t)
	for _, test := range []struct {
		name    string
		changes []string
		status  int
	}{
		{"tenant", []string{"tenant", "ringling"}, http.StatusSeeOther},
		{"domain", []string{"tenant", "", "login_hint", "jamie@Ringling.example"}, http.StatusSeeOther},
		{"connection by name", []string{"connection", "entra"}, http.StatusSeeOther},
		{"nothing", []string{"tenant", ""}, http.StatusOK},
		{"unknown connection", []string{"connection", "other"}, http.StatusOK},
		{"unknown tenant", []string{"tenant", "nobody"}, http.StatusNotFound},
		{"not a tenant", []string{"tenant", "../x"}, http.StatusNotFound},
		{"unknown domain", []string{"tenant", "", "login_hint", "jamie@elsewhere.example"}, http.StatusNotFound},
		{"not an address", []string{"tenant", "", "login_hint", "a@ringling.example@evil.example"}, http.StatusNotFound},
		{"a tenant without a connection", []string{"tenant", "cirque"}, http.StatusForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newBrowser(t).get(h.authorize(test.changes...))
			if a.status != test.status {
				t.Errorf("got %d %q, want %d", a.status, a.reason(), test.status)
			}
			if test.status == http.StatusSeeOther && !strings.HasPrefix(a.location(), h.provider.URL+"/authorize?") {
				t.Errorf("sent to %s, want the provider", a.location())
			}
		})
	}
	if got := h.provider.URL; !strings.HasPrefix(got, "http://127.0.0.1:") {
		t.Fatal(got)
	}
}

// A tenant that the application does not serve looks like one that is not.
func TestATenantOfAnotherApplicationLooksLikeNone(t *testing.T) {
	h := newHouse(t)
	h.tenant("later", "later.example")
	h.connect("later", "entra", h.provider)
	known, unknown := newBrowser(t).get(h.authorize("tenant", "later")), newBrowser(t).get(h.authorize("tenant", "never"))
	if known.status != http.StatusNotFound || known.body != unknown.body {
		t.Errorf("got %d\n%s\nwant the answer for a tenant that is not, %d\n%s", known.status, known.body, unknown.status, unknown.body)
	}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// The page that asks carries the application's request to its end.
func TestThePageThatAsksLeadsOn(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	b := newBrowser(t)
	asked := b.get(h.authorize("tenant", "", "state", `a "quoted" & <odd> state`))
	form := url.Values{"login_hint": {"jamie@ringling.example"}, "tenant": {""}}
	for _, field := range hidden.FindAllStringSubmatch(asked.body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	back := b.signIn(h.url + "/authorize?" + form.Encode())
	back.admitted(t)
	if got, want := back.query("state"), `a "quoted" & <odd> state`; got != want {
		t.Errorf("state came back as %q, want %q", got, want)
	}
	if got := h.provider.lastAsked().Get("login_hint"); got != "jamie@ringling.example" {
		t.Errorf("the provider was told login_hint %q", got)
	}
}

// Two tabs of one browser sign in side by side.
func TestTwoTabsSignInSideBySide(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	b := newBrowser(t)
	first, second := b.begin(h.authorize()), b.begin(h.authorize())
	b.get(first).admitted(t)
	b.get(second).admitted(t)
}

// A provider that cannot be used is not the person's fault, and reveals nothing.
func TestAProviderThatFailsIsABadGateway(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	bend := func(name string, value any) func(*provider) {
		return func(p *provider) { p.bend = func(token map[string]any) { token[name] = value } }
	}
	for _, test := range []struct {
		name   string
		fail   func(*provider)
		status int
		reason string
	}{
		{"another issuer", func(p *provider) { p.metadata["issuer"] = p.URL + "/" }, http.StatusBadGateway, "idp_unreachable"},
		{"keys somewhere inside", func(p *provider) { p.metadata["jwks_uri"] = "https://10.0.0.1/jwks" }, http.StatusBadGateway, "idp_unreachable"},
		{"refuses every code", func(p *provider) { clear(p.nonces) }, http.StatusForbidden, "idp_refused"},
		{"token for another", bend("aud", "us"), http.StatusForbidden, "idp_refused"},
		{"token of another", bend("iss", "https://evil.example"), http.StatusForbidden, "idp_refused"},
		{"token of long ago", bend("exp", 1), http.StatusForbidden, "idp_refused"},
		{"subject is no string", bend("sub", 1), http.StatusForbidden, "idp_refused"},
		{"not there", func(p *provider) { p.Listener.Close(); p.CloseClientConnections() }, http.StatusBadGateway, "idp_unreachable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.provider.change(func() { h.provider.bend = nil; clear(h.provider.metadata) })
			b := newBrowser(t)
			callback := b.begin(h.authorize())
			h.provider.change(func() { test.fail(h.provider) })
			h.serve(h.url)
			a := b.get(callback)
			a.refused(t, test.status, test.reason)
			if strings.Contains(a.body, "127.0.0.1") || strings.Contains(a.body, "evil") {
				t.Errorf("the page reveals what happened:\n%s", a.body)
			}
		})
	}
}

// What a provider says about itself is asked for once and then remembered: whoever
// begins many sign-ins makes it no requests, and a provider whose document is away
// for a moment keeps its people.
func TestAProviderIsNotAskedAboutItselfForEverySignIn(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	for range 5 {
		newBrowser(t).signIn(h.authorize()).admitted(t)
	}
	h.provider.change(func() {
		if h.provider.described != 1 {
			t.Errorf("the provider was asked for its discovery document %d times in 5 sign-ins, want once", h.provider.described)
		}
	})

	// Another connection is another's business, also at the same provider.
	h.provider.change(func() { h.provider.metadata["token_endpoint"] = "https://10.0.0.1/token" })
	h.connect("cirque", "entra", h.provider)
	newBrowser(t).get(h.authorize("tenant", "cirque")).refused(t, http.StatusBadGateway, "idp_unreachable")
	newBrowser(t).signIn(h.authorize()).admitted(t)
}

// An application that wants a person to have authenticated lately is passed on to the
// provider and held against what the provider says. One that does not say is refused.
func TestHowLongAgoAPersonAuthenticatedIsHeldAgainstMaxAge(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	for _, test := range []struct {
		name   string
		maxAge string
		bend   func(token map[string]any) // auth_time is a minute ago otherwise
		reason string
	}{
		{"not asked for, not said", "", func(token map[string]any) { delete(token, "auth_time") }, ""},
		{"within it", "3600", nil, ""},
		{"longer ago", "3600", func(token map[string]any) { token["auth_time"] = ago(2 * time.Hour) }, "idp_refused"},
		{"asked for and not said", "3600", func(token map[string]any) { delete(token, "auth_time") }, "idp_refused"},
		{"said as a word", "3600", func(token map[string]any) { token["auth_time"] = "now" }, "idp_refused"},
		{"just now, as zero asks for", "0", func(token map[string]any) { token["auth_time"] = ago(0) }, ""},
		{"an hour ago where zero asks for now", "0", func(token map[string]any) { token["auth_time"] = ago(time.Hour) }, "idp_refused"},
		{"zero, and not said", "0", func(token map[string]any) { delete(token, "auth_time") }, "idp_refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.provider.change(func() { h.provider.bend = test.bend })
			a := newBrowser(t).signIn(h.authorize("max_age", test.maxAge))
			if got := h.provider.lastAsked().Get("max_age"); got != test.maxAge {
				t.Errorf("the provider was asked for max_age %q, want %q", got, test.maxAge)
			}
			if test.reason != "" {
				a.refused(t, http.StatusForbidden, test.reason)
				return
			}
			a.admitted(t)
		})
	}
}

func ago(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

// The provider's own refusal is passed on in our words.
func TestWhatTheProviderRefusesEndsOnAPage(t *testing.T) {
	h := newHouse(t)
	for fault, want := range map[string]struct {
		status int
		reason string
	}{"access_denied": {http.StatusForbidden, "idp_denied"}, "server_error": {http.StatusBadGateway, "idp_error"}} {
		b := newBrowser(t)
		callback := mustParse(t, b.begin(h.authorize()))
		callback.RawQuery = url.Values{"state": {callback.Query().Get("state")}, "error": {fault}}.Encode()
		b.get(callback.String()).refused(t, want.status, want.reason)
	}
}

// When the database cannot be asked, nobody enters, and it is said that it is not their fault.
func TestWithoutADatabaseNobodyEnters(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	b := newBrowser(t)
	callback := b.begin(h.authorize())
	h.store.Close()
	b.get(callback).refused(t, http.StatusServiceUnavailable, "unavailable")
	newBrowser(t).get(h.authorize()).refused(t, http.StatusServiceUnavailable, "unavailable")
}
