package store_test

import (
	"testing"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// Filters read of a person what is so now, whether it was a switch alone, which leaves
// the document that they read as it was, or came with more.
func TestFiltersReadWhatASwitchLeft(t *testing.T) {
	owner, server := storetest.Database(t)
	c := ringlingOn(t, storetest.Open(t, server))
	conn := storetest.Look(t, owner, "ringling")
	u := c.create("jamie@ringling.example", "jamie")
	document := func() string { return column[string](t, conn, `select search::text from users where id = $1`, u.ID)[0] }
	first := document()
	switchOff := set("active", false)
	for _, step := range []struct {
		what   string
		change func(scim.Resource) (scim.Resource, []scim.Note, error)
		found  string
		not    string
		kept   bool // the document
	}{
		{"switched off", switchOff, `displayName eq "jamie@ringling.example" and active eq false`, `not (active eq false)`, true},
		{"switched on", set("active", true), `displayName eq "jamie@ringling.example" and active eq true`, `active ne true`, true},
		{"switched off with a title", func(r scim.Resource) (scim.Resource, []scim.Note, error) {
			r, _, _ = set("title", "Rigger")(r)
			return switchOff(r)
		}, `title eq "rigger" and active eq false`, `not (title pr)`, false},
	} {
		if err := update(c, u, "", step.change); err != nil {
			t.Fatal(step.what, err)
		}
		for text, want := range map[string]int{step.found: 1, step.not: 0} {
			page := must[store.Page](t)(c.scim().List(t.Context(), asking(t, scim.UserType(), 10, text)))
			if len(page.Items) != want {
				t.Errorf("%s: %d people fit %s, want %d", step.what, len(page.Items), text, want)
			}
		}
		if kept := document() == first; kept != step.kept {
			t.Errorf("%s: the document is kept: %t, want %t", step.what, kept, step.kept)
		}
	}
}
