package filter_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/filter"
)

// Whatever the filter and whoever the people, PostgreSQL finds whom Match finds.
func TestPostgresFindsWhatMatchFinds(t *testing.T) {
	answered, found := 0, 0
	check(t, func(t *rapid.T, tx pgx.Tx) {
		d := drawDirectory(t)
		d.insert(t, tx)
		for range 10 {
			rt := rapid.SampledFrom([]*scim.ResourceType{scim.UserType(), scim.UserType(), scim.GroupType()}).Draw(t, "type")
			f := drawBound(t, rt)
			if f == nil {
				continue
			}
			answered++
			found += d.agree(t, tx, rt, f)
		}
	})
	if answered == 0 || found == 0 {
		t.Errorf("%d filters were legal and found %d resources", answered, found)
	}
	t.Logf("%d filters found %d resources", answered, found)
}

// agree holds what PostgreSQL finds against what Match finds, and says how many that are.
func (d directory) agree(t rapid.TB, tx pgx.Tx, rt *scim.ResourceType, f *scim.Filter) (found int) {
	want := d.matching(rt, f)
	if diff := cmp.Diff(want, d.query(t, tx, rt, f)); diff != "" {
		t.Fatalf("%s %s %v: Match finds -, PostgreSQL finds +\n%s\n%s", rt.Name, f, f.Operand, diff, d)
	}
	return len(want)
}

// directory is a few users and groups, and resources of a registered type, some of them
// deleted.
type directory struct{ users, groups, registered []*record }

type record struct {
	resource scim.Resource
	common   scim.Common
	version  int
	deleted  bool
}

func (d directory) records(rt *scim.ResourceType) []*record {
	switch rt.Name {
	case "User":
		return d.users
	case "Group":
		return d.groups
	}
	return d.registered
}

// living selects the living resources of a type in the connection.
func living(rt *scim.ResourceType) string {
	table := map[string]string{"User": "users u", "Group": "groups g"}[rt.Name]
	if table == "" {
		table = "resources r"
	}
	return table + " where " + table[len(table)-1:] + ".deleted_at is null and connection_id = $1 and "
}

func (d directory) matching(rt *scim.ResourceType, f *scim.Filter) []string {
	ids := []string{}
	for _, r := range d.records(rt) {
		if !r.deleted && f.Match(rt, r.resource, r.common) {
			ids = append(ids, r.common.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func (d directory) query(t rapid.TB, tx pgx.Tx, rt *scim.ResourceType, f *scim.Filter) []string {
	q, err := filter.Compile(f, rt, base, 2)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	from := living(rt)
	sql := "select id::text from " + from + q.Where + " order by id"
	rows, err := tx.Query(context.Background(), sql, append([]any{connection}, q.Args...)...)
	if err != nil {
		t.Fatalf("%s: %s %q: %v", f, q.Where, q.Args, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %s %q: %v", f, q.Where, q.Args, err)
	}
	// A condition is never null, so that its negation finds everybody else.
	var nulls int
	sql = "select count(*) from " + from + "(" + q.Where + ") is null"
	if err := tx.QueryRow(context.Background(), sql, append([]any{connection}, q.Args...)...).Scan(&nulls); err != nil || nulls > 0 {
		t.Fatalf("%s: %d times null, %v: %s", f, nulls, err, q.Where)
	}
	return append([]string{}, ids...)
}

func (d directory) String() string {
	var b strings.Builder
	for _, rt := range []*scim.ResourceType{scim.UserType(), scim.GroupType()} {
		for _, r := range d.records(rt) {
			fmt.Fprintf(&b, "%s %+v deleted=%t\n\t%s\n", rt.Name, r.common, r.deleted, scim.AppendJSON(nil, rt, r.resource))
		}
	}
	return b.String()
}

func (d directory) insert(t rapid.TB, tx pgx.Tx) {
	b := &pgx.Batch{}
	for _, u := range d.users {
		queueUser(b, scim.UserType(), u)
	}
	for _, g := range d.groups {
		b.Queue(`
			insert into groups (tenant_id, connection_id, id, display_name, display_name_key, external_id,
				created_at, modified_at, deleted_at, resource, search, version)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			tenant, connection, g.common.ID, g.resource["displayName"], scim.Fold(g.resource["displayName"].(string)), g.resource["externalId"],
			g.common.Created, g.common.LastModified, g.deletedAt(),
			string(scim.AppendJSON(nil, scim.GroupType(), g.resource)), string(scim.SearchJSON(nil, scim.GroupType(), g.resource)), g.version)
	}
	for _, g := range d.groups {
		for _, m := range g.common.Members {
			queueMember(b, g.common.ID, m)
		}
	}
	if err := tx.SendBatch(context.Background(), b).Close(); err != nil {
		t.Fatal(err)
	}
	d.link()
}

func queueUser(b *pgx.Batch, rt *scim.ResourceType, u *record) {
	b.Queue(`
		insert into users (tenant_id, connection_id, id, user_name_key, external_id, active,
			created_at, modified_at, deleted_at, resource, search, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		tenant, connection, u.common.ID, scim.Fold(u.resource["userName"].(string)), u.resource["externalId"], u.common.Active,
		u.common.Created, u.common.LastModified, u.deletedAt(),
		string(scim.AppendJSON(nil, rt, u.resource)), string(scim.SearchJSON(nil, rt, u.resource)), u.version)
	emails, _ := u.resource["emails"].([]any)
	for _, e := range emails {
		if address, ok := e.(map[string]any)["value"].(string); ok && address != "" {
			b.Queue(`
				insert into user_values (tenant_id, connection_id, attribute, value_key, user_id)
				values ($1, $2, 'emails.value', $3, $4)
				on conflict do nothing`, tenant, connection, scim.Fold(address), u.common.ID)
		}
	}
}

func queueMember(b *pgx.Batch, group string, m scim.Member) {
	column := "member_user"
	if m.Type == "Group" {
		column = "member_group"
	}
	b.Queue(`
		insert into memberships (tenant_id, connection_id, group_id, `+column+`)
		values ($1, $2, $3, $4)`, tenant, connection, group, m.Value)
}

func (r *record) deletedAt() any {
	if r.deleted {
		return r.common.LastModified
	}
	return nil
}

// link drops what is deleted from groups and members, names the members, and
// tells users the groups that they are in, also through others.
func (d directory) link() {
	records := map[string]*record{}
	for _, r := range slices.Concat(d.users, d.groups) {
		records[r.common.ID] = r
	}
	for _, u := range d.users {
		u.common.Groups = d.holding(u.common.ID, "direct", map[string]bool{})
	}
	for _, g := range d.groups {
		g.common.Members = slices.DeleteFunc(g.common.Members, func(m scim.Member) bool { return records[m.Value].deleted })
		for i := range g.common.Members {
			m := &g.common.Members[i]
			m.Display = records[m.Value].display()
		}
	}
}

// holding lists the living groups that have the member, and those that have these.
func (d directory) holding(member, kind string, seen map[string]bool) []scim.Member {
	var above []*record
	for _, g := range d.groups {
		has := slices.ContainsFunc(g.common.Members, func(m scim.Member) bool { return m.Value == member })
		if has && !seen[g.common.ID] {
			seen[g.common.ID] = true
			above = append(above, g)
		}
	}
	var found []scim.Member
	for _, g := range above {
		if !g.deleted {
			found = append(found, scim.Member{Value: g.common.ID, Type: kind, Display: g.display()})
		}
	}
	for _, g := range above {
		found = append(found, d.holding(g.common.ID, "indirect", seen)...)
	}
	return found
}

// display is how a group shows a member.
func (r *record) display() string {
	for _, name := range []string{"displayName", "userName"} {
		if s, ok := r.resource[name].(string); ok {
			return s
		}
	}
	return ""
}

// epoch and its neighbours are what drawn dates are near to.
var epoch = time.Date(2024, 2, 29, 23, 59, 59, 999_999_000, time.UTC)
