package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A fair is a database in which two tenants with two connections each live:
// what walls are tried on.
type fair struct {
	t             *testing.T
	owner, server string
	store         *store.Store
	stands        map[string][2]*stand // by the tenant's slug
	tables        []string             // of tenants
	narrowed      map[string]bool      // those that have a connection_id
}

// A stand is one connection of one tenant: its token, and the application that
// the tenant's people sign in to.
type stand struct {
	t            *testing.T
	store        *store.Store
	vendor       *registry.Vendor
	slug, tenant string
	owner        string // URL of the database
	name, id     string // of the connection
	token        string
	client       string
	secret       string
	jamie, robin store.User // robin is deleted again
	finance      store.Group
	crew         store.Group // which no rule reads
	badge        store.Resource
	code         string // of a sign-in, used
	profile      string
	oauth        registry.Client // of the connection: with a secret, and assertions by its IdP
	oauthSecret  string
	oauthToken   string // fetched with the secret
}

// newFair opens two tenants with two connections each.
func newFair(t *testing.T, change ...func(*store.Config)) *fair {
	t.Helper()
	f := &fair{t: t, stands: map[string][2]*stand{}, narrowed: map[string]bool{}}
	f.owner, f.server = storetest.Database(t)
	f.store = storetest.Open(t, f.server, change...)
	for _, slug := range []string{"ringling", "cirque"} {
		first := newTenant(t, f.store, slug)
		first.owner = f.owner
		f.stands[slug] = [2]*stand{first.connect("first", "lenient"), first.connect("second", "strict")}
	}
	conn := dial(t, f.owner)
	f.tables = tenantTables(t, conn)
	for _, table := range column[string](t, conn, `select attrelid::regclass::text from pg_attribute where attname = 'connection_id'`) {
		f.narrowed[table] = true
	}
	return f
}

// newTenant makes a tenant and its application, without a connection.
func newTenant(t *testing.T, s *store.Store, slug string) *stand {
	t.Helper()
	p := &stand{t: t, store: s, vendor: s.Vendor("test"), slug: slug, client: "sheet-" + slug}
	p.tenant = must[registry.Tenant](t)(p.vendor.CreateTenant(t.Context(), registry.NewTenant{Slug: slug})).ID.String()
	var err error
	p.secret, _, err = p.vendor.AddApplication(t.Context(), registry.NewApplication{
		ClientID: p.client, RedirectURIs: []string{"https://timesheet.example/cb"}, Tenants: []string{slug}, Roles: []string{"viewer", "approver"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// connect adds a connection to the tenant and publishes rules that count its groups.
func (p stand) connect(name, profile string) *stand {
	p.t.Helper()
	ctx := p.t.Context()
	c := must[registry.Connection](p.t)(p.vendor.AddConnection(ctx, p.slug, registry.Connection{
		Name: name, Kind: "okta", Profile: profile, Issuer: "http://127.0.0.1:1", ClientID: "muster", Secret: "secret of " + p.slug + " " + name,
	}))
	p.name, p.profile, p.id = name, profile, c.ID.String()
	var err error
	if p.token, _, err = p.vendor.CreateToken(ctx, p.slug, name, registry.NewToken{Name: "test"}); err != nil {
		p.t.Fatal(err)
	}
	p.oauthSecret, p.oauth, err = p.vendor.AddClient(ctx, p.slug, registry.Client{Connection: name, Name: "provisioning", Trust: registry.Trust{
		Issuer: "http://127.0.0.1:1", Subject: "sync", Audiences: []string{"api://muster"},
	}}, time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, issues, err := p.admin().PublishRules(ctx, p.rules()); err != nil {
		p.t.Fatal(err, issues)
	}
	return &p
}

func (p *stand) rules() []byte {
	return []byte("version: 1\nconnections: [" + p.name + "]\ngroupRoles:\n  - name: Finance\n    grant: [" + p.client + ".approver]\n" +
		"rules:\n  - id: everyone\n    everyone: true\n    grant: [" + p.client + ".viewer]\n")
}

func (p *stand) request() store.Request {
	return store.Request{ID: uuid.New(), Method: "POST", Path: "/Users"}
}

// scim is one request of the connection's SCIM client.
func (p *stand) scim() *store.Directory {
	p.t.Helper()
	return p.scimFor(p.request())
}

func (p *stand) scimFor(r store.Request) *store.Directory {
	p.t.Helper()
	return must[*store.Directory](p.t)(p.store.SCIM(p.t.Context(), p.slug, p.token, r))
}

// admin sees all connections of the tenant.
func (p *stand) admin() *store.Directory {
	p.t.Helper()
	return must[*store.Directory](p.t)(p.store.Admin(p.t.Context(), p.slug, "test", p.request()))
}

// narrow is an admin who looks at this connection only.
func (p *stand) narrow() *store.Directory {
	p.t.Helper()
	return must[*store.Directory](p.t)(p.admin().WithConnection(p.name))
}

func (p *stand) create(name string) store.User {
	p.t.Helper()
	u, _, err := p.scim().CreateUser(p.t.Context(), person(name+"@ringling.example", name))
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

// live does what happens at a connection: people and a group are pushed, one
// of them signs in, one leaves.
func (p *stand) live() {
	p.t.Helper()
	ctx := p.t.Context()
	p.declare()
	p.jamie, p.robin = p.create("jamie"), p.create("robin")
	var err error
	if p.finance, _, err = p.scim().CreateGroup(ctx, group("Finance", p.jamie, p.robin)); err != nil {
		p.t.Fatal(err)
	}
	if err := p.scim().DeleteUser(ctx, p.robin.ID.String(), ""); err != nil {
		p.t.Fatal(err)
	}
	p.badge = must[store.Resource](p.t)(p.scim().CreateResource(ctx, p.testType(), badge("jamie's")))
	p.oauthToken = p.fetch()
	asserted := must[*store.Client](p.t)(p.store.Client(ctx, p.slug, p.oauth.ID.String()))
	asserted.ProveAssertion("assertion of "+p.slug+" "+p.name, time.Now().Add(time.Hour))
	if _, err := asserted.Token(ctx); err != nil {
		p.t.Fatal(err)
	}
	p.code = p.signIn("jamie")
	if d, _, err := p.store.MintToken(ctx, p.redemption(p.code)); err != nil || !d.Allowed {
		p.t.Fatal(d, err)
	}
}

// declare gives the tenant the resource types of the checklist, if it has not got
// them.
func (p *stand) declare() {
	p.t.Helper()
	for _, document := range conformance.TestSchemas() {
		must[store.Declared](p.t)(p.admin().DeclareSchema(p.t.Context(), document, ""))
	}
	for _, document := range conformance.TestTypes() {
		must[store.Declared](p.t)(p.admin().RegisterResourceType(p.t.Context(), document))
	}
}

// testType is the first resource type that the tenant has registered.
func (p *stand) testType() *scim.ResourceType {
	p.t.Helper()
	types := p.scim().ResourceTypes()
	if len(types) < 3 {
		p.t.Fatal("the tenant has registered no resource type")
	}
	return types[2]
}

// badge is a document of a test resource.
func badge(identifier string) scim.Document {
	return scim.Document{Resource: scim.Resource{"identifier": identifier, "externalId": identifier}}
}

// fetch gets an access token with the client's secret.
func (p *stand) fetch() string {
	p.t.Helper()
	c := must[*store.Client](p.t)(p.store.Client(p.t.Context(), p.slug, p.oauth.ID.String()))
	if err := c.ProveSecret(p.oauthSecret); err != nil {
		p.t.Fatal(err)
	}
	return must[store.ClientToken](p.t)(c.Token(p.t.Context())).Token
}

func (p *stand) journey() store.SignIn {
	p.t.Helper()
	ctx := p.t.Context()
	challenge := sha256.Sum256([]byte(verifier))
	away := must[store.SignIn](p.t)(p.store.BeginSignIn(ctx, store.SignInRequest{
		Tenant: p.slug, ConnectionID: p.id, ClientID: p.client, RedirectURI: "https://timesheet.example/cb", State: "s", Nonce: "n",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]), Scope: "openid",
	}))
	return must[store.SignIn](p.t)(p.store.ResumeSignIn(ctx, p.slug, p.id, away.State, away.Browser))
}

// signIn lets a person in and answers the code.
func (p *stand) signIn(externalID string) string {
	p.t.Helper()
	who := store.Identity{Issuer: "http://127.0.0.1:1", Subject: externalID, Match: externalID}
	d, code, err := p.store.MintCode(p.t.Context(), p.journey(), who)
	if err != nil || !d.Allowed {
		p.t.Fatalf("sign-in of %s: %+v %v", externalID, d, err)
	}
	return code
}

func (p *stand) redemption(code string) store.CodeRedemption {
	return store.CodeRedemption{ClientID: p.client, Secret: p.secret, Code: code, RedirectURI: "https://timesheet.example/cb", Verifier: verifier}
}

func (p *stand) check(id string) (store.Decision, error) {
	return p.store.Check(p.t.Context(), store.CheckRequest{Tenant: p.slug, ClientID: p.client, Secret: p.secret, UserID: id})
}

// live lets every stand live, and the background work come to every table.
func (f *fair) live() *fair {
	f.t.Helper()
	for _, stands := range f.stands {
		stands[0].live()
		stands[1].live()
	}
	ctx, stop := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- f.store.Run(ctx) }()
	for slug := range f.stands {
		conn := storetest.Look(f.t, f.owner, slug)
		for !column[bool](f.t, conn, `
			select (select count(*) from totals) = 6 and (select count(*) from change_numbers) = (select count(*) from changes)`)[0] {
			if len(done) > 0 {
				f.t.Fatal(<-done)
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		f.t.Fatal(err)
	}
	return f
}

func renamed(name string) store.GroupChange {
	return store.GroupChange{Attributes: set("displayName", name)}
}

// asking is a query for so many resources of a type; those that fit text, if
// there is one.
func asking(t *testing.T, rt *scim.ResourceType, count int, text string) store.Query {
	t.Helper()
	q := store.Query{Types: []*scim.ResourceType{rt}, Count: count}
	if text != "" {
		parsed := must[*scim.Filter](t)(scim.ParseFilter(text))
		q.Filters = must[[]*scim.Filter](t)(parsed.BindAll(q.Types, scim.Lenient))
	}
	return q
}

// foreign are the stands that p must not reach: the tenant's other connection
// and another tenant's.
func (f *fair) foreign(p *stand) []*stand {
	var others []*stand
	for _, stands := range f.stands {
		for _, other := range stands {
			if other != p {
				others = append(others, other)
			}
		}
	}
	slices.SortFunc(others, func(a, b *stand) int { return slices.Compare([]byte(a.id), []byte(b.id)) })
	return others
}
