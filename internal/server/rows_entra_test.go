package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/registry"
)

// entraRows show how Entra fetches its access tokens.
func entraRows(t *testing.T, c *conforming) {
	c.Row(t, "Q9", func(trial *conformance.Trial) { bySecret(trial, c.world) })
	issuer := newTokenIssuer(t)
	c.Row(t, "Q9 Q10", func(trial *conformance.Trial) { byAssertion(trial, c.world, issuer) })
}

// bySecret: the grant of client credentials, with fields that nobody asked for.
func bySecret(trial *conformance.Trial, w *world) {
	secret, client := entraClient(trial, w, registry.Client{Lifetime: 3600})
	form := post(client, secret)
	form.Set("scope", "https://graph.example/.default")
	form.Set("baseAddress", "https://id.example.com/scim")
	fetches(trial, form, 3600)
	form.Set("client_secret", secret+"x")
	refuses(trial, form)
}

// byAssertion: workload identity federation comes with the audience in two forms, each of
// which is set up for the client, and each of which is compared exactly.
func byAssertion(trial *conformance.Trial, w *world, i *tokenIssuer) {
	_, client := entraClient(trial, w, registry.Client{Lifetime: 21600, Trust: registry.Trust{
		Issuer: i.URL, Subject: "sync", Audiences: []string{"api://muster", "muster"},
	}})
	for _, audience := range []string{"api://muster", "muster"} {
		form := asserted(client, i.assertion(map[string]any{"aud": audience, "jti": uuid.NewString()}))
		form.Set("scope", "scim")
		fetches(trial, form, 21600)
	}
	for _, audience := range []string{"api://muster/", "api://mus", "MUSTER", "api://other"} {
		refuses(trial, asserted(client, i.assertion(map[string]any{"aud": audience, "jti": uuid.NewString()})))
	}
}

func entraClient(trial *conformance.Trial, w *world, c registry.Client) (secret string, client registry.Client) {
	c.Connection, c.Name = "connection", "entra"
	secret, client, err := w.vendor.AddClient(w.t.Context(), tenantOf(trial), c, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret, client
}

// fetches expects an access token for the form, and that it opens the connection.
func fetches(trial *conformance.Trial, form url.Values, lifetime int) {
	answer := tokenRequest(trial, form)
	trial.Expect(answer, fmt.Sprintf(`200
Content-Type: application/json
Cache-Control: no-store
{"access_token":"...","token_type":"Bearer","expires_in":%d,"scope":"scim"}`, lifetime))
	var given struct {
		AccessToken string `json:"access_token"`
	}
	trial.Decode(answer, &given)
	trial.Name("access", given.AccessToken)
	trial.Expect(trial.Send("GET /Users?count=0\nAuthorization: Bearer {access}"), `200
{"totalResults":0,"...":"..."}`)
}

func refuses(trial *conformance.Trial, form url.Values) {
	trial.Expect(tokenRequest(trial, form), `401
Content-Type: application/json
{"error":"invalid_client","...":"..."}`)
}

func tokenRequest(trial *conformance.Trial, form url.Values) conformance.Answer {
	at := strings.TrimSuffix(trial.Named("base"), "/scim/v2") + "/oauth/token"
	return trial.Send("POST " + at + "\nAuthorization:\nAccept: application/json\nContent-Type: application/x-www-form-urlencoded\n\n" + form.Encode())
}
