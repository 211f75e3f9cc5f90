package filter_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
)

// crowd is a tenant with two connections, 20,000 users each, and 2,000 groups
// with 20 members each.
const crowd = `
	set muster.connection = 'all';
	insert into users (tenant_id, connection_id, id, user_name_key, external_id, active, resource, search)
	select '%[1]s', case n %% 2 when 0 then '%[2]s' else '0f9c5e1e-0000-7000-8000-00000000000c' end::uuid,
		lpad(to_hex(n), 32, '0')::uuid, 'user' || n, 'external' || n, true, '{}',
		jsonb_build_object('userName', 'user' || n, 'emails', jsonb_build_array(jsonb_build_object('type', 'work', 'value', 'user' || n || '@example.com')))
	from generate_series(1, 40000) n;
	insert into user_values (tenant_id, connection_id, attribute, value_key, user_id)
	select tenant_id, connection_id, 'emails.value', user_name_key || '@example.com', id from users;
	insert into groups (tenant_id, connection_id, id, display_name, display_name_key, external_id, resource, search)
	select '%[1]s', '%[2]s', lpad('f' || to_hex(n), 32, '0')::uuid, 'group' || n, 'group' || n, 'external' || n, '{}', '{}'
	from generate_series(1, 2000) n;
	insert into memberships (tenant_id, connection_id, group_id, member_user)
	select '%[1]s', '%[2]s', lpad('f' || to_hex(n), 32, '0')::uuid, lpad(to_hex(m * 1000 + n * 2), 32, '0')::uuid
	from generate_series(1, 2000) n, generate_series(0, 19) m;
	set muster.connection = '%[2]s'`

// What identity providers look up is found by index, as the server's role,
// under row-level security, without reading the tenant's other rows.
func TestWhatProvidersLookUpIsFoundByIndex(t *testing.T) {
	conn := connect(t)
	execute(t, conn, fmt.Sprintf(crowd, tenant, connection))
	execute(t, dial(t, ownerURL(t)), "analyze")
	user, group := "00000000-0000-0000-0000-000000000064", "00000000-0000-0000-0000-0000000000f1"
	for _, c := range []struct {
		rt          *scim.ResourceType
		filter, use string
	}{
		{scim.UserType(), `userName eq "USER100"`, "users_user_name"},
		{scim.UserType(), `externalId eq external100`, "users_external_id"},
		{scim.UserType(), `id eq "` + user + `"`, "users_pkey"},
		{scim.UserType(), `emails.value eq "user100@example.com"`, "user_values_pkey"},
		{scim.UserType(), `emails eq "user100@example.com"`, "user_values_pkey"},
		{scim.UserType(), `emails[type eq "work"].value eq "user100@example.com"`, "user_values_pkey"},
		{scim.UserType(), `emails[type eq "work" and value eq "user100@example.com"]`, "user_values_pkey"},
		{scim.UserType(), `id eq ` + user + ` and manager eq ` + user, "users_pkey"},
		{scim.UserType(), `manager eq ` + user + ` and id eq ` + user, "users_pkey"},
		{scim.UserType(), `groups.value eq "` + group + `"`, "memberships_"},
		{scim.GroupType(), `displayName eq "Group1"`, "groups_display_name"},
		{scim.GroupType(), `externalId eq "external1"`, "groups_external_id"},
		{scim.GroupType(), `id eq ` + group + ` and members eq ` + user, "groups_pkey"},
		{scim.GroupType(), `members.value eq "` + user + `"`, "memberships_user"},
		{scim.GroupType(), `members[value eq "` + user + `" and type eq "User"]`, "memberships_user"},
	} {
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			checkPlan(t, c.filter, c.use, explain(t, conn, mode, c.rt, c.filter))
		}
	}
}

func checkPlan(t *testing.T, filter, use, plan string) {
	t.Helper()
	if !strings.Contains(plan, use) || strings.Contains(plan, "Seq Scan") {
		t.Errorf("%s is not found by %s:\n%s", filter, use, plan)
	}
	if most := mostRows(plan); most > 200 {
		t.Errorf("%s reads %d rows in a step:\n%s", filter, most, plan)
	}
}

// explain executes the query by the plan that mode makes, and returns it.
func explain(t *testing.T, conn *pgx.Conn, mode string, rt *scim.ResourceType, text string) string {
	t.Helper()
	q := compile(t, rt, text)
	from := "users u where u.tenant_id = $1 and u.connection_id = $2 and u.deleted_at is null and "
	if rt.Name == "Group" {
		from = "groups g where g.tenant_id = $1 and g.connection_id = $2 and g.deleted_at is null and "
	}
	execute(t, conn, "set plan_cache_mode = "+mode+"; prepare q as select id from "+from+q.Where+" order by 1 limit 100")
	defer execute(t, conn, "deallocate q")
	args := append([]any{pgx.QueryExecModeSimpleProtocol, tenant, connection}, q.Args...)
	placeholders := "$1"
	for n := range len(q.Args) + 1 {
		placeholders += fmt.Sprintf(", $%d", n+2)
	}
	rows, err := conn.Query(context.Background(), "explain (analyze, costs off, timing off) execute q("+placeholders+")", args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Join(lines, "\n")
}

// mostRows returns the largest number of rows that a step gave or threw away.
func mostRows(plan string) int {
	most := 0
	for _, line := range strings.Split(plan, "\n") {
		for _, before := range []string{"(actual rows=", "Rows Removed by Filter: ", "Rows Removed by Join Filter: "} {
			if _, after, ok := strings.Cut(line, before); ok {
				n := 0
				fmt.Sscan(after, &n)
				most = max(most, n)
			}
		}
	}
	return most
}
