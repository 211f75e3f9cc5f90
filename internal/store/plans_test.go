package store_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A statement is what the store sent.
type statement struct {
	sql  string
	args []any
}

// A recorder is a tracer that keeps the statements and counts the round trips:
// a batch is one, and so is what is sent alone.
type recorder struct {
	mu         sync.Mutex
	statements []statement
	trips      int
}

func (r *recorder) add(trip bool, all ...statement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, all...)
	if trip {
		r.trips++
	}
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	r.add(q.SQL != "-- ping", statement{q.SQL, q.Args}) // the pool looks at a connection that has rested
	return ctx
}
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, b pgx.TraceBatchStartData) context.Context {
	var all []statement
	for _, q := range b.Batch.QueuedQueries {
		all = append(all, statement{q.SQL, q.Arguments})
	}
	r.add(true, all...)
	return ctx
}
func (r *recorder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (r *recorder) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	r.add(true)
	return ctx
}
func (r *recorder) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

// record answers what do sends.
func (r *recorder) record(do func()) (statements []statement, trips int) {
	r.mu.Lock()
	r.statements, r.trips = nil, 0
	r.mu.Unlock()
	do()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statements, r.trips
}

// A request is one thing that the store is asked for over and over.
type request struct {
	name  string
	trips int
	do    func(n int) error // n differs each time
}

// requests are those whose plans and round trips are promised (design §3, §5).
func requests(t *testing.T, p *stand) []request {
	ctx := t.Context()
	users := func(text string) func(int) error {
		return func(int) error {
			page, err := p.scim().List(ctx, asking(t, scim.UserType(), 100, text))
			if err == nil && len(page.Items) != 1 {
				err = fmt.Errorf("%d people", len(page.Items))
			}
			return err
		}
	}
	jamie, finance := p.jamie.ID.String(), p.finance.ID.String()
	patch := func(id string, edit func(scim.Resource) (scim.Resource, []scim.Note, error)) error {
		_, changed, err := p.scim().UpdateUser(ctx, id, "", edit)
		if err == nil && !changed {
			err = fmt.Errorf("nothing changed")
		}
		return err
	}
	change := func(text string) func(int) error {
		return func(n int) error { return patch(jamie, set(text, fmt.Sprint(n))) }
	}
	move := func(kind scim.MemberOpKind, group string) error {
		_, _, err := p.scim().UpdateGroup(ctx, group, "", store.GroupChange{Members: members(kind, p.robin)})
		return err
	}
	member := func(kind scim.MemberOpKind) func(int) error {
		return func(int) error { return move(kind, finance) }
	}
	badges := func(text string) func(int) error {
		return func(int) error {
			page, err := p.scim().List(ctx, asking(t, p.testType(), 100, text))
			if err == nil && len(page.Items) != 1 {
				err = fmt.Errorf("%d resources", len(page.Items))
			}
			return err
		}
	}
	badgeKey := func() store.ResourceKey { return store.ResourceKey{Type: p.testType(), ID: p.badge.ID.String()} }
	signIns := make(chan store.SignIn, 1)
	codes := make(chan string, 100)
	return []request{
		{"look-up by userName", 1, users(`userName eq "JAMIE@ringling.example"`)},
		{"look-up by externalId", 1, users(`externalId eq "jamie"`)},
		{"look-up by e-mail", 1, users(`emails[type eq "work"].value eq "jamie@ringling.example"`)},
		{"look-up by id", 1, func(int) error { _, err := p.scim().User(ctx, jamie, true); return err }},
		{"filter by id", 1, users(`id eq "` + jamie + `"`)},
		{"page of people", 1, func(int) error {
			q := asking(t, scim.UserType(), 100, "")
			q.StartIndex = 201
			_, err := p.scim().List(ctx, q)
			return err
		}},
		{"group by displayName", 1, func(int) error {
			_, err := p.scim().List(ctx, asking(t, scim.GroupType(), 10, `displayName eq "finance"`))
			return err
		}},
		{"group with its members", 1, func(int) error { _, err := p.scim().Group(ctx, finance, true); return err }},
		{"group by id", 1, func(int) error { _, err := p.scim().Group(ctx, finance, false); return err }},
		{"create", 1, func(n int) error {
			name := fmt.Sprintf("new-%d", n)
			_, _, err := p.scim().CreateUser(ctx, person(name+"@ringling.example", name))
			return err
		}},
		{"patch", 2, change("title")},
		{"put", 2, change("nickName")},
		{"resource by a unique value", 1, badges(`identifier eq "JAMIE'S"`)},
		{"resource by externalId", 1, badges(`externalId eq "jamie's"`)},
		{"resource by id", 1, func(int) error { _, err := p.scim().Resource(ctx, badgeKey()); return err }},
		{"page of resources", 1, func(int) error {
			q := asking(t, p.testType(), 100, "")
			q.StartIndex = 201
			_, err := p.scim().List(ctx, q)
			return err
		}},
		{"create a resource", 1, func(n int) error {
			_, err := p.scim().CreateResource(ctx, p.testType(), badge(fmt.Sprintf("new-%d", n)))
			return err
		}},
		{"patch a resource", 2, func(n int) error {
			_, changed, err := p.scim().UpdateResource(ctx, badgeKey(), "", set("uniqueString", fmt.Sprint(n)))
			if err == nil && !changed {
				err = fmt.Errorf("nothing changed")
			}
			return err
		}},
		{"delete a resource", 3, func(n int) error {
			page, err := p.scim().List(ctx, asking(t, p.testType(), 100, fmt.Sprintf(`identifier eq "new-%d"`, n))) // a trip of its own
			if err == nil {
				err = p.scim().DeleteResource(ctx, store.ResourceKey{Type: p.testType(), ID: page.Items[0].ID.String()}, "")
			}
			return err
		}},
		{"member remove", 2, member(scim.RemoveMembers)},
		{"member add", 2, member(scim.AddMembers)},
		{"member add and remove, of a group that no rule reads", 4, func(int) error { // the first learns it
			err := move(scim.AddMembers, p.crew.ID.String())
			if err == nil {
				err = move(scim.RemoveMembers, p.crew.ID.String())
			}
			return err
		}},
		{"check by id", 1, func(int) error { _, err := p.check(jamie); return err }},
		{"check by identity", 1, func(int) error {
			d, err := p.store.Check(ctx, store.CheckRequest{Tenant: p.slug, ClientID: p.client, Secret: p.secret,
				Connection: p.name, Issuer: "http://127.0.0.1:1", Subject: "jamie"})
			if err == nil && !d.Allowed {
				err = fmt.Errorf("%+v", d)
			}
			return err
		}},
		{"journey", 4, func(int) error { signIns <- p.journey(); return nil }}, // begun and resumed: two trips each
		{"mint a code", 2, func(int) error {
			d, code, err := p.store.MintCode(ctx, <-signIns, store.Identity{Issuer: "http://127.0.0.1:1", Subject: "jamie", Match: "jamie"})
			codes <- code
			if err == nil && !d.Allowed {
				err = fmt.Errorf("%+v", d)
			}
			return err
		}},
		{"mint a token", 2, func(int) error {
			d, _, err := p.store.MintToken(ctx, p.redemption(<-codes))
			if err == nil && !d.Allowed {
				err = fmt.Errorf("%+v", d)
			}
			return err
		}},
		{"deactivate, and let back in", 4, func(int) error {
			return errors.Join(patch(jamie, set("active", false)), patch(jamie, set("active", true)))
		}},
		{"another e-mail address", 2, func(n int) error {
			return patch(p.robin.ID.String(), set("emails", []any{map[string]any{"value": fmt.Sprintf("robin.%d@ringling.example", n)}}))
		}},
		{"create and delete a person", 3, func(n int) error {
			name := fmt.Sprintf("gone-%d", n)
			u, _, err := p.scim().CreateUser(ctx, person(name+"@ringling.example", name))
			if err == nil {
				err = p.scim().DeleteUser(ctx, u.ID.String(), "")
			}
			return err
		}},
	}
}

// crowded gives a stand jamie and robin amid some ten thousand others, in four
// connections of two tenants, as the database's owner: what the superuser puts
// in is of the shape of what the product writes.
func crowded(t *testing.T) (*fair, *stand, *recorder) {
	t.Helper()
	f, p, r := deserted(t)
	for _, stands := range f.stands {
		for _, p := range stands {
			superuser(t, databaseOf(f.owner), fmt.Sprintf(crowd, p.tenant, p.id))
		}
	}
	superuser(t, databaseOf(f.owner), "analyze")
	return f, p, r
}

// deserted gives a stand jamie and robin, and next to nobody else.
func deserted(t *testing.T) (*fair, *stand, *recorder) {
	t.Helper()
	r := &recorder{}
	f := newFair(t, func(c *store.Config) { c.Tracer, c.PoolSize = r, 1 })
	p := f.stands["ringling"][0]
	p.declare()
	p.badge = must[store.Resource](t)(p.scim().CreateResource(t.Context(), p.testType(), badge("jamie's")))
	p.jamie, p.robin = p.create("jamie"), p.create("robin")
	var err error
	if p.finance, _, err = p.scim().CreateGroup(t.Context(), group("Finance", p.jamie, p.robin)); err != nil {
		t.Fatal(err)
	}
	if p.crew, _, err = p.scim().CreateGroup(t.Context(), group("Crew")); err != nil {
		t.Fatal(err)
	}
	return f, p, r
}

// crowd is 3,000 resources of a registered type and 3,000 people of one connection with an address, an identity, a session,
// a code, a journey, a role and their changes, and 2,000 groups with a person or two and, in half of them, a group.
const crowd = `
	insert into resources (tenant_id, connection_id, id, resource_type, external_id, resource, search)
	select '%[1]s', '%[2]s', gen_random_uuid(), 'TestResource', 'external' || n, '{}', '{}' from generate_series(1, 3000) n;
	insert into unique_values (tenant_id, connection_id, resource_type, attribute, digest, resource_id)
	select tenant_id, connection_id, resource_type, 'identifier', sha256(id::text::bytea), id from resources where connection_id = '%[2]s' and external_id like 'external%%';
	insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, derived, resource, search)
	select '%[1]s', '%[2]s', gen_random_uuid(), 'person' || n, 'external' || n, true, 1, '{}', '{}' from generate_series(1, 3000) n;
	insert into user_values select tenant_id, connection_id, 'emails.value', user_name_key || '@example.com', id
	from users where connection_id = '%[2]s';
	insert into identities (tenant_id, connection_id, issuer, subject, user_id)
	select tenant_id, connection_id, 'http://127.0.0.1:1', external_id, id from users where connection_id = '%[2]s';
	insert into changes (tenant_id, connection_id, subject, kind, actor, request_id, digest)
	select tenant_id, connection_id, id, 'user.created', 'crowd', gen_random_uuid(), '' from users where connection_id = '%[2]s';
	insert into assignments (tenant_id, connection_id, user_id, role, rule, rule_set, facts, from_change)
	select tenant_id, connection_id, id, 'sheet.viewer', 'everyone', 1, '[]', 1 from users where connection_id = '%[2]s';
	insert into sessions (tenant_id, id, connection_id, user_id, tenant_epoch, connection_epoch, user_epoch, expires_at)
	select tenant_id, gen_random_uuid(), connection_id, id, 1, 1, 1, now() from users where connection_id = '%[2]s';
	insert into codes (tenant_id, hash, connection_id, session_id, user_id, application_id, application_epoch, redirect_uri, challenge, nonce, scope, expires_at)
	select tenant_id, sha256(id::text::bytea), connection_id, id, user_id, id, 1, '', '', '', '', now() from sessions where connection_id = '%[2]s';
	insert into sign_ins (tenant_id, state_hash, connection_id, connection_epoch, request, expires_at)
	select tenant_id, sha256(id::text::bytea), connection_id, 1, '{}', now() from users where connection_id = '%[2]s';
	insert into provisioning_requests (tenant_id, id, connection_id, method, path)
	select tenant_id, id, connection_id, 'POST', '/Users' from users where connection_id = '%[2]s';
	insert into groups (tenant_id, connection_id, id, display_name, display_name_key, external_id, resource, search)
	select '%[1]s', '%[2]s', gen_random_uuid(), 'Group ' || n, 'group ' || n, 'group ' || n, '{}', '{}' from generate_series(1, 2000) n;
	insert into memberships (tenant_id, connection_id, group_id, member_user)
	select '%[1]s', '%[2]s', g.id, u.id from (select id, row_number() over () k from groups where connection_id = '%[2]s') g
	join (select id, row_number() over () k from users where connection_id = '%[2]s') u on u.k %% 2000 = g.k - 1;
	insert into memberships (tenant_id, connection_id, group_id, member_group)
	select '%[1]s', '%[2]s', a.id, b.id from (select id, row_number() over () k from groups where connection_id = '%[2]s') a
	join (select id, row_number() over () k from groups where connection_id = '%[2]s') b on b.k = a.k + 1000;`

// villages are two thousand connections of as many tenants with three people and
// three groups each, as what PostgreSQL knows about the tables.
const villages = `
	create temp table village as select gen_random_uuid() as t, gen_random_uuid() as c from generate_series(1, 2000);
	insert into resources (tenant_id, connection_id, id, resource_type, external_id, resource, search)
	select t, c, gen_random_uuid(), 'TestResource', 'external' || n, '{}', '{}' from village, generate_series(1, 3) n;
	insert into unique_values (tenant_id, connection_id, resource_type, attribute, digest, resource_id)
	select tenant_id, connection_id, resource_type, 'identifier', sha256(id::text::bytea), id from resources join village on t = tenant_id;
	insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, derived, resource, search)
	select t, c, gen_random_uuid(), 'person' || n, 'external' || n, true, 1, '{}', '{}' from village, generate_series(1, 3) n;
	insert into groups (tenant_id, connection_id, id, display_name, display_name_key, external_id, resource, search)
	select t, c, gen_random_uuid(), 'Group ' || n, 'group ' || n, 'group ' || n, '{}', '{}' from village, generate_series(1, 3) n;
	insert into memberships (tenant_id, connection_id, group_id, member_user)
	select g.tenant_id, g.connection_id, g.id, u.id from village join groups g on g.tenant_id = t
	join users u on u.tenant_id = g.tenant_id and substr(u.user_name_key, 7) = substr(g.display_name, 7);
	insert into user_values select tenant_id, connection_id, 'emails.value', user_name_key || '@example.com', id
	from users join village on t = tenant_id;
	insert into assignments (tenant_id, connection_id, user_id, role, rule, rule_set, facts, from_change)
	select tenant_id, connection_id, id, 'sheet.viewer', 'everyone', 1, '[]', 1 from users join village on t = tenant_id;
	vacuum analyze`

// big are the tables that hold more than a few rows a tenant.
var big = regexp.MustCompile(`\b(users|user_values|groups|memberships|assignments|changes|identities|sessions|codes|sign_ins|provisioning_requests|resources|unique_values)\b`)

// What is asked over and over finds its rows by index, as the server's role
// under row-level security, whether PostgreSQL plans for the values or for any.
func TestWhatIsAskedOverAndOverIsFoundByIndex(t *testing.T) {
	f, p, r := crowded(t)
	checkPlans(t, f, p, r, "force_custom_plan", "force_generic_plan")
}

// A plan is made for any tenant and any group, and kept. Where most are small,
// reading all of one looks cheap; the plan must serve the large one too.
func TestPlansServeALargeTenantAmongSmallOnes(t *testing.T) {
	f, p, r := deserted(t)
	superuser(t, databaseOf(f.owner), fmt.Sprintf(crowd, p.tenant, p.id))
	superuser(t, databaseOf(f.owner), villages)
	checkPlans(t, f, p, r, "force_generic_plan")
}

// PostgreSQL knows nothing of a table that it has not yet analysed, and finds all
// indexes that begin alike equally good. The plan that it makes then serves a first sync.
func TestPlansServeBeforeAnythingIsKnown(t *testing.T) {
	f, p, r := deserted(t)
	checkPlans(t, f, p, r, "force_generic_plan")
}

// checkPlans explains what the store sends, planned as on its own connections.
func checkPlans(t *testing.T, f *fair, p *stand, r *recorder, modes ...string) {
	t.Helper()
	conn := dial(t, f.server)
	f.name(conn, p.tenant, "all")
	if _, err := conn.Exec(t.Context(), "set enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	explained := 0
	for _, q := range requests(t, p) {
		statements, _ := r.record(func() {
			if err := q.do(1); err != nil {
				t.Fatalf("%s: %v", q.name, err)
			}
		})
		for _, s := range statements {
			verb, _, _ := strings.Cut(strings.TrimSpace(s.sql), " ")
			if !big.MatchString(s.sql) || !slices.Contains([]string{"select", "with", "update", "delete", "insert"}, strings.TrimSpace(verb)) {
				continue
			}
			for _, mode := range modes {
				explained++
				checkIndexed(t, q.name+", "+mode, s.sql, plan(t, conn, mode, s))
			}
		}
	}
	if explained < 50*len(modes) {
		t.Errorf("only %d plans were looked at", explained)
	}
	checkFunctions(t, conn, p, modes)
}

// checkFunctions explains what the schema's own functions ask, as it stands in
// the catalogue.
func checkFunctions(t *testing.T, conn *pgx.Conn, p *stand, modes []string) {
	t.Helper()
	body := column[string](t, conn, `select prosrc from pg_proc where proname = 'meet'`)[0]
	found := regexp.MustCompile(`(?s)perform (from users.*?);`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("the function meet asks nothing: %s", body)
	}
	sql := "select 1 " + strings.NewReplacer("connection_id = connection", "connection_id = $1", "external_id = external", "external_id = $2").Replace(found[1])
	for _, mode := range modes {
		checkIndexed(t, "meet, "+mode, sql, plan(t, conn, mode, statement{sql, []any{p.id, "jamie"}}))
	}
}

var scanned = regexp.MustCompile(`Seq Scan on (\w+)`)

// byIndex finds the condition by which an index is read; names, its columns.
var (
	byIndex  = regexp.MustCompile(`(?m)Index (?:Only )?Scan (?:Backward )?(?:using|on) (\w+)[^\n]*\n\s*(?:Index Cond: )?(.*)$`)
	bigIndex = regexp.MustCompile(`^` + strings.Trim(big.String(), `\b`) + `_`)
	names    = regexp.MustCompile(`\(([a-z_]+) (?:=|<|>)`)
)

func checkIndexed(t *testing.T, what, sql, plan string) {
	t.Helper()
	for _, scan := range byIndex.FindAllStringSubmatch(plan, -1) {
		narrow := false
		for _, name := range names.FindAllStringSubmatch(scan[2], -1) {
			wide := slices.Contains([]string{"tenant_id", "connection_id", "attribute"}, name[1]) || name[1] == "group_id" && strings.HasPrefix(what, "member ") ||
				scan[1] == "user_values_pkey" && name[1] != "value_key"
			narrow = narrow || !wide
		}
		if !narrow && bigIndex.MatchString(scan[1]) && !strings.HasPrefix(what, "page of ") {
			t.Errorf("%s: everything of the tenant, connection or group is read by %s:\n%s\n%s", what, scan[1], sql, plan)
		}
	}
	if strings.HasPrefix(what, "page of resources") && strings.Contains(sql, "from resources") && !strings.Contains(plan, "resources_made") {
		t.Errorf("%s: not by the index of its order:\n%s", what, plan)
	}
	for _, scan := range scanned.FindAllStringSubmatch(plan, -1) {
		if big.MatchString(scan[1]) {
			t.Errorf("%s: %s is read from end to end:\n%s\n%s", what, scan[1], sql, plan)
		}
	}
}

// plan answers how PostgreSQL would carry out the statement, without doing it.
func plan(t *testing.T, conn *pgx.Conn, mode string, s statement) string {
	t.Helper()
	return explain(t, conn, mode, "explain (costs off)", s)
}

func explain(t *testing.T, conn *pgx.Conn, mode, how string, s statement) string {
	t.Helper()
	ctx := t.Context()
	if _, err := conn.Exec(ctx, "set plan_cache_mode = "+mode); err != nil {
		t.Fatal(err)
	}
	description, err := conn.PgConn().Prepare(ctx, "asked", s.sql, nil)
	if err != nil {
		t.Fatalf("%s: %v", s.sql, err)
	}
	defer func() {
		if err := conn.PgConn().Exec(ctx, "deallocate asked").Close(); err != nil {
			t.Error(err)
		}
	}()
	execute := how + " execute asked"
	for i, arg := range s.args {
		execute += map[bool]string{true: "(", false: ", "}[i == 0] + literal(t, conn, description.ParamOIDs[i], arg)
	}
	if len(s.args) > 0 {
		execute += ")"
	}
	results, err := conn.PgConn().Exec(ctx, execute).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", execute, err)
	}
	var lines []string
	for _, row := range results[0].Rows {
		lines = append(lines, string(row[0]))
	}
	return strings.Join(lines, "\n")
}

// literal is a parameter's value as SQL.
func literal(t *testing.T, conn *pgx.Conn, oid uint32, value any) string {
	t.Helper()
	text, err := conn.TypeMap().Encode(oid, pgtype.TextFormatCode, value, nil)
	if err != nil {
		t.Fatalf("%v: %v", value, err)
	}
	if text == nil {
		return "null"
	}
	return "'" + strings.ReplaceAll(string(text), "'", "''") + "'"
}

// A read, a create and a check are one round trip to PostgreSQL; a change under
// a lock and a mint are two.
func TestRoundTrips(t *testing.T) {
	r := &recorder{}
	s := storetest.New(t, func(c *store.Config) { c.Tracer, c.PoolSize = r, 1 })
	p := newTenant(t, s, "ringling").connect("first", "lenient")
	p.declare()
	p.badge = must[store.Resource](t)(p.scim().CreateResource(t.Context(), p.testType(), badge("jamie's")))
	p.jamie, p.robin = p.create("jamie"), p.create("robin")
	var err error
	if p.finance, _, err = p.scim().CreateGroup(t.Context(), group("Finance", p.jamie, p.robin)); err != nil {
		t.Fatal(err)
	}
	if p.crew, _, err = p.scim().CreateGroup(t.Context(), group("Crew")); err != nil {
		t.Fatal(err)
	}
	all := requests(t, p)
	for round := range 3 { // in the first, statements are prepared
		for _, q := range all {
			statements, trips := r.record(func() {
				if err := q.do(round); err != nil {
					t.Fatalf("%s: %v", q.name, err)
				}
			})
			if round > 0 && trips != q.trips {
				t.Errorf("%s: %d round trips, want %d:\n%v", q.name, trips, q.trips, statements)
			}
		}
	}
}
