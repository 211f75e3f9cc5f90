package server_test

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/server"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// ailing are brought to the transcripts of conformance/doctor: tokens, connections
// and tenants that are not as they should be.
var ailing = map[string]func(w *world, tenant string) string{
	"doctor":        func(*world, string) string { return "" },
	"origin":        func(w *world, _ string) string { return w.url },
	"mebibyte":      func(*world, string) string { return strings.Repeat("x", 1<<20) },
	"expiredToken":  (*world).expiredToken,
	"revokedToken":  (*world).revokedToken,
	"expiringToken": (*world).expiringToken,
	"disabledToken": (*world).disabledToken,
	"slowed":        (*world).slowed,
	"suspended":     (*world).suspended,
	"expiredSecret": (*world).expiredSecret,
	"wrongSecret":   (*world).wrongSecret,
}

func (w *world) expiredToken(tenant string) string {
	w.t.Helper()
	token, _, err := w.vendor.CreateToken(context.Background(), tenant, "connection", registry.NewToken{Name: "other", ExpiresAt: time.Now().Add(-time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) revokedToken(tenant string) string {
	w.t.Helper()
	token, made, err := w.vendor.CreateToken(context.Background(), tenant, "connection", registry.NewToken{Name: "other"})
	if err == nil {
		err = w.vendor.RevokeToken(context.Background(), tenant, made.ID)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// expiringToken is the only token of a connection, and ends in three days.
func (w *world) expiringToken(tenant string) string {
	w.t.Helper()
	ctx := context.Background()
	_, err := w.vendor.AddConnection(ctx, tenant, registry.Connection{Name: "expiring", Kind: "generic", MatchClaim: "sub", MatchAttribute: "externalId"})
	if err != nil {
		w.t.Fatal(err)
	}
	token, _, err := w.vendor.CreateToken(ctx, tenant, "expiring", registry.NewToken{Name: "last", ExpiresAt: time.Now().Add(72 * time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// disabledToken is of a connection that is switched off.
func (w *world) disabledToken(tenant string) string {
	w.t.Helper()
	token := w.connect(tenant, "disabled", "lenient")
	if err := w.store.Revoke(context.Background(), "test", store.Switch{Tenant: tenant, Connection: "disabled", Off: true}); err != nil {
		w.t.Fatal(err)
	}
	return token
}

// slowed is the tenant's address at a server that lets it send next to nothing.
func (w *world) slowed(tenant string) string {
	w.t.Helper()
	slow := serve(w.t, w.store, server.NewMetrics(), func(c *server.Config) { c.Limits.Requests = server.Rate{PerSecond: 0.1, Burst: 2} })
	return slow.base(tenant)
}

func (w *world) suspended(tenant string) string {
	w.t.Helper()
	if err := w.store.Revoke(context.Background(), "test", store.Switch{Tenant: tenant, Off: true}); err != nil {
		w.t.Fatal(err)
	}
	return ""
}

// expiredSecret is a form with the only secret of a client, which has expired.
func (w *world) expiredSecret(tenant string) string {
	w.t.Helper()
	return w.added(tenant, registry.Client{Connection: "connection", Name: "entra"}, time.Microsecond)
}

// wrongSecret is a form with a client and a secret that is not its own.
func (w *world) wrongSecret(tenant string) string {
	w.t.Helper()
	return w.added(tenant, registry.Client{Connection: "connection", Name: "entra"}, time.Hour) + "x"
}

// added is a form with a new client and its secret.
func (w *world) added(tenant string, c registry.Client, lifetime time.Duration) string {
	w.t.Helper()
	secret, c, err := w.vendor.AddClient(context.Background(), tenant, c, lifetime)
	if err != nil {
		w.t.Fatal(err)
	}
	return url.Values{"client_id": {c.ID.String()}, "client_secret": {secret}}.Encode()
}

// clients names OAuth clients of a tenant's connection, and how they prove themselves.
func (w *world) clients(tenant string, named map[string]string) {
	w.t.Helper()
	ctx := context.Background()
	secret, c, err := w.vendor.AddClient(ctx, tenant, registry.Client{Connection: "connection", Name: "provisioning"}, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	next, _, err := w.vendor.AddClientSecret(ctx, tenant, c.ID, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	i := newTokenIssuer(w.t)
	_, signed, err := w.vendor.AddClient(ctx, tenant, registry.Client{Connection: "connection", Name: "federated", Trust: registry.Trust{
		Issuer: i.URL, Subject: "sync", Audiences: []string{"api://muster", "muster"},
	}}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	named["tokenURL"] = w.url + "/t/" + tenant + "/oauth/token"
	named["clientID"], named["clientSecret"], named["nextSecret"] = c.ID.String(), secret, next
	named["clientBasic"], named["expiredSecret"] = basic(c.ID.String(), secret), w.expiredSecret(tenant)
	named["signedClientID"] = signed.ID.String()
	named["assertion"] = i.assertion(map[string]any{"aud": "muster", "jti": uuid.NewString()})
	named["strangeAssertion"] = i.assertion(map[string]any{"aud": "api://other", "jti": uuid.NewString()})
}
