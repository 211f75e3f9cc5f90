package store_test

import (
	"testing"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A server that has seen a group which no rule reads reads no facts of those who enter or
// leave it. Another server makes the group one that a rule reads, in each way there is: the
// next who enters holds the role, and the next who leaves loses it.
func TestAGroupThatARuleNowReadsIsReadAtOnce(t *testing.T) {
	ctx := t.Context()
	for name, turn := range map[string]func(t *testing.T, there *stand, crew store.Group){
		"renamed": func(t *testing.T, there *stand, crew store.Group) {
			if _, _, err := there.scim().UpdateGroup(ctx, crew.ID.String(), "", store.GroupChange{Attributes: set("displayName", "Finance")}); err != nil {
				t.Fatal(err)
			}
		},
		"put into another": func(t *testing.T, there *stand, crew store.Group) {
			doc := group("Finance")
			doc.Members = []scim.Member{{Value: crew.ID.String()}}
			if _, _, err := there.scim().CreateGroup(ctx, doc); err != nil {
				t.Fatal(err)
			}
		},
		"named by new rules": func(t *testing.T, there *stand, crew store.Group) {
			if _, issues, err := there.admin().PublishRules(ctx, []byte("version: 1\nconnections: [first]\ngroupRoles:\n  - name: Crew\n    grant: [sheet-ringling.approver]\n")); err != nil {
				t.Fatal(err, issues)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, server := storetest.Database(t)
			here := newTenant(t, storetest.Open(t, server), "ringling").connect("first", "lenient")
			there := *here
			there.store = storetest.Open(t, server)
			jamie, robin := here.create("jamie"), here.create("robin")
			crew, _, err := here.scim().CreateGroup(ctx, group("Crew"))
			if err != nil {
				t.Fatal(err)
			}
			move := func(kind scim.MemberOpKind, u store.User) {
				t.Helper()
				if _, changed, err := here.scim().UpdateGroup(ctx, crew.ID.String(), "", store.GroupChange{Members: members(kind, u)}); err != nil || !changed {
					t.Fatal(changed, err)
				}
			}
			approves := func(u store.User, want bool) {
				t.Helper()
				d, err := here.check(u.ID.String())
				if err != nil {
					t.Fatal(err)
				}
				got := false
				for _, role := range d.Roles {
					got = got || role == "approver" || role == "sheet-ringling.approver"
				}
				if got != want {
					t.Errorf("%s approves: %t, want %t: %v", u.ID, got, want, d.Roles)
				}
			}
			move(scim.AddMembers, robin) // the server learns that no rule reads it
			move(scim.RemoveMembers, robin)
			move(scim.AddMembers, robin)
			approves(robin, false)

			turn(t, &there, crew)
			move(scim.AddMembers, jamie)
			approves(jamie, true)
			approves(robin, true)
			move(scim.RemoveMembers, jamie)
			approves(jamie, false)
		})
	}
}
