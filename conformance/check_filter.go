package conformance

import (
	"net/url"
	"strings"
	"time"
)

var filterChecks = []Check{
	{Name: "filters/zones", Rows: []string{"M13"}, Needs: []string{empty}, Run: datesInOtherZones},
	{Name: "filters/size", Rows: []string{"M42"}, Run: filtersBeyondBounds},
}

// datesInOtherZones filters by the moment at which a user was created, written in other
// zones and with another fraction: as text these would come before or after it.
func datesInOtherZones(t *Trial) {
	t.Expect(t.Send("POST /Users\n"+`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bjensen"}`), `201
{"id":"{babs}","meta":{"created":"{created}","...":"..."},"...":"..."}`)
	created, err := time.Parse(time.RFC3339, t.Named("created"))
	t.Check(err == nil, "meta.created is no dateTime: %v", err)
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 2*3600), time.FixedZone("", -11*3600-1800)} {
		at := created.In(zone)
		for _, c := range []struct {
			op    string
			time  string
			found bool
		}{
			{"eq", at.Format("2006-01-02T15:04:05.000000000Z07:00"), true},
			{"ge", at.Format(time.RFC3339Nano), true},
			{"le", at.Format(time.RFC3339Nano), true},
			{"gt", at.Format(time.RFC3339Nano), false},
			{"lt", at.Format(time.RFC3339Nano), false},
			{"gt", at.Add(-time.Second).Format(time.RFC3339), true},
			{"lt", at.Add(2 * time.Second).Format(time.RFC3339), true},
			{"lt", at.Add(-time.Second).Format(time.RFC3339), false},
		} {
			want := `200
{"totalResults":0,"Resources":[],"...":"..."}`
			if c.found {
				want = `200
{"totalResults":1,"Resources":[{"id":"{babs}","...":"..."}],"...":"..."}`
			}
			t.Expect(t.Send("GET /Users?filter="+url.QueryEscape(`meta.created `+c.op+` "`+c.time+`"`)), want)
		}
	}
}

// filtersBeyondBounds sends filters that nobody means: each is refused, and the service
// provider answers on.
func filtersBeyondBounds(t *Trial) {
	const term = `userName eq "x"`
	for _, filter := range []string{
		strings.Repeat("(", 10_000) + term + strings.Repeat(")", 10_000),
		strings.Repeat("not (", 10_000) + term + strings.Repeat(")", 10_000),
		strings.Repeat(term+" or ", 5_000) + term,
		strings.Repeat("emails[", 10_000),
		`userName eq "` + strings.Repeat("x", 100_000) + `"`,
	} {
		answer := t.Send("GET /Users?filter=" + url.QueryEscape(filter))
		t.Check(answer.Status == 400 || answer.Status == 414, "%.30s…: got status %d, want 400 or 414: %.300s", filter, answer.Status, answer.Body)
	}
	t.Expect(t.Send("GET /Users?filter="+url.QueryEscape(term)), `200
{"totalResults":0,"...":"..."}`)
}
