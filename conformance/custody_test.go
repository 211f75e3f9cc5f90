package conformance

import (
	"net/http"
	"testing"
)

// What a run makes gets names of its own, wherever they are said again; everything else
// stays as it is written.
func TestCustodyRenames(t *testing.T) {
	c := newCustody("run-", false)
	c.learn(`{"userName":"Bo@x.com","externalId":"e1"}`)
	c.learn(`{"displayName":"members"}`)
	c.learn(`{"op":"replace","path":"userName","value":"new"}`)
	for body, want := range map[string]string{
		`{"userName": "bo@X.com","title":"e2"}`:                                      `{"userName": "run-bo@X.com","title":"e2"}`,
		`{"displayName":"members","members":[{"value":"7"}]}`:                        `{"displayName":"run-members","members":[{"value":"7"}]}`,
		`{"op":"add","path":"members","value":[{"value":"7"}]}`:                      `{"op":"add","path":"members","value":[{"value":"7"}]}`,
		`{"op":"replace","path":"userName","value":"new"}`:                           `{"op":"replace","path":"userName","value":"run-new"}`,
		`{"filter":"userName eq \"bo@x.com\" and title eq \"x\""}`:                   `{"filter":"userName eq \"run-bo@x.com\" and title eq \"x\""}`,
		`{"filter":"userName sw \"b\""}`:                                             `{"filter":"userName sw \"run-b\""}`,
		`{"method":"POST","bulkId":"new","path":"/Users","data":{"userName":"new"}}`: `{"method":"POST","bulkId":"new","path":"/Users","data":{"userName":"run-new"}}`,
		`no JSON "e1`: `no JSON "e1`,
	} {
		if got := c.renameBody(body); got != want {
			t.Errorf("%s: got\n%s, want\n%s", body, got, want)
		}
	}
	for target, want := range map[string]string{
		`/Users?filter=userName eq "BO@x.com"&count=1`:      `/Users?filter=userName eq "run-BO@x.com"&count=1`,
		`/Users?filter=userName%20eq%20%22bo%40x.com%22`:    `/Users?filter=userName%20eq%20%22run-bo%40x.com%22`,
		`/Users?filter=externalId eq e1`:                    `/Users?filter=externalId eq run-e1`,
		`/Users?filter=userName sw "b"`:                     `/Users?filter=userName sw "run-b"`,
		`/Users?filter=userName eq "nobody"&attributes=new`: `/Users?filter=userName eq "nobody"&attributes=new`,
		`/Users/e1`: `/Users/e1`,
	} {
		if got := c.renameTarget(target); got != want {
			t.Errorf("%s: got\n%s, want\n%s", target, got, want)
		}
	}
	if got := c.restore(`{"userName":"run-Bo@x.com"}`); got != `{"userName":"Bo@x.com"}` {
		t.Errorf("restored: %s", got)
	}
}

// A run changes nothing that it has not made.
func TestCustodyHoldsBack(t *testing.T) {
	c := newCustody("run-", false)
	c.note(http.MethodPost, "/Users", Answer{Status: 201, Body: `{"id":"ours"}`})
	c.note(http.MethodPost, "/Bulk", Answer{Status: 200, Body: `{"Operations":[{"method":"POST","location":"https://x/v2/Groups/too"}]}`})
	for request, permitted := range map[[3]string]bool{
		{"GET", "/Users/theirs"}:             true,
		{"POST", "/Users"}:                   true,
		{"POST", "/Users/.search"}:           true,
		{"PATCH", "/Users/ours?attributes="}: true,
		{"PUT", "/Groups/too"}:               true,
		{"DELETE", "/Groups/too"}:            true,
		{"PATCH", "/Users/theirs"}:           false,
		{"PUT", "/Users/theirs"}:             false,
		{"DELETE", "/Users/theirs"}:          false,
		{"DELETE", "/Users"}:                 false,
		{"DELETE", "/Users/"}:                false,
		{"PATCH", "/Me"}:                     false,
		{"POST", "/Me"}:                      false,
		{"POST", "/Bulk", `{"Operations":[{"method":"delete","path":"/Users/theirs"}]}`}:    false,
		{"POST", "/Bulk", `{"operations":[{"METHOD":"PATCH","Path":"/Users/theirs"}]}`}:     false,
		{"POST", "/Bulk", `{"Operations":[{"method":"PATCH","path":"/Users/ours"}]}`}:       true,
		{"POST", "/Bulk", `{"Operations":[{"method":"PATCH","path":"/Users/bulkId:new"}]}`}: true,
	} {
		if err := c.permit(request[0], request[1], request[2]); (err == nil) != permitted {
			t.Errorf("%v: got %v, want permitted %v", request, err, permitted)
		}
	}
	c.note(http.MethodDelete, "/Users/ours", Answer{Status: 204})
	if len(c.made) != 1 {
		t.Errorf("to be deleted: %v, want the group alone", c.made)
	}
}
