package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/server"
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
	pause, breaks := disturbing(t, owner)
	c.elsewhere(w, func(c *conforming) {
		c.Row(t, "Q14", func(trial *conformance.Trial) { neverForLong(trial, pause) })
		c.Row(t, "Q6", func(trial *conformance.Trial) { ourFault(trial, breaks) })
	})

	usual := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) { c.Limits = server.Limits{} })
	c.elsewhere(usual, func(c *conforming) { c.Row(t, "Q12", checkCalled("clients/burst")) })
	throttledRows(t, c)
}

// throttledRows show what a client is told that sends too much, and that it is served when
// it comes again after the time that it was told.
func throttledRows(t *testing.T, c *conforming) {
	_, database := storetest.Database(t)
	served := start(t, storetest.Open(t, database))
	limited := serve(t, storetest.Open(t, database), server.NewMetrics(), func(c *server.Config) {
		c.Limits.Requests = server.Rate{PerSecond: 0.001, Burst: 8}
	})
	c.elsewhere(limited, func(c *conforming) {
		for _, client := range clientHeaders {
			c.Row(t, "Q13", func(trial *conformance.Trial) { throttled(trial, client, served.url) })
		}
	})
	patient := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) {
		c.Limits.Requests = server.Rate{PerSecond: 0.4, Burst: 8}
	})
	c.elsewhere(patient, func(c *conforming) { c.Row(t, "Q13", patiently) })
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

// ourFault: what the server is to blame for is said in SCIM's words too.
func ourFault(trial *conformance.Trial, breaks func(broken bool)) {
	breaks(true)
	defer breaks(false)
	trial.Expect(trial.Send("GET /Users"), `500
Content-Type: application/scim+json
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500","detail":"..."}`)
}

// disturbing returns what makes every look at users take so many seconds, and what takes
// the table away and brings it back.
func disturbing(t *testing.T, owner string) (pause func(seconds int), breaks func(broken bool)) {
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
	pause = func(seconds int) { do(fmt.Sprintf(`update pauses set seconds = %d`, seconds)) }
	return pause, func(broken bool) {
		if broken {
			do(`alter table users rename to lost_users`)
			return
		}
		do(`alter table lost_users rename to users`)
	}
}

// checkCalled is the check of the package conformance that has the name.
func checkCalled(name string) func(*conformance.Trial) {
	all := conformance.Checks()
	return all[slices.IndexFunc(all, func(c conformance.Check) bool { return c.Name == name })].Run
}

// clientHeaders are how clients that are throttled name themselves.
var clientHeaders = []string{
	"AdScimVersion: 2.0\nUser-Agent:",                                                                           // Entra
	"User-Agent: Okta SCIM Client 1.0.0\nAccept-Charset: utf-8",                                                 // Okta
	"Accept: application/json\nContent-Type: application/json",                                                  // OneLogin, Rippling
	"Accept: application/scim+json\nContent-Type: application/scim+json",                                        // PingFederate, PingOne
	"User-Agent: JumpCloud\nAccept: */*", "User-Agent: authentik\nAccept: */*", "Accept: application/scim+json", // JumpCloud, authentik, Google, SailPoint
}

const tooMany = `429
Content-Type: application/scim+json
Retry-After: {seconds}
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"429","detail":"..."}`

// throttled: who sends too much is told in whole seconds when to come again, nothing of
// what was refused has been done, and nobody else is slowed. elsewhere is another process
// on the same database, which is not limited.
func throttled(trial *conformance.Trial, header, elsewhere string) {
	send := func(line, body string) conformance.Answer { return trial.Send(line + "\n" + header + "\n\n" + body) }
	trial.Expect(send("POST /Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"many","active":true}`), `201
{"id":"{id}","...":"..."}`)
	last := conformance.Answer{Status: http.StatusOK}
	for i := 0; i < 20 && last.Status == http.StatusOK; i++ {
		last = send(`GET /Users?filter=userName eq "many"&startIndex=1&count=100`, "")
	}
	trial.Expect(last, tooMany)
	seconds, err := strconv.Atoi(trial.Named("seconds"))
	trial.Check(err == nil && seconds > 0, "Retry-After is %q, want whole seconds", trial.Named("seconds"))

	const deactivate = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	refused := send("PATCH /Users/{id}", deactivate)
	trial.Check(refused.Status == http.StatusTooManyRequests, "the next request: got status %d, want 429", refused.Status)
	trial.Expect(trial.Send("GET {neighbour}/Users\nAuthorization: Bearer {neighbourToken}"), `200
{"totalResults":0,"...":"..."}`)
	_, path, _ := strings.Cut(trial.Named("base"), "/t/")
	trial.Expect(trial.Send("GET "+elsewhere+"/t/"+path+"/Users/{id}"), `200
{"active":true,"...":"..."}`)
}

// patiently: a client that waits for as long as it was told is served.
func patiently(trial *conformance.Trial) {
	last := conformance.Answer{Status: http.StatusOK}
	for i := 0; i < 20 && last.Status == http.StatusOK; i++ {
		last = trial.Send("GET /Groups?startIndex=1&count=100")
	}
	trial.Expect(last, tooMany)
	seconds, _ := strconv.Atoi(trial.Named("seconds"))
	time.Sleep(time.Duration(seconds) * time.Second)
	trial.Expect(trial.Send("GET /Groups?startIndex=1&count=100"), `200
{"totalResults":0,"...":"..."}`)
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
