package conformance

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// cursorChecks are about cursors (RFC 9865).
var cursorChecks = []Check{
	{Name: "cursor/walk", Rows: []string{"Y01", "Y02", "Y03", "Y04", "Y06", "Y07"}, Needs: []string{empty, "cursor"}, Run: walkByCursor},
	{Name: "cursor/refused", Rows: []string{"Y08", "Y09", "Y11", "Y15", "Y25"}, Needs: []string{"cursor"}, Run: cursorsRefused},
	{Name: "cursor/sorted", Rows: []string{"Y12"}, Needs: []string{empty, "cursor", "sort"}, Run: sortedByCursor},
	{Name: "cursor/methods", Rows: []string{"Y13", "Y14"}, Needs: []string{"cursor"}, Run: paginationMethods},
	{Name: "cursor/configuration", Rows: []string{"Y17", "Y18", "Y19", "Y20"}, Needs: []string{empty, "cursor"}, Run: paginationConfig},
	{Name: "cursor/foreign", Rows: []string{"Y21", "Y24"}, Needs: []string{"cursor", "neighbour", "siblingToken"}, Run: foreignCursors},
	{Name: "cursor/many", Rows: []string{"Y26"}, Needs: []string{"cursor"}, Run: manyCursors},
	{Name: "cursor/changes", Rows: []string{"Y27"}, Needs: []string{empty, "cursor"}, Run: changesBetweenPages},
}

var unreserved = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

func next(cursor *string) string {
	if cursor == nil {
		return ""
	}
	return *cursor
}

// walkByCursor reads all pages, forth and as far as it is offered back.
func walkByCursor(t *Trial) {
	users := people(t, 23)
	first, same := t.page("GET /Users?cursor&count=5"), t.page("GET /Users?cursor=&count=5")
	t.Check(slices.Equal(first.Resources, same.Resources), "cursor and cursor= give two first pages")
	t.Check(first.PreviousCursor == nil, "the first page has a previousCursor")

	seen := map[string]int{}
	pages := 0
	for page, before := first, (page{}); ; pages++ {
		t.Check(len(page.Resources) <= 5 && page.ItemsPerPage == len(page.Resources), "a page of %d, itemsPerPage %d", len(page.Resources), page.ItemsPerPage)
		t.Check(page.TotalResults == 0 || page.TotalResults == len(users), "totalResults %d of %d", page.TotalResults, len(users))
		for _, resource := range page.Resources {
			seen[resource.ID]++
		}
		if previous := next(page.PreviousCursor); previous != "" {
			back := t.page("GET /Users?cursor=" + previous + "&count=5")
			t.Check(unreserved.MatchString(previous) && slices.Equal(back.Resources, before.Resources), "previousCursor leads elsewhere than back")
		}
		cursor := next(page.NextCursor)
		if cursor == "" || pages > len(users) {
			break
		}
		t.Check(unreserved.MatchString(cursor), "%q is not of unreserved characters", cursor)
		before, page = page, t.page("GET /Users?cursor="+cursor+"&count=5")
	}
	t.Check(pages == 4, "the last page is the %dth, want the 5th", pages+1)
	t.Check(len(seen) == len(users) && !slices.ContainsFunc(slices.Collect(maps.Values(seen)), func(n int) bool { return n != 1 }), "not everybody was shown once: %v", seen)
	for _, count := range []string{"0", "-1"} {
		t.Check(len(t.page("GET /Users?cursor&count="+count).Resources) == 0, "count=%s shows somebody", count)
	}
}

// refused is a pattern of a bad request.
func refused(scimType string) string {
	return `400
{"schemas":["` + errorSchema + `"],"status":"400","scimType":"` + scimType + `","detail":"..."}`
}

// cursorsRefused: a cursor is good for the request that it came from, and for no other;
// one that was made up or changed is none.
func cursorsRefused(t *Trial) {
	people(t, 5)
	page := t.page(`GET /Users?cursor&count=2&filter=title pr`)
	cursor := next(page.NextCursor)
	t.Check(cursor != "", "the first of several pages has no nextCursor")
	query := "GET /Users?cursor=" + cursor
	t.Check(len(t.page(query+"&count=2&filter=title pr").Resources) == 2, "the cursor does not lead to the second page")
	t.Expect(t.Send(query+`&count=2&filter=title eq "1"`), refused("invalidCursor"))
	t.Expect(t.Send(query+"&count=2"), refused("invalidCursor"))
	t.Expect(t.Send("GET /Groups?cursor="+cursor+"&count=2&filter=displayName pr"), refused("invalidCursor"))
	t.Expect(t.Send(query+"&count=3&filter=title pr"), refused("invalidCount"))
	for _, garbage := range []string{"garbage", "0", "%00", "YQ", strings.Repeat("A", 4000), url.QueryEscape(`' or 1=1 --`)} {
		t.Expect(t.Send("GET /Users?cursor="+garbage+"&count=2"), refused("invalidCursor"))
	}
	for _, at := range []int{0, len(cursor) / 2, len(cursor) - 2} {
		flipped := []byte(cursor)
		flipped[at] = map[bool]byte{true: 'B', false: 'A'}[flipped[at] == 'A']
		t.Expect(t.Send("GET /Users?cursor="+string(flipped)+"&count=2&filter=title pr"), refused("invalidCursor"))
	}
	t.Expect(t.Send("GET /Users?cursor&count=abc"), refused("invalidCount"))
	t.Expect(t.Send("GET /Users?cursor&startIndex=1"), refused("invalidValue"))
	t.Expect(t.Send("GET /Users?startIndex=2&cursor="+cursor+"&count=2&filter=title pr"), refused("invalidValue"))
}

// sortedByCursor: pages of a sorted list are sorted from the first to the last.
func sortedByCursor(t *Trial) {
	users := people(t, 13)
	for _, sort := range []string{"userName", "userName&sortOrder=descending", "title"} {
		var names []string
		seen := map[string]bool{}
		for cursor := ""; ; {
			page := t.page("GET /Users?cursor=" + cursor + "&count=4&sortBy=" + sort)
			for _, resource := range page.Resources {
				names = append(names, resource.UserName)
				seen[resource.ID] = true
			}
			if cursor = next(page.NextCursor); cursor == "" {
				break
			}
		}
		t.Check(len(seen) == len(users) && len(names) == len(users), "sortBy=%s: %d of %d were shown", sort, len(seen), len(users))
		if strings.HasPrefix(sort, "userName") {
			sorted := slices.Clone(names)
			slices.Sort(sorted)
			if strings.HasSuffix(sort, "descending") {
				slices.Reverse(sorted)
			}
			t.Check(slices.Equal(names, sorted), "sortBy=%s gives %q", sort, names)
		}
	}
}

// pagination is what ServiceProviderConfig says of it (RFC 9865 §4).
type pagination struct {
	Cursor, Index                               *bool
	DefaultPaginationMethod                     string
	DefaultPageSize, MaxPageSize, CursorTimeout *int
}

func (t *Trial) pagination() pagination {
	var config struct{ Pagination *pagination }
	t.Decode(t.Send("GET /ServiceProviderConfig"), &config)
	t.Check(config.Pagination != nil, "ServiceProviderConfig has no pagination")
	return *config.Pagination
}

// paginationMethods: without a parameter the method is the one advertised.
func paginationMethods(t *Trial) {
	people(t, 3)
	method := t.pagination().DefaultPaginationMethod
	answer := t.Send("GET /Users?count=1")
	byCursor := strings.Contains(answer.Body, `"nextCursor"`)
	t.Check(byCursor == (method == "cursor"), "the default is %q, and nextCursor is there: %t", method, byCursor)
	byIndex := strings.Contains(answer.Body, `"startIndex":1`)
	t.Check(byIndex || method == "cursor", "the default is %q, and startIndex is there: %t", method, byIndex)
}

// paginationConfig: what is advertised is of its type, and true.
func paginationConfig(t *Trial) {
	p := t.pagination()
	t.Check(p.Cursor != nil && *p.Cursor && p.Index != nil, "cursor and index: %v %v", p.Cursor, p.Index)
	t.Check(slices.Contains([]string{"cursor", "index", ""}, p.DefaultPaginationMethod), "defaultPaginationMethod %q", p.DefaultPaginationMethod)
	for name, value := range map[string]*int{"defaultPageSize": p.DefaultPageSize, "maxPageSize": p.MaxPageSize, "cursorTimeout": p.CursorTimeout} {
		t.Check(value == nil || *value > 0, "%s is not positive", name)
	}
	people(t, 120)
	if p.DefaultPageSize != nil {
		t.Check(len(t.page("GET /Users?cursor").Resources) == min(*p.DefaultPageSize, 120), "the usual page is not of %d", *p.DefaultPageSize)
	}
	if p.MaxPageSize != nil {
		answer := t.Send(fmt.Sprintf("GET /Users?cursor&count=%d", *p.MaxPageSize+1))
		var most page
		t.Decode(answer, &most)
		t.Check(answer.Status == 400 || len(most.Resources) <= *p.MaxPageSize, "a page of %d, the most is %d", len(most.Resources), *p.MaxPageSize)
	}
}

// foreignCursors: a cursor of somebody else shows nothing, and is refused as one that was
// made up.
func foreignCursors(t *Trial) {
	people(t, 3)
	t.Expect(t.Send("POST {neighbour}/Users\nAuthorization: Bearer {neighbourToken}\n\n"+
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"theirs"}`), `201
{"id":"{theirs}","...":"..."}`)
	cursor := next(t.page("GET /Users?cursor&count=1").NextCursor)
	t.Check(cursor != "", "no nextCursor")
	madeUp := t.Send("GET /Users?cursor=garbage&count=1")
	t.Expect(madeUp, refused("invalidCursor"))
	for _, who := range []string{"{neighbour}/Users?cursor=" + cursor + "&count=1\nAuthorization: Bearer {neighbourToken}", "/Users?cursor=" + cursor + "&count=1\nAuthorization: Bearer {siblingToken}"} {
		answer := t.Send("GET " + who)
		t.Expect(answer, refused("invalidCursor"))
		t.Check(answer.Body == madeUp.Body, "a foreign cursor is told from none:\n%s\n%s", answer.Body, madeUp.Body)
	}
}

// manyCursors begins many lists and ends none: each is answered, and the first goes on.
func manyCursors(t *Trial) {
	people(t, 3)
	first := next(t.page("GET /Users?cursor&count=1").NextCursor)
	for i := range 500 {
		answer := t.Send("GET /Users?cursor&count=1")
		t.Check(answer.Status == 200 || answer.Status == 429, "list %d: got %d: %.200s", i, answer.Status, answer.Body)
	}
	t.Check(len(t.page("GET /Users?cursor="+first+"&count=1").Resources) == 1, "the first list does not go on")
}

// changesBetweenPages makes and deletes users between the pages: who is there all the
// time is shown once.
func changesBetweenPages(t *Trial) {
	staying := people(t, 12)
	doomed := []string{staying[1], staying[6], staying[11]}
	staying = slices.DeleteFunc(staying, func(id string) bool { return slices.Contains(doomed, id) })
	seen := map[string]int{}
	for cursor, i := "", 0; ; i++ {
		page := t.page("GET /Users?cursor=" + cursor + "&count=3")
		for _, resource := range page.Resources {
			seen[resource.ID]++
		}
		if cursor = next(page.NextCursor); cursor == "" {
			break
		}
		if i < len(doomed) {
			t.Check(t.Send("DELETE /Users/"+doomed[i]).Status == 204, "deleting between pages")
		}
		t.Check(t.Send(fmt.Sprintf("POST /Users\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"a-newcomer%d"}`, i)).Status == 201 && i < 50, "a newcomer between pages")
	}
	for _, id := range staying {
		t.Check(seen[id] == 1, "%s was shown %d times", id, seen[id])
	}
}
