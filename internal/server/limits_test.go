package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Addresses of the documentation: somebody who guesses, and somebody else.
const (
	guesser = "192.0.2.1:1024"
	other   = "198.51.100.7:1024"
)

// limited starts a world in which an address may fail 20 times, and an
// application with its secret.
func limited(t *testing.T) (w *world, token, secret string) {
	t.Helper()
	w = serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) {
		c.Limits.Failures = server.Rate{PerSecond: 0.001, Burst: 20}
	})
	w.tenant("acme")
	token = w.connect("acme", "entra", "lenient")
	secret, _, err := w.vendor.AddApplication(t.Context(), registry.NewApplication{
		ClientID: "timesheet", Name: "Timesheet", RedirectURIs: []string{"https://timesheet.example/callback"}, Tenants: []string{"acme"}, Roles: []string{"viewer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w, token, secret
}

// by sends a request as the peer at an address would.
func (w *world) by(peer, method, path, authorization, body string) answer {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = peer
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if strings.Contains(body, "=") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	recorder := httptest.NewRecorder()
	w.router.ServeHTTP(recorder, r)
	return answer{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// waits expects whole seconds in Retry-After.
func (a answer) waits(t *testing.T, what string) {
	t.Helper()
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("%s: Retry-After is %q, want whole seconds", what, a.header.Get("Retry-After"))
	}
}

// TestAbuse_T13: whoever brings one bad token after another is told to wait, and
// the tenant is not shut out: a token that holds is served, also from that address.
func TestAbuse_T13(t *testing.T) {
	w, token, _ := limited(t)
	const path = "/t/acme/scim/v2/Users"
	for i := range 200 {
		a := w.by(guesser, "GET", path, fmt.Sprintf("Bearer guess%d", i), "")
		if i < 20 {
			a.refusal(t, fmt.Sprintf("guess %d", i), http.StatusUnauthorized, "")
			continue
		}
		a.refusal(t, fmt.Sprintf("guess %d", i), http.StatusTooManyRequests, "")
		a.waits(t, fmt.Sprintf("guess %d", i))
	}
	for _, peer := range []string{other, guesser} {
		for range 100 { // what holds is not counted
			if a := w.by(peer, "GET", path, "Bearer "+token, ""); a.status != http.StatusOK {
				t.Fatalf("the tenant's token from %s: got %d: %s", peer, a.status, a.body)
			}
		}
	}
	w.by(other, "GET", path, "Bearer guess", "").refusal(t, "another address's first guess", http.StatusUnauthorized, "")
}

// Guesses at an application's secret and at codes count as those at tokens do, and
// are answered in OAuth's words.
func TestGuessesAtTheCheckAndTheTokenEndpointCount(t *testing.T) {
	w, _, secret := limited(t)
	const question = `{"user":"0193a5b0-0000-7000-8000-000000000000"}`
	code := url.Values{
		"grant_type": {"authorization_code"}, "code": {strings.Repeat("A", 65)}, "redirect_uri": {"https://timesheet.example/callback"},
		"code_verifier": {strings.Repeat("v", 43)}, "client_id": {"timesheet"}, "client_secret": {secret},
	}.Encode()
	guesses := []func(peer string) answer{
		func(peer string) answer {
			return w.by(peer, "POST", "/t/acme/check", "Basic "+basic("timesheet", "guess"), question)
		},
		func(peer string) answer { return w.by(peer, "POST", "/token", "", code) },
		func(peer string) answer { return w.by(peer, "POST", "/token", "", code+"x") },
	}
	for i := range 60 {
		a := guesses[i%len(guesses)](guesser)
		if limited := a.status == http.StatusTooManyRequests; limited != (i >= 20) || !limited && a.status/100 != 4 {
			t.Fatalf("guess %d: got %d: %s", i, a.status, a.body)
		}
		if i >= 20 {
			a.waits(t, fmt.Sprintf("guess %d", i))
			if got := a.field(t, "error"); got != "temporarily_unavailable" {
				t.Errorf("guess %d: error is %q", i, got)
			}
		}
	}
	for _, peer := range []string{other, guesser} {
		a := w.by(peer, "POST", "/t/acme/check", "Basic "+basic("timesheet", secret), question)
		if a.status != http.StatusOK || a.field(t, "reason") != "not_provisioned" {
			t.Errorf("the application's check from %s: got %d: %s", peer, a.status, a.body)
		}
	}
}

// TestAbuse_T14: who sends the request is the other end of the socket, whatever
// the request says.
func TestAbuse_T14(t *testing.T) {
	w, _, _ := limited(t)
	var last answer
	for i := range 30 {
		r := httptest.NewRequest("GET", "/t/acme/scim/v2/Users", nil)
		r.RemoteAddr = guesser
		for _, header := range []string{"X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Client-IP", "CF-Connecting-IP"} {
			r.Header.Set(header, fmt.Sprintf("203.0.113.%d", i))
		}
		r.Header.Set("Forwarded", fmt.Sprintf("for=203.0.113.%d", i))
		recorder := httptest.NewRecorder()
		w.router.ServeHTTP(recorder, r)
		last = answer{recorder.Code, recorder.Header(), recorder.Body.String()}
	}
	last.refusal(t, "the last of 30", http.StatusTooManyRequests, "")
	if log := w.log.String(); strings.Contains(log, "203.0.113.") || !strings.Contains(log, `"peer":"192.0.2.1"`) {
		t.Errorf("the log names another peer than the socket's:\n%.2000s", log)
	}
}

// TestAbuse_T14_proxies: where the load balancer's network is named, who sends the
// request is who the load balancer heard from, and nobody else can say otherwise.
func TestAbuse_T14_proxies(t *testing.T) {
	w := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) {
		c.Limits.SignIns = server.Rate{PerSecond: 0.001, Burst: 5}
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	authorize := func(socket string, forwarded ...string) int {
		r := httptest.NewRequest("GET", "/authorize", nil)
		r.RemoteAddr = socket
		for _, value := range forwarded {
			r.Header.Add("X-Forwarded-For", value)
		}
		recorder := httptest.NewRecorder()
		w.router.ServeHTTP(recorder, r)
		return recorder.Code
	}
	for i := range 100 { // many people behind one load balancer: each is its own
		if got := authorize("10.0.0.7:1", fmt.Sprintf("198.51.100.%d", i)); got != http.StatusBadRequest {
			t.Fatalf("person %d: got %d, want 400", i, got)
		}
	}
	// Somebody who writes another address into the request each time stays who they
	// are: through the load balancer, through two, and beside them.
	for story, send := range map[string]func(forged string) int{
		"through the load balancer": func(forged string) int { return authorize("10.0.0.7:1", forged+", 192.0.2.1") },
		"in headers of their own":   func(forged string) int { return authorize("10.0.0.7:1", forged, "192.0.2.2:4711") },
		"through two":               func(forged string) int { return authorize("[fd00::1]:1", forged+",192.0.2.3, 10.1.1.1") },
		"naming a proxy":            func(forged string) int { return authorize("10.0.0.7:1", forged+",10.2.2.2,192.0.2.4") },
		"beside the load balancer":  func(forged string) int { return authorize("192.0.2.5:1", forged) },
	} {
		last := 0
		for i := range 6 {
			last = send(fmt.Sprintf("203.0.113.%d", i))
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("%s: the sixth got %d, want 429", story, last)
		}
	}
	if log := w.log.String(); strings.Contains(log, "203.0.113.") || !strings.Contains(log, `"peer":"192.0.2.3"`) {
		t.Errorf("the log names another peer than the one that the load balancer heard from:\n%.2000s", log)
	}
}

// Without a word in the configuration the limits are there, and generous.
func TestLimitsAreThereUnlessTheyAreSet(t *testing.T) {
	w := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) { c.Limits = server.Limits{} })
	for path, want := range map[string]int{"/t/acme/scim/v2/Users": http.StatusUnauthorized, "/authorize": http.StatusBadRequest} {
		refused := 0
		for i := range 100 {
			if a := w.by(guesser, "GET", path, "", ""); a.status != want {
				t.Fatalf("%s: request %d of the first 100 got %d, want %d", path, i, a.status, want)
			}
		}
		for range 20_000 {
			if w.by(guesser, "GET", path, "", "").status == http.StatusTooManyRequests {
				refused++
				break
			}
		}
		if refused == 0 {
			t.Errorf("%s: 20,000 requests in a row were answered", path)
		}
	}
}
