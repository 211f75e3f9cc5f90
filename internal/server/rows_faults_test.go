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
