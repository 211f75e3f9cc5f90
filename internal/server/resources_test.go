package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

const testSchema = "urn:ietf:params:scim:schemas:test:2.0:TestResource"

// tested is the body of a test resource.
func tested(fields string) string { return `{"schemas":["` + testSchema + `"],` + fields + `}` }

// object reads a body.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("got %d and no object: %v: %.300s", a.status, err, a.body)
	}
	return body
}

// total is the totalResults of a list, -1 for another answer.
func (a answer) total(t *testing.T) int {
	t.Helper()
	total, ok := a.object(t)["totalResults"].(float64)
	if !ok {
		t.Errorf("no list: %d %.300s", a.status, a.body)
		return -1
	}
	return int(total)
}

func patchBody(operations string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`
}

// The whole life of a resource of a registered type, as that of a user.
func TestTheLifeOfARegisteredResource(t *testing.T) {
	w, token := open(t)
	w.testResource("acme")
	created := w.scim("POST", "/TestResources", token, tested(`"identifier":"one","externalId":"e1","integerAttr":9007199254740993,"requestOnlyAttr":"r","writeOnlyAttr":"secret",
		"alwaysReturnedAttr":"a","immutableAttr":"i","multiComplex":[{"value":"v","type":"work","primary":true}]`))
	if created.status != http.StatusCreated {
		t.Fatalf("create: %d %s", created.status, created.body)
	}
	body, id := created.object(t), created.field(t, "id")
	location := w.base("acme") + "/TestResources/" + id
	meta := body["meta"].(map[string]any)
	if created.header.Get("Location") != location || meta["location"] != location || meta["resourceType"] != "TestResource" ||
		created.header.Get("ETag") != meta["version"] || body["requestOnlyAttr"] != "r" || body["writeOnlyAttr"] != nil {
		t.Errorf("created as %s", created.body)
	}
	if !strings.Contains(created.body, `"integerAttr":9007199254740993`) {
		t.Errorf("the integer is not the same: %s", created.body)
	}
	read := w.scim("GET", "/TestResources/"+id, token, "").object(t)
	delete(body, "requestOnlyAttr") // returned to who has just given it, and else on request
	if !cmp.Equal(read, body) {
		t.Error(cmp.Diff(body, read))
	}
	if asked := w.scim("GET", "/TestResources/"+id+"?attributes=requestOnlyAttr,writeOnlyAttr", token, "").object(t); asked["requestOnlyAttr"] != "r" ||
		asked["alwaysReturnedAttr"] != "a" || asked["identifier"] != nil || asked["writeOnlyAttr"] != nil {
		t.Errorf("asked for two: %v", asked)
	}

	etag := created.header.Get("ETag")
	w.scim("PUT", "/TestResources/"+id, token, tested(`"identifier":"one","immutableAttr":"other"`)).refusal(t, "another immutable value", 400, "mutability")
	replaced := w.scim("PUT", "/TestResources/"+id, token, tested(`"identifier":"two","dec":1.5`))
	if got := replaced.object(t); replaced.status != 200 || got["identifier"] != "two" || got["immutableAttr"] != "i" || got["integerAttr"] != nil {
		t.Errorf("replaced: %d %s", replaced.status, replaced.body)
	}
	request, _ := http.NewRequest("PATCH", location, strings.NewReader(patchBody(`{"op":"add","path":"multiStrings","value":["x"]}`)))
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("If-Match", etag)
	w.do(request).refusal(t, "an old version", 412, "")
	patched := w.scim("PATCH", "/TestResources/"+id, token, patchBody(`{"op":"add","path":"multiStrings","value":["x"]},{"op":"replace","path":"complexAttr.sub1","value":"s"}`))
	if got := patched.object(t); patched.status != 200 || !cmp.Equal(got["multiStrings"], []any{"x"}) || got["complexAttr"].(map[string]any)["sub1"] != "s" {
		t.Errorf("patched: %d %s", patched.status, patched.body)
	}
	if again := w.scim("PATCH", "/TestResources/"+id, token, patchBody(`{"op":"add","path":"multiStrings","value":["x"]}`)); again.header.Get("ETag") != patched.header.Get("ETag") {
		t.Error("a change that changes nothing made a version")
	}
	for filter, want := range map[string]int{
		``: 1, `identifier eq "TWO"`: 1, `identifier eq "one"`: 0, `dec gt 1.4`: 1, `externalId eq "e1"`: 0, `complexAttr.sub1 sw "S"`: 1,
		`multiStrings eq "x"`: 1, `id eq "` + id + `"`: 1, `meta.resourceType eq "TestResource"`: 1, `schemas eq "` + testSchema + `"`: 1,
		testSchema + `:identifier eq "two"`: 1, `not (identifier pr)`: 0, `multiComplex[type eq "work"]`: 0, `meta.created gt "2020-01-01T00:00:00Z"`: 1,
	} {
		path := "/TestResources"
		if filter != "" {
			path += "?filter=" + strings.NewReplacer(" ", "%20", `"`, "%22", "[", "%5B", "]", "%5D").Replace(filter)
		}
		if got := w.scim("GET", path, token, "").total(t); got != want {
			t.Errorf("%s: got %d, want %d", filter, got, want)
		}
	}

	if a := w.scim("DELETE", "/TestResources/"+id, token, ""); a.status != 204 || a.body != "" {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
	for _, method := range []string{"GET", "DELETE"} {
		w.scim(method, "/TestResources/"+id, token, "").refusal(t, method+" of what is deleted", 404, "")
	}
	w.scim("PUT", "/TestResources/"+id, token, tested(`"identifier":"two"`)).refusal(t, "PUT of what is deleted", 404, "")
	if got := w.scim("GET", "/TestResources", token, "").total(t); got != 0 {
		t.Errorf("%d are left", got)
	}
	if again := w.create("/TestResources", token, tested(`"identifier":"two"`)); again == id {
		t.Error("an id was given twice")
	}
}

// D18, F19, W06: a type is served to the tenant that registered it, and to no other.
func TestARegisteredEndpointIsTheTenantsOwn(t *testing.T) {
	w, token := open(t)
	w.testResource("acme")
	w.tenant("other")
	theirs := w.connect("other", "entra", "lenient")
	for _, path := range []string{"/TestResources", "/TestResources/2819c223-7f76-453a-919d-413861904646", "/TestResources/.search"} {
		for _, method := range []string{"GET", "POST", "DELETE", "PATCH"} {
			w.send(method, w.base("other")+path, "Bearer "+theirs, "{}").refusal(t, method+" "+path+" of another tenant", 404, "")
			w.send(method, w.base("other")+path, "Bearer "+token, "{}").refusal(t, method+" "+path+" with a token of another tenant", 401, "")
			w.send(method, w.base("acme")+path, "", "{}").refusal(t, method+" "+path+" without a token", 401, "")
		}
	}
	w.send("GET", w.base("other")+"/ResourceTypes/TestResource", "Bearer "+theirs, "").refusal(t, "its resource type", 404, "")
	w.send("GET", w.base("other")+"/Schemas/"+testSchema, "Bearer "+theirs, "").refusal(t, "its schema", 404, "")

	if a := w.scim("DELETE", "/TestResources", token, ""); a.status != 405 || a.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("DELETE of an endpoint: %d %s %s", a.status, a.header.Get("Allow"), a.body)
	}
	id := w.create("/TestResources", token, tested(`"identifier":"one"`))
	w.scim("GET", "/Users/"+id, token, "").refusal(t, "its id among users", 404, "")
	w.scim("GET", "/ExtendedTestResources/"+id, token, "").refusal(t, "its id among another type", 404, "")
	w.scim("DELETE", "/ExtendedTestResources/"+id, token, "").refusal(t, "its id among another type", 404, "")
	if got := w.scim("GET", "/ExtendedTestResources", token, "").total(t); got != 0 {
		t.Errorf("another type lists %d", got)
	}
}

// E10–E12: of many who create the same at once one succeeds, and what is unique
// everywhere is so across types.
func TestUniqueValues(t *testing.T) {
	w, token := open(t)
	w.testResource("acme")
	const n = 20
	var mu sync.Mutex
	got := map[int]int{}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			a := w.scim("POST", "/TestResources", token, tested(fmt.Sprintf(`"identifier":"i%d","uniqueString":"Same","uniqueGlobalString":"g%d"`, i, i)))
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
		})
	}
	all.Wait()
	if !cmp.Equal(got, map[int]int{201: 1, 409: n - 1}) {
		t.Errorf("got %v, want one 201 and %d 409", got, n-1)
	}
	if a := w.scim("GET", "/TestResources", token, ""); a.total(t) != 1 {
		t.Errorf("there are %s", a.body)
	}
	w.scim("POST", "/TestResources", token, tested(`"identifier":"x","uniqueString":"SAME"`)).refusal(t, "in another letter case", 409, "uniqueness")

	first := w.create("/TestResources", token, tested(`"identifier":"a","uniqueExactString":"Ab","uniqueGlobalString":"everywhere"`))
	w.create("/TestResources", token, tested(`"identifier":"b","uniqueExactString":"AB"`))
	extended := func(fields string) string {
		return tested(fields + `,"urn:ietf:params:scim:schemas:extension:test:2.0:TestResource":{"extRequired":"r"}`)
	}
	w.create("/ExtendedTestResources", token, extended(`"identifier":"a"`)) // unique among its own
	w.scim("POST", "/ExtendedTestResources", token, extended(`"identifier":"b","uniqueGlobalString":"Everywhere"`)).refusal(t, "across types", 409, "uniqueness")

	second := w.create("/TestResources", token, tested(`"identifier":"c","uniqueString":"mine"`))
	w.scim("PATCH", "/TestResources/"+first, token, patchBody(`{"op":"add","path":"uniqueString","value":"MINE"}`)).refusal(t, "by PATCH", 409, "uniqueness")
	w.scim("PUT", "/TestResources/"+first, token, tested(`"identifier":"c"`)).refusal(t, "by PUT", 409, "uniqueness")
	if a := w.scim("PUT", "/TestResources/"+second, token, tested(`"identifier":"C","uniqueString":"Mine"`)); a.status != 200 {
		t.Errorf("its own values in another letter case: %d %s", a.status, a.body)
	}
	if a := w.scim("PUT", "/TestResources/"+second, token, tested(`"identifier":"C"`)); a.status != 200 {
		t.Errorf("given up: %d %s", a.status, a.body)
	}
	if a := w.scim("PATCH", "/TestResources/"+first, token, patchBody(`{"op":"add","path":"uniqueString","value":"mine"}`)); a.status != 200 {
		t.Errorf("taken once it is free: %d %s", a.status, a.body)
	}
	if a := w.scim("DELETE", "/TestResources/"+first, token, ""); a.status != 204 {
		t.Error(a.body)
	}
	w.create("/ExtendedTestResources", token, extended(`"identifier":"d","uniqueGlobalString":"everywhere","uniqueString":"mine"`))
}

// D21: a required extension, over HTTP.
func TestARequiredExtension(t *testing.T) {
	w, token := open(t)
	w.testResource("acme")
	const ext = `"urn:ietf:params:scim:schemas:extension:test:2.0:TestResource"`
	w.scim("POST", "/ExtendedTestResources", token, tested(`"identifier":"x"`)).refusal(t, "without it", 400, "invalidValue")
	w.scim("POST", "/ExtendedTestResources", token, tested(`"identifier":"x",`+ext+`:{"extString":"s"}`)).refusal(t, "without what it requires", 400, "invalidValue")
	id := w.create("/ExtendedTestResources", token, tested(`"identifier":"x",`+ext+`:{"extRequired":"r"}`))
	w.scim("PUT", "/ExtendedTestResources/"+id, token, tested(`"identifier":"x"`)).refusal(t, "PUT without it", 400, "invalidValue")
	w.scim("PATCH", "/ExtendedTestResources/"+id, token, patchBody(`{"op":"remove","path":`+ext+`}`)).refusal(t, "PATCH that removes it", 400, "mutability")
	if a := w.scim("GET", "/ExtendedTestResources/"+id, token, ""); !strings.Contains(a.body, `"schemas":["`+testSchema+`",`+ext+`]`) {
		t.Errorf("schemas do not name it: %s", a.body)
	}
}

// badgeSchema is an extension of User.
const badgeSchema = "urn:example:params:scim:schemas:extension:acme:2.0:User"

func badgeDocument(attributes string) []byte {
	return []byte(`{"id":"` + badgeSchema + `","name":"Acme","attributes":[{"name":"badge","uniqueness":"server"},{"name":"costCenter"},
		{"name":"grade","type":"integer"}` + attributes + `]}`)
}

func (w *world) declare(tenant, extends string, document []byte) (store.Declared, error) {
	w.t.Helper()
	dir, err := w.store.Admin(context.Background(), tenant, "test", store.Request{})
	if err != nil {
		w.t.Fatal(err)
	}
	return dir.DeclareSchema(context.Background(), document, extends)
}

// A tenant's own extension of User is seen in discovery, and in what is created,
// replaced, patched, filtered and projected.
func TestATenantsOwnExtension(t *testing.T) {
	w, token := open(t)
	user := func(name, extension string) string {
		return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"` + name + `"` + extension + `}`
	}
	before := w.create("/Users", token, user("before", `,"`+badgeSchema+`":{"badge":"B0"}`)) // unknown yet, and ignored
	if _, err := w.declare("acme", "User", badgeDocument("")); err != nil {
		t.Fatal(err)
	}
	if got := w.scim("GET", "/Schemas/"+badgeSchema, token, "").object(t); got["id"] != badgeSchema || len(got["attributes"].([]any)) != 3 {
		t.Errorf("the schema is shown as %v", got)
	}
	if a := w.scim("GET", "/ResourceTypes/User", token, ""); !strings.Contains(a.body, `{"schema":"`+badgeSchema+`","required":false}`) {
		t.Errorf("the resource type does not name it: %s", a.body)
	}
	if a := w.scim("GET", "/Users/"+before, token, ""); strings.Contains(a.body, badgeSchema) {
		t.Errorf("what was unknown was kept: %s", a.body)
	}
	id := w.create("/Users", token, user("after", `,"`+badgeSchema+`":{"badge":"B1","grade":3}`))
	w.scim("POST", "/Users", token, user("twin", `,"`+badgeSchema+`":{"badge":"b1"}`)).refusal(t, "a badge that is taken", 409, "uniqueness")
	w.scim("POST", "/Users", token, user("wrong", `,"`+badgeSchema+`":{"grade":"three"}`)).refusal(t, "a grade that is a word", 400, "invalidValue")
	patched := w.scim("PATCH", "/Users/"+id, token, patchBody(`{"op":"replace","path":"`+badgeSchema+`:costCenter","value":"CC7"}`))
	if got := patched.object(t)[badgeSchema]; !cmp.Equal(got, map[string]any{"badge": "B1", "grade": 3.0, "costCenter": "CC7"}) {
		t.Errorf("patched to %v", got)
	}
	for filter, want := range map[string]int{
		badgeSchema + `:badge eq "B1"`: 1, badgeSchema + `:grade ge 4`: 0, badgeSchema + `:costCenter pr`: 1, `schemas eq "` + badgeSchema + `"`: 1,
	} {
		path := "/Users?filter=" + strings.NewReplacer(" ", "%20", `"`, "%22").Replace(filter)
		if got := w.scim("GET", path, token, "").total(t); got != want {
			t.Errorf("%s: got %d, want %d", filter, got, want)
		}
	}
	if got := w.scim("GET", "/Users/"+id+"?attributes="+badgeSchema+":grade", token, "").object(t); !cmp.Equal(got[badgeSchema], map[string]any{"grade": 3.0}) || got["userName"] != nil {
		t.Errorf("projected to %v", got)
	}
	if a := w.scim("PUT", "/Users/"+id, token, user("after", "")); strings.Contains(a.body, badgeSchema) {
		t.Errorf("PUT without the extension left it: %s", a.body)
	}
	w.create("/Users", token, user("heir", `,"`+badgeSchema+`":{"badge":"B1"}`))

	if _, err := w.declare("acme", "Group", badgeDocument("")); err != nil {
		t.Fatal(err)
	}
	group := w.create("/Groups", token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Crew","`+badgeSchema+`":{"badge":"B1","grade":1},"members":[{"value":"`+id+`"}]}`)
	if a := w.scim("PATCH", "/Groups/"+group, token, patchBody(`{"op":"replace","path":"`+badgeSchema+`:grade","value":2}`)); a.status != 204 {
		t.Errorf("a group: %d %s", a.status, a.body)
	}
	if got := w.scim("GET", "/Groups?filter="+badgeSchema+":grade%20eq%202&excludedAttributes=members", token, ""); got.total(t) != 1 || !strings.Contains(got.body, `"grade":2`) {
		t.Errorf("groups of grade 2: %s", got.body)
	}
	w.scim("POST", "/Groups", token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Cast","`+badgeSchema+`":{"badge":"b1"}}`).
		refusal(t, "a badge that another group has", 409, "uniqueness")

	if _, err := w.declare("acme", "", badgeDocument(`,{"name":"floor"}`)); err != nil {
		t.Fatal(err)
	}
	if a := w.scim("PATCH", "/Users/"+id, token, patchBody(`{"op":"add","path":"`+badgeSchema+`:floor","value":"3"}`)); a.status != 200 || !strings.Contains(a.body, `"floor":"3"`) {
		t.Errorf("the next version is not used: %d %s", a.status, a.body)
	}
	if _, err := w.declare("acme", "", badgeDocument("")); err == nil || !strings.Contains(err.Error(), "floor was declared and cannot be taken away") {
		t.Errorf("an attribute was taken away: %v", err)
	}
}

// Every server uses a new schema at once: one that knows the tenant's former
// schemas reads the very next request by the new ones, whatever it asks.
func TestEveryServerUsesANewSchemaAtOnce(t *testing.T) {
	_, serverURL := storetest.Database(t)
	here := start(t, storetest.Open(t, serverURL))
	here.tenant("acme")
	token := here.connect("acme", "entra", "strict")
	there := start(t, storetest.Open(t, serverURL))
	id := there.create("/Users", token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"first"}`)

	version := 0
	requests := map[string]func(attribute string) answer{
		"create": func(a string) answer {
			return there.scim("POST", "/Users", token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","`+badgeSchema+`"],"userName":"`+a+`","`+badgeSchema+`":{"`+a+`":"x"}}`)
		},
		"replace": func(a string) answer {
			return there.scim("PUT", "/Users/"+id, token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","`+badgeSchema+`"],"userName":"first","`+badgeSchema+`":{"`+a+`":"x"}}`)
		},
		"patch": func(a string) answer {
			return there.scim("PATCH", "/Users/"+id, token, patchBody(`{"op":"add","path":"`+badgeSchema+`:`+a+`","value":"x"}`))
		},
		"filter": func(a string) answer {
			return there.scim("GET", "/Users?filter="+badgeSchema+":"+a+"%20pr", token, "")
		},
		"search": func(a string) answer {
			return there.scim("POST", "/Users/.search", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"`+badgeSchema+`:`+a+` pr"}`)
		},
		"schemas": func(a string) answer { return there.scim("GET", "/Schemas/"+badgeSchema, token, "") },
	}
	var attributes string
	for _, what := range slices.Sorted(maps.Keys(requests)) {
		version++
		attribute := fmt.Sprintf("a%d", version)
		attributes += `,{"name":"` + attribute + `"}`
		if _, err := here.declare("acme", "User", badgeDocument(attributes)); err != nil {
			t.Fatal(err)
		}
		if a := requests[what](attribute); a.status >= 300 || what == "schemas" && !strings.Contains(a.body, `"`+attribute+`"`) {
			t.Errorf("%s by the newest schema: %d %s", what, a.status, a.body)
		}
	}
}

// An operation of a bulk request is read by the schemas of its own moment: what another
// process declares while the second person is being made serves whatever comes after, and
// nothing is refused because of it but what was unknown.
func TestABulkRequestUsesANewSchemaAtOnce(t *testing.T) {
	_, serverURL := storetest.Database(t)
	here := start(t, storetest.Open(t, serverURL))
	here.tenant("acme")
	token := here.connect("acme", "entra", "strict")
	inserts := &interrupt{at: 2, do: func() {
		if _, err := here.declare("acme", "User", badgeDocument("")); err != nil {
			t.Error(err)
		}
	}}
	there := start(t, storetest.Open(t, serverURL, func(c *store.Config) { c.Tracer = inserts }))
	const badge = `,"` + badgeSchema + `":{"costCenter":"x"}`
	a := there.scim("POST", "/Bulk", token, bulkOf(
		createOf("first", "first", ""), createOf("early", "early", badge), createOf("second", "second", ""),
		createOf("third", "third", badge), createOf("fourth", "fourth", badge)))
	if got, want := a.statuses(t), []string{"201", "400", "201", "201", "201"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: %s", got, want, a.body)
	}
	if got := there.scim("GET", "/Users?count=0&filter="+badgeSchema+":costCenter%20eq%20%22X%22", token, "").total(t); got != 2 {
		t.Errorf("got %d people with what was declared, want the third and the fourth", got)
	}
}

// A new version that the published rules do not compile with is refused: they
// would grant nothing to anybody.
func TestASchemaDoesNotBreakPublishedRules(t *testing.T) {
	w, token := open(t)
	if _, _, err := w.vendor.AddApplication(t.Context(), registry.NewApplication{
		ClientID: "sheet", RedirectURIs: []string{"https://sheet.example/cb"}, Tenants: []string{"acme"}, Roles: []string{"viewer"},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.declare("acme", "User", badgeDocument("")); err != nil {
		t.Fatal(err)
	}
	dir, err := w.store.Admin(t.Context(), "acme", "test", store.Request{})
	if err != nil {
		t.Fatal(err)
	}
	rules := func(when string) []byte {
		return []byte("version: 1\nrules:\n  - id: seniors\n    grant: [sheet.viewer]\n    when: |\n      " + when + "\n")
	}
	for when, want := range map[string]string{
		`user.custom.gradus > 2`:    "grade",
		`user.custom.grade == "3"`:  "cannot be compared",
		`user.custom.badge == true`: "cannot be compared",
	} {
		_, issues, err := dir.PublishRules(t.Context(), rules(when))
		if text := fmt.Sprint(issues); err == nil || !strings.Contains(text, want) {
			t.Errorf("%s: got %v %s, want it refused: %s", when, err, text, want)
		}
	}
	if _, issues, err := dir.PublishRules(t.Context(), rules(`user.custom.grade > 2`)); err != nil {
		t.Fatal(err, issues)
	}
	for grade, want := range map[int]int{2: 0, 3: 1} {
		id := w.create("/Users", token, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"g%d","%s":{"grade":%d}}`, grade, badgeSchema, grade))
		explained, err := dir.Explain(t.Context(), id)
		if err != nil || len(explained.Assignments) != want {
			t.Errorf("grade %d: got %v, %v, want %d roles", grade, explained.Assignments, err, want)
		}
	}
	second := []byte(`{"id":"urn:example:second","attributes":[{"name":"grade","type":"integer"}]}`)
	if _, err := w.declare("acme", "User", second); err == nil || !strings.Contains(err.Error(), "published rules do not compile") {
		t.Errorf("a second grade makes the first ambiguous: got %v, want a refusal", err)
	}
	if a := w.scim("GET", "/Schemas", token, ""); strings.Contains(a.body, "urn:example:second") {
		t.Error("what was refused is there")
	}
}
