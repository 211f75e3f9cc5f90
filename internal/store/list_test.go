package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/storetest"
)

// sortedBy is q in another order.
func sortedBy(t rapid.TB, q store.Query, by, order string) store.Query {
	sort, err := scim.ParseSort(q.Types, by, order, scim.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	q.Sort = sort
	return q
}

// A cursor opens what it was given for and nothing else: whatever else is asked
// with it looks like a cursor that somebody made up.
func TestACursorIsOfItsConnectionAndItsQuery(t *testing.T) {
	s := storetest.New(t)
	mine := newTenant(t, s, "ringling").connect("first", "lenient")
	sibling, stranger := mine.connect("second", "lenient"), newTenant(t, s, "cirque").connect("first", "lenient")
	for _, p := range []*stand{mine, sibling, stranger} {
		for _, name := range []string{"a", "b", "c", "d"} {
			p.create(name)
		}
	}
	q := sortedBy(t, asking(t, scim.UserType(), 2, "userName pr"), "userName", "")
	q.ByCursor = true
	first := must[store.Page](t)(mine.scim().List(t.Context(), q))
	if first.Next == "" || first.Previous != "" || first.Counted || len(first.Items) != 2 {
		t.Fatalf("the first page: %+v", first)
	}
	q.Cursor = first.Next
	if second := must[store.Page](t)(mine.scim().List(t.Context(), q)); len(second.Items) != 2 || second.Next != "" || second.Previous == "" {
		t.Errorf("the second page: %+v", second)
	}

	for name, list := range map[string]func() (store.Page, error){
		"another connection's": func() (store.Page, error) { return sibling.scim().List(t.Context(), q) },
		"another tenant's":     func() (store.Page, error) { return stranger.scim().List(t.Context(), q) },
		"an admin's":           func() (store.Page, error) { return mine.admin().List(t.Context(), q) },
		"another filter's": func() (store.Page, error) {
			other := asking(t, scim.UserType(), 2, "title pr")
			other.Sort, other.ByCursor, other.Cursor = q.Sort, true, q.Cursor
			return mine.scim().List(t.Context(), other)
		},
		"no filter's": func() (store.Page, error) {
			other := q
			other.Filters = nil
			return mine.scim().List(t.Context(), other)
		},
		"another attribute's": func() (store.Page, error) { return mine.scim().List(t.Context(), sortedBy(t, q, "externalId", "")) },
		"the other direction's": func() (store.Page, error) {
			return mine.scim().List(t.Context(), sortedBy(t, q, "userName", "descending"))
		},
		"no order's": func() (store.Page, error) {
			other := q
			other.Sort = nil
			return mine.scim().List(t.Context(), other)
		},
		"another type's": func() (store.Page, error) {
			other := asking(t, scim.GroupType(), 2, "displayName pr")
			other.ByCursor, other.Cursor = true, q.Cursor
			return mine.scim().List(t.Context(), other)
		},
	} {
		if page, err := list(); !errors.Is(err, store.ErrBadCursor) || len(page.Items) > 0 {
			t.Errorf("%s: got %d items, %v", name, len(page.Items), err)
		}
	}
	q.Count = 3
	if _, err := mine.scim().List(t.Context(), q); !errors.Is(err, store.ErrOtherCount) {
		t.Errorf("another count: got %v", err)
	}
	for _, spoilt := range spoil(q.Cursor) {
		q.Count, q.Cursor = 2, spoilt
		if _, err := mine.scim().List(t.Context(), q); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("%q: got %v", spoilt, err)
		}
	}
}

// spoil alters a cursor in every place.
func spoil(cursor string) []string {
	all := []string{"x", cursor[1:], cursor + "A", cursor + "=", cursor + "\n", strings.Repeat("A", 5000), "..", "%"}
	for i := range cursor {
		other := byte('A')
		if cursor[i] == other {
			other = 'B'
		}
		all = append(all, cursor[:i]+string(other)+cursor[i+1:])
	}
	return all
}

// How long a cursor is good is judged by the database's clock.
func TestACursorEnds(t *testing.T) {
	s := storetest.New(t, func(c *store.Config) { c.CursorTimeout = time.Nanosecond })
	p := newTenant(t, s, "ringling").connect("first", "lenient")
	p.create("a")
	p.create("b")
	q := asking(t, scim.UserType(), 1, "")
	q.ByCursor = true
	q.Cursor = must[store.Page](t)(p.scim().List(t.Context(), q)).Next
	if page, err := p.scim().List(t.Context(), q); !errors.Is(err, store.ErrExpiredCursor) || len(page.Items) > 0 {
		t.Errorf("got %d items, %v", len(page.Items), err)
	}
}

// Whoever goes back to where nobody is left comes to the beginning of the list.
func TestThePageBeforeIsGone(t *testing.T) {
	p := newTenant(t, storetest.New(t), "ringling").connect("first", "lenient")
	var people []store.User
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		people = append(people, p.create(name))
	}
	q := asking(t, scim.UserType(), 2, "")
	q.ByCursor = true
	q.Cursor = must[store.Page](t)(p.scim().List(t.Context(), q)).Next
	q.Cursor = must[store.Page](t)(p.scim().List(t.Context(), q)).Previous
	for _, u := range people[:2] {
		if err := p.scim().DeleteUser(t.Context(), u.ID.String(), ""); err != nil {
			t.Fatal(err)
		}
	}
	page := must[store.Page](t)(p.scim().List(t.Context(), q))
	if got := ids(page); !slices.Equal(got, []uuid.UUID{people[2].ID, people[3].ID}) || page.Previous != "" || page.Next == "" {
		t.Errorf("got %v, previous %q, next %q", got, page.Previous, page.Next)
	}
}

func ids(page store.Page) []uuid.UUID {
	var all []uuid.UUID
	for _, f := range page.Items {
		all = append(all, f.ID)
	}
	return all
}

// orders are those in which walks go.
var orders = []string{"", "userName", "externalId", "displayName", "meta.created", "emails.value", "title"}

// drawWalk draws a list and how it is paged through.
func drawWalk(t *rapid.T, types []*scim.ResourceType) store.Query {
	q := store.Query{Types: types, ByCursor: true, Count: rapid.IntRange(1, 5).Draw(t, "count")}
	by := rapid.SampledFrom(orders).Draw(t, "by")
	if by == "" {
		return q
	}
	return sortedBy(t, q, by, rapid.SampledFrom([]string{"ascending", "descending"}).Draw(t, "order"))
}

// drawn names a person so that the lists' orders differ.
func drawn(n int) scim.Document {
	doc := person(fmt.Sprintf("%c%d@ringling.example", 'a'+n*7%26, n), "")
	if n%3 == 0 {
		doc.Resource["externalId"] = fmt.Sprintf("%c%d", 'a'+n*11%26, n)
	} else {
		delete(doc.Resource, "externalId")
	}
	if n%2 == 0 {
		doc.Resource["title"] = fmt.Sprintf("t%d", n%5)
	}
	return doc
}

// settlers are who stay while others come and go.
func (p *stand) settlers(n int) map[uuid.UUID]bool {
	p.t.Helper()
	stay := map[uuid.UUID]bool{}
	for i := range n {
		u, _, err := p.scim().CreateUser(p.t.Context(), drawn(i))
		if err != nil {
			p.t.Fatal(err)
		}
		stay[u.ID] = true
	}
	return stay
}

// Whatever comes and goes between the pages, whoever is there all the while is on
// one page and on no other; forth and back.
func TestAWalkShowsEverybodyOnce(t *testing.T) {
	p := newTenant(t, storetest.New(t), "ringling").connect("first", "lenient")
	stay := p.settlers(15)
	types := p.scim().ResourceTypes()[:2]
	next := 100
	rapid.Check(t, func(t *rapid.T) {
		q := drawWalk(t, types)
		var others []uuid.UUID
		shown := map[uuid.UUID]int{}
		last := walk(t, p, q, func(page store.Page) {
			for _, id := range ids(page) {
				shown[id]++
			}
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				if len(others) > 0 && rapid.Bool().Draw(t, "goes") {
					gone := rapid.IntRange(0, len(others)-1).Draw(t, "who")
					leave(t, p, others[gone])
					others = slices.Delete(others, gone, gone+1)
					continue
				}
				next++
				others = append(others, arrive(t, p, next))
			}
		})
		checkShown(t, stay, shown)
		if len(last.Items) > 0 { // from nobody there is no way back
			back := map[uuid.UUID]int{}
			for page := last; ; page = found(t)(p.scim().List(context.Background(), q)) {
				for _, id := range ids(page) {
					back[id]++
				}
				if q.Cursor = page.Previous; q.Cursor == "" {
					break
				}
			}
			checkShown(t, stay, back)
		}
		for _, id := range others {
			leave(t, p, id)
		}
	})
}

// walk calls see with each page, and returns the last.
func walk(t rapid.TB, p *stand, q store.Query, see func(store.Page)) store.Page {
	for {
		page := found(t)(p.scim().List(context.Background(), q))
		if len(page.Items) > q.Count {
			t.Fatalf("a page of %d holds %d", q.Count, len(page.Items))
		}
		see(page)
		if q.Cursor = page.Next; q.Cursor == "" {
			return page
		}
	}
}

func found(t rapid.TB) func(store.Page, error) store.Page {
	return func(page store.Page, err error) store.Page {
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
}

func arrive(t rapid.TB, p *stand, n int) uuid.UUID {
	u, _, err := p.scim().CreateUser(context.Background(), drawn(n))
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func leave(t rapid.TB, p *stand, id uuid.UUID) {
	if err := p.scim().DeleteUser(context.Background(), id.String(), ""); err != nil {
		t.Fatal(err)
	}
}

// checkShown: who stays is shown once, who comes or goes at most once.
func checkShown(t rapid.TB, stay map[uuid.UUID]bool, shown map[uuid.UUID]int) {
	for id := range stay {
		if shown[id] != 1 {
			t.Fatalf("somebody who stays was shown %d times", shown[id])
		}
	}
	for id, times := range shown {
		if times > 1 {
			t.Fatalf("%s was shown %d times", id, times)
		}
	}
}

// The same where people come and go at the very moment at which pages are read;
// and by index, where nobody goes: who is made last is shown last.
func TestConcurrentWalksShowEverybodyOnce(t *testing.T) {
	s := storetest.New(t, func(c *store.Config) { c.PoolSize = 8 })
	p := newTenant(t, s, "ringling").connect("first", "lenient")
	stay := p.settlers(40)
	ctx, stop := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	const staying = 100 // of each worker's: on a slow machine, too, the walk comes to an end
	for worker := range 4 {
		crowd.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := arrive(t, p, 1_000_000*(worker+1)+n)
				if n%2 == 0 || n > 2*staying {
					leave(t, p, id)
				}
			}
		})
	}
	for _, by := range orders {
		q := store.Query{Types: p.scim().ResourceTypes()[:2], ByCursor: true, Count: 7}
		if by != "" {
			q = sortedBy(t, q, by, "descending")
		}
		shown := map[uuid.UUID]int{}
		for q.Cursor = ""; ; {
			page := found(t)(p.scim().List(t.Context(), q))
			for _, id := range ids(page) {
				shown[id]++
			}
			if q.Cursor = page.Next; q.Cursor == "" || len(shown) > 5000 {
				break
			}
		}
		checkShown(t, stay, shown)
	}
	stop()
	crowd.Wait()
}

// By index, those who come are shown after those who were there.
func TestPagesByIndexGrowAtTheEnd(t *testing.T) {
	p := newTenant(t, storetest.New(t), "ringling").connect("first", "lenient")
	stay := p.settlers(20)
	shown := map[uuid.UUID]int{}
	for start := 1; start <= 20; start += 3 {
		q := store.Query{Types: p.scim().ResourceTypes(), Count: 3, StartIndex: start}
		for _, id := range ids(found(t)(p.scim().List(t.Context(), q))) {
			shown[id]++
		}
		arrive(t, p, 100+start)
	}
	checkShown(t, stay, shown)
}

// A list by index always knows how many there are, also behind its end; one by
// cursor where that costs nothing, or where nothing else is asked for.
func TestWhatAListCounts(t *testing.T) {
	p := newTenant(t, storetest.New(t), "ringling").connect("first", "lenient")
	p.settlers(12)
	if _, _, err := p.scim().CreateGroup(t.Context(), group("Finance")); err != nil {
		t.Fatal(err)
	}
	both := p.scim().ResourceTypes()[:2]
	for _, c := range []struct {
		name string
		q    store.Query
		want int // -1: not said
	}{
		{"all", store.Query{Types: both, Count: 5}, 13},
		{"all, none shown", store.Query{Types: both, Count: 0}, 13},
		{"all, behind the end", store.Query{Types: both, Count: 5, StartIndex: 50}, 13},
		{"filtered", asking(t, scim.UserType(), 5, "title pr"), 6},
		{"filtered, none shown", asking(t, scim.UserType(), 0, "title pr"), 6},
		{"filtered, nobody", asking(t, scim.UserType(), 5, `title eq "x"`), 0},
		{"filtered, behind the end", behind(asking(t, scim.UserType(), 5, "title pr")), 6},
		{"by cursor", store.Query{Types: both, Count: 5, ByCursor: true}, 13},
		{"by cursor, none shown", store.Query{Types: both, Count: 0, ByCursor: true}, 13},
		{"filtered by cursor", byCursor(asking(t, scim.UserType(), 5, "title pr")), -1},
		{"filtered by cursor, all on one page", byCursor(asking(t, scim.UserType(), 6, "title pr")), 6},
		{"filtered by cursor, none shown", byCursor(asking(t, scim.UserType(), 0, "title pr")), 6},
	} {
		for whose, dir := range map[string]*store.Directory{"a client": p.scim(), "an admin": p.admin()} {
			page, err := dir.List(t.Context(), c.q)
			switch {
			case err != nil || page.Counted && page.Total != c.want || !page.Counted && c.want >= 0 && (whose == "a client" || !c.q.ByCursor):
				t.Errorf("%s, %s: counted %t, %d, %v; want %d", c.name, whose, page.Counted, page.Total, err, c.want)
			case len(page.Items) > max(c.q.Count, 0):
				t.Errorf("%s, %s: %d items", c.name, whose, len(page.Items))
			}
		}
	}
}

func behind(q store.Query) store.Query   { q.StartIndex = 50; return q }
func byCursor(q store.Query) store.Query { q.ByCursor = true; return q }
