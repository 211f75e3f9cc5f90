package server_test

import (
	"encoding/json"
	"testing"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/storetest"
)

// offerRows show a deployment that does without endpoints, and one that keeps attributes
// out of addresses.
func offerRows(t *testing.T, c *conforming) {
	less := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) { c.Without = []string{"bulk", "me"} })
	c.elsewhere(less, func(c *conforming) {
		c.Row(t, "R01", withoutBulk)
		c.try(t, []string{"S01"}, "lenient", []string{"personToken"}, withoutMe)
		for _, check := range conformance.Checks() {
			if check.Name == "features" {
				c.try(t, check.Rows, "lenient", check.Needs, check.Run)
			}
		}
	})
	discreet := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) {
		c.Sensitive = []string{"name.familyName", "phoneNumbers", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber"}
	})
	c.elsewhere(discreet, func(c *conforming) { c.Row(t, "T10", keptOutOfAddresses) })
}

const notOffered = `501
Content-Type: application/scim+json
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"501","detail":"..."}`

// withoutBulk: what ServiceProviderConfig says is not supported is refused whole.
func withoutBulk(trial *conformance.Trial) {
	trial.Expect(trial.Send("GET /ServiceProviderConfig"), `200
{"bulk":{"supported":false,"maxOperations":1000,"maxPayloadSize":4194304},"...":"..."}`)
	const request = "POST /Bulk\n"
	const body = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` +
		`{"method":"POST","path":"/Users","bulkId":"1","data":{"schemas":["` + userSchema + `"],"userName":"bjensen"}}]}`
	trial.Expect(trial.Send(request+body), notOffered)
	trial.Expect(trial.Send(request+"no JSON"), notOffered)
	trial.Expect(trial.Send("POST /Bulk\nAuthorization: Bearer {neighbourToken}\n\n"+body), unauthorized)
	trial.Expect(trial.Send("GET /Users"), `200
{"totalResults":0,"...":"..."}`)
}

// withoutMe: nobody is at /Me, for people no more than for provisioning clients.
func withoutMe(trial *conformance.Trial) {
	for _, who := range []string{"{personToken}", "{token}"} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			trial.Expect(trial.Send(method+" /Me\nAuthorization: Bearer "+who), notOffered)
		}
	}
	trial.Expect(trial.Send("GET /Me\nAuthorization: Bearer nobody"), unauthorized)
}

// keptOutOfAddresses: a GET that filters by what the deployment names is refused, however
// the filter names it; a search, whose filter stands in its body, is answered (RFC 7644
// §7.5.2), and so is a GET that filters by anything else.
func keptOutOfAddresses(trial *conformance.Trial) {
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	trial.Expect(trial.Send("POST /Users\n"+`{"schemas":["`+userSchema+`","`+enterprise+`"],"userName":"bjensen",`+
		`"name":{"givenName":"Barbara","familyName":"Jensen"},"phoneNumbers":[{"value":"555-0100","type":"work"}],"`+enterprise+`":{"employeeNumber":"701984"}}`), `201
{"id":"{babs}","...":"..."}`)
	const found = `200
{"totalResults":1,"Resources":[{"id":"{babs}","...":"..."}],"...":"..."}`
	for _, filter := range []string{
		`name.familyName eq "Jensen"`, `NAME.FamilyName sw "J"`, userSchema + `:name.familyName pr`, `name[familyName eq "Jensen"]`,
		`userName eq "bjensen" and (title pr or not (name.familyName eq "Smith"))`,
		`phoneNumbers eq "555-0100"`, `phoneNumbers.value co "555"`, `phoneNumbers[type eq "work" and value co "0100"]`, `phoneNumbers.type eq "work"`,
		enterprise + `:employeeNumber eq "701984"`,
	} {
		trial.Name("filter", filter)
		for _, path := range []string{"/Users", "/"} {
			trial.Expect(trial.Send("GET "+path+"?filter={filter}"), `403
Content-Type: application/scim+json
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403","scimType":"sensitive","detail":"..."}`)
		}
		text, err := json.Marshal(filter)
		trial.Check(err == nil, "%v", err)
		trial.Expect(trial.Send("POST /Users/.search\n"+
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":`+string(text)+`}`), found)
	}
	for _, filter := range []string{`userName eq "bjensen"`, `name.givenName eq "barbara"`, `name[givenName eq "Barbara"]`, enterprise + ` pr`} {
		trial.Name("filter", filter)
		trial.Expect(trial.Send("GET /Users?filter={filter}"), found)
	}
}
