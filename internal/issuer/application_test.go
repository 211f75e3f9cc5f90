package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

const (
	redirectURI = "https://timesheet.example/callback"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	challenge   = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	idpIssuer   = "https://idp.ringling.example"
)

// A deployment is a tenant with one person, two applications, and the server in
// front of them. People get their codes straight from the store: how they sign in
// is login's to test.
type deployment struct {
	*testing.T
	store      *store.Store
	url        string
	connection registry.Connection
	person     store.User
	secrets    map[string]string // by client id; none for a public client
}

func newDeployment(t *testing.T) *deployment {
	d := &deployment{T: t, store: storetest.New(t), secrets: map[string]string{}}
	vendor := d.store.Vendor("test")
	_, err := vendor.CreateTenant(t.Context(), registry.NewTenant{Slug: "ringling"})
	d.must(err)
	_, err = vendor.CreateTenant(t.Context(), registry.NewTenant{Slug: "cirque"})
	d.must(err)
	d.connection, err = vendor.AddConnection(t.Context(), "ringling", registry.Connection{Name: "entra", Kind: "entra", Issuer: idpIssuer, ClientID: "muster"})
	d.must(err)
	for _, application := range []registry.NewApplication{
		{ClientID: "timesheet", Tenants: []string{"ringling"}, Roles: []string{"viewer", "approver"}},
		{ClientID: "payroll", Tenants: []string{"ringling"}, Roles: []string{"clerk"}},
		{ClientID: "kiosk", Tenants: []string{"ringling"}, Public: true, AllowNoRole: true, Audience: "https://kiosk.example/api"},
		{ClientID: "foreign", Tenants: []string{"cirque"}},
	} {
		application.RedirectURIs = []string{redirectURI, "https://timesheet.example/other"}
		d.secrets[application.ClientID], _, err = vendor.AddApplication(t.Context(), application)
		d.must(err)
	}
	_, _, err = d.directory().PublishRules(t.Context(), []byte("version: 1\nrules:\n  - id: everyone\n    everyone: true\n    grant: [timesheet.viewer, payroll.clerk]\n"))
	d.must(err)
	d.person = d.provision("jamie@ringling.example", "oid-jamie")
	d.serve()
	return d
}

func (d *deployment) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// serve puts the server on a socket.
func (d *deployment) serve() {
	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	d.Cleanup(listener.Close)
	d.url = listener.URL
	made, err := server.New(server.Config{
		Store: d.store, PublicURL: d.url,
		Limits: server.Limits{SignIns: server.Unlimited(), Failures: server.Unlimited()}, // all requests are of one address
		Login:  login.Config{Fetch: fetch.NewClient(fetch.Config{AllowLoopback: true})},
	})
	d.must(err)
	handler = made.Handler()
}

func (d *deployment) directory() *store.Directory {
	d.Helper()
	dir, err := d.store.Admin(d.Context(), "ringling", "test", store.Request{ID: uuid.Must(uuid.NewV7()), Method: "POST", Path: "/test"})
	d.must(err)
	return dir
}

func (d *deployment) provision(userName, externalID string) store.User {
	d.Helper()
	dir, err := d.directory().WithConnection("entra")
	d.must(err)
	doc, err := scim.Decode(scim.UserType(), []byte(`{"userName":"`+userName+`","externalId":"`+externalID+`","active":true}`), scim.Lenient)
	d.must(err)
	user, _, err := dir.CreateUser(d.Context(), doc)
	d.must(err)
	return user
}

// deactivate switches the person off, as their directory would.
func (d *deployment) deactivate() {
	d.Helper()
	dir, err := d.directory().WithConnection("entra")
	d.must(err)
	patch, err := scim.ParsePatch(scim.UserType(), []byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
		"Operations":[{"op":"Replace","path":"active","value":"False"}]}`), scim.Lenient)
	d.must(err)
	_, _, err = dir.UpdateUser(d.Context(), d.person.ID.String(), "", func(r scim.Resource) (scim.Resource, []scim.Note, error) {
		return patch.Apply(scim.UserType(), r)
	})
	d.must(err)
}

// code is a fresh one for an application, as at the end of a sign-in.
func (d *deployment) code(clientID string) string {
	d.Helper()
	begun, err := d.store.BeginSignIn(d.Context(), store.SignInRequest{
		Tenant: "ringling", ConnectionID: d.connection.ID.String(), ClientID: clientID, RedirectURI: redirectURI,
		State: "s", Nonce: "n", CodeChallenge: challenge, Scope: "openid",
	})
	d.must(err)
	resumed, err := d.store.ResumeSignIn(d.Context(), "ringling", d.connection.ID.String(), begun.State, begun.Browser)
	d.must(err)
	decision, code, err := d.store.MintCode(d.Context(), resumed, store.Identity{Issuer: idpIssuer, Subject: "sub-jamie", Match: "oid-jamie"})
	d.must(err)
	if !decision.Allowed {
		d.Fatalf("the sign-in was refused: %s", decision.Reason)
	}
	return code
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any // where it was JSON
}

// do sends a request and follows no redirect.
func (d *deployment) do(r *http.Request) answer {
	d.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	d.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	d.must(err)
	a := answer{status: response.StatusCode, header: response.Header, text: string(text)}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		d.must(json.Unmarshal(text, &a.body))
	}
	return a
}

func (d *deployment) get(address string) answer {
	d.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	d.must(err)
	return d.do(r)
}

// redeem brings a code to the token endpoint as the given application, with some
// parameters changed; an empty value takes one away.
func (d *deployment) redeem(clientID, code string, changes ...string) answer {
	d.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}, "client_id": {clientID},
	}
	if secret := d.secrets[clientID]; secret != "" {
		form.Set("client_secret", secret)
	}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return d.post("/token", "application/x-www-form-urlencoded", form.Encode())
}

func (d *deployment) post(path, kind, body string, header ...string) answer {
	d.Helper()
	r, err := http.NewRequest(http.MethodPost, d.url+path, strings.NewReader(body))
	d.must(err)
	r.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return d.do(r)
}

// check asks as an application, by HTTP Basic.
func (d *deployment) check(tenant, clientID, secret, body string) answer {
	d.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte(clientID + ":" + secret))
	return d.post("/t/"+tenant+"/check", "application/json", body, "Authorization", "Basic "+basic)
}

// refused expects an OAuth error.
func (a answer) refused(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.body["error"] != code || a.body["access_token"] != nil {
		t.Errorf("got %d %s, want %d %s", a.status, a.text, status, code)
	}
}

// claims reads the payload of a JWT.
func (d *deployment) claims(jwt any) (header, claims map[string]any) {
	d.Helper()
	text, _ := jwt.(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		d.Fatalf("%q is not a JWT", text)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		part, err := base64.RawURLEncoding.DecodeString(parts[i])
		d.must(err)
		d.must(json.Unmarshal(part, into))
	}
	return header, claims
}
