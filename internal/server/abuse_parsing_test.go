package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// The rows of §1.C of the abuse catalogue: parsing, filters, bulk, denial of service.
// input_test.go and large_test.go tell more of the same stories.

// refusedWhole sends the body as a creation and as a replacement, and checks that
// neither changes anything.
func (w *world) refusedWhole(token, body string, status int, scimType string) {
	w.t.Helper()
	before := w.scim("GET", "/Users", token, "").body
	w.scim("POST", "/Users", token, body).refusal(w.t, fmt.Sprintf("POST %.80q", body), status, scimType)
	if after := w.scim("GET", "/Users", token, "").body; after != before {
		w.t.Errorf("POST %.80q changed something:\n%s\n%s", body, before, after)
	}
}

// TestAbuse_P01: a name that is there twice is refused, wherever it stands.
func TestAbuse_P01(t *testing.T) {
	w, token := open(t)
	for _, body := range []string{
		`{"userName":"a","userName":"b"}`,
		`{"userName":"a","name":{"givenName":"x","givenName":"y"}}`,
		`{"userName":"a","emails":[{"value":"x","value":"y"}]}`,
		`{"userName":"a","unknown":{"x":1,"x":2}}`,
	} {
		w.refusedWhole(token, body, http.StatusBadRequest, "invalidSyntax")
	}
	bulk := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[],"Operations":[{"method":"POST","path":"/Users","bulkId":"1","data":{"userName":"a"}}]}`
	w.scim("POST", "/Bulk", token, bulk).refusal(t, "bulk", http.StatusBadRequest, "invalidSyntax")
}

// TestAbuse_P02: names are folded once, and then they may not be there twice; what only
// Unicode folds to a name is another name.
func TestAbuse_P02(t *testing.T) {
	w, token := open(t)
	w.refusedWhole(token, `{"userName":"a","USERNAME":"b"}`, http.StatusBadRequest, "invalidSyntax")
	w.refusedWhole(token, `{"uſerName":"a"}`, http.StatusBadRequest, "invalidValue")
	id := w.create("/Users", token, `{"userName":"real","uſerName":"other"}`)
	if got := w.scim("GET", "/Users/"+id, token, "").field(t, "userName"); got != "real" {
		t.Errorf("userName: got %q, want real", got)
	}
}

// TestAbuse_P03: what is no UTF-8 is refused, never mended.
func TestAbuse_P03(t *testing.T) {
	w, token := open(t)
	for _, bad := range []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"} {
		w.refusedWhole(token, `{"userName":"a`+bad+`"}`, http.StatusBadRequest, "invalidSyntax")
	}
}

// TestAbuse_P04: depth is bounded while it is read: ten thousand levels cost no more
// memory than their bytes.
func TestAbuse_P04(t *testing.T) {
	w, token := open(t)
	const deep = 10_000
	for _, body := range []string{
		`{"userName":"a","x":` + strings.Repeat(`{"a":`, deep) + `1` + strings.Repeat(`}`, deep) + `}`,
		`{"userName":"a","x":` + strings.Repeat(`[`, deep) + strings.Repeat(`]`, deep) + `}`,
	} {
		w.refusedWhole(token, body, http.StatusBadRequest, "invalidSyntax")
		if grown := allocated(func() { w.scim("POST", "/Users", token, body) }); grown > 5<<20 {
			t.Errorf("%d bytes were allocated for %d", grown, len(body))
		}
	}
}

// allocated is how many bytes do allocates, with whatever runs beside it.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestAbuse_P05: sizes are bounded: of a body, a string, and the number of attributes.
func TestAbuse_P05(t *testing.T) {
	w, token := open(t)
	w.refusedWhole(token, `{"userName":"a","title":"`+strings.Repeat("x", 5<<20)+`"}`, http.StatusRequestEntityTooLarge, "")
	w.refusedWhole(token, `{"userName":"a","title":"`+strings.Repeat("x", 64<<10+1)+`"}`, http.StatusBadRequest, "invalidSyntax")
	w.refusedWhole(token, `{"userName":"a"`+unknown(600)+`}`, http.StatusBadRequest, "invalidSyntax")
	w.scim("POST", "/Bulk", token, strings.Repeat(" ", 4<<20+1)).refusal(t, "bulk of 4 MiB and a byte", http.StatusRequestEntityTooLarge, "")
}

// TestAbuse_P06: a few compressed bytes are not blown up.
func TestAbuse_P06(t *testing.T) {
	w, token := open(t)
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	zip.Write(bytes.Repeat([]byte(" "), 1<<20))
	zip.Close()
	request, err := http.NewRequest("POST", w.base("acme")+"/Users", &bomb)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Encoding", "gzip")
	w.do(request).refusal(t, "gzip", http.StatusUnsupportedMediaType, "")
}

// TestAbuse_P07: bodies that come slowly hold no connection to the database, so others
// are served beside any number of them.
func TestAbuse_P07(t *testing.T) {
	const connections = 4
	st := storetest.New(t, func(c *store.Config) { c.PoolSize = connections })
	w := start(t, st)
	for _, tenant := range []string{"acme", "globex"} {
		w.tenant(tenant)
	}
	token, other := w.connect("acme", "entra", "lenient"), w.connect("globex", "okta", "lenient")
	leave := make(chan struct{})
	var all sync.WaitGroup
	var slow []*body
	for i := range 50 {
		b := newBody(fmt.Sprintf(`{"displayName":"Slow %d"}`, i), leave)
		all.Go(func() { w.upload(context.Background(), "acme", token, b, 100) })
		slow = append(slow, b)
	}
	for _, b := range slow {
		<-b.begun
	}
	if held := st.Stats().Acquired; held != 0 {
		t.Errorf("%d connections are held while bodies are read, want none", held)
	}
	for i := range 2 * connections {
		if a := send(w, "globex", "POST", "/Users", other, fmt.Sprintf(`{"userName":"quick-%d"}`, i)); a.status != http.StatusCreated {
			t.Errorf("beside slow bodies: %d %s", a.status, a.body)
		}
	}
	close(leave)
	all.Wait()
}

// TestAbuse_P08: one JSON object, in a SCIM or JSON media type, and nothing behind it.
func TestAbuse_P08(t *testing.T) {
	w, token := open(t)
	for _, body := range []string{`{"userName":"a"} x`, `{"userName":"a"}{}`, `[]`, `[{"userName":"a"}]`, `"a"`, `1`, `null`} {
		w.refusedWhole(token, body, http.StatusBadRequest, "invalidSyntax")
	}
	for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "application/scim+json; charset=utf-16", "x"} {
		request, err := http.NewRequest("POST", w.base("acme")+"/Users", strings.NewReader(`{"userName":"a"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", kind)
		w.do(request).refusal(t, kind, http.StatusUnsupportedMediaType, "")
	}
}

// TestAbuse_P09: numbers are whole and bounded; what is out of bounds is clamped as RFC
// 7644 §3.4.2.4 says, or refused.
func TestAbuse_P09(t *testing.T) {
	w, token := open(t)
	w.create("/Users", token, `{"userName":"a"}`)
	for query, want := range map[string]string{
		"count=-1": `"totalResults":1,"startIndex":1,"itemsPerPage":0`, "count=0": `"itemsPerPage":0`,
		"startIndex=0": `"startIndex":1`, "startIndex=-9223372036854775808": `"startIndex":1`,
		"count=2147483648": `"itemsPerPage":1`,
	} {
		if a := w.scim("GET", "/Users?"+query, token, ""); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: got %d %.300s, want %s", query, a.status, a.body, want)
		}
	}
	for _, query := range []string{"startIndex=1e309", "count=1.5", "count=0x10", "count=one", "startIndex=99999999999999999999", "count=99999999999999999999", "startIndex=9007199254740993"} {
		if a := w.scim("GET", "/Users?"+query, token, ""); a.status >= 500 || a.status == http.StatusOK && !strings.Contains(a.body, `"totalResults":1`) {
			t.Errorf("%s: got %d %.300s", query, a.status, a.body)
		}
	}
	for _, id := range []string{"1", "1e3", "9007199254740993", "-1"} {
		w.scim("GET", "/Users/"+id, token, "").refusal(t, id, http.StatusNotFound, "")
	}
}

// TestAbuse_P10: what a client writes is never part of a statement: filters of one shape
// send one text; sort keys are attributes; a cursor that was tampered with is none.
func TestAbuse_P10(t *testing.T) {
	texts := &statements{}
	w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer = texts }))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	w.create("/Users", token, `{"userName":"a","title":"x"}`)
	list := func(query string) answer { return w.scim("GET", "/Users?"+query, token, "") }

	list("filter=" + url.QueryEscape(`userName eq "warm" and title co "up"`))
	want := texts.during(func() { list("filter=" + url.QueryEscape(`userName eq "a" and title co "x"`)) })
	for _, value := range []string{`a' OR '1'='1`, `'; drop table users; --`, `$1`, `%s`, `\\`, `a\" or userName pr or userName eq \"`} {
		filter := `userName eq "` + value + `" and title co "` + value + `"`
		var a answer
		got := texts.during(func() { a = list("filter=" + url.QueryEscape(filter)) })
		if got != want {
			t.Errorf("%s: another statement was sent:\n%s\nwant\n%s", filter, got, want)
		}
		if a.status != http.StatusOK || !strings.Contains(a.body, `"totalResults":0`) {
			t.Errorf("%s: got %d %.300s, want nobody", filter, a.status, a.body)
		}
	}
	for _, query := range []string{"sortBy=id;drop", "sortBy=" + url.QueryEscape("userName desc, (select 1)"), "sortBy=tenant_id", "sortBy=userName'"} {
		if a := list(query); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %.200s, want 400", query, a.status, a.body)
		}
	}
	for _, cursor := range []string{"x", "AAAA", strings.Repeat("A", 10_000), "eyJpZCI6MX0"} {
		list("cursor="+cursor).refusal(t, "cursor "+cursor[:1], http.StatusBadRequest, "invalidCursor")
	}
}

// statements keeps the texts that are sent to the database.
type statements struct {
	mu    sync.Mutex
	texts []string
}

func (s *statements) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(text, "users") {
		s.texts = append(s.texts, text)
	}
}

// during returns what is sent about users while do runs.
func (s *statements) during(do func()) string {
	s.mu.Lock()
	s.texts = nil
	s.mu.Unlock()
	do()
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.texts, "\n")
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	return ctx
}
func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	s.note(q.SQL)
}
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TestAbuse_P11: what LIKE reads as a wildcard means itself.
func TestAbuse_P11(t *testing.T) {
	w, token := open(t)
	for _, name := range []string{"a%b", "axb", "a_c", `a\d`} {
		body, _ := json.Marshal(map[string]string{"userName": name, "title": name})
		w.create("/Users", token, string(body))
	}
	for filter, want := range map[string]int{
		`userName co "%"`: 1, `userName co "_"`: 1, `userName sw "a_"`: 1, `userName ew "%b"`: 1, `userName co "\\"`: 1,
		`title co "%"`: 1, `title sw "a_"`: 1, `title ew "_c"`: 1, `title co "\\d"`: 1, `title sw "%"`: 0,
	} {
		a := w.scim("GET", "/Users?filter="+url.QueryEscape(filter), token, "")
		if !strings.Contains(a.body, fmt.Sprintf(`"totalResults":%d,`, want)) {
			t.Errorf("%s: got %d %.300s, want %d", filter, a.status, a.body, want)
		}
	}
}

// TestAbuse_P12: the cost of a filter is bounded before it is compiled.
func TestAbuse_P12(t *testing.T) {
	w, token := open(t)
	clauses := func(n int) string { return strings.TrimSuffix(strings.Repeat(`title eq "a" or `, n), " or ") }
	for story, filter := range map[string]string{
		"5,000 clauses":   clauses(5_000),
		"65 clauses":      clauses(65),
		"500 deep":        strings.Repeat("(", 500) + "title pr" + strings.Repeat(")", 500),
		"500 not":         strings.Repeat("not (", 500) + "title pr" + strings.Repeat(")", 500),
		"17 deep":         strings.Repeat("(", 17) + "title pr" + strings.Repeat(")", 17),
		"more than 8 KiB": `title eq "` + strings.Repeat("a", 8<<10) + `"`,
	} {
		w.scim("GET", "/Users?filter="+url.QueryEscape(filter), token, "").refusal(t, story, http.StatusBadRequest, "invalidFilter")
	}
	if a := w.scim("GET", "/Users?filter="+url.QueryEscape(clauses(30)), token, ""); a.status != http.StatusOK {
		t.Errorf("30 clauses: %d %s", a.status, a.body)
	}
}

// TestAbuse_P13: only what can be read can be asked about, filtered, sorted and in paths.
func TestAbuse_P13(t *testing.T) {
	w, token := open(t)
	w.tenant("globex")
	theirs := send(w, "globex", "POST", "/Users", w.connect("globex", "okta", "lenient"), `{"userName":"theirs"}`).field(t, "id")
	ours := w.create("/Users", token, `{"userName":"a","password":"Canary-1"}`)
	w.create("/Groups", token, `{"displayName":"g","members":[{"value":"`+ours+`"}]}`)
	for _, filter := range []string{`password sw "C"`, `password pr`, `token_hash pr`, `locked eq true`, `tenant_id pr`, `epoch gt 0`, `derived pr`} {
		w.scim("GET", "/Users?filter="+url.QueryEscape(filter), token, "").refusal(t, filter, http.StatusBadRequest, "invalidFilter")
		name, _, _ := strings.Cut(filter, " ")
		if a := w.scim("GET", "/Users?sortBy="+name, token, ""); a.status != http.StatusBadRequest {
			t.Errorf("sortBy=%s: got %d %.200s, want 400", name, a.status, a.body)
		}
	}
	same := w.scim("GET", "/Groups?filter="+url.QueryEscape(`members.value eq "00000000-0000-7000-8000-000000000000"`), token, "").same()
	if got := w.scim("GET", "/Groups?filter="+url.QueryEscape(`members.value eq "`+theirs+`"`), token, "").same(); got != same {
		t.Errorf("another tenant's member can be told from nobody:\n%s\n%s", got, same)
	}
}

// TestAbuse_P14: totals count what the caller may see.
func TestAbuse_P14(t *testing.T) {
	w, token := open(t)
	second := w.connect("acme", "okta", "lenient")
	for i := range 3 {
		w.create("/Users", token, fmt.Sprintf(`{"userName":"first-%d"}`, i))
	}
	w.create("/Users", second, `{"userName":"second"}`)
	for query, want := range map[string]string{"": `"totalResults":1,`, "?count=0": `"totalResults":1,`, "?filter=userName+pr": `"totalResults":1,`, "?filter=userName+sw+%22first%22": `"totalResults":0,`} {
		if a := w.scim("GET", "/Users"+query, second, ""); !strings.Contains(a.body, want) {
			t.Errorf("%s: got %.300s, want %s", query, a.body, want)
		}
	}
}

// TestAbuse_P15: an operation of a bulk request names a resource here or nothing.
func TestAbuse_P15(t *testing.T) {
	w, token := open(t)
	victim := w.create("/Users", token, `{"userName":"victim"}`)
	for _, path := range []string{"/../admin/x", "https://example.com/Users/" + victim, "//example.com/Users/" + victim, "/Bulk", "/Me", "/Users/../Users/" + victim,
		"/Users/" + victim + "/../" + victim, "/Users/" + victim + "?x", "/Schemas/x", "Users/" + victim + "/", "/Users/%2e%2e/Groups", "/.search"} {
		for _, method := range []string{"DELETE", "POST"} {
			body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":%q,"path":%q,"bulkId":"x","data":{"userName":"new"}}]}`, method, path)
			a := w.scim("POST", "/Bulk", token, body)
			if a.status < 400 && !regexp.MustCompile(`"status":"4\d\d"`).MatchString(a.body) {
				t.Errorf("%s %s: got %d %s, want a refusal", method, path, a.status, a.body)
			}
		}
	}
	operations := strings.TrimSuffix(strings.Repeat(`{"method":"DELETE","path":"/Users/`+victim+`"},`, 1001), ",")
	a := w.scim("POST", "/Bulk", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+operations+`]}`)
	a.refusal(t, "1,001 operations", http.StatusRequestEntityTooLarge, "")
	w.scim("POST", "/Bulk", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
		{"method":"POST","path":"/Groups","bulkId":"a","data":{"displayName":"a","members":[{"value":"bulkId:b","type":"Group"}]}},
		{"method":"POST","path":"/Groups","bulkId":"b","data":{"displayName":"b","members":[{"value":"bulkId:a","type":"Group"}]}}]}`)
	if a := w.scim("GET", "/Users", token, ""); !strings.Contains(a.body, `"totalResults":1,`) {
		t.Errorf("the victim is gone or has company: %s", a.body)
	}
}

// TestAbuse_P16: operations run in their order, each whole or not at all, and the answer
// says which.
func TestAbuse_P16(t *testing.T) {
	for failOnErrors, want := range map[int]int{0: 9, 1: 3, 2: 9} {
		w, token := open(t)
		var operations []string
		for i := range 10 {
			data := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user-%d"}`, i)
			if i == 3 {
				data = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"USER-1"}`
			}
			operations = append(operations, fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"b%d","data":%s}`, i, data))
		}
		limit := ""
		if failOnErrors > 0 {
			limit = fmt.Sprintf(`"failOnErrors":%d,`, failOnErrors)
		}
		a := w.scim("POST", "/Bulk", token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],`+limit+`"Operations":[`+strings.Join(operations, ",")+`]}`)
		var answered struct {
			Operations []struct{ BulkID, Status, Location string }
		}
		if err := json.Unmarshal([]byte(a.body), &answered); err != nil || a.status != http.StatusOK {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		created := 0
		for i, o := range answered.Operations {
			if o.BulkID != fmt.Sprintf("b%d", i) || (o.Status == "201") != (i != 3) || i == 3 && o.Status != "409" {
				t.Errorf("failOnErrors %d, operation %d: %+v", failOnErrors, i, o)
			}
			if o.Status == "201" {
				created++
				if got := w.send("GET", o.Location, "Bearer "+token, ""); got.status != http.StatusOK {
					t.Errorf("%s: %d", o.Location, got.status)
				}
			}
		}
		if total := w.scim("GET", "/Users", token, ""); created != want || !strings.Contains(total.body, fmt.Sprintf(`"totalResults":%d,`, want)) {
			t.Errorf("failOnErrors %d: %d answered as created, want %d; there are %.100s", failOnErrors, created, want, total.body)
		}
	}
}

// TestAbuse_P17: a removal that lists members removes these.
func TestAbuse_P17(t *testing.T) {
	w, token := open(t)
	var ids []string
	for i := range 3 {
		ids = append(ids, w.create("/Users", token, fmt.Sprintf(`{"userName":"user-%d"}`, i)))
	}
	group := w.create("/Groups", token, `{"displayName":"g","members":[{"value":"`+ids[0]+`"},{"value":"`+ids[1]+`"},{"value":"`+ids[2]+`"}]}`)
	w.patchMembers(token, group, `{"op":"remove","path":"members","value":[{"value":"`+ids[0]+`"}]}`)
	a := w.scim("GET", "/Groups/"+group, token, "")
	if strings.Contains(a.body, ids[0]) || !strings.Contains(a.body, ids[1]) || !strings.Contains(a.body, ids[2]) {
		t.Errorf("members: %s", a.body)
	}
}

func (w *world) patchMembers(token, group, operation string) {
	w.t.Helper()
	body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operation + `]}`
	if a := w.scim("PATCH", "/Groups/"+group, token, body); a.status != http.StatusNoContent {
		w.t.Fatalf("%s: %d %s", operation, a.status, a.body)
	}
}

// TestAbuse_P18: a value path selects what its filter says and nothing else. That the
// engine agrees with an independent reading is a property of package scim.
func TestAbuse_P18(t *testing.T) {
	w, token := open(t)
	one, two := w.create("/Users", token, `{"userName":"one"}`), w.create("/Users", token, `{"userName":"two"}`)
	for path, left := range map[string]int{
		`members[value eq \"` + one + `\"]`:                              1,
		`members[value eq \"nobody\" or value eq \"` + one + `\"]`:       1,
		`members[value eq \"` + one + `\" or value pr]`:                  0,
		`members[value eq \"` + one + `\" and value eq \"` + two + `\"]`: 2,
		`members[not (value eq \"` + one + `\")]`:                        1,
	} {
		group := w.create("/Groups", token, `{"displayName":"g","members":[{"value":"`+one+`"},{"value":"`+two+`"}]}`)
		w.scim("PATCH", "/Groups/"+group, token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"`+path+`"}]}`)
		if got := strings.Count(w.scim("GET", "/Groups/"+group, token, "").body, `"value":`); got != left {
			t.Errorf("%s: %d members are left, want %d", path, got, left)
		}
		w.scim("DELETE", "/Groups/"+group, token, "")
	}
}

// TestAbuse_P19: members by the hundred thousand in one request cost memory in
// proportion to the request, and a group is read without them when they are not wanted.
func TestAbuse_P19(t *testing.T) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	id := w.create("/Users", token, `{"userName":"one"}`)
	group := w.create("/Groups", token, `{"displayName":"g"}`)
	var members strings.Builder
	for i := range 99_999 {
		fmt.Fprintf(&members, `{"value":"00000000-0000-7000-8000-%012d"},`, i)
	}
	body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[` + members.String() + `{"value":"` + id + `"}]}]}`
	var a answer
	grown := allocated(func() { a = w.scim("PATCH", "/Groups/"+group, token, body) })
	if a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if most := uint64(40 * len(body)); grown > most {
		t.Errorf("%d MiB were allocated for a body of %d", grown>>20, len(body)>>20)
	}
	if a := w.scim("GET", "/Groups/"+group, token, ""); strings.Count(a.body, `"value":`) != 1 {
		t.Errorf("members: %.300s", a.body)
	}
	large := storetest.Look(t, owner, "acme") // members in number, by the database's owner
	if _, err := large.Exec(t.Context(), `
		with made as (
			insert into users (tenant_id, connection_id, id, user_name_key, active, resource, search)
			select tenant_id, connection_id, gen_random_uuid(), 'crowd' || i, true, '{}', '{}' from groups, generate_series(1, 20000) i where id = $1
			returning tenant_id, connection_id, id)
		insert into memberships (tenant_id, connection_id, group_id, member_user) select tenant_id, connection_id, $1, id from made`, group); err != nil {
		t.Fatal(err)
	}
	w.scim("GET", "/Groups/"+group+"?excludedAttributes=members", token, "")
	lean := allocated(func() { a = w.scim("GET", "/Groups/"+group+"?excludedAttributes=members", token, "") })
	whole := allocated(func() { w.scim("GET", "/Groups/"+group, token, "") })
	if strings.Contains(a.body, "members") || lean > 1<<20 || whole < 1<<20 {
		t.Errorf("without members %d bytes are allocated, with them %d: %.300s", lean, whole, a.body)
	}
}

// TestAbuse_P20: one tenant's slow lists leave connections to the others. Fairness has
// more tests in package store.
func TestAbuse_P20(t *testing.T) {
	const connections = 4
	st := storetest.New(t, func(c *store.Config) { c.PoolSize = connections })
	w := start(t, st)
	for _, tenant := range []string{"acme", "globex"} {
		w.tenant(tenant)
	}
	noisy, token := w.connect("globex", "okta", "lenient"), w.connect("acme", "entra", "lenient")
	id := w.create("/Users", token, `{"userName":"a","active":true}`)
	for i := range 300 {
		send(w, "globex", "POST", "/Users", noisy, fmt.Sprintf(`{"userName":"n%d","title":"%s"}`, i, strings.Repeat("a", 2000)))
	}
	ctx, stop := context.WithCancel(t.Context())
	var storm sync.WaitGroup
	asked := make(chan struct{}, 1)
	for range 50 {
		storm.Go(func() {
			for ctx.Err() == nil {
				send(w, "globex", "GET", "/Users?filter="+url.QueryEscape(`title co "b" or nickName co "x" or displayName co "y"`), noisy, "")
				select {
				case asked <- struct{}{}:
				default:
				}
			}
		})
	}
	<-asked
	for i := range 20 {
		value := fmt.Sprint(i%2 == 1)
		a := w.scim("PATCH", "/Users/"+id, token, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":`+value+`}]}`)
		if a.status != http.StatusOK {
			t.Errorf("deactivation %d in the storm: %d %s", i, a.status, a.body)
		}
	}
	stop()
	storm.Wait()
}

// TestAbuse_P21: a parameter that is there twice is refused, because intermediaries
// disagree which one counts, and no header changes the method.
func TestAbuse_P21(t *testing.T) {
	w, token := open(t)
	id := w.create("/Users", token, `{"userName":"a"}`)
	for _, query := range []string{"filter=userName+pr&filter=title+pr", "count=1&COUNT=2", "startIndex=1&startIndex=1", "sortBy=title&sortBy=userName", "cursor=&cursor="} {
		if a := w.scim("GET", "/Users?"+query, token, ""); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %.200s, want 400", query, a.status, a.body)
		}
	}
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		request, err := http.NewRequest("POST", w.base("acme")+"/Users/"+id, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set(name, "DELETE")
		w.do(request).refusal(t, name, http.StatusMethodNotAllowed, "")
	}
	if a := w.scim("GET", "/Users/"+id, token, ""); a.status != http.StatusOK {
		t.Errorf("the user: %d", a.status)
	}
}

// TestAbuse_P22: a panic ends its request and nothing else. The parsers are fuzzed by
// FuzzHTTP and the fuzz targets of their packages.
func TestAbuse_P22(t *testing.T) {
	w, token := open(t)
	w.router.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	if a := w.send("GET", w.url+"/panic", "", ""); a.status != http.StatusInternalServerError || strings.Contains(a.body, "boom") {
		t.Errorf("got %d %s, want a bare 500", a.status, a.body)
	}
	w.create("/Users", token, `{"userName":"after"}`)
}

// TestAbuse_P23: without its database the server says so, and nothing about it.
func TestAbuse_P23(t *testing.T) {
	st := storetest.New(t)
	w := serve(t, st, server.NewMetrics())
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	id := w.create("/Users", token, `{"userName":"a"}`)
	st.Close()
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/Users/" + id, ""}, {"GET", "/Users", ""}, {"POST", "/Users", `{"userName":"b"}`}, {"DELETE", "/Users/" + id, ""},
		{"PATCH", "/Users/" + id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"x"}]}`},
	} {
		a := w.scim(r.method, r.path, token, r.body)
		a.refusal(t, r.method+" "+r.path, http.StatusServiceUnavailable, "")
		a.waits(t, r.method)
		for _, tell := range []string{"host=", "pq:", "pgx", "SQLSTATE", "127.0.0.1", "/tmp", "socket", "closed pool", "users"} {
			if strings.Contains(a.body, tell) {
				t.Errorf("%s %s tells %q: %s", r.method, r.path, tell, a.body)
			}
		}
	}
}

// TestAbuse_P24: a request whose length can be read in two ways is refused, and a
// hop-by-hop header cannot take the credential away.
func TestAbuse_P24(t *testing.T) {
	w, token := open(t)
	host := strings.TrimPrefix(w.url, "http://")
	head := "Host: " + host + "\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/scim+json\r\n"
	body := `{"userName":"smuggled"}`
	for story, raw := range map[string]string{
		"both lengths":             "POST /t/acme/scim/v2/Users HTTP/1.1\r\n" + head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths":              "POST /t/acme/scim/v2/Users HTTP/1.1\r\n" + head + fmt.Sprintf("Content-Length: %d\r\nContent-Length: 0\r\n\r\n", len(body)) + body,
		"an odd coding":            "POST /t/acme/scim/v2/Users HTTP/1.1\r\n" + head + "Transfer-Encoding: xchunked\r\n\r\n" + body,
		"a space before the colon": "POST /t/acme/scim/v2/Users HTTP/1.1\r\n" + head + "Content-Length : 5\r\n\r\n" + body,
	} {
		if status := rawStatus(t, host, raw); status == http.StatusCreated || status >= 500 && status != http.StatusNotImplemented {
			t.Errorf("%s: got %d, want a refusal", story, status)
		}
	}
	if status := rawStatus(t, host, "GET /t/acme/scim/v2/Users HTTP/1.1\r\n"+head+"Connection: Authorization\r\n\r\n"); status != http.StatusOK {
		t.Errorf("Connection: Authorization: got %d, want the credential to be there", status)
	}
	if a := w.scim("GET", "/Users", token, ""); !strings.Contains(a.body, `"totalResults":0`) {
		t.Errorf("somebody was smuggled in: %s", a.body)
	}
}

// rawStatus sends the bytes and returns the status of the first answer.
func rawStatus(t *testing.T, host, raw string) int {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0 // closed without an answer
	}
	response.Body.Close()
	return response.StatusCode
}
