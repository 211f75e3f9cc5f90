package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// queryRows show where a list ends early: a query that takes too long, a cursor that is
// too old, a credential that holds no more.
func queryRows(t *testing.T, c *conforming) {
	owner, database := storetest.Database(t)
	c.elsewhere(start(t, storetest.Open(t, database)), func(c *conforming) {
		c.Row(t, "L10", func(trial *conformance.Trial) { takesTooLong(t, owner, trial) })
	})
	hasty := start(t, storetest.New(t, func(c *store.Config) { c.CursorTimeout = 100 * time.Millisecond }))
	c.elsewhere(hasty, func(c *conforming) { c.Row(t, "Y10", expiredCursor) })
	c.Row(t, "Y22 Y23", func(trial *conformance.Trial) { cursorOfNobody(t, c.world, trial) })
}

// takesTooLong filters by what no index serves, when every look at a user takes longer than
// the server works at a query.
func takesTooLong(t *testing.T, owner string, trial *conformance.Trial) {
	trial.Expect(trial.Send("POST /Users\n"+`{"schemas":["`+userSchema+`"],"userName":"bjensen","title":"Rigger"}`), `201
{"id":"{babs}","...":"..."}`)
	slow(t, owner)
	defer run(t, owner, `drop policy slow on users`)
	answers := make(chan conformance.Answer)
	for _, path := range []string{"/Users", "/"} {
		go func() { answers <- trial.Send("GET " + path + `?filter=title co "gg"`) }()
	}
	for range 2 {
		trial.Expect(<-answers, `400
Content-Type: application/scim+json
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"tooMany","detail":"..."}`)
	}
}

// firstPage makes three users and captures the cursor to the second.
func firstPage(trial *conformance.Trial, authorization string) {
	for _, name := range []string{"a", "b", "c"} {
		trial.Expect(trial.Send("POST /Users\n"+`{"schemas":["`+userSchema+`"],"userName":"`+name+`"}`), "201\n...")
	}
	trial.Expect(trial.Send("GET /Users?cursor&count=1"+authorization), `200
{"nextCursor":"{cursor}","...":"..."}`)
}

// expiredCursor waits for longer than a cursor can be used.
func expiredCursor(trial *conformance.Trial) {
	firstPage(trial, "")
	var answer conformance.Answer
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer = trial.Send("GET /Users?cursor={cursor}&count=1"); strings.Contains(answer.Body, "expiredCursor") {
			break
		}
	}
	trial.Expect(answer, `400
Content-Type: application/scim+json
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"expiredCursor","detail":"..."}`)
}

// cursorOfNobody: who may not read any more has no use of a cursor either, and it opens
// nothing for who never could.
func cursorOfNobody(t *testing.T, w *world, trial *conformance.Trial) {
	token, credential, err := w.vendor.CreateToken(t.Context(), tenantOf(trial), "connection", registry.NewToken{Name: "reader", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	trial.Name("reader", token)
	const authorization = "\nAuthorization: Bearer {reader}"
	const second = "GET /Users?cursor={cursor}&count=1"
	firstPage(trial, authorization)
	trial.Expect(trial.Send(second+authorization), `200
{"Resources":[{"userName":"b","...":"..."}],"...":"..."}`)
	trial.Expect(trial.Send(second+"\nAuthorization: Bearer {siblingToken}"), `400
{"scimType":"invalidCursor","...":"..."}`)
	if err := w.vendor.RevokeToken(t.Context(), tenantOf(trial), credential.ID); err != nil {
		t.Fatal(err)
	}
	trial.Expect(trial.Send(second+authorization), unauthorized)
	closed := store.Switch{Tenant: tenantOf(trial), Connection: "connection", Off: true}
	if err := w.store.Revoke(t.Context(), "test", closed); err != nil {
		t.Fatal(err)
	}
	trial.Expect(trial.Send(second), unauthorized)
}
