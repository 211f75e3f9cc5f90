package issuer_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
)

func (d *deployment) authorize(changes ...string) string {
	params := url.Values{
		"response_type": {"code"}, "client_id": {"timesheet"}, "redirect_uri": {redirectURI}, "state": {"s"}, "nonce": {"n"},
		"scope": {"openid"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}, "tenant": {"ringling"},
	}
	for i := 0; i < len(changes); i += 2 {
		params.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			params.Del(changes[i])
		}
	}
	return d.url + "/authorize?" + params.Encode()
}

// O01: a redirect URI is one of the registered ones, to the byte, or nobody is
// redirected.
func TestAbuse_O01(t *testing.T) {
	d := newDeployment(t)
	for _, uri := range []string{
		"https://timesheet.example.evil.example/callback", "https://timesheet.example@evil.example/callback",
		"https://evil.example/https://timesheet.example/callback", "https://timesheet.example/callback/../evil",
		"https://timesheet.example/callback%2f", "https://timesheet.example/callback%252f", "https://timesheet.example/callback..;/",
		"https://timesheet.example/Callback", "https://TIMESHEET.example/callback", "HTTPS://timesheet.example/callback",
		"https://timesheet.example/callback#", "https://timesheet.example/callback#x", "https://timesheet.example/callback?",
		"https://timesheet.example/callback?x=1", "https://timesheet.example:443/callback", "https://timesheet.example:8443/callback",
		"https://timesheet.example/callback/", "https://timesheet.example./callback", "http://timesheet.example/callback",
		"https://timesheét.example/callback", "https://xn--timesheet.example/callback", "//timesheet.example/callback",
		"/callback", "javascript:alert(1)", "data:text/html,x", " https://timesheet.example/callback", "https://timesheet.example/callback\x00", "*", "",
	} {
		for _, address := range []string{d.authorize("redirect_uri", uri), d.authorize("redirect_uri", uri, "response_type", "token")} {
			a := d.get(address)
			if a.status != http.StatusBadRequest || a.header.Get("Location") != "" || !strings.Contains(a.text, "redirect_mismatch") {
				t.Errorf("%q: got %d to %q, want a page and no redirect", uri, a.status, a.header.Get("Location"))
			}
		}
	}
	for _, twice := range []string{redirectURI, "https://timesheet.example/other", "https://evil.example"} {
		if a := d.get(d.authorize() + "&redirect_uri=" + url.QueryEscape(twice)); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
			t.Errorf("twice, second %q: got %d to %q, want a page and no redirect", twice, a.status, a.header.Get("Location"))
		}
	}
	for _, client := range []string{"nobody", "", "timesheet\x00", "TIMESHEET", "payroll' or '1'='1"} {
		if a := d.get(d.authorize("client_id", client)); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
			t.Errorf("client %q: got %d to %q, want a page and no redirect", client, a.status, a.header.Get("Location"))
		}
	}
}

// O02: a code is redeemed once, also by fifty at once; whoever comes later ends it all.
func TestAbuse_O02(t *testing.T) {
	d := newDeployment(t)
	for range 4 {
		code := d.code("timesheet")
		answers := make([]answer, 50)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = d.redeem("timesheet", code) })
		}
		all.Wait()
		redeemed := 0
		for _, a := range answers {
			if a.status == http.StatusOK {
				redeemed++
			} else if a.status < http.StatusInternalServerError {
				a.refused(t, http.StatusBadRequest, "invalid_grant")
			}
		}
		if redeemed != 1 {
			t.Errorf("%d of 50 redeemed the code, want 1", redeemed)
		}
		d.redeem("timesheet", code).refused(t, http.StatusBadRequest, "invalid_grant")
	}
}

// O03: a code belongs to one client, redirect URI and verifier; whoever comes with
// another learns nothing, and costs its owner nothing.
func TestAbuse_O03(t *testing.T) {
	d := newDeployment(t)
	code := d.code("timesheet")
	d.redeem("payroll", code).refused(t, http.StatusBadRequest, "invalid_grant")
	d.redeem("kiosk", code).refused(t, http.StatusBadRequest, "invalid_grant")
	d.redeem("timesheet", code, "client_secret", "").refused(t, http.StatusUnauthorized, "invalid_client")
	d.redeem("timesheet", code, "client_secret", d.secrets["payroll"]).refused(t, http.StatusUnauthorized, "invalid_client")
	d.redeem("kiosk", code, "client_secret", d.secrets["timesheet"]).refused(t, http.StatusUnauthorized, "invalid_client")
	d.redeem("nobody", code).refused(t, http.StatusUnauthorized, "invalid_client")
	d.redeem("timesheet", code, "redirect_uri", "https://timesheet.example/other").refused(t, http.StatusBadRequest, "invalid_grant")
	d.redeem("timesheet", code, "redirect_uri", redirectURI+"/").refused(t, http.StatusBadRequest, "invalid_grant")
	d.redeem("timesheet", code, "code_verifier", strings.Repeat("a", 43)).refused(t, http.StatusBadRequest, "invalid_grant")
	d.redeem("timesheet", code+"A").refused(t, http.StatusBadRequest, "invalid_grant")
	d.redeem("timesheet", code[:len(code)-1]).refused(t, http.StatusBadRequest, "invalid_grant")
	if a := d.redeem("timesheet", code); a.status != http.StatusOK {
		t.Errorf("after all that its owner got %d %s, want tokens", a.status, a.text)
	}
}

// O04: no code without PKCE S256, and none redeemed without the verifier.
func TestAbuse_O04(t *testing.T) {
	d := newDeployment(t)
	for _, client := range []string{"timesheet", "kiosk"} {
		for _, changes := range [][]string{
			{"code_challenge", "", "code_challenge_method", ""}, {"code_challenge", ""}, {"code_challenge_method", ""},
			{"code_challenge_method", "plain", "code_challenge", verifier}, {"code_challenge", challenge[:42]}, {"code_challenge", challenge + "="},
		} {
			d.redirected(d.get(d.authorize(append(changes, "client_id", client)...)), "invalid_request")
		}
		code := d.code(client)
		d.redeem(client, code, "code_verifier", "").refused(t, http.StatusBadRequest, "invalid_request")
		d.redeem(client, code, "code_verifier", verifier[:42]).refused(t, http.StatusBadRequest, "invalid_grant")
		d.redeem(client, code, "code_verifier", challenge).refused(t, http.StatusBadRequest, "invalid_grant")
		d.redeem(client, code, "code_verifier", strings.Repeat("a", 129)).refused(t, http.StatusBadRequest, "invalid_grant")
		if a := d.redeem(client, code); a.status != http.StatusOK {
			t.Errorf("%s: with its verifier the code gave %d %s", client, a.status, a.text)
		}
	}
}

// redirected expects an error that went back to the application, with state and iss.
func (d *deployment) redirected(a answer, code string) {
	d.Helper()
	target, err := url.Parse(a.header.Get("Location"))
	d.must(err)
	query := target.Query()
	target.RawQuery = ""
	got := []string{target.String(), query.Get("error"), query.Get("state"), query.Get("iss")}
	if want := []string{redirectURI, code, "s", d.url}; a.status != http.StatusSeeOther || !slices.Equal(got, want) || query.Has("code") {
		d.Errorf("got %d %q, want 303 %q", a.status, got, want)
	}
}

// O18: one flow, and nothing else by accident.
func TestAbuse_O18(t *testing.T) {
	d := newDeployment(t)
	for _, kind := range []string{"token", "id_token", "code token", "code id_token", "id_token token", "code id_token token", "none", "Code"} {
		d.redirected(d.get(d.authorize("response_type", kind)), "unsupported_response_type")
	}
	for _, mode := range []string{"fragment", "form_post", "web_message", "query.jwt"} {
		d.redirected(d.get(d.authorize("response_mode", mode)), "invalid_request")
	}
	for _, grant := range []string{"password", "client_credentials", "refresh_token", "implicit",
		"urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer",
		"urn:ietf:params:oauth:grant-type:token-exchange", "AUTHORIZATION_CODE"} {
		d.redeem("timesheet", "x", "grant_type", grant, "username", "jamie", "password", "x").refused(t, http.StatusBadRequest, "unsupported_grant_type")
	}
}

// O19: request objects are refused, by value and by reference, and nobody fetches one.
func TestAbuse_O19(t *testing.T) {
	d := newDeployment(t)
	fetched := 0
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched++ }))
	defer canary.Close()
	d.redirected(d.get(d.authorize("request_uri", canary.URL)), "request_uri_not_supported")
	d.redirected(d.get(d.authorize("request", "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9.")), "request_not_supported")
	d.redirected(d.get(d.authorize("registration", `{"logo_uri":"`+canary.URL+`"}`)), "registration_not_supported")
	if fetched != 0 {
		t.Errorf("the canary was fetched %d times, want never", fetched)
	}
}

// O20: an access token is typed and for one audience; an ID Token is neither an
// access token nor for an API.
func TestAbuse_O20(t *testing.T) {
	d := newDeployment(t)
	tokens := d.redeem("kiosk", d.code("kiosk"))
	access, accessClaims := d.claims(tokens.body["access_token"])
	id, idClaims := d.claims(tokens.body["id_token"])
	if access["typ"] != "at+jwt" || accessClaims["aud"] != "https://kiosk.example/api" || accessClaims["client_id"] != "kiosk" {
		t.Errorf("access token: %v %v", access, accessClaims)
	}
	if id["typ"] != "JWT" || idClaims["aud"] != "kiosk" || idClaims["roles"] != nil || idClaims["client_id"] != nil {
		t.Errorf("ID Token: %v %v", id, idClaims)
	}
	for _, required := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "sid", "tenant", "roles", "role_epoch", "client_epoch"} {
		if accessClaims[required] == nil {
			t.Errorf("the access token has no %s", required)
		}
	}
	// The ID Token at an API, and the access token of one API at another.
	provider, err := oidc.NewProvider(t.Context(), d.url)
	d.must(err)
	for name, wrong := range map[string]struct{ token, audience any }{
		"ID Token at the API":            {tokens.body["id_token"], "https://kiosk.example/api"},
		"access token at another API":    {tokens.body["access_token"], "timesheet"},
		"access token used as ID Token":  {tokens.body["access_token"], "kiosk"},
		"ID Token at another's audience": {tokens.body["id_token"], "timesheet"},
	} {
		if _, err := provider.Verifier(&oidc.Config{ClientID: wrong.audience.(string)}).Verify(t.Context(), wrong.token.(string)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// O21: success and error both say who answers, and discovery says that they do.
// Success is in login's TestAStandardRelyingPartySignsAPersonIn.
func TestAbuse_O21(t *testing.T) {
	d := newDeployment(t)
	d.redirected(d.get(d.authorize("response_type", "token")), "unsupported_response_type")
	d.redirected(d.get(d.authorize("prompt", "none")), "login_required")
	if got := d.get(d.url + "/.well-known/openid-configuration").body["authorization_response_iss_parameter_supported"]; got != true {
		t.Errorf("discovery says authorization_response_iss_parameter_supported %v, want true", got)
	}
}

// O30: nothing about a person is kept by a cache.
func TestAbuse_O30(t *testing.T) {
	d := newDeployment(t)
	for name, a := range map[string]answer{
		"tokens":                d.redeem("timesheet", d.code("timesheet")),
		"no tokens":             d.redeem("timesheet", "x"),
		"not the client":        d.redeem("timesheet", "x", "client_secret", "x"),
		"check":                 d.check("ringling", "timesheet", d.secrets["timesheet"], `{"user":"`+d.person.ID.String()+`"}`),
		"check, no credentials": d.post("/t/ringling/check", "application/json", `{}`),
		"check, bad question":   d.check("ringling", "timesheet", d.secrets["timesheet"], `{}`),
		"authorize, error":      d.get(d.authorize("response_type", "token")),
		"authorize, page":       d.get(d.authorize("client_id", "nobody")),
	} {
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
			t.Errorf("%s: Cache-Control %q, Pragma %q; want no-store, no-cache", name, a.header.Get("Cache-Control"), a.header.Get("Pragma"))
		}
	}
}
