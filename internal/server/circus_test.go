package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muster-id/muster/internal/idpsim"
	"github.com/muster-id/muster/internal/login"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A circus is one tenant served by two processes, with its identity provider,
// an application, and one group whose members may enter it.
type circus struct {
	*testing.T
	owner      string // URL of the database
	processes  [2]*process
	turns      atomic.Int64
	idp        *idpsim.IdP
	connection registry.Connection
	token      string // of the SCIM client
	secret     string // of the application
	group      string // its id
	people     []string
	client     *http.Client
	database   *pgxpool.Pool // what only a test looks at
	journeys   sync.Map      // callback address → *http.Client with the browser's cookies
}

const (
	circusRules    = "version: 1\ngroupRoles:\n  - name: Artists\n    grant: [timesheet.viewer]\nrules: []\n"
	circusRedirect = "https://timesheet.example/callback"
	circusVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// openCircus opens one in two processes.
func openCircus(t *testing.T) *circus {
	owner, database := storetest.Database(t)
	c := newCircus(t, owner, database)
	c.people = []string{"maria.lindqvist", "samuel.okafor", "ingrid.halvorsen", "tomas.novak"}
	c.processes[0] = startProcess(t, database, "")
	c.processes[1] = startProcess(t, database, c.processes[0].url)
	c.idp.Register(idpsim.Client{ID: "muster", Secret: "simulated",
		RedirectURIs: []string{login.CallbackURL(c.processes[0].url, "ringling", c.connection.ID.String())}})
	c.openGroup()
	return c
}

// newCircus makes one that no process serves yet.
func newCircus(t *testing.T, owner, database string) *circus {
	c := &circus{T: t, owner: owner}
	c.client = &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
	}
	t.Cleanup(c.client.CloseIdleConnections)
	c.furnish(database)
	c.database = c.look(owner)
	return c
}

func (c *circus) openGroup() {
	c.group = c.post("/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Artists"}`)
}

func (c *circus) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// furnish makes the tenant, its provider and the application, as the command
// line would.
func (c *circus) furnish(database string) {
	c.Helper()
	ctx := c.Context()
	st := storetest.Open(c, database)
	v := st.Vendor("test")
	_, err := v.CreateTenant(ctx, registry.NewTenant{Slug: "ringling"})
	c.must(err)

	var handler http.Handler
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	c.Cleanup(listener.Close)
	people, err := idpsim.Load("ringling")
	c.must(err)
	c.idp, err = idpsim.New(people, idpsim.Options{Persona: idpsim.Entra, Mapping: idpsim.MappingObjectID, URL: listener.URL})
	c.must(err)
	handler = c.idp.Handler()
	c.connection, err = v.AddConnection(ctx, "ringling", registry.Connection{
		Name: "entra", Kind: "entra", Issuer: c.idp.Issuer(), ClientID: "muster", Secret: "simulated",
	})
	c.must(err)
	c.token, _, err = v.CreateToken(ctx, "ringling", "entra", registry.NewToken{Name: "test"})
	c.must(err)
	c.secret, _, err = v.AddApplication(ctx, registry.NewApplication{
		ClientID: "timesheet", RedirectURIs: []string{circusRedirect}, Tenants: []string{"ringling"}, Roles: []string{"viewer"},
	})
	c.must(err)
	dir, err := st.Admin(ctx, "ringling", "test", store.Request{ID: uuid.New()})
	c.must(err)
	_, _, err = dir.PublishRules(ctx, []byte(circusRules))
	c.must(err)
}

// look opens the database for the test itself, which names the tenant.
func (c *circus) look(owner string) *pgxpool.Pool {
	c.Helper()
	config, err := pgxpool.ParseConfig(owner)
	c.must(err)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `select set_config('muster.connection', 'all', false),
			set_config('muster.tenant', (select id::text from tenants where slug = 'ringling'), false)`)
		return err
	}
	pool, err := pgxpool.NewWithConfig(c.Context(), config)
	c.must(err)
	c.Cleanup(pool.Close)
	return pool
}

func (c *circus) liveSessions(user string) (n int) {
	c.Helper()
	c.must(c.database.QueryRow(c.Context(), `select count(*) from sessions where user_id = $1 and ended_at is null`, user).Scan(&n))
	return n
}

// objectID is the person's at the identity provider.
func (c *circus) objectID(nickname string) string {
	for _, p := range c.idp.Directory().People {
		if p.Nickname == nickname {
			return p.ID
		}
	}
	c.Fatalf("nobody is called %q", nickname)
	return ""
}

// exchange sends a request and reads the whole answer.
func exchange(client *http.Client, request *http.Request) (answer, error) {
	response, err := client.Do(request)
	if err != nil {
		return answer{header: http.Header{}}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

func (c *circus) do(client *http.Client, request *http.Request) answer {
	a, err := exchange(client, request)
	if err != nil {
		c.Errorf("%s %s: %v", request.Method, request.URL.Path, err)
	}
	return a
}

// scim sends a request of the provisioning client, to the processes in turn.
func (c *circus) scim(method, path, body string, want int) answer {
	a := c.send(method, path, body)
	if a.status != want {
		c.Errorf("%s %s: got %d, want %d: %s", method, path, a.status, want, a.body)
	}
	return a
}

func (c *circus) send(method, path, body string) answer {
	base := c.processes[c.turns.Add(1)%2].url
	request, err := http.NewRequest(method, base+"/t/ringling/scim/v2"+path, strings.NewReader(body))
	c.must(err)
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Content-Type", "application/scim+json")
	return c.do(c.client, request)
}

func (c *circus) post(path, body string) (id string) {
	a := c.scim("POST", path, body, http.StatusCreated)
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &created); err != nil {
		c.Errorf("POST %s: %v: %s", path, err, a.body)
	}
	return created.ID
}

// check asks a process whether a person may enter.
func (c *circus) check(base, user string) question {
	request, err := http.NewRequest("POST", base+"/t/ringling/check", strings.NewReader(`{"user":"`+user+`"}`))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth("timesheet", c.secret)
	q := question{kind: "check", start: time.Now()}
	a := c.do(c.client, request)
	q.end, q.answer = time.Now(), a.body
	var decision struct{ Allowed *bool }
	if err := json.Unmarshal([]byte(a.body), &decision); a.status != http.StatusOK || err != nil || decision.Allowed == nil {
		c.Errorf("check: got %d: %s", a.status, a.body)
		return q
	}
	q.allowed = *decision.Allowed
	return q
}

// comeBack takes a person to the identity provider and up to where it sends
// them back to.
func (c *circus) comeBack(person string) (callback string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	browser := *c.client
	browser.Jar = jar
	challenge := sha256.Sum256([]byte(circusVerifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {"timesheet"}, "redirect_uri": {circusRedirect}, "state": {"s"}, "nonce": {"n"},
		"scope": {"openid"}, "tenant": {"ringling"}, "login_hint": {person + "@ringling.example"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	away := c.get(&browser, c.processes[0].url+"/authorize?"+query.Encode())
	back := c.get(&browser, away.header.Get("Location"))
	callback = back.header.Get("Location")
	if !strings.Contains(callback, "/t/ringling/callback/") {
		c.Errorf("the identity provider sends %s to %q: %d %s", person, callback, back.status, back.body)
	}
	c.journeys.Store(callback, &browser)
	return callback
}

func (c *circus) get(client *http.Client, address string) answer {
	request, err := http.NewRequest("GET", address, nil)
	if err != nil {
		c.Errorf("GET %q: %v", address, err)
		return answer{header: http.Header{}}
	}
	return c.do(client, request)
}

// callback follows the identity provider's redirect at a process of choice.
func (c *circus) callback(base, address string) question {
	browser, ok := c.journeys.LoadAndDelete(address)
	if !ok {
		c.Errorf("nobody is on the way to %q", address)
		return question{}
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	q := question{kind: "callback", start: time.Now()}
	a := c.get(browser.(*http.Client), base+"/"+path)
	q.end = time.Now()
	target, _ := url.Parse(a.header.Get("Location"))
	q.allowed = a.status == http.StatusSeeOther && target.Query().Get("code") != ""
	if q.answer = target.Query().Get("code"); !q.allowed {
		q.answer = a.body
	}
	if !q.allowed && a.status != http.StatusForbidden {
		c.Errorf("callback: got %d: %s", a.status, a.body)
	}
	return q
}

// signIn takes a person, who may enter, all the way to a code.
func (c *circus) signIn(person string) (code string) {
	q := c.callback(c.processes[0].url, c.comeBack(person))
	if !q.allowed {
		c.Errorf("%s is not let in: %s", person, q.answer)
	}
	return q.answer
}

// redeem exchanges a code for a token at a process of choice.
func (c *circus) redeem(base, code string) question {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {circusRedirect}, "code_verifier": {circusVerifier},
		"client_id": {"timesheet"}, "client_secret": {c.secret},
	}
	request, err := http.NewRequest("POST", base+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q := question{kind: "token", start: time.Now()}
	a := c.do(c.client, request)
	q.end, q.answer, q.allowed = time.Now(), a.body, a.status == http.StatusOK
	if !q.allowed && a.status != http.StatusBadRequest {
		c.Errorf("token: got %d: %s", a.status, a.body)
	}
	return q
}
