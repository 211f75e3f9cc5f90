package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/store/history"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// recorded are the requests of the tenant's log, the oldest first, whole.
func (p *patient) recorded() []history.Request {
	p.t.Helper()
	if err := p.store.FlushRequests(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	list, err := p.admin().History().Requests(p.t.Context(), history.Query{Limit: 1000})
	if err != nil {
		p.t.Fatal(err)
	}
	var whole []history.Request
	for i := len(list) - 1; i >= 0; i-- {
		one, err := p.admin().History().Request(p.t.Context(), list[i].ID)
		if err != nil {
			p.t.Fatal(err)
		}
		whole = append(whole, one)
	}
	return whole
}

func (p *patient) ask(method, path, body string) answer {
	p.t.Helper()
	return p.send(method, p.base(p.slug)+path, "Bearer "+p.token, body)
}

// A request is in the log as it came, was understood, changed things and was
// answered: the id in its answer leads there.
func TestARequestIsInTheLog(t *testing.T) {
	w, owner := hospital(t)
	p := admit(t, w, owner, "logged", complaint{kind: "okta"})
	created := p.ask("POST", "/Users", `{"userName":"alice@ringling.example","active":"True","password":"Canary"}`)
	alice := created.field(t, "id")
	group := p.ask("POST", "/Groups", `{"displayName":"Finance"}`).field(t, "id")
	for _, test := range []struct {
		method, path, body string
		status             int
		subject            string // or ""
		changes            string // kinds
		found              int
		detail             string
	}{
		{"GET", "/Users?filter=userName+eq+%22alice%40ringling.example%22", "", 200, "", "", 1, ""},
		{"GET", "/Users/" + alice, "", 200, alice, "", -1, ""},
		{"POST", "/Users", `{"userName":"ALICE@ringling.example"}`, 409, "", "", -1, "userName is already in use"},
		{"PATCH", "/Groups/" + group, `{"Operations":[{"op":"add","path":"members","value":[{"value":"` + alice + `"}]}]}`, 204, group, "group.members", -1, ""},
		{"PATCH", "/Groups/" + group, `{"Operations":[{"op":"add","path":"members","value":[{"value":"` + alice + `"}]}]}`, 204, group, "", -1, ""},
		{"PATCH", "/Groups/" + group + "?attributes=displayName", `{"Operations":[{"op":"replace","value":{"displayName":"Money"}}]}`, 200, group, "group.updated", -1, ""},
		{"PUT", "/Groups/" + group, `{"displayName":"Finance"}`, 200, group, "group.updated", -1, ""},
		{"PATCH", "/Users/" + alice, `{"Operations":[{"op":"replace","value":{"active":"False"}}]}`, 200, alice, "user.updated", -1, ""},
		{"DELETE", "/Users/" + alice, "", 204, alice, "user.deleted", -1, ""},
		{"DELETE", "/Users/" + alice, "", 404, alice, "", -1, "no resource has this id"},
		{"POST", "/Users", `{"userName"`, 400, "", "", -1, ""},
	} {
		a := p.ask(test.method, test.path, test.body)
		if a.status != test.status {
			t.Fatalf("%s %s: got %d, want %d: %s", test.method, test.path, a.status, test.status, a.body)
		}
		all := p.recorded()
		r := all[len(all)-1]
		if r.ID.String() != a.header.Get("X-Request-Id") || r.Method != test.method || r.Status != test.status || r.Connection != "connection" || r.Credential != "main" {
			t.Errorf("%s %s: the log says %+v", test.method, test.path, r)
		}
		subject, found := "", -1
		if r.Subject != nil {
			subject = r.Subject.String()
		}
		if r.Found != nil {
			found = *r.Found
		}
		var kinds []string
		for _, c := range r.Changes {
			kinds = append(kinds, c.Kind)
		}
		if subject != test.subject || strings.Join(kinds, " ") != test.changes || found != test.found || !strings.Contains(r.Detail, test.detail) {
			t.Errorf("%s %s: about %q, changed %q, found %d, said %q", test.method, test.path, subject, kinds, found, r.Detail)
		}
		if json.Valid([]byte(test.body)) && string(r.Body) != test.body {
			t.Errorf("%s %s: the body is kept as %s", test.method, test.path, r.Body)
		}
	}
	first := p.recorded()[0]
	if len(first.Notes) < 2 || first.Took <= 0 || strings.Contains(string(first.Body), "Canary") {
		t.Errorf("the first request is kept as %+v", first)
	}
}

// Each operation of a bulk request is in the log by itself, and so is the whole.
func TestEachOperationOfABulkRequestIsInTheLog(t *testing.T) {
	w, owner := hospital(t)
	p := admit(t, w, owner, "bulk", complaint{kind: "generic"})
	a := p.ask("POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
		{"method":"POST","bulkId":"a","path":"/Users","data":{"userName":"alice","password":"Canary"}},
		{"method":"POST","bulkId":"b","path":"/Users","data":{"userName":"ALICE"}}]}`)
	if a.status != http.StatusOK {
		t.Fatalf("got %d: %s", a.status, a.body)
	}
	seen := map[string]int{} // statuses, added up
	for _, r := range p.recorded() {
		_, path, _ := strings.Cut(r.Path, "/scim/v2")
		seen[path] += r.Status
		if strings.Contains(string(r.Body), "Canary") {
			t.Errorf("%s keeps the password: %s", path, r.Body)
		}
	}
	if seen["/Bulk"] != 200 || seen["/Users"] != 201+409 {
		t.Errorf("the log has %v, want the request and both operations", seen)
	}
}

// TestTheLogKeepsNoSecret sends a password, a token and a made-up secret in every
// way in which they can come. None of it is in any table afterwards.
func TestTheLogKeepsNoSecret(t *testing.T) {
	w, owner := hospital(t)
	p := admit(t, w, owner, "secrets", complaint{kind: "okta"})
	const canary = "Canary7f3aQ"
	alice := p.ask("POST", "/Users", `{"userName":"alice","password":"`+canary+`"}`).field(t, "id")
	for _, body := range []string{
		`{"userName":"alice","password":"` + canary + `"}`,
		`{"userName":"alice","urn:x:1.0:User":{"clientSecret":"` + canary + `"},"apiToken":["` + canary + `"]}`,
		`{"userName":"alice","p\u0061ssword":"` + canary + `"}`,
		`{"userName":"alice","password":"` + canary + `"`,
	} {
		p.ask("POST", "/Users", body)
		p.ask("PUT", "/Users/"+alice, body)
	}
	for _, operation := range []string{
		`{"op":"replace","path":"password","value":"` + canary + `"}`,
		`{"value":"` + canary + `","op":"Replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:PASSWORD"}`,
		`{"op":"replace","value":{"password":"` + canary + `"}}`,
		`{"op":"add","path":"emails[password eq \"` + canary + `\"].value","value":"x"}`,
	} {
		p.ask("PATCH", "/Users/"+alice, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+operation+`]}`)
	}
	for _, query := range []string{`?filter=password+eq+%22` + canary + `%22`, `?filter=password+eq+` + canary, `?access_token=` + canary} {
		p.ask("GET", "/Users"+query, "")
	}
	p.ask("POST", "/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"password eq \"`+canary+`\""}`)
	revoked := w.revokedToken("secrets")
	w.send("POST", w.base("secrets")+"/Users", "Bearer "+revoked, `{"userName":"stranger","title":"`+canary+`"}`)
	w.send("GET", w.base("secrets")+"/Users", "Bearer "+canary, "")

	all := p.recorded()
	if len(all) < 15 {
		t.Errorf("only %d requests are in the log", len(all))
	}
	for _, secret := range []string{canary, strings.TrimPrefix(p.token, registry.SCIMPrefix), strings.TrimPrefix(revoked, registry.SCIMPrefix)} {
		if tables := tablesWith(t, owner, secret); len(tables) != 0 {
			t.Errorf("%.12s… stands in %q", secret, tables)
		}
		for _, r := range all {
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), secret) {
				t.Errorf("%s", text)
			}
		}
	}
	if tables := tablesWith(t, owner, "stranger"); len(tables) != 0 {
		t.Errorf("what a token that does not hold brought stands in %q", tables)
	}
	if strings.Contains(w.log.String(), canary) {
		t.Error("the canary stands in the server's log")
	}
}

// TestTheLogKeepsNoValueOfAStraysQuery: at a wrong address it is not known whose schemas
// say what is secret. What is kept shows that a parameter came, and its value of none.
func TestTheLogKeepsNoValueOfAStraysQuery(t *testing.T) {
	w, owner := hospital(t)
	p := admit(t, w, owner, "strays", complaint{kind: "okta"})
	w.tenant("neighbour")
	_, err := p.admin().DeclareSchema(t.Context(), []byte(`{"id":"urn:example:Lock","attributes":[{"name":"pin","mutability":"writeOnly","returned":"never"}]}`), "User")
	if err != nil {
		t.Fatal(err)
	}
	const canary = "Canary7f3aQ"
	for query, want := range map[string]string{
		"filter=urn:example:Lock:pin+eq+%22" + canary + "%22&count=1": "filter&count",
		"pin+eq+%22" + canary + "%22":                                 "(redacted)",
		"pin=" + canary + "&startIndex=2":                             "pin&startIndex",
	} {
		for _, base := range []string{w.url + "/scim/v2", w.base("neighbour"), w.base("nobody")} {
			before := len(p.recorded())
			w.send("GET", base+"/Users?"+query, "Bearer "+p.token, "")
			all := p.recorded()
			if len(all) != before+1 || all[before].Query != want {
				t.Errorf("%s/Users?%s: the log has %+v, want the query %q", base, query, all[before:], want)
			}
		}
		p.ask("GET", "/Users?"+query, "") // from now on the token is known
	}
	if tables := tablesWith(t, owner, canary); len(tables) != 0 {
		t.Errorf("the secret stands in %q", tables)
	}
	if last := p.ask("GET", "/Users?filter=userName+eq+%22alice%22&x=y", ""); last.status != http.StatusOK || p.recorded()[len(p.recorded())-1].Query != `filter=userName eq "alice"&x` {
		t.Errorf("got %d, and the log has %+v", last.status, p.recorded()[len(p.recorded())-1])
	}
}

// What a tenant calls secret from now on is secret in the very next request, also on a
// server that has read the schemas of before.
func TestAQueryIsKeptByTheSchemasThatHold(t *testing.T) {
	owner, database := storetest.Database(t)
	here, elsewhere := start(t, storetest.Open(t, database)), start(t, storetest.Open(t, database))
	here.tenant("acme")
	token := here.connect("acme", "entra", "lenient")
	elsewhere.scim("GET", "/Users", token, "").object(t)
	if _, err := here.declare("acme", "User", []byte(`{"id":"urn:example:hr","name":"HR","attributes":[{"name":"pin","returned":"never","mutability":"writeOnly"}]}`)); err != nil {
		t.Fatal(err)
	}
	const canary = "Canary7f3aQ"
	for range 2 {
		a := elsewhere.scim("GET", "/Users?filter="+url.QueryEscape(`urn:example:hr:pin eq "`+canary+`"`), token, "")
		a.refusal(t, "a filter by what is never returned", http.StatusBadRequest, "invalidFilter")
	}
	if err := elsewhere.store.FlushRequests(soon(t)); err != nil {
		t.Fatal(err)
	}
	if tables := holding(t, owner, canary); len(tables) > 0 {
		t.Errorf("the secret is in %v", tables)
	}
}
