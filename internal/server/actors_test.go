package server_test

import (
	"context"
	"strings"
	"time"

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
	slow := serve(w.t, w.store, server.NewMetrics(), func(c *server.Config) { c.Limits.Requests = server.Rate{PerSecond: 0.1, Burst: 1} })
	return slow.base(tenant)
}

func (w *world) suspended(tenant string) string {
	w.t.Helper()
	if err := w.store.Revoke(context.Background(), "test", store.Switch{Tenant: tenant, Off: true}); err != nil {
		w.t.Fatal(err)
	}
	return ""
}
