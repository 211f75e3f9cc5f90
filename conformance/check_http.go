package conformance

import (
	"slices"
	"strconv"
	"strings"
)

// scimTypes are those of RFC 7644 Table 9 and RFC 9865 §2.1.
var scimTypes = []string{
	"invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget",
	"invalidValue", "invalidVers", "sensitive", "invalidCursor", "expiredCursor", "invalidCount",
}

const errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"

var httpChecks = []Check{
	{Name: "http/not-utf-8", Rows: []string{"F28"}, Needs: []string{empty}, Run: func(t *Trial) {
		const refused = `400
Content-Type: application/scim+json
{"schemas":["` + errorSchema + `"],"status":"400","scimType":"invalidSyntax","detail":"..."}`
		for _, name := range []string{"\xc3\x28", "a\xff", "a\xc0\x80", "\xed\xa0\x80"} {
			t.Expect(t.Send("POST /Users\n{\"userName\":\""+name+"\"}"), refused)
		}
		t.Expect(t.Send("GET /Users"), `200
{"totalResults":0,"...":"..."}`)
	}},
	{Name: "http/depth", Rows: []string{"F29"}, Run: func(t *Trial) {
		const refused = `400
{"schemas":["` + errorSchema + `"],"status":"400","scimType":"invalidSyntax","detail":"..."}`
		const deep = 100_000
		t.Expect(t.Send("POST /Users\n"+strings.Repeat("[", deep)+strings.Repeat("]", deep)), refused)
		t.Expect(t.Send("POST /Users\n"+`{"userName":"x","nope":`+strings.Repeat(`{"a":`, deep)+"1"+strings.Repeat("}", deep+1)), refused)
	}},
	{Name: "http/too-large", Rows: []string{"F29"}, Run: func(t *Trial) {
		body := `{"userName":"x","nope":"` + strings.Repeat("x", 8<<20) + `"}`
		t.Expect(t.Send("POST /Users\n"+body), `413
Content-Type: application/scim+json
{"schemas":["`+errorSchema+`"],"status":"413","detail":"..."}`)
	}},
	{Name: "http/errors", Rows: []string{"T01", "T02", "T03"}, Run: everyRefusal},
}

// everyRefusal asks wrongly in many ways, and looks at how that is said.
func everyRefusal(t *Trial) {
	for _, request := range []string{
		"GET /Users\nAuthorization:", "GET /Nope", "PUT /Users\n{}", "GET /Users\nAccept: text/html", "POST /Users\nContent-Type: text/plain\n\nx",
		"POST /Users\n{", "POST /Users\n[]", `POST /Users` + "\n" + `{"displayName":"x"}`, "POST /Users\n" + `{"userName":{}}`,
		`GET /Users?filter=userName is "x"`, "GET /Users?count=x", "GET /Users?attributes=a&excludedAttributes=b", "GET /Users/{nobody}",
		"DELETE /Users/{nobody}", "PATCH /Users/{nobody}\n{}", "PATCH /Users/{nobody}\n" + `{"Operations":[{"op":"remove"}]}`,
		"PUT /Groups/{nobody}\n{}", "DELETE /Schemas", "GET /Schemas?filter=x", "GET /Schemas/x", "GET /ResourceTypes/x",
	} {
		line, _, _ := strings.Cut(request, "\n")
		answer := t.Send(request)
		var body struct {
			Schemas  []string
			Status   any
			ScimType *string
		}
		t.Decode(answer, &body)
		status, isText := body.Status.(string)
		t.Check(slices.Equal(body.Schemas, []string{errorSchema}), "%s: schemas %q, want the Error message's", line, body.Schemas)
		t.Check(answer.Status >= 400 && isText && status == strconv.Itoa(answer.Status), "%s: status %v in the body of %d", line, body.Status, answer.Status)
		t.Check(body.ScimType == nil || slices.Contains(scimTypes, *body.ScimType), "%s: a scimType of no RFC: %s", line, answer.Body)
	}
}
