package server_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/localpg"
	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// secretRows show what becomes of passwords, tokens and what is asked about people.
func secretRows(t *testing.T, c *conforming) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	c.elsewhere(w, func(c *conforming) {
		c.Row(t, "C10 C12 X01", func(trial *conformance.Trial) { passwordsAreNotKept(t, w, owner, trial) })
		c.Row(t, "X04", func(trial *conformance.Trial) { tokensAreLongAndEnd(t, w, trial) })
		c.Row(t, "X05", noCookies)
		c.Row(t, "X06 X08", func(trial *conformance.Trial) { whatIsAskedIsNotLogged(t, w, owner, trial) })
	})
	guessed := serve(t, storetest.New(t), server.NewMetrics(), func(c *server.Config) {
		c.Limits.Failures = server.Rate{PerSecond: 0.001, Burst: 20}
	})
	c.elsewhere(guessed, func(c *conforming) { c.Row(t, "X10", guessing) })
}

// passwordsAreNotKept: a password is accepted and forgotten, in whatever request.
func passwordsAreNotKept(t *testing.T, w *world, owner string, trial *conformance.Trial) {
	const secret = "correct-horse-battery-staple"
	const shown = `{"id":"{babs}","password":"!...","...":"..."}`
	trial.Expect(trial.Send("POST /Users\n"+`{"schemas":["`+userSchema+`"],"userName":"bjensen-in-tables","password":"`+secret+`"}`), "201\n"+shown)
	trial.Expect(trial.Send("PUT /Users/{babs}\n"+`{"schemas":["`+userSchema+`"],"userName":"bjensen-in-tables","password":"`+secret+`"}`), "200\n"+shown)
	for _, operation := range []string{`"path":"password","value":"` + secret + `"`, `"value":{"password":"` + secret + `"}`} {
		trial.Expect(trial.Send("PATCH /Users/{babs}\n"+`{"schemas":["`+patchSchema+`"],"Operations":[{"op":"replace",`+operation+`}]}`), "200\n"+shown)
	}
	trial.Expect(trial.Send("POST /Users\n"+`{"password":"`+secret+`"}`), `400
{"scimType":"invalidValue","...":"..."}`)
	trial.Check(slices.Contains(tablesWith(t, owner, "bjensen-in-tables"), "users"), "the search of the tables does not find a userName")
	trial.Check(len(tablesWith(t, owner, secret)) == 0, "a password stands in %q", tablesWith(t, owner, secret))
	trial.Check(!strings.Contains(w.log.String(), secret), "a password stands in the log")
}

// tablesWith names the tables that hold the text, as it is or as bytes. The text has no
// quotes.
func tablesWith(t *testing.T, ownerURL, text string) []string {
	t.Helper()
	u, err := url.Parse(ownerURL)
	if err != nil {
		t.Fatal(err)
	}
	found, err := localpg.Shared(t).Psql(t.Context(), path.Base(u.Path), fmt.Sprintf(`
		select format('select %%L from %%I x where position(%%L in x::text) > 0 or position(%%L in x::text) > 0 limit 1',
			table_name, table_name, '%s', '%s')
		from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE' \gexec`,
		text, hex.EncodeToString([]byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(found)
}

// tokensAreLongAndEnd: a token has at least 128 random bits, and opens nothing once it
// has expired or was revoked.
func tokensAreLongAndEnd(t *testing.T, w *world, trial *conformance.Trial) {
	tenant := tenantOf(trial)
	seen := map[string]bool{}
	for i := range 20 {
		token, _, err := w.vendor.CreateToken(t.Context(), tenant, "connection", registry.NewToken{Name: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		random, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, registry.SCIMPrefix))
		trial.Check(err == nil && len(random) >= 16 && !seen[token], "%q: %d bytes, %v", token, len(random), err)
		seen[token] = true
	}
	expired, _, err := w.vendor.CreateToken(t.Context(), tenant, "connection", registry.NewToken{Name: "expired", ExpiresAt: time.Now().Add(100 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	revoked, credential, err := w.vendor.CreateToken(t.Context(), tenant, "connection", registry.NewToken{Name: "revoked", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	trial.Name("expired", expired)
	trial.Name("revoked", revoked)
	trial.Expect(trial.Send("GET /Users\nAuthorization: Bearer {revoked}"), "200\n...")
	if err := w.vendor.RevokeToken(t.Context(), tenant, credential.ID); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); trial.Send("GET /Users\nAuthorization: Bearer {expired}").Status == 200 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	for _, name := range []string{"expired", "revoked"} {
		trial.Expect(trial.Send("GET /Users\nAuthorization: Bearer {"+name+"}"), `401
WWW-Authenticate: Bearer realm="SCIM", error="invalid_token"
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401","detail":"..."}`)
	}
}

// tenantOf is the slug of the tenant that is played to.
func tenantOf(trial *conformance.Trial) string {
	_, rest, _ := strings.Cut(trial.Named("base"), "/t/")
	slug, _, _ := strings.Cut(rest, "/")
	return slug
}

// noCookies: a provisioning client is given none, so that nothing has to be said of them.
func noCookies(trial *conformance.Trial) {
	for _, request := range []string{
		"GET /Users", "POST /Users\n" + `{"userName":"bjensen"}`, "GET /ServiceProviderConfig", "GET /Users/{nobody}",
		"GET /Users\nAuthorization:", "DELETE /Users/{nobody}", "GET /Nope", "GET /Users\nCookie: session=1",
	} {
		answer := trial.Send(request)
		trial.Check(answer.Status != 0 && answer.Header.Values("Set-Cookie") == nil, "%s: a cookie: %q", request, answer.Header.Values("Set-Cookie"))
	}
}

// whatIsAskedIsNotLogged: the log holds neither what a filter compares with, nor whom a
// body names, nor a token; and tokens stand in no table.
func whatIsAskedIsNotLogged(t *testing.T, w *world, owner string, trial *conformance.Trial) {
	trial.Expect(trial.Send("POST /Users\n"+`{"schemas":["`+userSchema+`"],"userName":"babs-in-the-body","title":"Guide-in-the-body"}`), `201
{"id":"{babs}","...":"..."}`)
	trial.Expect(trial.Send(`GET /Users?filter=userName eq "babs-in-the-filter"`), `200
{"totalResults":0,"...":"..."}`)
	trial.Expect(trial.Send(`GET /Users?filter=userName is "babs-in-the-filter"`), `400
{"scimType":"invalidFilter","...":"..."}`)
	trial.Expect(trial.Send("POST /Users\n"+`{"userName":"babs-in-the-body"}`), `409
{"scimType":"uniqueness","...":"..."}`)
	trial.Expect(trial.Send("GET /Users\nAuthorization: Bearer {neighbourToken}"), "401\n...")
	log := w.log.String()
	trial.Check(strings.Contains(log, `"route":"/t/{tenant}/scim/v2/Users"`), "the log names no request")
	for _, private := range []string{"in-the-body", "in-the-filter", trial.Named("token"), trial.Named("neighbourToken")} {
		trial.Check(!strings.Contains(log, private), "the log holds %.20q", private)
	}
	for _, name := range []string{"token", "neighbourToken"} {
		tables := tablesWith(t, owner, strings.TrimPrefix(trial.Named(name), registry.SCIMPrefix))
		trial.Check(len(tables) == 0, "a token stands in %q", tables)
	}
}

// guessing gets nowhere: passwords cannot be compared with, and who brings one wrong
// token after another has to wait, while the right one is served.
func guessing(trial *conformance.Trial) {
	for _, guess := range []string{"123456", "password", "qwerty"} {
		trial.Expect(trial.Send(`GET /Users?filter=password eq "`+guess+`"`), `400
{"scimType":"invalidFilter","...":"..."}`)
	}
	for i := range 40 {
		trial.Send(fmt.Sprintf("GET /Users\nAuthorization: Bearer guess%d", i))
	}
	trial.Expect(trial.Send("GET /Users\nAuthorization: Bearer guess"), `429
{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"429","detail":"..."}`)
	trial.Expect(trial.Send("GET /Users"), "200\n...")
}
