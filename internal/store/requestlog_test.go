package store_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A keptRequest is a row of the provisioning log as a test looks at it.
type keptRequest struct {
	Connection, Subject, Method, Path, Query, Agent, Body, ScimType, Detail, Notes string
	Status, Found                                                                  int
	Timed                                                                          bool
}

// keptRequests are the rows that a tenant's log has of a request; of all
// requests for uuid.Nil.
func keptRequests(t *testing.T, p *stand, id uuid.UUID) []keptRequest {
	t.Helper()
	conn := storetest.Look(t, p.owner, p.slug)
	rows, err := conn.Query(t.Context(), `
		select connection_id::text, coalesce(subject::text, ''), method, path, coalesce(query, ''), coalesce(agent, ''), coalesce(body, ''),
			coalesce(scim_type, ''), coalesce(detail, ''), coalesce(notes, ''), status, coalesce(found, -1), micros is not null
		from provisioning_requests where $1::uuid = '00000000-0000-0000-0000-000000000000' or id = $1 order by id`, id)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := pgx.CollectRows(rows, pgx.RowToStructByPos[keptRequest])
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// logged opens one tenant with one connection, whose log a test reads.
func logged(t *testing.T, change ...func(*store.Config)) *stand {
	t.Helper()
	owner, server := storetest.Database(t)
	p := newTenant(t, storetest.Open(t, server, change...), "ringling")
	p.owner = owner
	return p.connect("first", "lenient")
}

// came is a request as a door describes it.
func came(method, path string) store.Request {
	return store.Request{ID: uuid.Must(uuid.NewV7()), Method: method, Path: path, Query: "attributes=userName", Agent: "Okta SCIM Client 1.0.0", Began: time.Now()}
}

func (p *stand) flush() {
	p.t.Helper()
	if err := p.store.FlushRequests(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

// A write's row is there with its effect, once, and says how the request came
// and what was understood.
func TestAWriteIsKeptWithItsEffect(t *testing.T) {
	p := logged(t)
	r := came("POST", "/t/ringling/scim/v2/Users")
	dir := p.scimFor(r)
	dir.Record().Body(func() string { return `{"userName":"jamie"}` })
	doc := person("jamie@ringling.example", "jamie")
	doc.Notes = []scim.Note{{Quirk: "Q42", Path: "active", Reason: "a string read as a boolean"}}
	u, _, err := dir.CreateUser(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	want := []keptRequest{{
		Connection: p.id, Subject: u.ID.String(), Method: "POST", Path: r.Path, Query: r.Query, Agent: r.Agent,
		Body: `{"userName":"jamie"}`, Status: 201, Found: -1, Timed: true,
		Notes: `[{"Quirk":"Q42","Path":"active","Reason":"a string read as a boolean"}]`,
	}}
	if diff := cmp.Diff(want, keptRequests(t, p, r.ID)); diff != "" {
		t.Errorf("before it was answered (-want +got):\n%s", diff)
	}
	dir.Answered(201, "", "")
	p.flush()
	if diff := cmp.Diff(want, keptRequests(t, p, r.ID)); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
}

// A read, a refusal and a write that changes nothing have no transaction of
// their own to stand in: they are kept all the same.
func TestWhatChangesNothingIsKept(t *testing.T) {
	p := logged(t)
	jamie := p.create("jamie")
	ctx := t.Context()
	for name, test := range map[string]struct {
		method string
		do     func(dir *store.Directory) error
		status int
		want   keptRequest
	}{
		"a list": {"GET", func(dir *store.Directory) error {
			dir.Record().Found(1)
			_, err := dir.List(ctx, asking(t, scim.UserType(), 1, ""))
			return err
		}, 200, keptRequest{Found: 1}},
		"a name that is taken": {"POST", func(dir *store.Directory) error {
			_, _, err := dir.CreateUser(ctx, person("JAMIE@ringling.example", "other"))
			return err
		}, 409, keptRequest{Found: -1, ScimType: "uniqueness", Detail: "userName is already in use"}},
		"a change to what is so already": {"PATCH", func(dir *store.Directory) error {
			_, changed, err := dir.UpdateUser(ctx, jamie.ID.String(), "", func(r scim.Resource) (scim.Resource, []scim.Note, error) {
				return r, []scim.Note{{Quirk: "Q99", Path: "x", Reason: "unknown attribute ignored"}}, nil
			})
			if changed {
				return errors.New("the person was changed")
			}
			return err
		}, 200, keptRequest{Found: -1, Notes: `[{"Quirk":"Q99","Path":"x","Reason":"unknown attribute ignored"}]`}},
	} {
		r := came(test.method, "/t/ringling/scim/v2/Users/"+jamie.ID.String())
		dir := p.scimFor(r)
		if err := test.do(dir); (err != nil) != (test.status >= 400) {
			t.Fatalf("%s: %v", name, err)
		}
		if rows := keptRequests(t, p, r.ID); len(rows) != 0 {
			t.Errorf("%s: before the flush there is %+v", name, rows)
		}
		dir.Answered(test.status, test.want.ScimType, test.want.Detail)
		p.flush()
		want := test.want
		want.Connection, want.Subject, want.Method, want.Path = p.id, jamie.ID.String(), test.method, r.Path
		want.Query, want.Agent, want.Status, want.Timed = r.Query, r.Agent, test.status, true
		if diff := cmp.Diff([]keptRequest{want}, keptRequests(t, p, r.ID)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What a client puts into a path, a query or a header is kept as far as
// PostgreSQL can hold it, and bounded.
func TestWhatAClientWritesIsBounded(t *testing.T) {
	p := logged(t)
	r := came("GET", "/t/ringling/scim/v2/Users/\x00\xff")
	r.Query, r.Agent = strings.Repeat("é", 5000), strings.Repeat("x", 5000)
	dir := p.scimFor(r)
	dir.Answered(404, "", strings.Repeat("y", 5000))
	p.flush()
	rows := keptRequests(t, p, r.ID)
	if len(rows) != 1 {
		t.Fatalf("got %d rows, want one", len(rows))
	}
	if got, want := rows[0].Path, "/t/ringling/scim/v2/Users/\uFFFD\uFFFD"; got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	for name, text := range map[string]string{"query": rows[0].Query, "agent": rows[0].Agent, "detail": rows[0].Detail} {
		if len(text) > 2048+len("…") || !strings.HasSuffix(text, "…") {
			t.Errorf("%s: %d bytes, want it cut: %.20s", name, len(text), text)
		}
	}
}

// A storm of one tenant finds the log full; what another tenant asks is kept.
// What was dropped is counted.
func TestAStormDropsItsOwnRows(t *testing.T) {
	var dropped atomic.Int64
	p := logged(t, func(c *store.Config) { c.Metrics.Dropped = func(n int) { dropped.Add(int64(n)) } })
	quiet := newTenant(t, p.store, "cirque")
	quiet.owner = p.owner
	other := quiet.connect("first", "lenient")
	const storm = 5000
	for range storm {
		p.scimFor(came("GET", "/t/ringling/scim/v2/Users")).Answered(200, "", "")
	}
	r := came("GET", "/t/cirque/scim/v2/Users")
	other.scimFor(r).Answered(200, "", "")
	p.flush()
	if rows := keptRequests(t, other, r.ID); len(rows) != 1 {
		t.Errorf("the other tenant's log has %d rows, want one", len(rows))
	}
	kept := len(keptRequests(t, p, uuid.Nil))
	if kept == 0 || kept+int(dropped.Load()) != storm || dropped.Load() == 0 {
		t.Errorf("%d kept and %d dropped of %d", kept, dropped.Load(), storm)
	}
}

// A token that comes to another tenant's address is told nothing, but its own
// tenant's log says where it came to. Of a token that is nobody's, nothing is kept.
func TestAStrayIsKeptByItsOwnTenant(t *testing.T) {
	p := logged(t)
	quiet := newTenant(t, p.store, "cirque")
	quiet.owner = p.owner
	nobody := registry.SCIMPrefix + base64.RawURLEncoding.EncodeToString(make([]byte, sha256.Size))
	for name, known := range map[string]bool{"used before": true, "never used": false} {
		if known {
			p.scim()
		}
		r, random := came("GET", "/t/cirque/scim/v2/Users"), came("GET", "/t/cirque/scim/v2/Users")
		for request, token := range map[*store.Request]string{&r: p.token, &random: nobody} {
			if _, err := p.store.SCIM(t.Context(), "cirque", token, *request); !errors.Is(err, store.ErrUnauthenticated) {
				t.Fatalf("%s: got %v, want unauthenticated", name, err)
			}
		}
		p.flush()
		want := []keptRequest{{Connection: p.id, Method: "GET", Path: r.Path, Query: r.Query, Agent: r.Agent, Status: 401, Found: -1}}
		if diff := cmp.Diff(want, keptRequests(t, p, r.ID)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, tenant := range []*stand{p, quiet} {
			if rows := keptRequests(t, tenant, random.ID); len(rows) != 0 {
				t.Errorf("%s: %s has %+v of a token that is nobody's", name, tenant.slug, rows)
			}
		}
		if rows := keptRequests(t, quiet, uuid.Nil); len(rows) != 0 {
			t.Errorf("%s: the tenant whose address it was has %+v", name, rows)
		}
	}
	misplaced := came("GET", "/t/ringling/scim/Groups")
	p.store.Misplaced(p.token, misplaced)
	p.flush()
	if rows := keptRequests(t, p, misplaced.ID); len(rows) != 1 || rows[0].Status != 404 {
		t.Errorf("an address without the version: got %+v, want one 404", rows)
	}
}

// age keeps a request of about 1 kB of each of the given ages.
func (p *stand) age(ages ...time.Duration) {
	p.t.Helper()
	for _, age := range ages {
		r := came("GET", "/t/"+p.slug+"/scim/v2/Users")
		r.Began = time.Now().Add(-age)
		binary.BigEndian.PutUint64(r.ID[:8], uint64(r.Began.UnixMilli())<<16|uint64(binary.BigEndian.Uint16(r.ID[6:8])))
		dir := p.scimFor(r)
		dir.Record().Body(func() string { return strings.Repeat("x", 700) })
		dir.Answered(200, "", "")
	}
	p.flush()
}

// Requests are kept as long as was said, and of each tenant as much as was
// said: the oldest go first.
func TestTheLogExpires(t *testing.T) {
	p := logged(t, func(c *store.Config) { c.KeepRequests, c.RequestBytes = time.Hour, 20_000 })
	quiet := newTenant(t, p.store, "cirque")
	quiet.owner = p.owner
	other := quiet.connect("first", "lenient")
	p.age(2*time.Hour, 61*time.Minute, 59*time.Minute, time.Minute)
	for range 30 {
		other.age(time.Minute)
	}
	other.age(0)
	if err := p.store.ExpireLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := keptRequests(t, p, uuid.Nil); len(rows) != 2 {
		t.Errorf("%d requests are kept of four, want those of the last hour", len(rows))
	}
	rows := keptRequests(t, other, uuid.Nil)
	if len(rows) < 15 || len(rows) > 25 {
		t.Errorf("%d requests of 1 kB are kept, want about 20 kB of them", len(rows))
	}
}

// More than one batch goes, however many there are.
func TestTheLogExpiresInBatches(t *testing.T) {
	p := logged(t)
	conn := storetest.Look(t, p.owner, p.slug)
	_, err := conn.Exec(t.Context(), `
		insert into provisioning_requests (tenant_id, id, connection_id, at, method, path, status)
		select $1, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $2, now() - interval '1 year', 'GET', '/', 200
		from generate_series(1, 4500) n`, p.tenant, p.id)
	if err != nil {
		t.Fatal(err)
	}
	p.age(0)
	if err := p.store.ExpireLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := keptRequests(t, p, uuid.Nil); len(rows) != 1 {
		t.Errorf("%d requests are kept, want the one of today", len(rows))
	}
}

// A storm that is refused unlooked at leaves a few rows, however long it goes on
// between two flushes.
func TestAStormOfRefusalsLeavesAFewRows(t *testing.T) {
	p := logged(t)
	for range 1000 {
		p.scimFor(came("GET", "/t/ringling/scim/v2/Users")).Answered(429, "", "too many")
	}
	p.scimFor(came("GET", "/t/ringling/scim/v2/Users")).Answered(200, "", "")
	p.flush()
	if n := len(keptRequests(t, p, uuid.Nil)); n < 10 || n > 100 {
		t.Errorf("%d rows are kept of 1000 refusals and an answer, want a few", n)
	}
}

// Guesses at a client's secret, which anybody can send who knows its id, leave fewer, and
// take no place of what the tenant's own tokens were refused.
func TestGuessesAtAClientHideNoOtherRefusal(t *testing.T) {
	const own = 40
	p := logged(t)
	client := must[*store.Client](t)(p.store.Client(t.Context(), p.slug, p.oauth.ID.String()))
	for range 1000 {
		client.Refused(came("POST", "/t/ringling/oauth/token"), 401, "invalid_client", client.ProveSecret("guess"))
	}
	for range own {
		p.scimFor(came("GET", "/t/ringling/scim/v2/Users")).Answered(401, "", "revoked")
	}
	p.flush()
	guesses := 0
	rows := keptRequests(t, p, uuid.Nil)
	for _, row := range rows {
		if row.Path == "/t/ringling/oauth/token" {
			guesses++
		}
	}
	if guesses < 1 || guesses > 10 || len(rows)-guesses != own {
		t.Errorf("kept %d of 1000 guesses and %d of %d other refusals, want a few and all", guesses, len(rows)-guesses, own)
	}
}
