package store_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// pages are the lists that a large tenant can page through at the cost of the page.
func pages(t *testing.T) map[string]store.Query {
	user, group := []*scim.ResourceType{scim.UserType()}, []*scim.ResourceType{scim.GroupType()}
	all := scim.ResourceTypes()
	by := func(types []*scim.ResourceType, name, order string) store.Query {
		return store.Query{Types: types, Sort: must[*scim.Sort](t)(scim.ParseSort(types, name, order, scim.Strict))}
	}
	active := asking(t, scim.UserType(), 0, `active eq true`)
	active.Sort = by(user, "userName", "").Sort
	return map[string]store.Query{
		"people":                      {Types: user},
		"groups":                      {Types: group},
		"everything":                  {Types: all},
		"people by userName":          by(user, "userName", ""),
		"people by userName, back":    by(user, "userName", "descending"),
		"people by externalId":        by(user, "externalId", ""),
		"people by externalId, back":  by(user, "externalId", "descending"),
		"people by creation":          by(user, "meta.created", ""),
		"people by creation, back":    by(user, "meta.created", "descending"),
		"groups by displayName":       by(group, "displayName", ""),
		"groups by displayName, back": by(group, "displayName", "descending"),
		"groups by externalId":        by(group, "externalId", ""),
		"everything by creation":      by(all, "meta.created", "descending"),
		"everything by externalId":    by(all, "externalId", ""),
		"active people by userName":   active,
	}
}

// A page by cursor is read in the order of an index, from where it begins: what it
// costs does not depend on the size of the tenant. So is the first page by index.
func TestAPageCostsWhatItHolds(t *testing.T) {
	f, p, r := crowded(t)
	checkPages(t, f, p, r)
}

// The same where most tenants are small, and what they hold cheap to sort.
func TestAPageCostsWhatItHoldsAmongSmallTenants(t *testing.T) {
	f, p, r := deserted(t)
	superuser(t, databaseOf(f.owner), fmt.Sprintf(crowd, p.tenant, p.id))
	superuser(t, databaseOf(f.owner), villages)
	checkPages(t, f, p, r)
}

func checkPages(t *testing.T, f *fair, p *stand, r *recorder) {
	t.Helper()
	conn := dial(t, f.server)
	f.name(conn, p.tenant, p.id)
	if _, err := conn.Exec(t.Context(), "set enable_seqscan = off; set enable_sort = off"); err != nil {
		t.Fatal(err)
	}
	for name, q := range pages(t) {
		q.Count = 10
		if q.Filters == nil { // which is counted
			checkPage(t, conn, name+", by index", r, func() (store.Page, error) { return p.scim().List(t.Context(), q) })
		}
		q.ByCursor = true
		for page := range 3 {
			found := checkPage(t, conn, fmt.Sprintf("%s, page %d", name, page+1), r, func() (store.Page, error) { return p.scim().List(t.Context(), q) })
			if q.Cursor = found.Next; q.Cursor == "" {
				t.Fatalf("%s: page %d is the last", name, page+1)
			}
			if page == 2 {
				q.Cursor = found.Previous
				checkPage(t, conn, name+", the page before", r, func() (store.Page, error) { return p.scim().List(t.Context(), q) })
			}
		}
	}
}

func checkPage(t *testing.T, conn *pgx.Conn, name string, r *recorder, list func() (store.Page, error)) store.Page {
	t.Helper()
	var page store.Page
	var err error
	statements, _ := r.record(func() { page, err = list() })
	if err != nil || len(page.Items) != 10 {
		t.Fatalf("%s: %d items, %v", name, len(page.Items), err)
	}
	if _, trips := r.record(func() { _, err = list() }); err != nil || trips != 1 {
		t.Errorf("%s: %d round trips, want 1: %v", name, trips, err)
	}
	sorts := true // unless the store forbids it, as checkPages does
	for _, s := range statements {
		if sorts = sorts && !strings.Contains(s.sql, "set_config('enable_sort', 'off', true)"); sorts || !strings.Contains(s.sql, ") page") {
			continue
		}
		text := explain(t, conn, "force_generic_plan", "explain (analyze, costs off, timing off)", s)
		if most := mostRows(text); most == 0 || most > 100 {
			t.Errorf("%s: a step reads %d rows\n%s\n%s", name, most, s.sql, text)
		}
	}
	if sorts {
		t.Errorf("%s: PostgreSQL may sort the tenant", name)
	}
	return page
}

var (
	rowsRead    = regexp.MustCompile(`actual rows=(\d+)`)
	rowsDropped = regexp.MustCompile(`Rows Removed by (?:Join )?Filter: (\d+)`)
)

// mostRows is the largest number of rows that a step gave or threw away.
func mostRows(plan string) int {
	most := 0
	for _, pattern := range []*regexp.Regexp{rowsRead, rowsDropped} {
		for _, found := range pattern.FindAllStringSubmatch(plan, -1) {
			n, _ := strconv.Atoi(found[1])
			most = max(most, n)
		}
	}
	return most
}
