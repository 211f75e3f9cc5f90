package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// TestAbuse_T12: nothing can be learned about a token or secret by trying others. The
// row measures time; a test that does fails by chance and proves little, so that this
// one shows the construction. PostgreSQL is asked for the SHA-256 of what was brought
// and never for the thing itself, so that how far a guess agrees with a secret has no
// bearing on what is compared; whatever does not hold, a near miss too, is answered to
// the byte as what never was; and TestSecretsAreComparedInConstantTime, of the sources,
// finds no comparison of a secret or its hash in this process that ends early.
func TestAbuse_T12(t *testing.T) {
	asked := &arguments{}
	w := start(t, storetest.New(t, func(c *store.Config) { c.Tracer = asked }))
	w.tenant("acme")
	w.connect("acme", "connection", "lenient")
	w.connect("acme", "entra", "lenient")
	found, compared := append(w.refusedTokens(), w.refusedApplications()...), w.refusedSecrets()
	for _, secret := range append(compared, found...) {
		if asked.hold([]byte(secret[len(secret)-registry.SecretLength:])) {
			t.Errorf("%.20s… was sent to the database", secret)
		}
	}
	for _, secret := range found { // the others' clients are found by their id, and their hashes compared here
		if sum := sha256.Sum256([]byte(secret)); !asked.hold(sum[:]) {
			t.Errorf("%.20s… was not looked up by its hash", secret)
		}
	}
}

// refusedTokens brings tokens that do not hold, and expects of all the answer to one
// that never was.
func (w *world) refusedTokens() []string {
	w.t.Helper()
	secret, c := w.client("entra")
	good, access := w.limited(registry.NewToken{Name: "good"}), w.ask("", post(c, secret)).token(w.t, "the client")
	if err := w.vendor.RevokeClientSecret(soon(w.t), "acme", c.Secrets[0].ID); err != nil {
		w.t.Fatal(err)
	}
	tokens := map[string]string{
		"expired": w.expiredToken("acme"), "revoked": w.revokedToken("acme"), "of a disabled connection": w.disabledToken("acme"), "of a revoked secret": access,
		"a near miss at the beginning": near(good, 0), "a near miss at the end": near(good, registry.SecretLength-1), "a near miss of an access token": near(access, 20),
	}
	for _, target := range []string{"GET /Users", "POST /Users", "GET /Users?filter=x", "GET /Nope", "POST /Bulk", "GET /Me", "DELETE /Users/x"} {
		method, path, _ := strings.Cut(target, " ")
		want := w.scim(method, path, registry.SCIMPrefix+strings.Repeat("A", registry.SecretLength), `{"userName":"x"}`)
		want.refusal(w.t, target+" with what never was", http.StatusUnauthorized, "")
		for story, token := range tokens {
			if a := w.scim(method, path, token, `{"userName":"x"}`); a.same() != want.same() {
				w.t.Errorf("%s with a token that is %s: got\n%s\nwant\n%s", target, story, a.same(), want.same())
			}
		}
	}
	if a := w.scim("GET", "/Users", good, ""); a.status != http.StatusOK {
		w.t.Errorf("the token that holds: got %d: %s", a.status, a.body)
	}
	return slices.Collect(maps.Values(tokens))
}

// refusedSecrets is refusedTokens for the secrets of an OAuth client.
func (w *world) refusedSecrets() []string {
	w.t.Helper()
	ctx := soon(w.t)
	good, c := w.client("entra")
	brief, _, err := w.vendor.AddClientSecret(ctx, "acme", c.ID, time.Microsecond)
	if err != nil {
		w.t.Fatal(err)
	}
	revoked, made, err := w.vendor.AddClientSecret(ctx, "acme", c.ID, time.Hour)
	if err == nil {
		err = w.vendor.RevokeClientSecret(ctx, "acme", made.ID)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	secrets := map[string]string{
		"expired": brief, "revoked": revoked, "a near miss at the beginning": near(good, 0), "a near miss at the end": near(good, registry.SecretLength-1),
	}
	want := w.ask("", post(registry.Client{ID: uuid.New()}, good))
	for story, secret := range secrets {
		if a := w.ask("", post(c, secret)); a.status != http.StatusUnauthorized || a.same() != want.same() {
			w.t.Errorf("a secret that is %s: got\n%s\nwant\n%s", story, a.same(), want.same())
		}
	}
	w.ask("", post(c, good)).token(w.t, "the secret that holds")
	return slices.Collect(maps.Values(secrets))
}

// refusedApplications is refusedTokens for the secrets of applications.
func (w *world) refusedApplications() []string {
	w.t.Helper()
	good, _, err := w.vendor.AddApplication(soon(w.t), registry.NewApplication{
		ClientID: "timesheet", RedirectURIs: []string{"https://timesheet.example/cb"}, Tenants: []string{"acme"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	acme, err := w.vendor.Tenant(soon(w.t), "acme")
	if err != nil {
		w.t.Fatal(err)
	}
	code := url.Values{
		"grant_type": {"authorization_code"}, "code": {base64.RawURLEncoding.EncodeToString(acme.ID[:]) + strings.Repeat("A", registry.SecretLength)}, "redirect_uri": {"https://timesheet.example/cb"}, "code_verifier": {strings.Repeat("v", 43)},
	}.Encode()
	secrets := []string{near(good, 0), near(good, registry.SecretLength-1)}
	for story, ask := range map[string]func(authorization string) answer{
		"POST /token":          func(a string) answer { return w.form("/token", a, code) },
		"POST /t/acme/check":   func(a string) answer { return w.send("POST", w.url+"/t/acme/check", a, `{"user":"x"}`) },
		"POST /t/nobody/check": func(a string) answer { return w.send("POST", w.url+"/t/nobody/check", a, `{"user":"x"}`) },
	} {
		want := ask("Basic " + basic("unknown", good))
		if want.status != http.StatusUnauthorized {
			w.t.Errorf("%s by an unknown application: got %d: %s", story, want.status, want.body)
		}
		for _, secret := range secrets {
			if a := ask("Basic " + basic("timesheet", secret)); a.same() != want.same() {
				w.t.Errorf("%s with a near miss: got\n%s\nwant\n%s", story, a.same(), want.same())
			}
		}
	}
	return secrets
}

// near is a secret of ours but for one character of its hidden part.
func near(secret string, at int) string {
	changed := []byte(secret)
	at += len(secret) - registry.SecretLength
	if changed[at] = 'A'; secret[at] == 'A' {
		changed[at] = 'B'
	}
	return string(changed)
}

// arguments remember what statements were sent with.
type arguments struct {
	mu   sync.Mutex
	sent [][]byte
}

func (a *arguments) note(args []any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, arg := range args {
		switch arg := arg.(type) {
		case []byte:
			a.sent = append(a.sent, bytes.Clone(arg))
		default:
			a.sent = append(a.sent, fmt.Append(nil, arg))
		}
	}
}

// hold reports whether the text was sent, by itself or in something longer.
func (a *arguments) hold(text []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.sent, func(arg []byte) bool { return bytes.Contains(arg, text) })
}

func (a *arguments) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	a.note(q.Args)
	return ctx
}
func (a *arguments) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (a *arguments) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (a *arguments) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	a.note(q.Args)
}
func (a *arguments) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}
