package store_test

import (
	"fmt"
	"testing"

	"github.com/muster-id/muster/internal/store"
)

// Connections, and what was prepared on them, are let go when a table has grown a great
// deal, and not again until it has once more.
func TestPlansAreMadeAnewForAFullTable(t *testing.T) {
	f, p, _ := deserted(t)
	var before store.Growth
	look := func() int {
		t.Helper()
		if err := f.store.Replan(t.Context(), &before); err != nil {
			t.Fatal(err)
		}
		return must[int](t)(f.store.Backend(t.Context()))
	}
	empty := look()
	if again := look(); again != empty {
		t.Error("nothing grew, and the connections were let go")
	}
	superuser(t, databaseOf(f.owner), fmt.Sprintf(`insert into user_values
		select '%s', '%s', 'emails.value', n::text, gen_random_uuid() from generate_series(1, 20000) n`, p.tenant, p.id))
	full := look()
	if full == empty {
		t.Error("a table is full, and the plans are those of an empty one")
	}
	if again := look(); again != full {
		t.Error("nothing grew since, and the connections were let go again")
	}
}
