package idpsim

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

const redirectURI = "http://127.0.0.1:8080/t/ringling/callback/entra"

// signingKey is made once: that takes long under the race detector.
var signingKey = sync.OnceValue(func() *jose.JSONWebKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return &jose.JSONWebKey{Key: private, KeyID: "first", Use: "sig"}
})

// serveIdP serves the IdP on loopback until the test ends.
func serveIdP(t *testing.T, name string, options Options) *IdP {
	t.Helper()
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options.URL = "http://" + listener.Addr().String()
	options.Clients = []Client{{"muster", "client secret", []string{redirectURI}}}
	idp, err := New(load(t, name), options)
	if err != nil {
		t.Fatal(err)
	}
	idp.op.key = signingKey()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- idp.Serve(ctx, listener) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		idp.Close()
	})
	return idp
}

// relyingParty is go-oidc and x/oauth2 configured for the IdP.
func relyingParty(t *testing.T, idp *IdP) (*oauth2.Config, *oidc.IDTokenVerifier) {
	t.Helper()
	op, err := oidc.NewProvider(context.Background(), idp.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	config := &oauth2.Config{
		ClientID: "muster", ClientSecret: "client secret", Endpoint: op.Endpoint(),
		RedirectURL: redirectURI, Scopes: []string{"openid", "profile", "email"},
	}
	return config, op.Verifier(&oidc.Config{ClientID: "muster", Now: idp.options.Now})
}

// browser follows no redirect.
var browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// visit opens a page and returns its status, the redirect's query, and its text.
func visit(t *testing.T, address string) (int, url.Values, string) {
	t.Helper()
	response, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, location.Query(), string(body)
}

// signIn gets a code for the person and returns the claims of the ID Token.
func signIn(t *testing.T, idp *IdP, hint string) (string, map[string]any) {
	t.Helper()
	config, verifier := relyingParty(t, idp)
	verifierCode := oauth2.GenerateVerifier()
	_, query, _ := visit(t, config.AuthCodeURL("state-1", oauth2.S256ChallengeOption(verifierCode),
		oidc.Nonce("nonce-1"), oauth2.SetAuthURLParam("login_hint", hint)))
	if query.Get("state") != "state-1" || query.Get("code") == "" {
		t.Fatalf("redirected with %v", query)
	}
	token, err := config.Exchange(context.Background(), query.Get("code"), oauth2.VerifierOption(verifierCode))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := verifier.Verify(context.Background(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if verified.Nonce != "nonce-1" {
		t.Errorf("nonce = %q", verified.Nonce)
	}
	if verified.AccessTokenHash != "" {
		if err := verified.VerifyAccessToken(token.AccessToken); err != nil {
			t.Error(err)
		}
	}
	var claims map[string]any
	if err := verified.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return raw, claims
}

func TestEntraSignsInWithPairwiseSubjectAndObjectID(t *testing.T) {
	idp := serveIdP(t, "ringling", Options{Persona: Entra})
	dir := idp.Directory()
	jamie := dir.People[dir.person("jamie.morgan")]
	_, claims := signIn(t, idp, "jamie.morgan@ringling.example")
	for name, want := range map[string]any{
		"iss": idp.options.URL + "/" + dir.Tenant + "/v2.0", "tid": dir.Tenant, "oid": jamie.ID, "ver": "2.0",
		"preferred_username": "jamie.morgan@ringling.example", "email": "jamie.morgan@ringling.example", "name": "Jamie Morgan",
	} {
		if claims[name] != want {
			t.Errorf("%s = %v, want %v", name, claims[name], want)
		}
	}
	subject, _ := claims["sub"].(string)
	if len(subject) != 43 || subject == jamie.ID {
		t.Errorf("sub = %q is not pairwise", subject)
	}
	if _, again := signIn(t, idp, jamie.ID); again["sub"] != subject {
		t.Errorf("sub changed to %v", again["sub"])
	}
	if _, other := signIn(t, idp, "priya.raman"); other["sub"] == subject {
		t.Error("two people have one sub")
	}
}

func TestOktaSignsInWithTheUserIDAsSubject(t *testing.T) {
	idp := serveIdP(t, "cirque", Options{Persona: Okta})
	dir := idp.Directory()
	_, claims := signIn(t, idp, "jamie.morgan")
	if claims["iss"] != idp.options.URL || claims["sub"] != dir.People[dir.person("jamie.morgan")].ID || claims["at_hash"] == nil {
		t.Errorf("claims = %v", claims)
	}
}

func TestSomebodyWhoWasDeactivatedStillSignsIn(t *testing.T) {
	sp := newServiceProvider(t)
	idp := serveIdP(t, "cirque", Options{Persona: Okta, SCIMURL: sp.URL + "/scim/v2"})
	if err := idp.Push(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(idp.options.URL+"/people/jamie.morgan/deactivate", "", nil)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()
	id, _ := idp.UserID("jamie.morgan")
	for _, user := range sp.users {
		if user["id"] == id && user["active"] != false {
			t.Error("the button did not deactivate Jamie at the service provider")
		}
	}
	signIn(t, idp, "jamie.morgan") // whether that helps is not the IdP's decision

	request, _ := http.NewRequest(http.MethodPost, idp.options.URL+"/people/jamie.morgan/reactivate", nil)
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err = http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("another site pressed the button: status %d", response.StatusCode)
	}
}

func TestWithoutAHintThePageOffersEverybody(t *testing.T) {
	idp := serveIdP(t, "ringling", Options{Persona: Entra, IssInResponse: true})
	config, _ := relyingParty(t, idp)
	address := config.AuthCodeURL(`state"><script>`, oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	status, _, text := visit(t, address)
	if status != http.StatusOK || strings.Count(text, `name="person"`) != 24 || !strings.Contains(text, "Chloé Martin") || strings.Contains(text, "<script>") {
		t.Errorf("status %d, page:\n%s", status, text)
	}
	_, query, _ := visit(t, address+"&person=chloe.martin")
	if query.Get("code") == "" || query.Get("state") != `state"><script>` || query.Get("iss") != idp.Issuer() {
		t.Errorf("after the click: %v", query)
	}
	if status, _, text := visit(t, idp.options.URL+"/"); status != http.StatusOK || !strings.Contains(text, idp.Issuer()) {
		t.Errorf("home: status %d:\n%s", status, text)
	}
}

func TestRequestsThatDoNotConform(t *testing.T) {
	idp := serveIdP(t, "ringling", Options{Persona: Entra})
	config, _ := relyingParty(t, idp)
	challenge := oauth2.S256ChallengeOption(oauth2.GenerateVerifier())
	set := oauth2.SetAuthURLParam
	for name, test := range map[string]struct {
		options   []oauth2.AuthCodeOption
		status    int
		errorCode string
	}{
		"unknown client":        {[]oauth2.AuthCodeOption{challenge, set("client_id", "other")}, 400, ""},
		"unregistered redirect": {[]oauth2.AuthCodeOption{challenge, set("redirect_uri", redirectURI+"/")}, 400, ""},
		"implicit flow":         {[]oauth2.AuthCodeOption{challenge, set("response_type", "id_token")}, 303, "unsupported_response_type"},
		"form_post":             {[]oauth2.AuthCodeOption{challenge, set("response_mode", "form_post")}, 303, "invalid_request"},
		"without openid":        {[]oauth2.AuthCodeOption{challenge, set("scope", "profile")}, 303, "invalid_scope"},
		"without PKCE":          {nil, 303, "invalid_request"},
		"plain PKCE":            {[]oauth2.AuthCodeOption{challenge, set("code_challenge_method", "plain")}, 303, "invalid_request"},
	} {
		status, query, _ := visit(t, config.AuthCodeURL("s", append(test.options, set("login_hint", "jamie.morgan"))...))
		if status != test.status || query.Get("error") != test.errorCode || query.Get("code") != "" {
			t.Errorf("%s: status %d, %v", name, status, query)
		}
	}
}

func TestACodeIsGoodOnceForWhomItWasMade(t *testing.T) {
	now := time.Now()
	idp := serveIdP(t, "ringling", Options{Persona: Entra, Now: func() time.Time { return now }})
	config, _ := relyingParty(t, idp)
	config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	verifier := oauth2.GenerateVerifier()
	code := func() string {
		_, query, _ := visit(t, config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("login_hint", "jamie.morgan")))
		return query.Get("code")
	}
	exchange := func(config oauth2.Config, code, verifier string) error {
		_, err := config.Exchange(context.Background(), code, oauth2.VerifierOption(verifier))
		return err
	}
	used := code()
	if err := exchange(*config, used, verifier); err != nil {
		t.Fatal(err)
	}
	expired := code()
	now = now.Add(codeLifetime + time.Second)
	wrongSecret, elsewhere := *config, *config
	wrongSecret.ClientSecret, elsewhere.RedirectURL = "guess", redirectURI+"2"
	for name, test := range map[string]struct {
		err  error
		code string
	}{
		"used":           {exchange(*config, used, verifier), "invalid_grant"},
		"expired":        {exchange(*config, expired, verifier), "invalid_grant"},
		"guessed":        {exchange(*config, "guess", verifier), "invalid_grant"},
		"wrong verifier": {exchange(*config, code(), oauth2.GenerateVerifier()), "invalid_grant"},
		"wrong redirect": {exchange(elsewhere, code(), verifier), "invalid_grant"},
		"wrong secret":   {exchange(wrongSecret, code(), verifier), "invalid_client"},
	} {
		if failure, ok := errors.AsType[*oauth2.RetrieveError](test.err); !ok || failure.ErrorCode != test.code {
			t.Errorf("%s: error = %v, want %s", name, test.err, test.code)
		}
	}
	spoilt := code()
	exchange(*config, spoilt, "wrong")
	if err := exchange(*config, spoilt, verifier); err == nil {
		t.Error("a code that failed once was redeemed later")
	}
}

func TestKeysRotateAndClaimsCanBeSpoilt(t *testing.T) {
	idp := serveIdP(t, "cirque", Options{Persona: Okta, Claims: func(claims map[string]any) { claims["sub"] = "mallory" }})
	before, claims := signIn(t, idp, "jamie.morgan")
	idp.RotateKey()
	after, _ := signIn(t, idp, "jamie.morgan")
	header := func(raw string) string { return raw[:strings.Index(raw, ".")] }
	if header(before) == header(after) || claims["sub"] != "mallory" {
		t.Errorf("headers %s and %s, sub %v", header(before), header(after), claims["sub"])
	}
	idp.Register(Client{"another", "s", []string{redirectURI}})
	if status, _, _ := visit(t, idp.options.URL+"/oauth2/v1/authorize?client_id=another&redirect_uri="+url.QueryEscape(redirectURI)); status != 303 {
		t.Errorf("a client registered later: status %d", status)
	}
}

func TestItListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		if listener, err := Listen(address); err == nil {
			listener.Close()
			t.Errorf("listens on %s", address)
		}
	}
	open, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	idp, err := New(load(t, "cirque"), Options{Persona: Okta})
	if err != nil {
		t.Fatal(err)
	}
	if err := idp.Serve(context.Background(), open); err == nil || !strings.Contains(fmt.Sprint(err), "loopback") {
		t.Errorf("Serve on 0.0.0.0: %v", err)
	}
}
