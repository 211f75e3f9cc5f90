package login

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/store"
)

func TestAResponseIsBelievedOnlyFromItsIssuer(t *testing.T) {
	const issuer = "https://idp.example/tenant"
	for _, test := range []struct {
		query      string
		advertised bool // the provider says that it sends iss
		want       string
	}{
		{"state=s&code=c&iss=https://idp.example/tenant", true, ""},
		{"state=s&code=c&iss=https://idp.example/tenant", false, ""},
		{"state=s&code=c", false, ""},
		{"state=s&code=c", true, "issuer_mismatch"},
		{"state=s&code=c&iss=", false, "issuer_mismatch"},
		{"state=s&code=c&iss=https://idp.example/tenant/", false, "issuer_mismatch"},
		{"state=s&code=c&iss=https://IDP.example/tenant", false, "issuer_mismatch"},
		{"state=s&code=c&iss=https://evil.example", false, "issuer_mismatch"},
		{"state=s&error=access_denied&iss=https://evil.example", false, "issuer_mismatch"},
		{"state=s&error=access_denied", true, "issuer_mismatch"},
		{"state=s&error=access_denied", false, "idp_denied"},
		{"state=s&error=server_error&error_description=boom", false, "idp_error"},
		{"state=s&error=x&code=c", false, "idp_error"},
		{"state=s", false, "bad_response"},
		{"state=s&code=", false, "bad_response"},
		{"state=s&code=c&code=d", false, "bad_response"},
		{"state=s&code=c&iss=https://idp.example/tenant&iss=https://evil.example", false, "bad_response"},
		{"state=s&state=t&code=c", false, "bad_response"},
		{"state=s&code=%zz", false, "bad_response"},
		{"state=s;code=c", false, "bad_response"},
		{"code=c", false, "sign_in_expired"},
		{"state=&code=c", false, "sign_in_expired"},
		{"", false, "sign_in_expired"},
	} {
		response, err := parseResponse(test.query)
		if err == nil {
			err = response.check(fetch.Metadata{Issuer: issuer, IssInResponse: test.advertised})
		}
		got := ""
		if said, ok := errors.AsType[*refusal](err); ok {
			got = said.reason
		}
		if got != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s, advertised %t: got %v, want %q", test.query, test.advertised, err, test.want)
		}
	}
}

func FuzzResponse(f *testing.F) {
	for _, seed := range []string{"state=s&code=c", "state=s&state=t", "%zz", "state=s&error=e&iss=i", strings.Repeat("a=b&", 5000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		response, err := parseResponse(query)
		if err == nil && response.state == "" {
			t.Errorf("%q has no state and was read", query)
		}
	})
}

func TestACookieBelongsToOneSignIn(t *testing.T) {
	l := pagesOnly("https://id.example")
	w := httptest.NewRecorder()
	l.bind(w, httptest.NewRequest("GET", "/authorize", nil), store.SignIn{State: "one", Browser: "value"})
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("got %d cookies, want 1", len(cookies))
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	if got := l.browser(r, "one"); got != "value" {
		t.Errorf("the sign-in's own state finds %q, want the cookie's value", got)
	}
	if got := l.browser(r, "two"); got != "" {
		t.Errorf("another sign-in's state finds %q, want nothing", got)
	}
	r.AddCookie(cookies[0])
	if got := l.browser(r, "one"); got != "" {
		t.Errorf("a cookie that was sent twice finds %q, want nothing", got)
	}
}

func TestSignInsThatAreNeverFinishedAreForgotten(t *testing.T) {
	l := pagesOnly("https://id.example")
	r := httptest.NewRequest("GET", "/authorize", nil)
	r.AddCookie(&http.Cookie{Name: "other", Value: "x"})
	for i := range maxSignIns {
		r.AddCookie(&http.Cookie{Name: l.cookieName(string(rune('a' + i))), Value: "x"})
	}
	w := httptest.NewRecorder()
	l.bind(w, r, store.SignIn{State: "new", Browser: "value"})
	removed := 0
	for _, cookie := range w.Result().Cookies() {
		if cookie.MaxAge < 0 && cookie.Name != "other" {
			removed++
		}
	}
	if removed != maxSignIns || len(w.Result().Cookies()) != maxSignIns+1 {
		t.Errorf("%d cookies were removed of %d set, want %d of %d", removed, len(w.Result().Cookies()), maxSignIns, maxSignIns+1)
	}
}
