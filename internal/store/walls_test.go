package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A saboteur is a tracer that strikes at random amid a batch: it cancels the
// request's context, cancels its statement in the database or panics.
type saboteur struct {
	armed    atomic.Bool
	owner    *pgx.Conn
	mu       sync.Mutex
	canceled atomic.Int64
	panics   atomic.Int64
	ended    atomic.Int64
}

type cancelKey struct{}

var errSabotage = errors.New("sabotage")

func (s *saboteur) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (s *saboteur) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (s *saboteur) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (s *saboteur) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceBatchQuery is called for every statement's answer: amid the transaction.
func (s *saboteur) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchQueryData) {
	cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc)
	if !ok || !s.armed.Load() {
		return
	}
	switch rand.IntN(600) {
	case 0, 1:
		s.canceled.Add(1)
		cancel()
	case 2, 3:
		s.panics.Add(1)
		panic(errSabotage)
	case 4, 5:
		s.ended.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.owner.Exec(context.Background(), `select pg_cancel_backend($1)`, conn.PgConn().PID())
	}
}

// TestAbuse_B03: 10,000 requests of four connections of two tenants share two
// database connections; contexts end, backends are cancelled, functions fail and
// panic amid batches. Nobody ever sees another's rows, no database connection
// keeps a tenant's name, and none is lost.
func TestAbuse_B03(t *testing.T) {
	s := &saboteur{}
	f := newFair(t, func(c *store.Config) { c.PoolSize, c.Tracer = 2, s })
	s.owner = dial(t, f.server) // a role may cancel its own backends
	var stands []*stand
	for _, two := range f.stands {
		for _, p := range two {
			p.jamie = p.create("jamie")
			stands = append(stands, p)
		}
	}
	s.armed.Store(true)
	const requests, workers = 10_000, 8
	var next, served atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for next.Add(1) <= requests && !t.Failed() {
				if f.visit(stands[rand.IntN(len(stands))]) {
					served.Add(1)
				}
			}
		})
	}
	wg.Wait()
	s.armed.Store(false)
	for name, n := range map[string]int64{"contexts cancelled": s.canceled.Load(), "panics": s.panics.Load(), "statements cancelled": s.ended.Load()} {
		if n < 50 {
			t.Errorf("only %d %s", n, name)
		}
	}
	if n := served.Load(); n < requests/2 {
		t.Errorf("only %d of %d requests were served", n, requests)
	}
	f.poolIsClean()
}

// stuck is longer than a request takes, or a connection to be closed, unless the pool has
// lost some.
const stuck = 20 * time.Second

// visit makes one request and reports whether it was served. What it sees must
// be its own.
func (f *fair) visit(p *stand) (served bool) {
	ctx, cancel := context.WithTimeout(context.Background(), stuck)
	defer cancel()
	ctx = context.WithValue(ctx, cancelKey{}, cancel)
	defer func() {
		if r := recover(); r != nil && r != errSabotage {
			panic(r)
		}
		if ctx.Err() == context.DeadlineExceeded {
			f.t.Error("a request found no connection: the pool has lost them")
		}
	}()
	dir, err := p.store.SCIM(ctx, p.slug, p.token, p.request())
	if err != nil {
		return false
	}
	switch rand.IntN(4) {
	case 0:
		page, err := dir.List(ctx, asking(f.t, scim.UserType(), 10, ""))
		for _, u := range page.Items {
			if u.ID != p.jamie.ID {
				f.t.Errorf("%s/%s sees a person of another", p.slug, p.name)
			}
		}
		return err == nil && len(page.Items) == 1
	case 1:
		u, _, err := dir.UpdateUser(ctx, p.jamie.ID.String(), "", set("title", fmt.Sprint(rand.Int64())))
		return err == nil && u.ID == p.jamie.ID
	case 2:
		_, _, err := dir.UpdateUser(ctx, p.jamie.ID.String(), "", func(scim.Resource) (scim.Resource, []scim.Note, error) {
			if rand.IntN(2) == 0 {
				panic(errSabotage)
			}
			return nil, nil, errSabotage
		})
		return errors.Is(err, errSabotage)
	}
	d, err := p.store.Check(ctx, store.CheckRequest{Tenant: p.slug, ClientID: p.client, Secret: p.secret, UserID: p.jamie.ID.String()})
	if err == nil && (!d.Allowed || d.UserID != p.jamie.ID) {
		f.t.Errorf("%s/%s: the check answers %+v", p.slug, p.name, d)
	}
	return err == nil
}

// poolIsClean fails if a connection of the pool stays taken, or remembers a tenant.
// One that sabotage broke counts as taken until it is closed, which the pool does
// beside the requests.
func (f *fair) poolIsClean() {
	f.t.Helper()
	for deadline := time.Now().Add(stuck); f.store.Stats().Acquired != 0; time.Sleep(time.Millisecond) {
		if stats := f.store.Stats(); time.Now().After(deadline) {
			f.t.Fatalf("%d of %d connections are still taken", stats.Acquired, stats.Max)
		}
	}
	for _, named := range must[[]string](f.t)(f.store.Named(f.t.Context())) {
		if named != "" {
			f.t.Errorf("a pooled connection still names %s", named)
		}
	}
}

// TestAbuse_B08: nothing is announced: a NOTIFY would serialise commits, and
// would tell every listener of the database what one tenant did.
func TestAbuse_B08(t *testing.T) {
	owner, server := storetest.Database(t)
	var heard atomic.Int64
	config, err := pgx.ParseConfig(owner)
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { heard.Add(1) }
	listener, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close(context.Background())
	for _, channel := range append(tenantTables(t, listener), append(global, "muster")...) {
		if _, err := listener.Exec(t.Context(), `listen `+channel); err != nil {
			t.Fatal(err)
		}
	}
	newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient").live()
	if _, err := listener.Exec(t.Context(), `select 1`); err != nil {
		t.Fatal(err)
	}
	if n := heard.Load(); n != 0 {
		t.Errorf("%d notifications were heard", n)
	}
	announces := regexp.MustCompile(`(?i)\bpg_notify\b|\bnotify\s+"?[a-z_]|\blisten\s+"?[a-z_]`)
	for path, text := range sourceOfTheStore(t) {
		if found := announces.FindString(text); found != "" {
			t.Errorf("%s: %s", path, found)
		}
	}
}

// sourceOfTheStore reads every Go file of the store that is no test, and the migrations.
func sourceOfTheStore(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*.go", "*/*.go", "../../migrations/*.sql"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "storetest") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[path] = string(text)
		}
	}
	if len(files) < 30 {
		t.Fatalf("only %d files were found", len(files))
	}
	return files
}

// TestAbuse_B10: PostgreSQL's log holds statements where it is told to, and
// never what people are called.
func TestAbuse_B10(t *testing.T) {
	owner, server := storetest.Database(t)
	superuser(t, "postgres", `
		alter role muster_server in database `+databaseOf(owner)+` set log_statement = 'all';
		alter role muster_server in database `+databaseOf(owner)+` set log_min_duration_statement = 0;`)
	p := newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient")
	p.live()
	const canary = "canary-in-the-cage"
	p.create(canary)
	if _, _, err := p.scim().CreateUser(t.Context(), person(canary+"@ringling.example", "other")); err == nil {
		t.Error("a taken name was accepted") // and PostgreSQL has reported an error
	}
	if _, err := p.scim().List(t.Context(), asking(t, scim.UserType(), 1, `userName eq "`+canary+`"`)); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(localpg.Shared(t).Dir(), "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("insert into users")) {
		t.Error("the log holds no statement: this test proves nothing")
	}
	for _, secret := range []string{canary, "jamie@ringling.example", p.token, p.secret} {
		if i := bytes.Index(text, []byte(secret)); i >= 0 {
			t.Errorf("the log holds %.12q: …%s…", secret, text[max(0, i-300):i+30])
		}
	}
}

// TestAbuse_T05: as far as tokens are made today: only the registry makes them,
// behind the command line; there is no HTTP route for it, so neither role nor
// step-up is asked. Every one names who made it, in its row and in the log.
func TestAbuse_T05(t *testing.T) {
	f := newFair(t)
	p := f.stands["ringling"][0]
	_, c, err := f.store.Vendor("pat@vendor.example").CreateToken(t.Context(), p.slug, p.name, registry.NewToken{Name: "by pat"})
	if err != nil || c.CreatedBy != "pat@vendor.example" {
		t.Fatalf("got %+v %v, want it made by pat", c, err)
	}
	actors := column[string](t, storetest.Look(t, f.owner, p.slug),
		`select actor from changes where subject = $1 and kind = 'credential.created'`, c.ID)
	if len(actors) != 1 || actors[0] != "pat@vendor.example" {
		t.Errorf("the log names %v, want pat", actors)
	}
	nameless := column[string](t, storetest.Look(t, f.owner, p.slug), `select kind from changes where actor = ''`)
	if len(nameless) != 0 {
		t.Errorf("changes that name nobody: %v", nameless)
	}
	if _, _, err := f.store.Vendor("").CreateToken(t.Context(), p.slug, p.name, registry.NewToken{Name: "by nobody"}); err == nil {
		t.Error("nobody made a token")
	}
}

// TestAbuse_T07: a dump of the database holds no secret, in no spelling.
func TestAbuse_T07(t *testing.T) {
	f := newFair(t).live()
	dump := f.dump()
	if !bytes.Contains(dump, []byte("jamie@ringling.example")) {
		t.Fatal("the dump holds no rows: this test proves nothing")
	}
	key, err := f.store.SigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	dump = append(dump, f.dump()...) // with the signing key
	secrets := map[string][]byte{"the key-encryption key": storetest.Key(), "the signing key": private}
	for _, stands := range f.stands {
		for _, p := range stands {
			who := p.slug + "/" + p.name
			apiKey, _, err := p.vendor.CreateKey(t.Context(), p.slug, "ci")
			if err != nil {
				t.Fatal(err)
			}
			secrets["the token of "+who] = []byte(p.token)
			secrets["the random part of the token of "+who] = []byte(strings.TrimPrefix(p.token, registry.SCIMPrefix))
			secrets["the secret of the application of "+who] = []byte(p.secret)
			secrets["the client secret of "+who] = []byte("secret of " + p.slug + " " + p.name)
			secrets["the code of "+who] = []byte(p.code)
			secrets["the API key of "+who] = []byte(apiKey)
			secrets["the secret of the client of "+who] = []byte(p.oauthSecret)
			secrets["the random part of it of "+who] = []byte(strings.TrimPrefix(p.oauthSecret, registry.SecretPrefix))
			secrets["the access token of "+who] = []byte(p.oauthToken)
			secrets["the random part of the access token of "+who] = []byte(strings.TrimPrefix(p.oauthToken, registry.AccessPrefix))
		}
	}
	dump = append(dump, f.dump()...) // with the API keys
	for what, secret := range secrets {
		for _, spelling := range spellings(secret) {
			if bytes.Contains(dump, []byte(spelling)) {
				t.Errorf("the dump holds %s", what)
			}
		}
	}
}

// spellings are the ways in which a secret may stand in a dump: as it is, in hex,
// in base64 and, where it is base64 itself, as the bytes it stands for.
func spellings(secret []byte) []string {
	all := []string{string(secret), hex.EncodeToString(secret),
		strings.TrimRight(base64.StdEncoding.EncodeToString(secret), "="), base64.RawURLEncoding.EncodeToString(secret)}
	if raw, err := base64.RawURLEncoding.DecodeString(string(secret)); err == nil && len(raw) >= 16 {
		all = append(all, hex.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw))
	}
	return all
}

// dump is what a backup of the database holds.
func (f *fair) dump() []byte {
	f.t.Helper()
	config, err := pgx.ParseConfig(f.owner)
	if err != nil {
		f.t.Fatal(err)
	}
	programs := superuser(f.t, "postgres", `select setting from pg_config where name = 'BINDIR'`)
	command := exec.Command(filepath.Join(programs, "pg_dump"), "--host", config.Host, "--port", fmt.Sprint(config.Port), "--username", "postgres",
		"--no-password", config.Database)
	var errs bytes.Buffer
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		f.t.Fatalf("pg_dump: %v\n%s", err, errs.String())
	}
	return out
}
