package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// The rows of §1.B of the abuse catalogue that end at the provisioning client. Those
// that end in a sign-in are tests of package login.

// TestAbuse_I02: a client sets what the schema lets it set; everything else is ignored in
// a body, refused as a path, and never stored.
func TestAbuse_I02(t *testing.T) {
	w, token := open(t)
	other := w.create("/Users", token, `{"userName":"other"}`)
	group := w.create("/Groups", token, `{"displayName":"Admins"}`)
	body := `{"userName":"a","id":"` + other + `","meta":{"created":"1999-01-01T00:00:00Z","resourceType":"Group","version":"W/\"99\""},
		"tenant_id":"x","connection_id":"x","epoch":0,"locked":false,"derived":1,"role":"admin",
		"groups":[{"value":"` + group + `","display":"Admins"}]}`
	id := w.create("/Users", token, body)
	got := w.scim("GET", "/Users/"+id, token, "").body
	if id == other || strings.Contains(got, "1999") || strings.Contains(got, `W/\"99`) {
		t.Errorf("what only the server sets was taken: %s", got)
	}
	for _, name := range []string{"tenant_id", "connection_id", "epoch", "locked", "derived", `"role"`, "groups"} {
		if strings.Contains(got, name) {
			t.Errorf("%s was stored: %s", name, got)
		}
	}
	for path, scimType := range map[string]string{"id": "mutability", "meta.created": "mutability", "groups": "mutability"} {
		patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"` + path + `","value":"x"}]}`
		w.scim("PATCH", "/Users/"+id, token, patch).refusal(t, path, http.StatusBadRequest, scimType)
	}
	if after := w.scim("GET", "/Users/"+id, token, "").body; after != got {
		t.Errorf("got\n%s\nwant\n%s", after, got)
	}
	if members := w.scim("GET", "/Groups/"+group, token, "").body; strings.Contains(members, id) {
		t.Errorf("the user is a member by its own word: %s", members)
	}
}

// TestAbuse_I03: a creation adopts nobody: the name is taken within the connection, and in
// another connection it is another person's.
func TestAbuse_I03(t *testing.T) {
	w, token := open(t)
	sibling := w.connect("acme", "okta", "lenient")
	victim := w.create("/Users", token, `{"userName":"victim","externalId":"v","active":true,"emails":[{"value":"victim@acme.example"}]}`)
	before := w.scim("GET", "/Users/"+victim, token, "").body
	w.scim("POST", "/Users", token, `{"userName":"VICTIM","externalId":"attacker","active":true}`).refusal(t, "the same name", http.StatusConflict, "uniqueness")
	theirs := w.create("/Users", sibling, `{"userName":"victim","externalId":"v","active":true,"emails":[{"value":"victim@acme.example"}]}`)
	if theirs == victim {
		t.Error("the other connection has adopted the person")
	}
	w.scim("DELETE", "/Users/"+theirs, sibling, "")
	w.scim("GET", "/Users/"+victim, sibling, "").refusal(t, "from the other connection", http.StatusNotFound, "")
	if after := w.scim("GET", "/Users/"+victim, token, "").body; after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
}

// TestAbuse_I13: names that are one to people are one; names that are not, are two, to
// creations and to filters alike.
func TestAbuse_I13(t *testing.T) {
	w, token := open(t)
	for i, pair := range [][2]string{{"straße", "STRASSE"}, {"é", "é"}, {"ﬁne", "fine"}, {"σοφος", "ΣΟΦΟΣ"}, {"ＡＤＭＩＮ", "admin"}, {"ſam", "sam"}} {
		first, second := fmt.Sprintf("%s-%d", pair[0], i), fmt.Sprintf("%s-%d", pair[1], i)
		w.create("/Users", token, `{"userName":"`+first+`"}`)
		w.scim("POST", "/Users", token, `{"userName":"`+second+`"}`).refusal(t, second, http.StatusConflict, "uniqueness")
		if n := w.found(token, `userName eq "`+second+`"`); n != 1 {
			t.Errorf("userName eq %q finds %d, want 1", second, n)
		}
	}
	for _, pair := range [][2]string{{"xİ", "xi"}, {"yI", "yı"}, {"аdmin", "admin"}} { // dotted and dotless, Cyrillic
		w.create("/Users", token, `{"userName":"`+pair[0]+`"}`)
		w.create("/Users", token, `{"userName":"`+pair[1]+`"}`)
		for _, name := range pair {
			if n := w.found(token, `userName eq "`+name+`"`); n != 1 {
				t.Errorf("userName eq %q finds %d, want 1", name, n)
			}
		}
	}
}

// found is how many users a filter finds.
func (w *world) found(token, filter string) (n int) {
	w.t.Helper()
	a := w.scim("GET", "/Users?filter="+url.QueryEscape(filter), token, "")
	if _, err := fmt.Sscanf(a.body[strings.Index(a.body, `"totalResults":`):], `"totalResults":%d`, &n); err != nil {
		w.t.Fatalf("%s: %d %s", filter, a.status, a.body)
	}
	return n
}

// TestAbuse_I15: text that hides or turns what is read is refused in a name, and is never
// a fault of ours.
func TestAbuse_I15(t *testing.T) {
	w, token := open(t)
	for _, text := range []string{`a\u0000b`, `a\u202eb`, `a\u200bb`, `a\u2066b`, `a\ufeffb`, `a\u0007b`, `a\u0085b`} {
		w.refusedWhole(token, `{"userName":"`+text+`"}`, http.StatusBadRequest, "invalidValue")
		w.scim("POST", "/Groups", token, `{"displayName":"`+text+`"}`).refusal(t, "group "+text, http.StatusBadRequest, "invalidValue")
	}
	for _, text := range []string{`\ud800`, `\udc00x`, `\ud800\ud800`} {
		w.refusedWhole(token, `{"userName":"`+text+`"}`, http.StatusBadRequest, "invalidSyntax")
	}
	if strings.Contains(w.log.String(), `"level":"ERROR"`) {
		t.Errorf("the log has a fault of ours:\n%s", w.log)
	}
}

// TestAbuse_I17: a password is taken, and is nowhere: not in an answer, a log, or a row.
func TestAbuse_I17(t *testing.T) {
	const canary = "Canary-7fd1"
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	id := w.create("/Users", token, `{"userName":"a","password":"`+canary+`"}`)
	for _, r := range [][3]string{
		{"PUT", "/Users/" + id, `{"userName":"a","password":"` + canary + `"}`},
		{"PATCH", "/Users/" + id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"password","value":"` + canary + `"},{"op":"replace","value":{"password":"` + canary + `"}}]}`},
		{"POST", "/Users", `{"password":"` + canary + `"}`},
		{"POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"PATCH","path":"/Users/` + id + `","data":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"password","value":"` + canary + `"}]}}]}`},
		{"GET", "/Users/" + id, ""},
	} {
		if a := w.scim(r[0], r[1], token, r[2]); strings.Contains(a.body, canary) {
			t.Errorf("%s %s answers with the password: %s", r[0], r[1], a.body)
		}
	}
	w.store.Close() // writes what is buffered
	if strings.Contains(w.log.String(), canary) {
		t.Error("the log has the password")
	}
	if tables := holding(t, owner, canary); len(tables) > 0 {
		t.Errorf("the password is in %v", tables)
	}
}

// holding lists the tables in which some row holds the text.
func holding(t *testing.T, owner, text string) (found []string) {
	t.Helper()
	conn := storetest.Look(t, owner, "acme")
	rows, err := conn.Query(t.Context(), `select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	for _, table := range tables {
		var there bool
		if err := conn.QueryRow(t.Context(), `select exists (select from `+table+` r where r::text like '%' || $1 || '%')`, text).Scan(&there); err != nil {
			t.Fatal(err)
		}
		if there {
			found = append(found, table)
		}
	}
	return found
}

// TestAbuse_I22: SCIM sees what its connection has provisioned and nothing else. Who runs
// Muster is no user of a directory (design §5): there is nobody to protect here but the
// people of other connections, who are nobody to this one in every place.
func TestAbuse_I22(t *testing.T) {
	w, token := open(t)
	sibling := w.connect("acme", "break-glass", "lenient")
	admin := w.create("/Users", sibling, `{"userName":"admin","active":true}`)
	admins := w.create("/Groups", sibling, `{"displayName":"Admins","members":[{"value":"`+admin+`"}]}`)
	mine := w.create("/Users", token, `{"userName":"mine"}`)
	group := w.create("/Groups", token, `{"displayName":"Mine"}`)
	before := w.scim("GET", "/Users/"+admin, sibling, "").body + w.scim("GET", "/Groups/"+admins, sibling, "").body
	nobody := uuid.NewString()
	patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	add := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"%s"}]}]}`
	for _, r := range [][3]string{
		{"GET", "/Users/%s", ""}, {"PUT", "/Users/%s", `{"userName":"x"}`}, {"PATCH", "/Users/%s", patch}, {"DELETE", "/Users/%s", ""},
		{"PATCH", "/Groups/" + group, add},
		{"POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"DELETE","path":"/Users/%s"}]}`},
	} {
		got, want := w.about(r, admin, token), w.about(r, nobody, token)
		if got != want {
			t.Errorf("%s %s: the admin can be told from nobody:\n%s\n%s", r[0], r[1], got, want)
		}
	}
	join := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"` + mine + `"}]}]}`
	w.scim("PATCH", "/Groups/"+admins, token, join).refusal(t, "joining the admins", http.StatusNotFound, "")
	if after := w.scim("GET", "/Users/"+admin, sibling, "").body + w.scim("GET", "/Groups/"+admins, sibling, "").body; after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
}

// grant registers an application with a role and publishes the rules.
func (w *world) grant(tenant, rules, client, role string) {
	w.t.Helper()
	_, _, err := w.vendor.AddApplication(w.t.Context(), registry.NewApplication{
		ClientID: client, RedirectURIs: []string{"https://" + client + ".example/cb"}, Tenants: []string{tenant}, Roles: []string{role},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	dir, err := w.store.Admin(w.t.Context(), tenant, "test", store.Request{ID: uuid.New()})
	if err == nil {
		_, _, err = dir.PublishRules(w.t.Context(), []byte(rules))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// about sends the request about an id, and returns the answer without it.
func (w *world) about(r [3]string, id, token string) string {
	w.t.Helper()
	fill := func(text string) string { return strings.ReplaceAll(text, "%s", id) }
	return strings.ReplaceAll(w.scim(r[0], fill(r[1]), token, fill(r[2])).same(), id, "ID")
}

// TestAbuse_I23: of two changes that were made of one version, one is.
func TestAbuse_I23(t *testing.T) {
	w, token := open(t)
	id := w.create("/Users", token, `{"userName":"a","title":"old"}`)
	version := w.scim("GET", "/Users/"+id, token, "").header.Get("ETag")
	statuses := make([]int, 8)
	var all sync.WaitGroup
	for i := range statuses {
		all.Go(func() {
			patch := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"new %d"}]}`, i)
			statuses[i] = w.try("PATCH", "/Users/"+id, token, patch, version).status
		})
	}
	all.Wait()
	count := map[int]int{}
	for _, status := range statuses {
		count[status]++
	}
	if count[http.StatusOK] != 1 || count[http.StatusPreconditionFailed] != len(statuses)-1 {
		t.Errorf("statuses %v, want one 200 and else 412", statuses)
	}
}

// TestAbuse_I24: groups do not contain themselves, and stand at most ten deep.
func TestAbuse_I24(t *testing.T) {
	w, token := open(t)
	var groups []string
	for i := range 12 {
		groups = append(groups, w.create("/Groups", token, fmt.Sprintf(`{"displayName":"g%d"}`, i)))
	}
	put := func(group, member string) answer {
		return w.scim("PATCH", "/Groups/"+group, token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+member+`","type":"Group"}]}]}`)
	}
	put(groups[0], groups[0]).refusal(t, "itself", http.StatusBadRequest, "invalidValue")
	deepest := 0
	for i := range 11 {
		if a := put(groups[i], groups[i+1]); a.status == http.StatusNoContent {
			deepest = i + 1
		} else {
			a.refusal(t, "too deep", http.StatusBadRequest, "invalidValue")
			break
		}
	}
	if deepest < 8 || deepest > 10 {
		t.Errorf("groups stand %d deep", deepest)
	}
	put(groups[deepest], groups[0]).refusal(t, "a cycle", http.StatusBadRequest, "invalidValue")
	put(groups[1], groups[0]).refusal(t, "a cycle of two", http.StatusBadRequest, "invalidValue")
}

// TestAbuse_I26: nothing is held back, neither grants nor revocations: deny is never
// delayed and protection is reversibility (design §2.6, against the catalogue's "held for
// approval"). Whatever an identity provider does in bulk holds at once, and is undone the
// same way.
func TestAbuse_I26(t *testing.T) {
	owner, database := storetest.Database(t)
	st := storetest.Open(t, database)
	w := start(t, st)
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	w.grant("acme", "version: 1\ngroupRoles:\n  - name: Admins\n    grant: [sheet.admin]\nrules: []\n", "sheet", "admin")
	const crowd = 120
	var members []string
	for i := range crowd {
		members = append(members, `{"value":"`+w.create("/Users", token, fmt.Sprintf(`{"userName":"u%d","active":true}`, i))+`"}`)
	}
	group := w.create("/Groups", token, `{"displayName":"Admins"}`)
	all := strings.Join(members, ",")
	conn := storetest.Look(t, owner, "acme")
	holders := func() (n int) {
		if err := conn.QueryRow(t.Context(), `select count(distinct user_id) from assignments where until_change is null`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.patchMembers(token, group, `{"op":"add","path":"members","value":[`+all+`]}`)
	if n := holders(); n != crowd {
		t.Errorf("%d of %d hold the role", n, crowd)
	}
	w.patchMembers(token, group, `{"op":"remove","path":"members"}`)
	if n := holders(); n != 0 {
		t.Errorf("%d still hold the role", n)
	}
	w.patchMembers(token, group, `{"op":"add","path":"members","value":[`+all+`]}`)
	var off []string
	for _, m := range members {
		id := strings.Split(m, `"`)[3]
		off = append(off, `{"method":"PATCH","path":"/Users/`+id+`","data":{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}}`)
	}
	a := w.scim("POST", "/Bulk", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+strings.Join(off, ",")+`]}`)
	if n := holders(); a.status != http.StatusOK || n != 0 {
		t.Errorf("after %d deactivations %d still hold the role: %.200s", crowd, n, a.body)
	}
}

// TestAbuse_I27: who is deleted is gone for SCIM, and on record for whoever looks into it.
func TestAbuse_I27(t *testing.T) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	id := w.create("/Users", token, `{"userName":"a","externalId":"e"}`)
	if a := w.scim("DELETE", "/Users/"+id, token, ""); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	w.scim("GET", "/Users/"+id, token, "").refusal(t, "afterwards", http.StatusNotFound, "")
	conn := storetest.Look(t, owner, "acme")
	var actor, name string
	err := conn.QueryRow(t.Context(), `select c.actor, u.user_name_key from changes c join users u on u.tenant_id = c.tenant_id and u.id = c.subject
		where c.subject = $1 and c.kind = 'user.deleted'`, id).Scan(&actor, &name)
	if err != nil || name != "a" || !strings.HasPrefix(actor, "scim:") {
		t.Errorf("on record: actor %q, name %q, %v", actor, name, err)
	}
	dir, err := w.store.Admin(t.Context(), "acme", "auditor", store.Request{ID: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	if u, _, err := dir.RestoreUser(t.Context(), uuid.MustParse(id)); err != nil || u.ID.String() != id {
		t.Errorf("restored: %v %v", u.ID, err)
	}
}
