package store_test

import (
	"errors"
	"testing"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Whether a tenant exists is told neither by the answer nor by what it costs: a
// guess at one that does not sends what a guess at the secret sends, in one trip.
func TestAGuessedTenantCostsWhatAGuessedSecretCosts(t *testing.T) {
	_, server := storetest.Database(t)
	ringlingOn(t, storetest.Open(t, server))
	r := &recorder{}
	s := storetest.Open(t, server, func(c *store.Config) { c.Tracer, c.PoolSize = r, 1 })
	ask := func(tenant string) (statements []statement, trips int) {
		return r.record(func() {
			_, err := s.Check(t.Context(), store.CheckRequest{
				Tenant: tenant, ClientID: "timesheet", Secret: registry.ClientPrefix + "guess", UserID: "0193a5b0-0000-7000-8000-000000000000",
			})
			if !errors.Is(err, store.ErrUnauthenticated) {
				t.Errorf("%s: got %v, want unauthenticated", tenant, err)
			}
		})
	}
	ask("ringling") // which makes the tenant known here, and
	ask("nobody")   // the statements of both known to the connection
	known, knownTrips := ask("ringling")
	for range 2 {
		unknown, unknownTrips := ask("nobody")
		if unknownTrips != knownTrips || unknownTrips != 1 {
			t.Errorf("%d trips for an unknown tenant, %d for a known one, want 1 each", unknownTrips, knownTrips)
		}
		for i, s := range known {
			if i >= len(unknown) || unknown[i].sql != s.sql {
				t.Errorf("a known tenant is asked for by %s, an unknown one is not", s.sql)
			}
		}
	}
}
