package conformance

import (
	"fmt"
	"strings"
)

const bulkSchema = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

var bulkChecks = []Check{
	{Name: "bulk/limits", Rows: []string{"R20", "R21"}, Needs: []string{empty, "bulk"}, Run: bulkLimits},
}

// bulkLimits sends as much as is advertised, and one more: then nothing is done, and the
// answer names the limit.
func bulkLimits(t *Trial) {
	var config struct {
		Bulk struct{ MaxOperations, MaxPayloadSize int }
	}
	t.Decode(t.Send("GET /ServiceProviderConfig"), &config)
	t.Check(config.Bulk.MaxOperations > 0 && config.Bulk.MaxPayloadSize > 0, "the limits are %+v", config.Bulk)

	t.Expect(t.Send(bulkOf(config.Bulk.MaxOperations+1, 0)), `413
{"schemas":["`+errorSchema+`"],"status":"413","detail":"{operations}"}`)
	t.Check(strings.Contains(t.Named("operations"), "maxOperations"), "the limit is not named: %s", t.Named("operations"))
	t.Expect(t.Send(bulkOf(1, config.Bulk.MaxPayloadSize)), `413
{"schemas":["`+errorSchema+`"],"status":"413","detail":"{payload}"}`)
	t.Check(strings.Contains(t.Named("payload"), "maxPayloadSize"), "the limit is not named: %s", t.Named("payload"))
	t.Expect(t.Send("GET /Users"), `200
{"totalResults":0,"...":"..."}`)

	var done struct{ Operations []struct{ Status string } }
	t.Decode(t.Send(bulkOf(min(config.Bulk.MaxOperations, 1000), 0)), &done)
	t.Check(len(done.Operations) == min(config.Bulk.MaxOperations, 1000), "%d operations were answered", len(done.Operations))
}

// bulkOf is a request of n operations, each of which finds nobody to delete, and of so
// many bytes at least.
func bulkOf(n, bytes int) string {
	operation := `{"method":"DELETE","path":"/Users/{nobody}"}`
	operations := strings.TrimSuffix(strings.Repeat(operation+",", n), ",")
	return fmt.Sprintf("POST /Bulk\n"+`{"schemas":[%q],"Operations":[%s]%s}`, bulkSchema, operations, strings.Repeat(" ", bytes))
}
