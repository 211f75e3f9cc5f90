package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"

	"github.com/muster-id/muster/internal/idpsim"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/store/registry"
)

const (
	redirectURI = "https://timesheet.example/cb"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// signIn takes people from the application to their identity provider, back,
// and to a token: four requests to the server, and one of the server's to the
// identity provider, which runs in the load's process.
func signIn(ctx context.Context, w *world) error {
	people := idpsim.Synthetic(200, 2, 1)
	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	defer listener.Close()
	idp, err := idpsim.New(people, idpsim.Options{
		Persona: idpsim.Entra, Mapping: idpsim.MappingObjectID, URL: listener.URL,
		SCIMURL: "http://" + w.address + "/t/bench/scim/v2", Token: w.token,
		Clients: []idpsim.Client{{ID: "muster", Secret: "simulated",
			RedirectURIs: []string{login.CallbackURL("http://"+w.address, "bench", w.conn.ID.String())}}},
	})
	if err != nil {
		return err
	}
	handler = idp.Handler()
	_, err = w.store.Vendor("bench").SetConnection(ctx, "bench", "entra", func(c *registry.Connection) error {
		c.Issuer, c.ClientID, c.Secret = idp.Issuer(), "muster", "simulated"
		return nil
	})
	if err != nil {
		return err
	}
	if err := idp.Push(ctx, func(idpsim.Event) {}); err != nil {
		return err
	}
	for _, clients := range concurrency {
		journey := row{name: "sign-in, whole journey", clients: clients, prepare: func() (func() error, error) {
			transport := &http.Transport{}
			return func() error {
				return w.signInOne(transport, people.People[rand.IntN(len(people.People))].UserName)
			}, nil
		}}
		if err := w.turns(ctx, journey); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) signInOne(transport *http.Transport, userName string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	challenge := sha256.Sum256([]byte(verifier))
	next := "http://" + w.address + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"timesheet"}, "redirect_uri": {redirectURI}, "state": {"s"}, "scope": {"openid"},
		"tenant": {"bench"}, "login_hint": {userName},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	for range 3 { // to the identity provider, back, and to the application
		if next, err = follow(browser, next); err != nil {
			return err
		}
	}
	back, err := url.Parse(next)
	if err != nil {
		return err
	}
	answer, err := browser.PostForm("http://"+w.address+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirectURI},
		"code_verifier": {verifier}, "client_id": {"timesheet"}, "client_secret": {w.secret},
	})
	return finish(answer, err, http.StatusOK)
}

func follow(browser *http.Client, address string) (string, error) {
	answer, err := browser.Get(address)
	if err != nil {
		return "", err
	}
	if answer.StatusCode/100 == 3 {
		answer.Body.Close()
		return answer.Header.Get("Location"), nil
	}
	return "", finish(answer, nil, http.StatusSeeOther)
}

func finish(answer *http.Response, err error, want int) error {
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != want {
		err = fmt.Errorf("%s: %d %s", answer.Request.URL.Path, answer.StatusCode, body)
	}
	return err
}
