package fetch_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/idpsim"
)

const (
	clientID    = "muster: ringling"
	secret      = "s%cret +ö"
	callback    = "http://127.0.0.1:8080/t/ringling/callback/entra"
	verifier    = "a-code-verifier-of-at-least-forty-three-characters"
	signInNonce = "nonce-1"
)

// TestASignInAtEachPersona goes the way of a sign-in: discovery, authorization, exchange,
// verification.
func TestASignInAtEachPersona(t *testing.T) {
	for persona, organisation := range map[string]string{idpsim.Entra: "ringling", idpsim.Okta: "cirque"} {
		client := fetch.NewClient(fetch.Config{AllowLoopback: true})
		defer client.Close()
		idp := startIdP(t, persona, organisation)
		claims, err := signIn(t, client, idp)
		if err != nil {
			t.Fatalf("%s: %v: %s", persona, err, fetch.Detail(err))
		}
		link := map[string]string{idpsim.Entra: "oid", idpsim.Okta: "sub"}[persona]
		if id, _ := claims.String(link); id != objectID(idp, "jamie.morgan") {
			t.Errorf("%s: %s = %q, want the id of Jamie", persona, link, id)
		}
	}
}

func TestTheStrictClientDoesNotReachTheSimulator(t *testing.T) {
	client := fetch.NewClient(fetch.Config{})
	defer client.Close()
	idp := startIdP(t, idpsim.Entra, "ringling")
	if _, err := client.Discover(context.Background(), idp.Issuer()); !errors.Is(err, fetch.ErrURL) {
		t.Errorf("error = %v, want ErrURL", err)
	}
}

func startIdP(t *testing.T, persona, organisation string) *idpsim.IdP {
	t.Helper()
	directory, err := idpsim.Load(organisation)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := idpsim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	idp, err := idpsim.New(directory, idpsim.Options{
		Persona: persona, URL: "http://" + listener.Addr().String(),
		Clients: []idpsim.Client{{ID: clientID, Secret: secret, RedirectURIs: []string{callback}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- idp.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return idp
}

func objectID(idp *idpsim.IdP, nickname string) string {
	for _, p := range idp.Directory().People {
		if p.Nickname == nickname {
			return p.ID
		}
	}
	return ""
}

func signIn(t *testing.T, client *fetch.Client, idp *idpsim.IdP) (fetch.Claims, error) {
	t.Helper()
	ctx := context.Background()
	metadata, err := client.Metadata(ctx, "ringling/entra", idp.Issuer())
	if err != nil {
		return fetch.Claims{}, err
	}
	answer, err := client.Exchange(ctx, fetch.TokenRequest{
		Endpoint: metadata.TokenEndpoint, AuthMethod: metadata.TokenAuthMethod(), ClientID: clientID, ClientSecret: secret,
		Code: authorize(t, metadata.AuthorizationEndpoint), RedirectURI: callback, Verifier: verifier,
	})
	if err != nil {
		return fetch.Claims{}, err
	}
	return client.VerifyIDToken(ctx, answer.IDToken, fetch.Expect{
		Scope: "ringling/entra", Issuer: metadata.Issuer, JWKSURI: metadata.JWKSURI, ClientID: clientID, Nonce: signInNonce,
		Algorithms: metadata.Algorithms(), AccessToken: answer.AccessToken,
	})
}

// authorize plays the browser of Jamie and returns the code.
func authorize(t *testing.T, endpoint string) string {
	t.Helper()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {callback}, "scope": {"openid profile email"},
		"nonce": {signInNonce}, "login_hint": {"jamie.morgan"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	transport := &http.Transport{DisableKeepAlives: true}
	request, err := http.NewRequest(http.MethodGet, endpoint+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	location, err := response.Location()
	if err != nil {
		t.Fatalf("status %d: %v", response.StatusCode, err)
	}
	return location.Query().Get("code")
}
