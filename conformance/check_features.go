package conformance

import (
	"fmt"
	"net/http"
	"slices"
)

var featureChecks = []Check{{Name: "features", Rows: []string{"D15"}, Run: checkFeatures}}

// checkFeatures: what ServiceProviderConfig advertises works, and what it does not is
// refused: 501 or 403, or ignored where the RFC allows it (RFC 7643 §5; sorting: RFC
// 7644 §3.4.2.3).
func checkFeatures(t *Trial) {
	var config struct {
		Patch, Bulk, Sort, ETag struct{ Supported bool }
		Filter                  struct {
			Supported  bool
			MaxResults int
		}
		Pagination struct{ Cursor bool }
	}
	t.Decode(t.Send("GET /ServiceProviderConfig"), &config)
	for _, name := range []string{"bea", "abe"} {
		made := t.Send(fmt.Sprintf("POST /Users\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q}`, name))
		t.Expect(made, "201\n"+`{"id":"{`+name+`}","...":"..."}`)
	}
	offered := func(name string, supported bool, request string, works ...int) {
		answer := t.Send(request)
		want := []int{http.StatusNotImplemented, http.StatusForbidden}
		if supported {
			want = works
		}
		t.Check(slices.Contains(want, answer.Status), "%s, supported: %t: got %d, want one of %v: %.200s", name, supported, answer.Status, want, answer.Body)
	}
	offered("patch", config.Patch.Supported, `PATCH /Users/{bea}
{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"title","value":"Guide"}]}`, 200, 204)
	offered("bulk", config.Bulk.Supported, `POST /Bulk
{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Users","bulkId":"1","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"cas"}}]}`, 200)
	offered("filter", config.Filter.Supported, `GET /Users?filter=userName eq "bea"`, 200)
	if config.Pagination.Cursor { // else the parameter is one that nobody knows
		t.Expect(t.Send("GET /Users?cursor&count=1"), "200\n"+`{"nextCursor":"...","...":"..."}`)
	}
	checkSorted(t, config.Sort.Supported)
	checkETag(t, config.ETag.Supported)

	var all struct{ ItemsPerPage int }
	t.Decode(t.Send(fmt.Sprintf("GET /Users?count=%d", config.Filter.MaxResults+1)), &all)
	t.Check(all.ItemsPerPage > 0 && all.ItemsPerPage <= config.Filter.MaxResults, "a page of %d, the most is %d", all.ItemsPerPage, config.Filter.MaxResults)
}

func checkSorted(t *Trial, supported bool) {
	var list struct{ Resources []struct{ UserName string } }
	t.Decode(t.Send(`GET /Users?filter=userName eq "bea" or userName eq "abe"&sortBy=userName`), &list)
	t.Check(len(list.Resources) == 2, "got %d users, want 2", len(list.Resources))
	t.Check(!supported || list.Resources[0].UserName == "abe", "sortBy=userName begins with %s", list.Resources[0].UserName)
}

func checkETag(t *Trial, supported bool) {
	got := t.Send("GET /Users/{bea}")
	t.Check((got.Header.Get("ETag") != "") == supported, "etag, supported: %t: got %q", supported, got.Header.Get("ETag"))
	if supported {
		t.Expect(t.Send("GET /Users/{bea}\nIf-None-Match: "+got.Header.Get("ETag")), "304")
	}
}
