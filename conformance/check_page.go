package conformance

import "fmt"

var pageChecks = []Check{
	{Name: "pages/every-item-once", Rows: []string{"O08"}, Needs: []string{empty}, Run: func(t *Trial) {
		users := people(t, 23)
		for _, count := range []int{1, 4, 7, 23, 100} {
			seen := map[string]int{}
			for start := 1; start <= len(users); start += count {
				page := t.page(fmt.Sprintf("GET /Users?startIndex=%d&count=%d&attributes=userName", start, count))
				t.Check(page.TotalResults == len(users) && page.StartIndex == start, "page from %d: totalResults %d, startIndex %d", start, page.TotalResults, page.StartIndex)
				t.Check(len(page.Resources) == min(count, len(users)-start+1), "page of %d from %d: got %d", count, start, len(page.Resources))
				for _, resource := range page.Resources {
					seen[resource.ID]++
				}
			}
			for _, id := range users {
				t.Check(seen[id] == 1, "pages of %d: %s was shown %d times", count, id, seen[id])
			}
		}
	}},
	{Name: "pages/hundred", Rows: []string{"O05", "AA06"}, Needs: []string{empty}, Run: func(t *Trial) {
		users := people(t, 101)
		t.Check(len(t.page("GET /Users?count=100").Resources) == 100, "count=100 gives fewer")
		t.Check(len(t.page("GET /Users").Resources) >= 100, "the usual page holds fewer than 100")
		most := t.page("GET /Users?count=1000000")
		t.Check(most.ItemsPerPage == len(most.Resources) && most.TotalResults == len(users), "count=1000000: %d of %d, itemsPerPage %d", len(most.Resources), most.TotalResults, most.ItemsPerPage)
		var config struct{ Filter struct{ MaxResults int } }
		t.Decode(t.Send("GET /ServiceProviderConfig"), &config)
		t.Check(0 < most.ItemsPerPage && most.ItemsPerPage <= config.Filter.MaxResults, "a page of %d, filter.maxResults is %d", most.ItemsPerPage, config.Filter.MaxResults)
	}},
}

// people makes n users and returns their ids.
func people(t *Trial, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		answer := t.Send(fmt.Sprintf("POST /Users\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"person%d","title":"%d"}`, i, i%3))
		var made struct{ ID string }
		t.Decode(answer, &made)
		t.Check(answer.Status == 201 && made.ID != "", "creating person %d: got %d: %.300s", i, answer.Status, answer.Body)
		ids[i] = made.ID
	}
	return ids
}

// page is what a list shows of itself.
type page struct {
	TotalResults, StartIndex, ItemsPerPage int
	NextCursor, PreviousCursor             *string
	Resources                              []struct{ ID, UserName string }
}

// page sends the request of a list, which must be answered.
func (t *Trial) page(request string) page {
	answer := t.Send(request)
	t.Check(answer.Status == 200, "%s: got status %d: %.300s", request, answer.Status, answer.Body)
	var p page
	t.Decode(answer, &p)
	return p
}
