package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
)

var resourceChecks = []Check{
	{Name: "resources/ids", Rows: []string{"B10", "B13"}, Run: checkIDs},
	{Name: "resources/exact-ids", Rows: []string{"B14"}, Run: checkExactIDs},
	{Name: "resources/odd-ids", Rows: []string{"H05"}, Run: checkOddIDs},
	{Name: "resources/race", Rows: []string{"E12"}, Run: checkRace},
	{Name: "resources/round-trip", Rows: []string{"D35"}, Run: checkRoundTrip},
}

// checkIDs: ids differ, of users as of groups, and none holds "bulkId" (RFC 7643 §3.1).
func checkIDs(t *Trial) {
	seen := map[string]bool{}
	for i := range 40 {
		body := fmt.Sprintf(`POST /Users
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user%d"}`, i)
		if i%2 == 1 {
			body = fmt.Sprintf(`POST /Groups
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"group%d"}`, i)
		}
		var made struct{ ID string }
		t.Decode(t.Send(body), &made)
		t.Check(made.ID != "" && !seen[made.ID], "id %q is given twice, or empty", made.ID)
		t.Check(!strings.Contains(strings.ToLower(made.ID), "bulkid"), "id %q", made.ID)
		seen[made.ID] = true
	}
}

// checkExactIDs: an id is told apart by letter case, and always shown (RFC 7643 §3.1).
func checkExactIDs(t *Trial) {
	t.Expect(t.Send(`POST /Users
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bjensen"}`), "201\n"+`{"id":"{id}","...":"..."}`)
	other := strings.ToUpper(t.Named("id"))
	t.Check(other != t.Named("id"), "id %s has no letters", other)
	t.Name("other", other)
	t.Expect(t.Send("GET /Users/{other}"), "404\n...")
	t.Expect(t.Send(`GET /Users?filter=id eq "{other}"`), "200\n"+`{"totalResults":0,"...":"..."}`)
	t.Expect(t.Send("GET /Users/{id}?excludedAttributes=id"), "200\n"+`{"id":"{id}","...":"..."}`)
}

// checkOddIDs: whatever stands in the place of an id is refused as such, and no fault of
// the server's (RFC 7644 §3.4.1).
func checkOddIDs(t *Trial) {
	for _, id := range []string{strings.Repeat("x", 10_000), strings.Repeat("9", 40), "%00", "%ff", "..%2fx", "'--", "{nobody}%20", "null"} {
		for _, request := range []string{"GET /Users/" + id, "DELETE /Groups/" + id} {
			got := t.Send(request)
			refused := got.Status == http.StatusNotFound || got.Status == http.StatusBadRequest || got.Status == http.StatusRequestURITooLong
			t.Check(refused, "%.40s: got status %d: %.200s", request, got.Status, got.Body)
		}
	}
}

// checkRace: of many creations of one name at once, one is done (RFC 7643 §7).
func checkRace(t *Trial) {
	const racers = 20
	statuses := make([]int, racers)
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			statuses[i] = t.Send(`POST /Users
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bjensen"}`).Status
		})
	}
	all.Wait()
	slices.Sort(statuses)
	t.Check(statuses[0] == http.StatusCreated, "nobody was created: %v", statuses)
	t.Check(statuses[1] == http.StatusConflict && statuses[racers-1] == http.StatusConflict, "got %v, want one 201 and nothing but 409", statuses)
	t.Expect(t.Send("GET /Users?filter=userName eq \"bjensen\""), "200\n"+`{"totalResults":1,"...":"..."}`)
}

// checkRoundTrip writes every attribute of a user that /Schemas says can be written, and
// finds it again as it was sent, and nothing that /Schemas does not have.
func checkRoundTrip(t *Trial) {
	declared := map[string][]attribute{}
	for _, schema := range readSchemas(t) {
		declared[schema.ID] = schema.Attributes
	}
	for _, rt := range readResourceTypes(t) {
		if rt.Name == "Group" {
			continue // its members are other resources
		}
		sent := sample("", declared[rt.Schema])
		schemas := []string{rt.Schema}
		known := append(names(declared[rt.Schema]), "schemas", "id", "meta", "externalId")
		for _, extension := range rt.SchemaExtensions {
			sent[extension.Schema] = sample(extension.Schema+":", declared[extension.Schema])
			schemas, known = append(schemas, extension.Schema), append(known, extension.Schema)
		}
		sent["schemas"] = schemas
		checkKept(t, rt, sent, known)
	}
}

func checkKept(t *Trial, rt resourceType, sent map[string]any, known []string) {
	body, err := json.Marshal(sent)
	if err != nil {
		panic(stop{err})
	}
	made := t.Send("POST " + rt.Endpoint + "\n" + string(body))
	t.Expect(made, "201\n"+`{"id":"...","...":"..."}`)
	var resource struct{ ID string }
	t.Decode(made, &resource)
	got := map[string]any{}
	t.Decode(t.Send("GET "+rt.Endpoint+"/"+resource.ID), &got)
	var plain map[string]any
	if err := json.Unmarshal(body, &plain); err != nil {
		panic(stop{err})
	}
	for name, value := range plain {
		t.Check(reflect.DeepEqual(got[name], value), "%s: got %s, sent %s", name, show(got[name]), show(value))
	}
	for name := range got {
		t.Check(slices.Contains(known, name), "%s is not in /Schemas", name)
	}
}

func names(attributes []attribute) []string {
	var all []string
	for _, a := range attributes {
		all = append(all, a.Name)
	}
	return all
}

// sample returns a value for each attribute that a client may write and will see.
func sample(prefix string, attributes []attribute) map[string]any {
	values := map[string]any{}
	for _, a := range attributes {
		writable := a.Mutability == "readWrite" || a.Mutability == "immutable"
		if !writable || a.Returned != "default" && a.Returned != "always" {
			continue
		}
		value := sampleOf(prefix+a.Name, a)
		if a.MultiValued != nil && *a.MultiValued {
			value = []any{value}
		}
		values[a.Name] = value
	}
	return values
}

// particular are values of attributes that hold more than their type says.
var particular = map[string]any{
	"timezone": "Europe/Berlin", "locale": "en-US", "preferredLanguage": "en-US", "addresses.country": "US",
}

func sampleOf(path string, a attribute) any {
	if value, ok := particular[path]; ok {
		return value
	}
	if len(a.CanonicalValues) > 0 {
		return a.CanonicalValues[0]
	}
	switch a.Type {
	case "complex":
		return sample(path+".", a.SubAttributes)
	case "boolean":
		return true
	case "integer":
		return 42
	case "decimal":
		return 4.25
	case "dateTime":
		return "2026-01-31T12:00:00Z"
	case "binary":
		return "aGVsbG8="
	case "reference":
		return "https://example.com/" + a.Name
	}
	return "some " + a.Name
}
