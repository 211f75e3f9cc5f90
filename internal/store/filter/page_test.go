package filter_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store/filter"
)

// Whatever is asked for and in whatever order, the pages that PostgreSQL gives,
// one after another, are what a sort of everything that matches gives: by index,
// by position, and by position from the end to the beginning.
func TestPagesAreTheListInPieces(t *testing.T) {
	sorted, found := 0, 0
	check(t, func(t *rapid.T, tx pgx.Tx) {
		d := drawDirectory(t)
		d.insert(t, tx)
		for range 5 {
			l := drawList(t)
			want := d.list(l)
			for way, got := range map[string][]string{
				"by index":           d.byIndex(t, tx, l),
				"by position":        d.byPosition(t, tx, l),
				"by position, back":  d.backward(t, tx, l, want),
				"by index, in pages": d.byIndexWithoutTotal(t, tx, l),
			} {
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Fatalf("%s, %s: want -, got +\n%s\n%s", describe(l), way, diff, d)
				}
			}
			if found += len(want); l.Sorted && len(want) > 1 {
				sorted++
			}
		}
	})
	if sorted == 0 || found == 0 {
		t.Errorf("%d lists of several were sorted, %d resources found", sorted, found)
	}
	t.Logf("%d lists of several were sorted, %d resources found", sorted, found)
}

func describe(l filter.List) string {
	var b strings.Builder
	for _, part := range l.Parts {
		fmt.Fprintf(&b, "%s", part.Type.Name)
		if part.Filter != nil {
			fmt.Fprintf(&b, "[%s]", part.Filter)
		}
		if l.Sorted && !part.Sort.Absent {
			fmt.Fprintf(&b, " by %s", part.Sort.Last().Path)
		}
		b.WriteString(", ")
	}
	return fmt.Sprintf("%sdescending=%t narrowed=%t", &b, l.Descending, l.Narrowed)
}

// drawList draws a list of users, of groups or of both.
func drawList(t *rapid.T) filter.List {
	types := rapid.SampledFrom([][]*scim.ResourceType{
		{scim.UserType()}, {scim.GroupType()}, {scim.UserType(), scim.GroupType()}, {scim.GroupType(), scim.UserType()},
	}).Draw(t, "types")
	l := filter.List{Base: base, Narrowed: rapid.Bool().Draw(t, "narrowed"), Descending: rapid.Bool().Draw(t, "descending")}
	for _, rt := range types {
		l.Parts = append(l.Parts, filter.Part{Type: rt})
	}
	if rapid.IntRange(0, 2).Draw(t, "filtered") == 0 {
		for i, f := range drawBoundTo(t, types) {
			l.Parts[i].Filter = f
		}
	}
	if sort := drawSort(t, types); sort != nil {
		l.Sorted = true
		for i, ref := range sort.Refs {
			l.Parts[i].Sort = ref
		}
	}
	return l
}

func drawSort(t *rapid.T, types []*scim.ResourceType) *scim.Sort {
	rt := rapid.SampledFrom(types).Draw(t, "sorted type")
	_, by := drawPath(t, rt, nil)
	by = rapid.SampledFrom([]string{by, by, by, "userName", "displayName", "externalId", "active", "meta.created", "emails", "members.display", "groups.$ref"}).Draw(t, "by")
	sort, err := scim.ParseSort(types, by, "", scim.Lenient)
	if err != nil {
		return nil
	}
	return sort
}

// list sorts what matches, as the documentation says.
func (d directory) list(l filter.List) []string {
	type item struct {
		id  string
		key any
	}
	var items []item
	for _, part := range l.Parts {
		for _, r := range d.records(part.Type) {
			if r.deleted || part.Filter != nil && !part.Filter.Match(part.Type, r.resource, r.common) {
				continue
			}
			key := any(nil)
			switch {
			case l.Sorted:
				key = r.key(part.Type, part.Sort)
			case l.Narrowed:
				key = r.common.Created
			}
			items = append(items, item{r.common.ID, key})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Or(compareKeys(a.key, b.key), cmp.Compare(a.id, b.id)) })
	if l.Descending {
		slices.Reverse(items)
	}
	ids := []string{}
	for _, it := range items {
		ids = append(ids, it.id)
	}
	return ids
}

// key is what a resource is sorted by: nil, a string, a number, a boolean or a time.
func (r *record) key(rt *scim.ResourceType, ref scim.Ref) any {
	if ref.Absent {
		return nil
	}
	values := map[string]any{
		"id": r.common.ID, "externalId": r.resource["externalId"], "active": r.common.Active,
		"schemas": []any{rt.Core.ID},
		"meta": map[string]any{
			"created": r.common.Created, "lastModified": r.common.LastModified, "resourceType": rt.Name,
			"version": r.common.Version, "location": base + rt.Endpoint + "/" + r.common.ID,
		},
		"members": related(r.common.Members), "groups": related(r.common.Groups),
	}
	name := ref.Attr.Name
	v, computed := values[name]
	switch {
	case ref.Extension != nil:
		container, _ := r.resource[ref.Extension.ID].(map[string]any)
		v = container[name]
	case !computed || name == "active" && rt.Name != "User":
		v = r.resource[name]
	}
	v = foremost(v)
	if ref.Sub != nil {
		fields, _ := v.(map[string]any)
		v = foremost(fields[ref.Sub.Name])
	}
	return keyOf(ref.Last(), v)
}

func keyOf(a *scim.Attribute, v any) any {
	s, ok := v.(string)
	switch {
	case !ok:
		return v
	case a.Type == scim.TypeDateTime:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
			if at, err := time.Parse(layout, s); err == nil {
				return at
			}
		}
		return nil
	}
	if !a.CaseExact {
		s = scim.Fold(s)
	}
	runes := []rune(s)
	return string(runes[:min(len(runes), 256)])
}

// related are the rows of an attribute, in the order in which answers show them.
func related(members []scim.Member) any {
	list := []any{}
	for _, m := range slices.SortedFunc(slices.Values(members), func(a, b scim.Member) int { return cmp.Compare(a.Value, b.Value) }) {
		endpoint := "/Groups/"
		if m.Type == "User" {
			endpoint = "/Users/"
		}
		list = append(list, map[string]any{"value": m.Value, "type": m.Type, "display": m.Display, "$ref": base + endpoint + m.Value})
	}
	return list
}

// foremost is the primary one of several values, else the first.
func foremost(v any) any {
	list, several := v.([]any)
	if !several {
		return v
	}
	for _, e := range list {
		if fields, _ := e.(map[string]any); fields["primary"] == true {
			return e
		}
	}
	if len(list) > 0 {
		return list[0]
	}
	return nil
}

func compareKeys(a, b any) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(boolean(a == nil), boolean(b == nil))
	}
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case bool:
		return cmp.Compare(boolean(a), boolean(b.(bool)))
	case time.Time:
		return a.Compare(b.(time.Time))
	case int64:
		return cmp.Compare(a, b.(int64))
	}
	return cmp.Compare(a.(float64), b.(float64))
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A place is one row of a page.
type place struct {
	part  int
	id    string
	text  *string
	total int
}

func (d directory) page(t rapid.TB, tx pgx.Tx, l filter.List, count, offset int) []place {
	p, err := l.Page()
	if err != nil {
		t.Fatalf("%s: %v", describe(l), err)
	}
	sql := "select page.part, page.id::text, page.text, page.total from (" + p.Rows + ") page order by " + p.Order
	of := any(nil)
	if l.Narrowed {
		of = connection
	}
	args := append(append([]any{tenant, of}, p.Args...), count, offset)
	rows, err := tx.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %s\n%v: %v", describe(l), sql, args, err)
	}
	places, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p place, err error) {
		return p, row.Scan(&p.part, &p.id, &p.text, &p.total)
	})
	if err != nil {
		t.Fatalf("%s: %s\n%v: %v", describe(l), sql, args, err)
	}
	for _, at := range places {
		if at.total != len(d.list(l)) && l.Counted {
			t.Fatalf("%s: %d are counted of %d", describe(l), at.total, len(d.list(l)))
		}
	}
	d.checkCount(t, tx, l, p, of)
	return places
}

func (d directory) checkCount(t rapid.TB, tx pgx.Tx, l filter.List, p filter.Page, of any) {
	var total int
	args := append([]any{tenant, of}, p.CountArgs...)
	if err := tx.QueryRow(context.Background(), p.Count, args...).Scan(&total); err != nil || total != len(d.list(l)) {
		t.Fatalf("%s: %s counts %d of %d, %v", describe(l), p.Count, total, len(d.list(l)), err)
	}
	if p.One != "" && total > 1 {
		t.Fatalf("%s: %d match, and not one", describe(l), total)
	}
}

func (d directory) byIndex(t rapid.TB, tx pgx.Tx, l filter.List) []string {
	l.Counted = true
	return d.inPages(t, tx, l)
}

func (d directory) byIndexWithoutTotal(t rapid.TB, tx pgx.Tx, l filter.List) []string {
	return d.inPages(t, tx, l)
}

func (d directory) inPages(t rapid.TB, tx pgx.Tx, l filter.List) []string {
	ids := []string{}
	for {
		places := d.page(t, tx, l, 2, len(ids))
		for _, at := range places {
			ids = append(ids, at.id)
		}
		if len(places) < 2 {
			return ids
		}
	}
}

func (d directory) byPosition(t rapid.TB, tx pgx.Tx, l filter.List) []string {
	l.Most = 2
	ids := []string{}
	for {
		places := d.page(t, tx, l, 2, 0)
		for _, at := range places {
			ids = append(ids, at.id)
			l.From = &filter.Position{Key: at.text, ID: at.id}
		}
		if len(places) < 2 {
			return ids
		}
	}
}

// backward goes to the end, and back from behind it.
func (d directory) backward(t rapid.TB, tx pgx.Tx, l filter.List, want []string) []string {
	if len(want) == 0 {
		return want
	}
	last := d.page(t, tx, l, 1, len(want)-1)[0]
	l.Most = 2
	ids := []string{last.id}
	for at := last; ; {
		l.From = &filter.Position{Key: at.text, ID: at.id, Back: true}
		places := d.page(t, tx, l, 2, 0)
		for _, at = range places {
			ids = append(ids, at.id)
		}
		if len(places) < 2 {
			slices.Reverse(ids)
			return ids
		}
	}
}

// The text of a page depends on the shape of what is asked alone.
func TestAPagesTextHoldsNothingOfTheClient(t *testing.T) {
	const hostile = `x'); drop table users; --$1`
	types := []*scim.ResourceType{scim.UserType()}
	texts := map[string]bool{}
	for _, by := range []string{"title", "nickName", "userType"} {
		sort, err := scim.ParseSort(types, by, "descending", scim.Strict)
		if err != nil {
			t.Fatal(err)
		}
		key := hostile + by
		p, err := filter.List{
			Parts: []filter.Part{{Type: scim.UserType(), Sort: sort.Refs[0]}}, Sorted: true, Base: "https://" + hostile,
			From: &filter.Position{Key: &key, ID: hostile},
		}.Page()
		if err != nil {
			t.Fatal(err)
		}
		texts[p.Rows] = true
		for _, text := range []string{p.Rows, p.Order, p.Count} {
			if strings.Contains(text, "drop") || strings.Contains(text, by) {
				t.Errorf("sorted by %s: %s", by, text)
			}
		}
	}
	if len(texts) != 1 {
		t.Errorf("three attributes of one type gave %d texts", len(texts))
	}
}

// Numbers and dates, which no stock schema has, are sorted as such, and strings
// by their first 256 characters.
func TestPostgresSortsNumbersDatesAndLongStrings(t *testing.T) {
	check(t, func(t *rapid.T, tx pgx.Tx) {
		d := drawTroupe(t, 5)
		for _, u := range d.users {
			if acts, ok := u.resource["acts"].([]any); ok && len(acts) > 0 {
				acts[0] = strings.Repeat("é", 255) + acts[0].(string)
			}
		}
		d.enter(t, tx)
		a := rapid.SampledFrom(trapeze.Core.Attributes).Draw(t, "attribute")
		ref := scim.Ref{Attr: a}
		if a.Type == scim.TypeComplex {
			ref.Sub = rapid.SampledFrom(a.Sub).Draw(t, "sub")
		}
		l := filter.List{Parts: []filter.Part{{Type: trapeze, Sort: ref}}, Sorted: true, Descending: rapid.Bool().Draw(t, "descending"), Narrowed: true, Base: base}
		want := d.list(l)
		if diff := gocmp.Diff(want, d.byPosition(t, tx, l)); diff != "" {
			t.Fatalf("%s: want -, got +\n%s\n%s", describe(l), diff, d)
		}
	})
}

// A list is of one resource at most where it asks, in one connection, for the value that
// no other has.
func TestAListOfOne(t *testing.T) {
	user, group := scim.UserType(), scim.GroupType()
	for _, c := range []struct {
		rt     *scim.ResourceType
		filter string
		one    bool
	}{
		{user, `userName eq "ann"`, true},
		{user, `active eq true and userName eq "ann"`, true},
		{user, `id eq "2819c223-7f76-453a-919d-413861904646"`, true},
		{group, `displayName eq "crew"`, true},
		{user, `displayName eq "Ann"`, false},
		{user, `externalId eq "ann"`, false},
		{user, `userName sw "ann"`, false},
		{user, `not (userName eq "ann")`, false},
		{user, `userName eq "ann" or active eq true`, false},
		{user, `name.familyName eq "ann"`, false},
		{group, `members.value eq "ann"`, false},
	} {
		f, err := scim.ParseFilter(c.filter)
		if err == nil {
			f, err = f.Bind(c.rt, scim.Lenient)
		}
		if err != nil {
			t.Fatalf("%s: %v", c.filter, err)
		}
		for _, l := range []filter.List{
			{Narrowed: true, Counted: true},
			{Narrowed: false, Counted: true}, // another connection may have the value too
			{Narrowed: true, From: &filter.Position{ID: "2819c223-7f76-453a-919d-413861904646"}},
		} {
			l.Base, l.Parts = base, []filter.Part{{Type: c.rt, Filter: f}}
			page, err := l.Page()
			if want := c.one && l.Narrowed && l.From == nil; err != nil || (page.One != "") != want {
				t.Errorf("%s, narrowed=%t: one is %q, %v; want one: %t", c.filter, l.Narrowed, page.One, err, want)
			}
		}
	}
}
