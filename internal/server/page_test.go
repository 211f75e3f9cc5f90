package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/store/storetest"
)

// A page of groups holds so many members and no more; one large group is shown whole,
// and any number of groups without their members.
func TestAPageOfLargeGroupsIsRefused(t *testing.T) {
	owner, database := storetest.Database(t)
	w := start(t, storetest.Open(t, database))
	w.tenant("acme")
	token := w.connect("acme", "entra", "lenient")
	conn := storetest.Look(t, owner, "acme")
	for _, name := range []string{"a", "b", "c", "d"} {
		id := w.create("/Groups", token, `{"displayName":"`+name+`"}`)
		if _, err := conn.Exec(t.Context(), `
			with made as (
				insert into users (tenant_id, connection_id, id, user_name_key, active, resource, search)
				select tenant_id, connection_id, gen_random_uuid(), $2 || i, true, '{}', '{}' from groups, generate_series(1, 70000) i where id = $1
				returning tenant_id, connection_id, id)
			insert into memberships (tenant_id, connection_id, group_id, member_user) select tenant_id, connection_id, $1, id from made`, id, name); err != nil {
			t.Fatal(err)
		}
	}
	w.scim("GET", "/Groups", token, "").refusal(t, "280,000 members", http.StatusBadRequest, "tooMany")
	w.create("/Groups", token, `{"displayName":"after"}`) // the connection of the refused page is as good as new
	for _, query := range []string{"?count=2", "?excludedAttributes=members", "?filter=displayName+eq+%22d%22"} {
		if a := w.scim("GET", "/Groups"+query, token, ""); a.status != http.StatusOK || !strings.Contains(a.body, `"displayName":`) {
			t.Errorf("%s: %d %.200s", query, a.status, a.body)
		}
	}
}
