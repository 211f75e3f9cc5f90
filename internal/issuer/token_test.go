package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/store"
)

// A person who is switched off between the code and the token gets no token, and the
// application is told why.
func TestWhoIsDeactivatedAfterTheCodeGetsNoToken(t *testing.T) {
	d := newDeployment(t)
	code := d.code("timesheet")
	d.deactivate()
	a := d.redeem("timesheet", code)
	a.refused(t, http.StatusBadRequest, "invalid_grant")
	if got := a.body["error_description"]; got != "inactive" {
		t.Errorf("error_description is %v, want the reason", got)
	}
	d.redeem("timesheet", code).refused(t, http.StatusBadRequest, "invalid_grant")
}

func TestWhatIsSwitchedOffAfterTheCodeGivesNoToken(t *testing.T) {
	for reason, off := range map[string]store.Switch{
		"tenant_suspended": {Tenant: "ringling"}, "connection_disabled": {Tenant: "ringling", Connection: "entra"}, "application_disabled": {Client: "timesheet"},
	} {
		t.Run(reason, func(t *testing.T) {
			d := newDeployment(t)
			before := d.code("timesheet")
			after := d.code("timesheet")
			off.Off = true
			d.must(d.store.Revoke(t.Context(), "test", off))
			d.redeem("timesheet", before).refused(t, http.StatusBadRequest, "invalid_grant")
			off.Off = false
			d.must(d.store.Revoke(t.Context(), "test", off))
			// What was issued before stays dead (D17).
			d.redeem("timesheet", after).refused(t, http.StatusBadRequest, "invalid_grant")
			if a := d.redeem("timesheet", d.code("timesheet")); a.status != http.StatusOK {
				t.Errorf("switched on again, a new code gave %d %s", a.status, a.text)
			}
		})
	}
}

func TestTokensCarryTheRolesOfTheirApplicationOnly(t *testing.T) {
	d := newDeployment(t)
	for client, want := range map[string][]any{"timesheet": {"timesheet.viewer"}, "payroll": {"payroll.clerk"}, "kiosk": {}} {
		_, claims := d.claims(d.redeem(client, d.code(client)).body["access_token"])
		if got, _ := claims["roles"].([]any); !slices.Equal(got, want) {
			t.Errorf("%s: roles are %v, want %v", client, claims["roles"], want)
		}
	}
}

func TestATokenRequestIsReadStrictly(t *testing.T) {
	d := newDeployment(t)
	const form = "application/x-www-form-urlencoded"
	good := url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
		"client_id": {"timesheet"}, "client_secret": {d.secrets["timesheet"]}}.Encode()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("timesheet:"+d.secrets["timesheet"]))
	for _, test := range []struct {
		name string
		send func() answer
		want string
	}{
		{"JSON", func() answer { return d.post("/token", "application/json", `{}`) }, "invalid_request"},
		{"no type", func() answer { return d.post("/token", "", good) }, "invalid_request"},
		{"not a form", func() answer { return d.post("/token", form, "%zz") }, "invalid_request"},
		{"too long", func() answer { return d.post("/token", form, good+"&x="+strings.Repeat("a", 64<<10)) }, "invalid_request"},
		{"repeated", func() answer { return d.post("/token", form, good+"&code=y") }, "invalid_request"},
		{"no grant_type", func() answer { return d.redeem("timesheet", "x", "grant_type", "") }, "invalid_request"},
		{"no code", func() answer { return d.redeem("timesheet", "") }, "invalid_request"},
		{"no redirect_uri", func() answer { return d.redeem("timesheet", "x", "redirect_uri", "") }, "invalid_request"},
		{"two ways to authenticate", func() answer { return d.post("/token", form, good, "Authorization", basic) }, "invalid_request"},
		{"in the query", func() answer { return d.post("/token?"+good, form, "") }, "invalid_client"},
		{"a bearer token", func() answer { return d.post("/token", form, good, "Authorization", "Bearer "+d.secrets["timesheet"]) }, "invalid_client"},
		{"nobody", func() answer { return d.redeem("", "x") }, "invalid_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := test.send()
			if a.status/100 != 4 || a.body["error"] != test.want {
				t.Errorf("got %d %s, want %s", a.status, a.text, test.want)
			}
			if challenged := a.header.Get("WWW-Authenticate") != ""; challenged != (a.status == http.StatusUnauthorized) {
				t.Errorf("status %d with WWW-Authenticate %q", a.status, a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

// A POST to /authorize is a GET in another envelope (OpenID Connect Core §3.1.2.1).
func TestAuthorizeTakesAForm(t *testing.T) {
	d := newDeployment(t)
	_, query, _ := strings.Cut(d.authorize("response_type", "token"), "?")
	d.redirected(d.post("/authorize", "application/x-www-form-urlencoded", query), "unsupported_response_type")
	if a := d.post("/authorize?"+query, "application/x-www-form-urlencoded", ""); a.status != http.StatusBadRequest {
		t.Errorf("parameters in the query of a POST: got %d, want 400", a.status)
	}
}

// The published documents say what is served, hold no private key, and outlive the
// database (D14).
func TestKeysAndDiscoveryAreServedWithoutADatabase(t *testing.T) {
	d := newDeployment(t)
	for _, closed := range []bool{false, true} {
		if closed {
			d.store.Close()
		}
		keys, discovery := d.get(d.url+"/jwks"), d.get(d.url+"/.well-known/openid-configuration")
		if keys.status != http.StatusOK || discovery.status != http.StatusOK {
			t.Fatalf("closed %t: got %d and %d, want 200 and 200", closed, keys.status, discovery.status)
		}
		var set struct{ Keys []map[string]any }
		d.must(json.Unmarshal([]byte(keys.text), &set))
		if len(set.Keys) != 1 {
			t.Fatalf("%d keys, want 1: %s", len(set.Keys), keys.text)
		}
		for _, private := range []string{"d", "p", "q", "k"} {
			if set.Keys[0][private] != nil {
				t.Errorf("the key set has %s", private)
			}
		}
		for name, path := range map[string]string{"issuer": "", "authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks"} {
			if got, want := discovery.body[name], d.url+path; got != want {
				t.Errorf("%s is %v, want %s", name, got, want)
			}
		}
		if other := d.get(d.url + "/.well-known/oauth-authorization-server"); other.text != discovery.text {
			t.Errorf("the two documents differ:\n%s\n%s", other.text, discovery.text)
		}
	}
	d.redeem("timesheet", "AAAAAAAAAAAAAAAAAAAAAA"+strings.Repeat("A", 43)).refused(t, http.StatusServiceUnavailable, "temporarily_unavailable")
}
