package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store/history"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// TestAbuse_T09: a token gives way to its successor without a gap. Both hold for the
// overlap, each with its last use; the operator reads in the log which one came after
// its end, and why it was refused, which nobody else is told; and the doctor warns
// before the last token of a connection ends.
func TestAbuse_T09(t *testing.T) {
	owner, database := storetest.Database(t)
	serving := storetest.Open(t, database)
	w := start(t, serving)
	p := admit(t, w, owner, "acme", complaint{kind: "entra"})
	first := p.credential("main")
	next, second := p.rotate(first, registry.Rotation{Overlap: time.Hour})
	for name, token := range map[string]string{"the old token": p.token, "the new token": next} {
		if a := w.scim("GET", "/Users", token, ""); a.status != http.StatusOK {
			t.Errorf("%s, within the overlap: got %d: %s", name, a.status, a.body)
		}
	}

	last, third := p.rotate(second, registry.Rotation{Lifetime: 72 * time.Hour}) // no overlap: the one before has expired
	if err := w.vendor.RevokeToken(soon(t), "acme", first.ID); err != nil {
		t.Fatal(err)
	}
	expired, revoked := w.scim("GET", "/Users", next, ""), w.scim("GET", "/Users", p.token, "")
	expired.refusal(t, "the expired token", http.StatusUnauthorized, "")
	if expired.same() != revoked.same() {
		t.Errorf("who is refused can tell why:\n%s\n%s", expired.same(), revoked.same())
	}
	if a := w.scim("GET", "/Users", last, ""); a.status != http.StatusOK {
		t.Errorf("the last token: got %d: %s", a.status, a.body)
	}
	findings := p.examine(0)
	for reason, refused := range map[string]answer{"token-expired": expired, "token-revoked": revoked} {
		if r := p.logged(refused); r.Credential != "main" || r.Status != http.StatusUnauthorized || !slices.Equal(r.Diagnoses, []string{reason}) {
			t.Errorf("the log says of the request %+v, want %s", r, reason)
		}
	}
	if got, want := ids(findings), []string{"token-expired", "token-expires-soon", "token-revoked"}; !slices.Equal(got, want) {
		t.Errorf("the doctor finds %q, want %q", got, want)
	}

	serving.Close() // writes what is in memory
	p.vendor = storetest.Open(t, database).Vendor("test")
	for _, c := range []registry.Credential{first, second, third} {
		if used := p.credentialOf(c.ID).LastUsedAt; used == nil || time.Since(*used) > time.Minute {
			t.Errorf("a token that was used a moment ago was last used at %v", used)
		}
	}
}

// rotate makes the successor of a token.
func (p *patient) rotate(of registry.Credential, r registry.Rotation) (token string, next registry.Credential) {
	p.t.Helper()
	token, next, err := p.vendor.RotateToken(soon(p.t), p.slug, of.ID, r)
	if err != nil {
		p.t.Fatal(err)
	}
	return token, next
}

// credential is the oldest of that name.
func (p *patient) credential(name string) registry.Credential {
	p.t.Helper()
	return p.find(func(c registry.Credential) bool { return c.Name == name })
}

func (p *patient) credentialOf(id uuid.UUID) registry.Credential {
	p.t.Helper()
	return p.find(func(c registry.Credential) bool { return c.ID == id })
}

func (p *patient) find(fits func(registry.Credential) bool) registry.Credential {
	p.t.Helper()
	list, err := p.vendor.Tokens(soon(p.t), p.slug)
	if err != nil {
		p.t.Fatal(err)
	}
	slices.Reverse(list)
	i := slices.IndexFunc(list, fits)
	if i < 0 {
		p.t.Fatalf("there is no such token among %+v", list)
	}
	return list[i]
}

// logged is the log's line of a request, by the id in its answer.
func (p *patient) logged(a answer) history.Request {
	p.t.Helper()
	if err := p.store.FlushRequests(soon(p.t)); err != nil {
		p.t.Fatal(err)
	}
	r, err := p.admin().History().Request(soon(p.t), uuid.MustParse(a.header.Get("X-Request-Id")))
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// TestAbuse_T16: a credential that only reads is refused every change, whatever the
// method, the endpoint and the form, and one for some types every change of others;
// and nothing was changed.
func TestAbuse_T16(t *testing.T) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	full := w.connect("acme", "entra", "lenient")
	w.testResource("acme")
	changes := w.everyChange(full)
	people := w.limited(registry.NewToken{Name: "people", Writes: []string{"User"}})
	readers := map[string]string{"a token": w.limited(registry.NewToken{Name: "reader", ReadOnly: true})}
	secret, c := w.client("entra", func(c *registry.Client) { c.ReadOnly = true })
	readers["a client's token"] = w.ask("", post(c, secret)).token(t, "the client")

	before := w.state(owner)
	for who, token := range readers {
		for _, change := range changes {
			change.send(w, token).refusal(t, who+" that only reads: "+change.String(), http.StatusForbidden, "")
		}
		w.scim("POST", "/Bulk", token, allOf(changes)).refusal(t, who+" that only reads: POST /Bulk", http.StatusForbidden, "")
	}
	var others []change
	for _, change := range changes {
		if !strings.HasPrefix(change.path, "/Users") {
			others = append(others, change)
			change.send(w, people).refusal(t, "a token for people: "+change.String(), http.StatusForbidden, "")
		}
	}
	for i, status := range w.scim("POST", "/Bulk", people, allOf(others)).operations(t) {
		if status != "403" {
			t.Errorf("a token for people: operation %d, %s: got %s, want 403", i, others[i], status)
		}
	}
	if after := w.state(owner); after != before {
		t.Errorf("something was changed:\n%s\n%s", before, after)
	}
	for who, token := range readers {
		for _, request := range []change{
			{"GET", "/Users", ""}, {"GET", changes[1].path, ""}, {"GET", "/Groups", ""}, {"GET", "/TestResources", ""}, {"GET", "/Schemas", ""},
			{"POST", "/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`},
			{"POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`},
		} {
			if a := request.send(w, token); a.status != http.StatusOK {
				t.Errorf("%s that only reads: %s: got %d: %s", who, request, a.status, a.body)
			}
		}
	}
	for _, change := range changes { // they were refused for who sent them, and for nothing else
		token := full
		if strings.HasPrefix(change.path, "/Users") {
			token = people
		}
		if a := change.send(w, token); a.status/100 != 2 {
			t.Errorf("by who may: %s: got %d: %s", change, a.status, a.body)
		}
	}
}

// limited is a token of acme's connection entra that may not do everything.
func (w *world) limited(n registry.NewToken) string {
	w.t.Helper()
	token, _, err := w.vendor.CreateToken(soon(w.t), "acme", "entra", n)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

const groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"

// A change is a request that a client sends to change something.
type change struct{ method, path, body string }

func (c change) String() string { return c.method + " " + c.path }

func (c change) send(w *world, token string) answer { return w.scim(c.method, c.path, token, c.body) }

// everyChange makes a user, a group and a test resource, and answers one request of each
// method for each of them. Sent in their order, all of them are good.
func (w *world) everyChange(token string) []change {
	w.t.Helper()
	var all []change
	for _, made := range []struct{ endpoint, schema, name string }{
		{"/Users", userSchema, "userName"}, {"/Groups", groupSchema, "displayName"}, {"/TestResources", testSchema, "identifier"},
	} {
		body := func(value string) string {
			return fmt.Sprintf(`{"schemas":[%q],%q:%q,"externalId":%q}`, made.schema, made.name, value, value)
		}
		one := made.endpoint + "/" + w.create(made.endpoint, token, body("there"))
		patch := fmt.Sprintf(`{"schemas":[%q],"Operations":[{"op":"replace","path":"externalId","value":"changed"}]}`, patchSchema)
		all = append(all, change{"POST", made.endpoint, body("new")}, change{"PUT", one, body("there")}, change{"PATCH", one, patch}, change{"DELETE", one, ""})
	}
	return all
}

// allOf is one request with all the changes.
func allOf(changes []change) string {
	var operations []string
	for i, c := range changes {
		data := ""
		if c.body != "" {
			data = `,"data":` + c.body
		}
		operations = append(operations, fmt.Sprintf(`{"method":%q,"path":%q,"bulkId":"%d"%s}`, c.method, c.path, i, data))
	}
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

// operations are the statuses of a bulk answer.
func (a answer) operations(t *testing.T) (statuses []string) {
	t.Helper()
	var body struct{ Operations []struct{ Status string } }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK || len(body.Operations) == 0 {
		t.Fatalf("got %d and no bulk answer: %v: %s", a.status, err, a.body)
	}
	for _, operation := range body.Operations {
		statuses = append(statuses, operation.Status)
	}
	return statuses
}

// state is what acme's clients can change, and how often anything was.
func (w *world) state(owner string) (all string) {
	w.t.Helper()
	err := storetest.Look(w.t, owner, "acme").QueryRow(soon(w.t), `
		select (select count(*) from changes)::text || coalesce((select string_agg(u::text, ' ' order by id) from users u), '')
			|| coalesce((select string_agg(g::text, ' ' order by id) from groups g), '') || coalesce((select string_agg(m::text, ' ' order by m::text) from memberships m), '')
			|| coalesce((select string_agg(r::text, ' ' order by id) from resources r), '')`).Scan(&all)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}
