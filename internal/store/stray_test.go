package store_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// guess is a token of the right form that nobody was given.
func guess(n byte) string {
	secret := make([]byte, sha256.Size)
	secret[0] = n
	return registry.SCIMPrefix + base64.RawURLEncoding.EncodeToString(secret)
}

// Whose a stray is takes no more round trips where there are more tenants, two
// statements for each of them, and nothing where the token is known already.
func TestStraysAreLookedForInFewTrips(t *testing.T) {
	owner, server := storetest.Database(t)
	r := &recorder{}
	p := newTenant(t, storetest.Open(t, server, func(c *store.Config) { c.Tracer = r }), "ringling")
	p.owner = owner
	p = p.connect("first", "lenient")
	other := storetest.Open(t, server) // which does not know p's token yet
	look := func(token string) (trips, asked int) {
		t.Helper()
		p.flush()
		p.store.Misplaced(token, came("GET", "/scim/v2/Users"))
		statements, trips := r.record(p.flush)
		for _, s := range statements {
			if strings.Contains(s.sql, "from credentials") {
				asked++
			}
		}
		return trips, asked
	}
	look(guess(0)) // statements are prepared
	few, asked := look(guess(1))
	if asked != 1 {
		t.Errorf("one tenant was asked %d times", asked)
	}
	for i := range 40 {
		if _, err := p.vendor.CreateTenant(t.Context(), registry.NewTenant{Slug: fmt.Sprintf("tenant-%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if many, asked := look(guess(2)); many != few || asked != 41 {
		t.Errorf("%d round trips and %d questions with 41 tenants, want %d and 41", many, asked, few)
	}
	if _, err := p.scim().List(t.Context(), asking(t, p.scim().UserType(), 1, "")); err != nil {
		t.Fatal(err)
	}
	if _, asked := look(p.token); asked != 0 {
		t.Errorf("for a known token %d tenants were asked", asked)
	}

	misplaced := came("GET", "/scim/v2/Users")
	other.Misplaced(p.token, misplaced)
	if err := other.FlushRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows := keptRequests(t, p, misplaced.ID); len(rows) != 1 || rows[0].Connection != p.id {
		t.Errorf("where the token is not known its tenant's log has %+v, want one row", rows)
	}
}

// So many tokens of strangers are looked for, and no more.
func TestStraysAreBounded(t *testing.T) {
	owner, server := storetest.Database(t)
	r := &recorder{}
	st := storetest.Open(t, server, func(c *store.Config) { c.Tracer = r })
	p := newTenant(t, st, "ringling")
	p.owner = owner
	for n := range 200 {
		if _, err := st.SCIM(t.Context(), "ringling", guess(byte(n)), came("GET", "/t/ringling/scim/v2/Users")); !errors.Is(err, store.ErrUnauthenticated) {
			t.Fatal(err)
		}
	}
	statements, _ := r.record(p.flush)
	for _, s := range statements {
		if !strings.Contains(s.sql, "from credentials") {
			continue
		}
		if hashes, _ := s.args[1].([][]byte); len(hashes) != 100 {
			t.Errorf("%d tokens are looked for, want 100", len(hashes))
		}
	}
}
