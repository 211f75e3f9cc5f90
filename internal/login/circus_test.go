package login_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/idpsim"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/store/registry"
)

const everyone = "version: 1\nrules:\n  - id: everyone\n    everyone: true\n    grant: [timesheet.viewer]\n"

// circus connects a tenant to a simulated provider and pushes its directory.
func (h *house) circus(tenant, directory string, options idpsim.Options) *idpsim.IdP {
	h.Helper()
	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	h.Cleanup(listener.Close)
	people, err := idpsim.Load(directory)
	h.must(err)

	// The provider is made twice: a connection must be there before it can push.
	options.URL = listener.URL
	unconnected, err := idpsim.New(people, options)
	h.must(err)
	connection, err := h.vendor().AddConnection(h.Context(), tenant, registry.Connection{
		Name: "simulated", Kind: options.Persona, Issuer: unconnected.Issuer(), ClientID: "muster", Secret: "simulated-secret",
	})
	h.must(err)
	options.SCIMURL = h.url + "/t/" + tenant + "/scim/v2"
	options.Token, _, err = h.vendor().CreateToken(h.Context(), tenant, "simulated", registry.NewToken{Name: "push"})
	h.must(err)
	options.Clients = []idpsim.Client{{ID: "muster", Secret: "simulated-secret", RedirectURIs: []string{login.CallbackURL(h.url, tenant, connection.ID.String())}}}
	idp, err := idpsim.New(people, options)
	h.must(err)
	h.Cleanup(idp.Close)
	handler = idp.Handler()
	h.must(idp.Push(h.Context(), func(idpsim.Event) {}))
	return idp
}

// Jamie Morgan works for both circuses and is two people here. What one circus does
// to its Jamie leaves the other's alone.
func TestJamieOfTwoCircusesIsTwoPeople(t *testing.T) {
	h := newHouse(t)
	h.publish("cirque", everyone)
	ringling := h.circus("ringling", "ringling", idpsim.Options{Persona: idpsim.Entra, Mapping: idpsim.MappingObjectID})
	h.circus("cirque", "cirque", idpsim.Options{Persona: idpsim.Okta})
	signIn := func(tenant string) answer {
		return newBrowser(t).signIn(h.authorize("tenant", tenant, "connection", "simulated", "login_hint", "jamie.morgan@"+tenant+".example"))
	}
	first, second := h.subject(signIn("ringling").admitted(t)), h.subject(signIn("cirque").admitted(t))
	if first == second || first == "" || second == "" {
		t.Errorf("the two are %q and %q, want two", first, second)
	}
	if again := h.subject(signIn("ringling").admitted(t)); again != first {
		t.Errorf("the second time Ringling's is %q, want %q", again, first)
	}

	h.must(ringling.Deactivate(t.Context(), "jamie.morgan"))
	signIn("ringling").refused(t, http.StatusForbidden, "inactive")
	signIn("cirque").admitted(t)
}

// Microsoft's default maps mailNickname to externalId. Then nobody can be matched to
// the objectId of their sign-in, and page and log say which mapping to change.
func TestEntrasDefaultMappingIsRefusedByName(t *testing.T) {
	h := newHouse(t)
	h.circus("ringling", "ringling", idpsim.Options{Persona: idpsim.Entra, Mapping: idpsim.MappingMailNickname})
	a := newBrowser(t).signIn(h.authorize("connection", "simulated", "login_hint", "jamie.morgan@ringling.example"))
	a.refused(t, http.StatusForbidden, "join_mismatch")
	lines := h.log.lines("sign-in refused")
	if len(lines) != 1 {
		t.Fatalf("the log has %d lines, want 1: %q", len(lines), lines)
	}
	for _, word := range []string{"externalId", "mailNickname", "objectId"} {
		if !strings.Contains(a.body, word) || !strings.Contains(lines[0], word) {
			t.Errorf("page and log do not both say %s:\n%s\n%s", word, a.body, lines[0])
		}
	}
}

// redeem exchanges a code for tokens.
func (h *house) redeem(code string) answer {
	h.Helper()
	response, err := http.PostForm(h.url+"/token", map[string][]string{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier},
		"client_id": {clientID}, "client_secret": {h.secret},
	})
	h.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	h.must(err)
	return answer{response.StatusCode, response.Header, string(body)}
}

// tokens redeems a code and returns the access token, then the ID Token.
func (h *house) tokens(code string) []string {
	h.Helper()
	var tokens struct {
		AccessToken string `json:"access_token"`
		IDToken     string `json:"id_token"`
	}
	h.must(json.Unmarshal([]byte(h.redeem(code).body), &tokens))
	return []string{tokens.AccessToken, tokens.IDToken}
}

// subject redeems a code and returns whose it was.
func (h *house) subject(code string) string {
	h.Helper()
	_, claims := h.parts(h.tokens(code)[0])
	subject, _ := claims["sub"].(string)
	return subject
}
