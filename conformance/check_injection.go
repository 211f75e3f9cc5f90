package conformance

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
)

// injections mean something to SQL, to JSON, to HTTP, to a template, a shell or a log.
var injections = []string{
	`' or '1'='1`, `"; drop table users; --`, `\"}],"active":false,"x":[{"`, `%27%20or%201=1`, `$1`, `{{7*7}}`, `${jndi:ldap://x}`,
	`$(id)`, "`id`", `<script>alert(1)</script>`, `../../etc/passwd`, `%0d%0aX-Injected: yes`, `&count=0`, `#`, `{"$ne":null}`, `*)(uid=*))(|(uid=*`,
	`\`, `\\`, `a%b_c`, `?`, `||'`,
}

var injectionChecks = []Check{
	{Name: "injection/values", Rows: []string{"X02"}, Needs: []string{empty}, Run: injectedValues},
	{Name: "injection/addresses", Rows: []string{"X02"}, Run: injectedAddresses},
}

// injectedValues: whatever a text looks like, it is kept, found and shown as that text.
func injectedValues(t *Trial) {
	texts := []string{"title", "userType", "userName", "externalId", "nickName", "displayName"}
	for _, injection := range injections {
		user := map[string]any{
			"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"},
			"name":    map[string]string{"formatted": injection, "familyName": injection},
			"emails":  []map[string]string{{"value": injection, "type": "work", "display": injection}},
		}
		for _, name := range texts {
			user[name] = injection
		}
		made := t.Send("POST /Users\n" + jsonText(user))
		var id struct{ ID string }
		t.Decode(made, &id)
		t.Check(made.Status == http.StatusCreated && id.ID != "", "%q as every text: got %d: %s", injection, made.Status, made.Body)
		var shown map[string]any
		t.Decode(t.Send("GET /Users/"+id.ID), &shown)
		for _, name := range texts {
			t.Check(shown[name] == injection, "%s is %q, want %q", name, shown[name], injection)
		}
		for _, name := range append(texts, "name.familyName", "emails.display") {
			for _, op := range []string{"eq", "co", "sw"} {
				page := t.page("GET /Users?filter=" + url.QueryEscape(name+" "+op+" "+jsonText(injection)))
				found := slices.ContainsFunc(page.Resources, func(r struct{ ID, UserName string }) bool { return r.ID == id.ID })
				t.Check(found && (op != "eq" || page.TotalResults == 1), "%s %s %q: %d found", name, op, injection, page.TotalResults)
			}
		}
		gone := t.Send("DELETE /Users/" + id.ID)
		t.Check(gone.Status == http.StatusNoContent, "deleting it again: got %d", gone.Status)
	}
}

// injectedAddresses: as an id, a path, a filter or a name of an attribute it is nothing
// that anybody has, and is refused or not found.
func injectedAddresses(t *Trial) {
	t.Expect(t.Send("POST /Users\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bjensen","title":"Guide"}`), `201
{"id":"{babs}","meta":{"version":"{version}","...":"..."},"...":"..."}`)
	for _, injection := range injections {
		escaped := url.PathEscape(injection)
		patch := map[string]any{
			"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
			"Operations": []map[string]string{{"op": "replace", "path": "title" + injection, "value": "x"}},
		}
		for _, request := range []string{
			"GET /Users/" + escaped, "DELETE /Users/{babs}" + escaped, "GET /" + escaped, "GET /Schemas/" + escaped,
			"GET /Users?filter=" + url.QueryEscape(injection), "GET /Users?filter=" + url.QueryEscape(injection+` eq "x"`),
			"GET /Users?count=" + url.QueryEscape(injection), "PATCH /Users/{nobody}\n" + jsonText(patch),
		} {
			answer := t.Send(request)
			t.Check(answer.Status >= 400 && answer.Status < 500, "%s: got %d: %.300s", request, answer.Status, answer.Body)
			t.Check(answer.Header.Get("X-Injected") == "", "%s: a header of the client's making", request)
		}
		for _, request := range []string{"GET /Users?attributes=" + url.QueryEscape(injection), "GET /Users?" + url.QueryEscape(injection)} {
			t.Expect(t.Send(request), `200
{"totalResults":1,"Resources":[{"id":"{babs}","...":"..."}],"...":"..."}`)
		}
	}
	t.Expect(t.Send("GET /Users/{babs}"), `200
{"title":"Guide","meta":{"version":"{version}","...":"..."},"...":"..."}`)
}

// jsonText is the value as JSON.
func jsonText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(stop{err})
	}
	return string(text)
}
