package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/storetest"
)

const (
	enterprise = `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`
	asUser     = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	asGroup    = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`

	found     = "200\n" + `{"totalResults":1,"Resources":[{"id":"{user}","...":"..."}],"...":"..."}`
	untouched = "200\n" + `{"title":"Rigger","active":true,"emails":[{"type":"work","value":"work@x.example"}],"...":"..."}`
	bothIn    = "200\n" + `{"schemas":"...","id":"{group}","members":[{"value":"{user}"},{"value":"{other}"}]}`
	onlyUser  = "200\n" + `{"schemas":"...","id":"{group}","members":[{"value":"{user}"}]}`
)

// refusedFor is the answer that refuses a request for a reason of RFC 7644 Table 9.
func refusedFor(scimType string) string {
	return "400\n" + fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":%q,"detail":"..."}`, scimType)
}

// A difference is a request that the two profiles answer in two ways, and what is there
// afterwards. {user} and {other} are people, and {group} has both of them as members;
// {n} makes names unique.
type difference struct {
	row             string
	request         string
	lenient, strict string
	then            string // "": nothing more is asked
	after, kept     string // by the lenient connection, by the strict one
}

var readUserBack, readGroupBack = "GET /Users/{user}", "GET /Groups/{group}?attributes=members.value"

// onUser is a PATCH of {user}; a strict connection refuses it, and nothing has changed.
func onUser(row, operations, lenient, scimType string) difference {
	return difference{row, patchRequest("Users/{user}", operations), "200\n" + lenient, refusedFor(scimType), readUserBack, "200\n" + lenient, untouched}
}

// onGroup is a PATCH of {group}, likewise.
func onGroup(row, operations, after, scimType string) difference {
	return difference{row, patchRequest("Groups/{group}", operations), "204", refusedFor(scimType), readGroupBack, after, bothIn}
}

// onCreate is a POST of a user that a strict connection refuses.
func onCreate(row, members, lenient, scimType string) difference {
	return difference{row: row, request: `POST /Users` + "\n" + `{` + asUser + `,"userName":"new-{n}",` + members + `}`,
		lenient: "201\n" + lenient, strict: refusedFor(scimType)}
}

// onFind is a filter that finds {user}, and that a strict connection refuses.
func onFind(row, filter string) difference {
	return difference{row: row, request: "GET /Users?filter=" + filter, lenient: found, strict: refusedFor("invalidFilter")}
}

func patchRequest(path, operations string) string {
	return "PATCH /" + path + "\n" + `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`
}

// differences are all customary deviations that depend on the profile.
var differences = []difference{
	onFind("Q24", `emails[type eq "work"].value eq "work@x.example" and userName eq "user-{n}"`),
	onFind("Q26", `userName eq user-{n}`),
	onFind("Q26", `externalId eq 4711{n}`),
	onFind("Q27", `manager eq "boss-{n}"`),
	onFind("Q27", enterprise+`:manager eq "boss-{n}"`),
	onFind("Q30", `userName eq "user-{n}" and active eq "True"`),
	onFind("Q97", enterprise+`.costCenter eq "cost-{n}"`),
	onFind("J57", `userName eq"user-{n}"`),

	onCreate("Q40", `"emails":[null]`, `{"emails":"!...","...":"..."}`, "invalidValue"),
	onCreate("Q41", `"emails":{"value":"a@x.example"}`, `{"emails":[{"value":"a@x.example"}],"...":"..."}`, "invalidValue"),
	onCreate("Q42", `"active":"False"`, `{"active":false,"...":"..."}`, "invalidValue"),
	onCreate("Q42", `"title":5`, `{"title":"5","...":"..."}`, "invalidValue"),
	onCreate("Q43", `"roles":[{"value":"a","primary":"True"}]`, `{"roles":[{"value":"a","primary":true}],"...":"..."}`, "invalidValue"),
	onCreate("Q44", `"emails":[{"value":"a","primary":true},{"value":"b","primary":true}]`, `{"emails":[{"value":"a","primary":false},{"value":"b","primary":true}],"...":"..."}`, "invalidValue"),
	onCreate("Q46", `"adreses":[]`, `{"adreses":"!...","...":"..."}`, "invalidSyntax"),
	{row: "Q47", request: "POST /Users\n" + `{"userName":"new-{n}"}`, lenient: "201\n" + `{` + asUser + `,"...":"..."}`, strict: refusedFor("invalidSyntax")},
	{row: "Q47", request: "POST /Users\n" + `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","` + strings.Replace(enterprise, "2.0:", "2.0", 1) + `"],"userName":"new-{n}"}`,
		lenient: "201\n" + `{` + asUser + `,"...":"..."}`, strict: refusedFor("invalidValue")},
	onCreate("Q59", `"profileUrl":"no url <>"`, `{"profileUrl":"no url <>","...":"..."}`, "invalidValue"),
	{row: "Q60", request: "POST /Groups\n" + `{` + asGroup + `,"displayName":"new-{n}","members":[{"value":"{user}"},{"value":"{nobody}"}]}`,
		lenient: "201\n" + `{"members":[{"value":"{user}","...":"..."}],"...":"..."}`, strict: refusedFor("invalidValue"),
		then: `GET /Groups?filter=displayName eq "new-{n}"`, after: "200\n" + `{"totalResults":1,"...":"..."}`, kept: "200\n" + `{"totalResults":0,"...":"..."}`},
	{row: "Q60", request: "POST /Groups\n" + `{` + asGroup + `,"displayName":"new-{n}","members":[{"display":"x"}]}`,
		lenient: "201\n" + `{"members":[],"...":"..."}`, strict: refusedFor("invalidValue")},
	{row: "Q64", request: "POST /Users\n" + `{` + asUser + `,"userName":"new-{n}","title":""}`,
		lenient: "201\n" + `{"title":"!...","...":"..."}`, strict: "201\n" + `{"title":"","...":"..."}`},
	onCreate("Q73", `"name.familyName":"F"`, `{"name":{"familyName":"F"},"...":"..."}`, "invalidSyntax"),
	onCreate("Q81", `"emails":[{"value":"a","type":"work"},{"value":"a","type":"work","display":"A"}]`, `{"emails":[{"value":"a","type":"work","display":"A"}],"...":"..."}`, "invalidValue"),
	onCreate("Q82", `"`+enterprise+`":{"manager":[{"value":"m"}]}`, `{"`+enterprise+`":{"manager":{"value":"m","...":"..."}},"...":"..."}`, "invalidValue"),
	onCreate("Q82", `"`+enterprise+`":{"manager":"m"}`, `{"`+enterprise+`":{"manager":{"value":"m","...":"..."}},"...":"..."}`, "invalidValue"),
	{row: "Q83", request: "POST /Users\n" + `{` + asUser + `,"userName":"new-{n}","roles":[{"value":"{\"value\":\"Admin\",\"displayName\":\"A\"}"}]}`,
		lenient: "201\n" + `{"roles":[{"value":"Admin","display":"A"}],"...":"..."}`,
		strict:  "201\n" + `{"roles":[{"value":"{\"value\":\"Admin\",\"displayName\":\"A\"}"}],"...":"..."}`},

	onUser("Q70", `{"op":"Replace","path":"title","value":"T"}`, `{"title":"T","...":"..."}`, "invalidSyntax"),
	{"Q71", "PATCH /Users/{user}\n" + `{"operations":[{"op":"replace","path":"title","value":"T"}]}`, "200\n" + `{"title":"T","...":"..."}`, refusedFor("invalidSyntax"),
		readUserBack, "200\n" + `{"title":"T","...":"..."}`, untouched},
	onUser("Q71", `{"op":"replace","path":"","value":{"title":"T"}}`, `{"title":"T","...":"..."}`, "invalidPath"),
	onUser("Q72", `{"op":"replace","path":"active","value":"False"}`, `{"active":false,"...":"..."}`, "invalidValue"),
	onUser("Q72", `{"op":"replace","value":{"active":"false"}}`, `{"active":false,"...":"..."}`, "invalidValue"),
	onUser("Q73", `{"op":"replace","value":{"name.givenName":"G"}}`, `{"name":{"givenName":"G"},"...":"..."}`, "invalidPath"),
	onUser("Q73", `{"op":"replace","value":{"`+enterprise+`:department":"D"}}`, `{"`+enterprise+`":{"department":"D","...":"..."},"...":"..."}`, "invalidPath"),
	onUser("Q74", `{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User":{"title":"T"}}}`, `{"title":"T","...":"..."}`, "invalidPath"),
	onUser("Q75", `{"op":"replace","value":{"id":"7","title":"T"}}`, `{"id":"{user}","title":"T","...":"..."}`, "mutability"),
	onUser("Q75", `{"op":"replace","path":"schemas","value":["urn:ietf:params:scim:schemas:core:2.0:User"]},{"op":"replace","path":"title","value":"T"}`, `{"title":"T","...":"..."}`, "mutability"),
	{"Q77", patchRequest("Users/{user}", `{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"w"}}`),
		"200\n" + `{"emails":[{"type":"work","value":"w"}],"...":"..."}`, "200\n" + `{"emails":[{"value":"w"}],"...":"..."}`, "", "", ""},
	onUser("Q77", `{"op":"add","path":"emails[type eq \"home\"].value","value":"h"}`,
		`{"emails":[{"type":"work","value":"work@x.example"},{"type":"home","value":"h"}],"...":"..."}`, "noTarget"),
	onUser("Q79", `{"op":"add","path":"roles[primary eq \"True\"].value","value":"r"}`, `{"roles":[{"value":"r","primary":true}],"...":"..."}`, "invalidFilter"),
	onUser("Q82", `{"op":"replace","path":"manager","value":{"value":"m"}}`, `{"`+enterprise+`":{"manager":{"value":"m","...":"..."},"...":"..."},"...":"..."}`, "invalidPath"),
	onUser("Q82", `{"op":"replace","path":"`+enterprise+`:manager","value":"m"}`, `{"`+enterprise+`":{"manager":{"value":"m","...":"..."},"...":"..."},"...":"..."}`, "invalidValue"),
	onUser("Q82", `{"op":"replace","path":"name","value":[{"givenName":"G"}]}`, `{"name":{"givenName":"G"},"...":"..."}`, "invalidValue"),
	onUser("Q82", `{"op":"replace","path":"emails[type eq \"work\"]","value":"w"}`, `{"emails":[{"type":"work","value":"w"}],"...":"..."}`, "invalidValue"),
	onUser("Q84", `{"op":"replace","path":"`+enterprise+`:manager","value":""}`, `{"`+enterprise+`":{"costCenter":"cost-{n}"},"...":"..."}`, "invalidValue"),
	{"Q84", patchRequest("Users/{user}", `{"op":"replace","path":"title","value":""}`), "200\n" + `{"title":"!...","...":"..."}`, "200\n" + `{"title":"","...":"..."}`, "", "", ""},
	onUser("Q85", `{"op":"replace","path":"emails[type eq \"other\"].value","value":null}`, `{"emails":[{"type":"work","value":"work@x.example"}],"...":"..."}`, "noTarget"),
	{"Q85", patchRequest("Users/{user}", `{"op":"replace","path":"emails[type eq \"work\"].value","value":null}`),
		"200\n" + `{"emails":"!...","...":"..."}`, "200\n" + `{"emails":[{"type":"work"}],"...":"..."}`, "", "", ""},
	onUser("Q87", `{"op":"remove","path":"emails","value":[{"type":"work","value":"work@x.example"}]}`, `{"emails":"!...","...":"..."}`, "invalidValue"),
	onUser("Q97", `{"op":"replace","path":"`+enterprise+`.department","value":"D"}`, `{"`+enterprise+`":{"department":"D","...":"..."},"...":"..."}`, "invalidPath"),
	onUser("Q99", `{"op":"replace","path":"extensionAttribute1","value":"x"}`, `{"extensionAttribute1":"!...","...":"..."}`, "invalidPath"),

	onGroup("Q60", `{"op":"replace","path":"members","value":[{"value":"{user}"},{"value":"{nobody}"}]}`, onlyUser, "invalidValue"),
	onGroup("Q60", `{"op":"add","path":"members","value":[{"display":"x"},{"value":"{user}"}]},{"op":"remove","path":"members[value eq \"{other}\"]"}`, onlyUser, "invalidValue"),
	onGroup("Q46", `{"op":"replace","path":"members","value":[{"value":"{user}","type":"Person"}]}`, onlyUser, "invalidValue"),
	onGroup("Q99", `{"op":"replace","path":"members[value eq \"{user}\"].display","value":"x"},{"op":"remove","path":"members[value eq \"{other}\"]"}`, onlyUser, "mutability"),
	onGroup("Q87", `{"op":"remove","path":"members","value":[{"value":"{other}"}]}`, onlyUser, "invalidValue"),
	onGroup("Q88", `{"op":"remove","path":"members","value":{"members":[{"value":"{other}"}]}}`, onlyUser, "invalidValue"),
	onGroup("Q88", `{"op":"replace","path":"members","value":[{"members":[{"value":"{user}"}]}]}`, onlyUser, "invalidValue"),
	onGroup("Q91", `{"op":"replace","path":"members","value":{"value":"{user}"}}`, onlyUser, "invalidValue"),
	onGroup("Q91", `{"op":"remove","path":"members[value eq \"{other}\"]"},{"op":"remove","path":"members[value eq \"{user}\"]"},{"op":"add","path":"members","value":"{user}"}`, onlyUser, "invalidValue"),
	onGroup("Q92", `{"op":"remove","path":"members"},{"op":"add","path":"members[value eq \"{user}\"]"}`, onlyUser, "mutability"),
}

// Two connections of one tenant, served by one process, read the same requests in two
// ways, one after the other: how is a matter of the connection. What the lenient one does
// with a request that the strict one reads otherwise is in the log.
func TestProfilesAreOfTheConnection(t *testing.T) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	log := storetest.Look(t, owner, "acme")
	provider := conformance.Provider{
		Base: w.base("acme"), Token: w.connect("acme", "customary", "lenient"),
		Actors: map[string]string{"strictToken": w.connect("acme", "letter", "strict")},
	}
	n := 0
	for _, d := range differences {
		t.Run(d.row, func(t *testing.T) {
			err := conformance.Try(t.Context(), func() conformance.Provider { return provider }, func(trial *conformance.Trial) {
				n++
				answer := d.show(trial, "token", n, d.lenient, d.after)
				d.show(trial, "strictToken", n, d.strict, d.kept)
				if err := w.store.FlushRequests(t.Context()); err != nil {
					t.Fatal(err)
				}
				noted, kept := notes(t, log, answer), d.row == "Q59" // as it came: neither repaired nor ignored
				trial.Check(kept && len(noted) == 0 || !kept && slices.Contains(noted, d.row), "the log notes %q, want %s, or nothing of what is kept as it came", noted, d.row)
			})
			if err != nil {
				t.Errorf("%s\n%v", d.request, err)
			}
		})
	}
}

// show sends the request of a difference to one of the connections and returns its answer.
func (d difference) show(trial *conformance.Trial, token string, n int, want, after string) conformance.Answer {
	send := func(request string) conformance.Answer {
		line, body, _ := strings.Cut(request, "\n")
		return trial.Send(line + "\nAuthorization: Bearer {" + token + "}\n\n" + body)
	}
	create := func(name, request string) {
		var made struct{ ID string }
		got := send(request)
		trial.Decode(got, &made)
		trial.Check(got.Status == 201, "%s: got status %d: %.300s", request, got.Status, got.Body)
		trial.Name(name, made.ID)
	}
	trial.Name("n", fmt.Sprint(n))
	create("user", "POST /Users\n"+`{`+asUser+`,"userName":"user-{n}","externalId":"4711{n}","title":"Rigger","active":true,"emails":[{"type":"work","value":"work@x.example"}],
		"`+enterprise+`":{"costCenter":"cost-{n}","manager":{"value":"boss-{n}"}}}`)
	create("other", "POST /Users\n"+`{`+asUser+`,"userName":"other-{n}"}`)
	create("group", "POST /Groups\n"+`{`+asGroup+`,"displayName":"group-{n}","members":[{"value":"{user}"},{"value":"{other}"}]}`)
	answer := send(d.request)
	trial.Expect(answer, want)
	if d.then != "" {
		trial.Expect(send(d.then), after)
	}
	return answer
}
