package server_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/storetest"
)

// faultRows show what is said where the address is wrong, and where it is the server's
// own fault.
func faultRows(t *testing.T, c *conforming) {
	c.Row(t, "U01", otherVersions)
	c.Row(t, "U02", withoutVersion)
	owner, database := storetest.Database(t)
	c.elsewhere(start(t, storetest.Open(t, database)), func(c *conforming) {
		c.Row(t, "T01 T08", func(trial *conformance.Trial) { faultOfOurs(t, owner, trial) })
	})
}

// otherVersions: the version in the address is 2, and any other is not found.
func otherVersions(trial *conformance.Trial) {
	root := strings.TrimSuffix(trial.Named("base"), "v2")
	trial.Expect(trial.Send("GET "+root+"v2/Users"), `200
{"totalResults":0,"...":"..."}`)
	for _, version := range []string{"v1", "v9", "v2.1", "V2", "v02"} {
		trial.Expect(trial.Send("GET "+root+version+"/Users"), `404
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404","detail":"..."}`)
	}
}

// withoutVersion: an address that names no version is the latest, and what is found there
// says that it is at the address with it (RFC 7644 §3.13).
func withoutVersion(trial *conformance.Trial) {
	root := strings.TrimSuffix(trial.Named("base"), "/v2")
	trial.Expect(trial.Send("POST "+root+"/Users\n"+`{"schemas":["`+userSchema+`"],"userName":"bjensen"}`), `201
Location: {base}/Users/{babs}
{"id":"{babs}","meta":{"location":"{base}/Users/{babs}","...":"..."},"...":"..."}`)
	const found = `{"totalResults":1,"Resources":[{"id":"{babs}","meta":{"location":"{base}/Users/{babs}","...":"..."},"...":"..."}],"...":"..."}`
	for _, list := range []string{
		`/Users?filter=userName eq "bjensen"`, "//Users/", "/",
		"/Users/.search\n" + `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName sw \"bj\""}`,
	} {
		method := "GET "
		if strings.Contains(list, ".search") {
			method = "POST "
		}
		trial.Expect(trial.Send(method+root+list), "200\n"+found)
	}
	trial.Expect(trial.Send("PATCH "+root+"/Users/{babs}\n"+
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"title","value":"Guide"}]}`), `200
{"id":"{babs}","title":"Guide","...":"..."}`)
	trial.Expect(trial.Send("GET "+root+"/ServiceProviderConfig"), `200
{"meta":{"location":"{base}/ServiceProviderConfig","...":"..."},"...":"..."}`)
	trial.Expect(trial.Send("GET "+root+"/Users/{babs}\nAuthorization: Bearer {neighbourToken}"), unauthorized)
	trial.Expect(trial.Send("DELETE "+root+"/Users/{babs}"), "204")
	trial.Expect(trial.Send("GET /Users/{babs}"), `404
{"status":"404","...":"..."}`)
}

// general is what is said of a fault of ours: where in the log it is.
var general = regexp.MustCompile(`"detail":"internal error \(reference [0-9a-f-]{36}\)"`)

// faultOfOurs takes a right of the database away: the answer says that it was us and where
// to look, and neither tables nor the database's words.
func faultOfOurs(t *testing.T, owner string, trial *conformance.Trial) {
	trial.Expect(trial.Send("POST /Users\n"+`{"schemas":["`+userSchema+`"],"userName":"bjensen"}`), `201
{"id":"{babs}","...":"..."}`)
	run(t, owner, `revoke select on users from muster_server`)
	for _, request := range []string{"GET /Users/{babs}", "GET /Users", `GET /Users?filter=userName eq "bjensen"`} {
		answer := trial.Send(request)
		trial.Expect(answer, `500
Content-Type: application/scim+json
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500","detail":"..."}`)
		trial.Check(general.MatchString(answer.Body), "%s: says more than that it was us: %s", request, answer.Body)
	}
	run(t, owner, `grant select on users to muster_server`)
	trial.Expect(trial.Send("GET /Users/{babs}"), "200\n...")
}

// run executes a statement as the owner of the tables.
func run(t *testing.T, owner, statement string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(t.Context())
	if _, err := connection.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
