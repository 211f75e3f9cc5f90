package scim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// bulkOf is a bulk request of these operations.
func bulkOf(operations ...string) string {
	return `{"schemas":["` + bulkSchema + `"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

func TestParseBulk(t *testing.T) {
	got, err := ParseBulk([]byte(` {"SCHEMAS":["x","` + bulkSchema + `"], "failOnErrors" : 3, "id":null, "operations":[
		{"method":"POST","path":"/Users","bulkId":"qwerty","data" : {"userName":"alice","x":1,"x":2} , "status":{"code":"201"}},
		{"METHOD":"DELETE","path":"/Users/1","version":"W/\"2\"","bulkId":null,"data":null},
		{"method":"PATCH","path":"/Groups/bulkId:a/b","data":[]},
		{"data":"text"}, {}
	]} `))
	want := Bulk{FailOnErrors: 3, Operations: []BulkOperation{
		{Method: "POST", Path: "/Users", BulkID: "qwerty", Data: []byte(`{"userName":"alice","x":1,"x":2}`)},
		{Method: "DELETE", Path: "/Users/1", Version: `W/"2"`},
		{Method: "PATCH", Path: "/Groups/bulkId:a/b", Data: []byte(`[]`), refers: []string{"a/b"}},
		{Data: []byte(`"text"`)}, {},
	}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(BulkOperation{}), cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v, want less and got more:\n%s", err, diff)
	}
}

func TestParseBulkRefuses(t *testing.T) {
	post := `{"method":"POST","path":"/Users","bulkId":"a","data":{}}`
	nested := func(depth int) string {
		return `{"data":` + strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth) + `}`
	}
	if _, err := ParseBulk([]byte(bulkOf(nested(maxDepth)))); err != nil {
		t.Errorf("data as deep as a resource may be: %v", err)
	}
	for body, want := range map[string]string{
		``:    "invalidSyntax the body is empty",
		`{`:   "invalidSyntax the body is not valid JSON",
		`[]`:  "invalidSyntax [ where an object belongs",
		`{}x`: "invalidSyntax the body goes on",
		`{}`:  "invalidSyntax schemas must hold",
		`{"schemas":["` + patchSchema + `"],"Operations":[` + post + `]}`: "invalidSyntax schemas must hold",
		`{"schemas":["` + bulkSchema + `"]}`:                              "invalidSyntax Operations must be an array of at least one",
		bulkOf():                                                          "invalidSyntax Operations must be an array of at least one",
		`{"schemas":["` + bulkSchema + `"],"Operations":{}}`:              "invalidSyntax Operations is not an array",
		`{"schemas":["` + bulkSchema + `"],"operations":[],"Operations":[` + post + `]}`: "invalidSyntax \"Operations\" occurs twice",
		bulkOf(`7`):                            "invalidSyntax Operations[0]: number where an object belongs",
		bulkOf(post, `{"method":1}`):           "invalidSyntax Operations[1]: method is not a string",
		bulkOf(`{"path":"a","PATH":"b"}`):      "invalidSyntax Operations[0]: \"PATH\" occurs twice",
		bulkOf(post, `{"method":"PUT"}`, post): `invalidValue Operations[2]: the bulkId "a" is given twice`,
		bulkOf(nested(maxDepth + 1)):           "invalidSyntax Operations[0]: more than 32 levels",
		bulkOf(`{"x":` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `}`): "invalidSyntax Operations[0]: more than 32 levels",
		bulkOf(`{"path":"/` + strings.Repeat(`x`, maxString) + `"}`):              "invalidSyntax Operations[0]: path is longer than",
		bulkOf(`{"data":{"userName":"` + "\xff" + `"}}`):                          "invalidSyntax the body is not valid JSON: jsontext: invalid UTF-8 within \"/Operations/0/data/userName\"",
		bulkOf(slices.Repeat([]string{`{}`}, MaxBulkOperations+1)...):             " the bulk request exceeds maxOperations (1000)",
	} {
		_, err := ParseBulk([]byte(body))
		if e, _ := err.(*Error); e == nil || !strings.HasPrefix(e.Type+" "+e.Detail, want) {
			t.Errorf("%.80s: got %v, want %s", body, err, want)
		}
	}
	for _, n := range []string{`0`, `-1`, `1.5`, `"1"`, `1e3`, `99999999999999999999`, `true`} {
		_, err := ParseBulk([]byte(strings.Replace(bulkOf(post), `"Operations"`, `"failOnErrors":`+n+`,"Operations"`, 1)))
		if e, _ := err.(*Error); e == nil || e.Type != "invalidValue" {
			t.Errorf("failOnErrors %s: got %v, want invalidValue", n, err)
		}
	}
	most := bulkOf(slices.Repeat([]string{`{}`}, MaxBulkOperations)...)
	if b, err := ParseBulk([]byte(most)); err != nil || len(b.Operations) != MaxBulkOperations {
		t.Errorf("as many operations as are allowed: got %d, %v", len(b.Operations), err)
	}
}

// A reference is the value of an attribute, in whatever form clients write one,
// or stands in a path (RFC 7644 §3.7.2); where it is not known yet, what refers
// to it is left out.
func TestBulkReferences(t *testing.T) {
	const urn = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	for _, c := range []struct{ data, refers, resolved, left string }{
		{`{"displayName":"Tour Guides", "members":[{"type":"User","value":"bulkId:a"},{"value":"x"}]}`, "a",
			`{"displayName":"Tour Guides","members":[{"type":"User","value":"ID-a"},{"value":"x"}]}`, `{"displayName":"Tour Guides","members":[{"value":"x"}]}`},
		{`{` + urn + `:{"employeeNumber":"11250","manager":{"value":"bulkId:a","$ref":"/Users/bulkId:a"}}}`, "a",
			`{` + urn + `:{"employeeNumber":"11250","manager":{"value":"ID-a","$ref":"/Users/ID-a"}}}`, `{` + urn + `:{"employeeNumber":"11250"}}`},
		{`{` + urn + `:{"manager":"bulkId:a"}}`, "a", `{` + urn + `:{"manager":"ID-a"}}`, `{` + urn + `:{}}`},
		{`{"members":["bulkId:b","bulkId:a","bulkId:b"]}`, "a b", `{"members":["ID-b","ID-a","ID-b"]}`, `{"members":[]}`},
		{`{"value":"bulkId:a","x":[[1,"bulkId:a"],null,true,-1.0e2]}`, "a", `{"value":"ID-a","x":[[1,"ID-a"],null,true,-1.0e2]}`, `{"x":[[1],null,true,-1.0e2]}`},
		{`{"Operations":[{"op":"remove","path":"members[value eq \"bulkId:a\" or value eq \"bulkId:b\"]"}]}`, "a b",
			`{"Operations":[{"op":"remove","path":"members[value eq \"ID-a\" or value eq \"ID-b\"]"}]}`, `{"Operations":[{"op":"remove"}]}`},
		{`{"v\u0061lue":"\u0062ulkId:a"}`, "a", `{"v\u0061lue":"ID-a"}`, `{}`},
		{`"bulkId:a"`, "a", `"ID-a"`, ``},
		{`{"bulkId:a":"my bulkId:a","nickName":"BULKID:a","description":"/Users/bulkId:a"}`, "", "", ""},
	} {
		b, err := ParseBulk([]byte(bulkOf(`{"data":` + c.data + `}`)))
		if err != nil {
			t.Fatalf("%s: %v", c.data, err)
		}
		op := b.Operations[0]
		if got := strings.Join(op.References(), " "); got != c.refers {
			t.Errorf("%s: refers to %q, want %q", c.data, got, c.refers)
		}
		if c.refers == "" {
			c.resolved, c.left = c.data, c.data
		}
		_, resolved, err := op.Resolve(map[string]string{"a": "ID-a", "b": "ID-b"})
		if err != nil || string(resolved) != c.resolved {
			t.Errorf("%s: resolved\ngot  %s %v\nwant %s", c.data, resolved, err, c.resolved)
		}
		_, left, err := op.Resolve(nil)
		if err != nil || string(left) != c.left {
			t.Errorf("%s: left out\ngot  %s %v\nwant %s", c.data, left, err, c.left)
		}
	}
}

func TestBulkReferenceInAPath(t *testing.T) {
	for path, want := range map[string]string{
		"/Groups/bulkId:a": "/Groups/ID-a", "/Groups/bulkId:b": "/Groups/bulkId:b", "/Groups/bulkId:": "/Groups/bulkId:",
		"/bulkId:a": "/ID-a", "/Groups": "/Groups", "bulkId:a": "bulkId:a",
	} {
		b, err := ParseBulk([]byte(bulkOf(`{"path":"` + path + `"}`)))
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := b.Operations[0].Resolve(map[string]string{"a": "ID-a"}); err != nil || got != want {
			t.Errorf("%s: got %s %v, want %s", path, got, err, want)
		}
	}
}

// create and refer are operations for tests of the order.
func create(id string, refers ...string) string {
	return `{"method":"POST","bulkId":"` + id + `","data":["bulkId:` + strings.Join(append(refers, id+"0"), `","bulkId:`) + `"]}`
}

func refer(refers ...string) string {
	return `{"method":"PUT","bulkId":"not created","data":["bulkId:` + strings.Join(refers, `","bulkId:`) + `"]}`
}

func TestBulkOrder(t *testing.T) {
	for _, c := range []struct {
		story      string
		operations []string
		want       string
	}{
		{"as sent", []string{create("a"), create("b", "a"), refer("a")}, "[[0] [1] [2]]"},
		{"a creation is brought forward, and what it needs", []string{refer("b"), refer("a"), create("a"), create("b", "c"), create("c")}, "[[4] [3] [0] [2] [1]]"},
		{"a circle comes together", []string{refer("a"), create("a", "b"), refer("d"), create("b", "c"), create("c", "a"), create("d", "d")}, "[[1 3 4] [0] [5] [2]]"},
		{"and in the order sent", []string{create("a", "c"), create("b", "a"), create("c", "b")}, "[[0 1 2]]"},
		{"only creations are referred to", []string{refer("not created"), refer("nobody"), create("a", "not created")}, "[[0] [1] [2]]"},
	} {
		b, err := ParseBulk([]byte(bulkOf(c.operations...)))
		if err != nil && !strings.Contains(err.Error(), "twice") {
			t.Fatal(err)
		}
		if got := fmt.Sprint(b.Order()); got != c.want {
			t.Errorf("%s: got %s, want %s", c.story, got, c.want)
		}
	}
}

// Whatever refers to whatever, each operation is done once, after what it
// refers to or together with it, and who is not referred to is never brought
// forward.
func TestBulkOrderKeepsWhatIsMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "operations")
		var operations []string
		for i := range n {
			refers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
				return fmt.Sprint(rapid.IntRange(0, n).Draw(t, "to"))
			}), 0, 3).Draw(t, "refers")
			if rapid.Bool().Draw(t, "creates") {
				operations = append(operations, create(fmt.Sprint(i), refers...))
			} else {
				operations = append(operations, strings.Replace(refer(append(refers, "x")...), `"bulkId":"not created",`, "", 1))
			}
		}
		b, err := ParseBulk([]byte(bulkOf(operations...)))
		if err != nil {
			t.Fatal(err)
		}
		checkOrder(t, b)
	})
}

func checkOrder(t rapid.TB, b Bulk) {
	t.Helper()
	place := make([]int, len(b.Operations))
	for at, together := range b.Order() {
		for _, i := range together {
			if place[i] != 0 || len(together) > 1 && b.Operations[i].Method != "POST" {
				t.Fatalf("%v: operation %d", b.Order(), i)
			}
			place[i] = at + 1
		}
	}
	referred := map[int]bool{}
	creations := b.Creations()
	for i, op := range b.Operations {
		for _, id := range op.References() {
			j, ok := creations[id]
			referred[j] = referred[j] || ok
			if ok && place[j] > place[i] {
				t.Fatalf("%v: %d comes before %d, which it refers to", b.Order(), i, j)
			}
		}
	}
	last := 0
	for i := range b.Operations {
		if place[i] == 0 {
			t.Fatalf("%v: %d is missing", b.Order(), i)
		}
		if !referred[i] {
			if place[i] < last {
				t.Fatalf("%v: %d is brought forward for nothing", b.Order(), i)
			}
			last = place[i]
		}
	}
}

func FuzzBulk(f *testing.F) {
	for _, operations := range [][]string{
		{create("a", "b"), create("b", "a"), refer("a", "c")},
		{`{"method":"PATCH","path":"/Groups/bulkId:a","version":"W/\"1\"","data":{"Operations":[{"path":"members[value eq \"bulkId:a\"]","value":[{"$ref":"../Users/bulkId:a"}]}]}}`},
		{`{"data":{"v\u0061lue":"\u0062ulkId:a","x":["bulkId:a",{"value":"bulkId:a"}]}}`, `{"data":null}`, `{}`},
	} {
		f.Add([]byte(bulkOf(operations...)))
	}
	f.Add([]byte(`{"failOnErrors":1,"Operations":[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := ParseBulk(body)
		if err != nil {
			if e := err.(*Error); e.Status != 413 && e.Type != "invalidSyntax" && e.Type != "invalidValue" {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		checkOrder(t, b)
		for _, op := range b.Operations {
			ids := map[string]string{}
			checkResolved(t, op, ids)
			for _, id := range op.References() {
				ids[id] = "0193"
			}
			checkResolved(t, op, ids)
		}
	})
}

// checkResolved fails unless the data stay JSON and no reference stays in them.
func checkResolved(t *testing.T, op BulkOperation, ids map[string]string) {
	t.Helper()
	_, data, err := op.Resolve(ids)
	if err != nil {
		t.Fatalf("%s: %v", op.Data, err)
	}
	if len(data) == 0 {
		return
	}
	scan := referenceScan{dec: jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true)), deepest: maxDepth}
	if err := scan.value(""); err != nil || len(scan.found) > 0 {
		t.Fatalf("%s became %s: %v, and refers to %q", op.Data, data, err, scan.found)
	}
}
