package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// clientRows show what customary clients need and no transcript can say: addresses, time,
// and requests that are not well formed.
func clientRows(t *testing.T, c *conforming) {
	c.Row(t, "Q15", func(trial *conformance.Trial) { addresses(trial, c.world) })
	c.Row(t, "Q16", func(trial *conformance.Trial) { rawTargets(trial, c.world) })

	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	pause := pausing(t, owner)
	c.elsewhere(w, func(c *conforming) {
		c.Row(t, "Q14", func(trial *conformance.Trial) { neverForLong(trial, pause) })
	})
}

// addresses: a tenant is told by its path, which has no underscore, because Okta takes none.
func addresses(trial *conformance.Trial, w *world) {
	base := trial.Named("base")
	trial.Check(!strings.Contains(base, "_"), "the base URL %s has an underscore", base)
	_, err := w.vendor.CreateTenant(w.t.Context(), registry.NewTenant{Slug: "with_underscore", Name: "x"})
	trial.Check(err != nil, "a tenant may be called with_underscore")
	trial.Expect(trial.Send("GET /Users?count=0"), `200
{"totalResults":0,"...":"..."}`)
	answer := trial.Send("GET " + strings.Replace(base, "/t/", "/t/with_underscore-", 1) + "/Users")
	trial.Check(answer.Status == http.StatusUnauthorized, "another tenant's address: got status %d, want 401", answer.Status)
}

// neverForLong: what would take longer than a client waits is ended, and the client is told
// so, long before Okta hangs up.
func neverForLong(trial *conformance.Trial, pause func(seconds int)) {
	trial.Expect(trial.Send(`POST /Users
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"slow","title":"Rigger"}`), `201
{"id":"{id}","...":"..."}`)
	pause(60)
	defer pause(0)
	trial.Expect(trial.Send(`GET /Users?filter=title co "gg"`), `400
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"tooMany","detail":"..."}`)
}

// pausing makes every look at users take as long as the function says that it returns.
func pausing(t *testing.T, owner string) (pause func(seconds int)) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	do := func(sql string) {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do(`create table pauses as select 0 as seconds; grant select on pauses to public;
		create policy slow on users as restrictive for select using ((select count(*) from pauses, pg_sleep(seconds)) = 1)`)
	return func(seconds int) { do(fmt.Sprintf(`update pauses set seconds = %d`, seconds)) }
}

// rawTargets: test tools send quotes and brackets as they are. A space ends the address of
// a request line: what follows it is not guessed at.
func rawTargets(trial *conformance.Trial, w *world) {
	trial.Expect(trial.Send(`POST /Users
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"raw","emails":[{"type":"work","value":"raw@example.com"}]}`), `201
{"id":"{id}","...":"..."}`)
	for target, want := range map[string]int{
		`/Users?filter=userName+eq+"raw"`:                                    http.StatusOK,
		`/Users?filter=emails[type+eq+"work"].value+eq+"raw@example.com"`:    http.StatusOK,
		`/Users?filter=userName%20eq%20"raw"&attributes=emails[type+eq+"x"]`: http.StatusOK,
		`/Users?filter=userName eq "raw"`:                                    http.StatusBadRequest,
	} {
		status, body := rawGet(trial, w, target)
		found := strings.Contains(body, trial.Named("id"))
		trial.Check(status == want && found == (want == http.StatusOK), "GET %s: got status %d: %.300s", target, status, body)
	}
}

// rawGet sends the target byte by byte as it is written.
func rawGet(trial *conformance.Trial, w *world, target string) (status int, body string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	path := strings.TrimPrefix(trial.Named("base"), w.url) + target
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, trial.Named("token"))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
