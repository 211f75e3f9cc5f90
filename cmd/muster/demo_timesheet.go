package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A timesheet is the demo's application: it sends people to Muster to sign in
// and shows the token that it gets for them. It keeps the token to itself.
type timesheet struct {
	muster, self, secret string

	mu       sync.Mutex
	journeys map[string]string // state → code verifier
}

// A tokenAnswer is what the token endpoint answers.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
}

// tokenClaims are those of an access token that the application shows.
type tokenClaims struct {
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Tenant   string   `json:"tenant"`
	Roles    []string `json:"roles"`
}

//go:embed demo_timesheet.html
var timesheetHTML string

func newTimesheet(muster, self, secret string) *timesheet {
	return &timesheet{muster: muster, self: self, secret: secret, journeys: map[string]string{}}
}

func (ts *timesheet) serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	pages := template.Must(template.New("pages").Parse(timesheetHTML))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { showTimesheet(w, pages, "home", circuses()) })
	mux.HandleFunc("GET /login", ts.login)
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) { ts.callback(w, r, pages) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func showTimesheet(w http.ResponseWriter, pages *template.Template, name string, value any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	pages.ExecuteTemplate(w, name, value)
}

// login sends the browser to Muster: code flow, PKCE S256, state bound by cookie.
func (ts *timesheet) login(w http.ResponseWriter, r *http.Request) {
	state, verifier := rand.Text(), rand.Text()+rand.Text()
	const most = 1000 // begun and not finished: then all are forgotten
	ts.mu.Lock()
	if len(ts.journeys) >= most {
		clear(ts.journeys)
	}
	ts.journeys[state] = verifier
	ts.mu.Unlock()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {demoApp}, "redirect_uri": {ts.self + "/callback"}, "scope": {"openid"}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	for _, name := range []string{"tenant", "login_hint"} {
		if value := r.FormValue(name); value != "" {
			query.Set(name, value)
		}
	}
	http.SetCookie(w, &http.Cookie{Name: "timesheet", Value: state, Path: "/callback", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: 600})
	http.Redirect(w, r, ts.muster+"/authorize?"+query.Encode(), http.StatusSeeOther)
}

// callback exchanges the code and shows the claims, as JSON where that is asked for.
func (ts *timesheet) callback(w http.ResponseWriter, r *http.Request, pages *template.Template) {
	v, err := ts.redeem(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if r.Header.Get("Accept") != "application/json" {
		showTimesheet(w, pages, "in", v)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (ts *timesheet) redeem(r *http.Request) (visit, error) {
	state := r.FormValue("state")
	cookie, err := r.Cookie("timesheet")
	if err != nil || cookie.Value != state {
		return visit{}, errors.New("this sign-in did not begin in this browser: begin again")
	}
	ts.mu.Lock()
	verifier, ok := ts.journeys[state]
	delete(ts.journeys, state)
	ts.mu.Unlock()
	switch {
	case !ok:
		return visit{}, errors.New("this sign-in is over: begin again")
	case r.FormValue("iss") != ts.muster:
		return visit{}, errors.New("the answer is not from Muster") // RFC 9207
	case r.FormValue("code") == "":
		return visit{}, fmt.Errorf("sign-in: Muster answered %q", r.FormValue("error"))
	}
	return ts.exchange(r.Context(), r.FormValue("code"), verifier)
}

func (ts *timesheet) exchange(ctx context.Context, code, verifier string) (visit, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {ts.self + "/callback"}, "code_verifier": {verifier}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, ts.muster+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return visit{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(demoApp, ts.secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return visit{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return visit{}, fmt.Errorf("the token endpoint answered %s", response.Status)
	}
	v := visit{Status: http.StatusOK}
	if err := json.NewDecoder(response.Body).Decode(&v.Token); err != nil {
		return visit{}, err
	}
	return v, v.readClaims()
}

// readClaims reads the access token without verifying it: it comes from the
// token endpoint itself. Whoever gets one from elsewhere must verify it.
func (v *visit) readClaims() error {
	parts := strings.Split(v.Token.AccessToken, ".")
	if len(parts) != 3 {
		return errors.New("the access token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	v.Token.AccessToken = "" // not to be shown
	return json.Unmarshal(payload, &v.Claims)
}
