package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (p *provider) tokenRequest() TokenRequest {
	return TokenRequest{
		Endpoint: p.URL + "/token", AuthMethod: ClientSecretBasic, ClientID: "id:with/odd chars", ClientSecret: "p%ss wörd",
		Code: "the-code", RedirectURI: "https://muster.example/t/ringling/callback/entra", Verifier: "the-verifier",
	}
}

func TestExchangeSendsTheCodeAsTheProviderWantsIt(t *testing.T) {
	p := newProvider(t)
	c := localClient(t, newClock())
	var form url.Values
	var user, password string
	p.token = func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		form = r.PostForm
		user, password, _ = r.BasicAuth()
		writeJSON(w, map[string]any{"id_token": "a.b.c", "access_token": "at", "token_type": "bearer", "expires_in": "3599", "scope": "openid"})
	}
	want := url.Values{
		"grant_type": {"authorization_code"}, "code": {"the-code"}, "code_verifier": {"the-verifier"},
		"redirect_uri": {"https://muster.example/t/ringling/callback/entra"},
	}
	request := p.tokenRequest()
	answer, err := c.Exchange(context.Background(), request)
	if err != nil {
		t.Fatal(Detail(err))
	}
	if diff := cmp.Diff(want, form); diff != "" || user != "id%3Awith%2Fodd+chars" || password != "p%25ss+w%C3%B6rd" {
		t.Errorf("basic: user %q, password %q, form (-want +got):\n%s", user, password, diff)
	}
	if answer.IDToken != "a.b.c" || answer.AccessToken != "at" {
		t.Errorf("answer = %+v", answer)
	}

	request.AuthMethod = ClientSecretPost
	want.Set("client_id", request.ClientID)
	want.Set("client_secret", request.ClientSecret)
	if _, err := c.Exchange(context.Background(), request); err != nil {
		t.Fatal(Detail(err))
	}
	if diff := cmp.Diff(want, form); diff != "" || user != "" {
		t.Errorf("post: user %q, form (-want +got):\n%s", user, diff)
	}
}

func TestExchangeRefusesWhatIsNotATokenResponse(t *testing.T) {
	p := newProvider(t)
	c := localClient(t, newClock())
	for _, test := range []struct {
		name, body string
		status     int
		class      error
	}{
		{"invalid_grant", `{"error":"invalid_grant","error_description":"AADSTS54005: already redeemed"}`, 400, ErrRefused},
		{"refusal that is not JSON", `<html>`, 401, ErrRefused},
		{"not JSON", `id_token=a.b.c`, 200, ErrUnreachable},
		{"no id_token", `{"access_token":"at","token_type":"Bearer"}`, 200, ErrRefused},
		{"id_token not a string", `{"id_token":7,"token_type":"Bearer"}`, 200, ErrUnreachable},
		{"two id_tokens", `{"id_token":"a","id_token":"b","token_type":"Bearer"}`, 200, ErrUnreachable},
		{"case variant", `{"id_token":"a","ID_TOKEN":"b","token_type":"Bearer"}`, 200, ErrUnreachable},
		{"another type", `{"id_token":"a","token_type":"mac"}`, 200, ErrRefused},
		{"too large", `{"id_token":"` + strings.Repeat("a", maxBody) + `"}`, 200, ErrUnreachable},
		{"accepted, later", `{"id_token":"a","token_type":"Bearer"}`, 202, ErrRefused},
	} {
		before := p.requests.Load()
		p.token = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		}
		answer, err := c.Exchange(context.Background(), p.tokenRequest())
		if !errors.Is(err, test.class) || answer != (TokenResponse{}) {
			t.Errorf("%s: answer %+v, error %v (%s), want %v", test.name, answer, err, Detail(err), test.class)
		}
		if n := p.requests.Load() - before; n != 1 {
			t.Errorf("%s: the code was sent %d times", test.name, n)
		}
		if strings.Contains(fmt.Sprint(err), "AADSTS") {
			t.Errorf("%s: the public text tells what the provider said: %v", test.name, err)
		}
	}

	request := p.tokenRequest()
	request.AuthMethod = ""
	before := p.requests.Load()
	if _, err := c.Exchange(context.Background(), request); !errors.Is(err, ErrRefused) || p.requests.Load() != before {
		t.Errorf("no way to authenticate: error = %v, %d requests", err, p.requests.Load()-before)
	}
}

func TestDiscoverReadsStrictly(t *testing.T) {
	p := newProvider(t)
	c := localClient(t, newClock())
	if _, err := c.Discover(context.Background(), p.URL); err != nil {
		t.Fatal(Detail(err))
	}
	good := fmt.Sprintf(`"issuer":%q,"authorization_endpoint":"%[2]s/a","token_endpoint":"%[2]s/t","jwks_uri":"%[2]s/k"`, p.URL, p.URL)
	for _, document := range []string{
		``, `null`, `[]`, `{}`, `{` + good + `} x`, `{` + good + `,"issuer":"x"}`, `{` + good + `,"JWKS_URI":"x"}`,
		`{` + good + `,"id_token_signing_alg_values_supported":"RS256"}`, `{` + good + `,"authorization_response_iss_parameter_supported":"true"}`,
	} {
		p.discovery = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, document) }
		if _, err := c.Discover(context.Background(), p.URL); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: error = %v, want ErrUnreachable", document, err)
		}
	}
	if _, err := c.Discover(context.Background(), p.URL+"/"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("issuer with a slash more: error = %v, want ErrUnreachable", err)
	}
}
