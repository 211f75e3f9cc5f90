package history

import (
	"testing"

	"github.com/google/uuid"
)

// A request is about whom it names by an id, userName, address or externalId; a display
// name is a weak sign, and what it says of a manager or of members is none.
func TestWhomARequestIsAbout(t *testing.T) {
	jamie, finance := uuid.New(), uuid.New()
	e := Event{About: []string{"00u1", "jamie@corp.example", jamie.String()}, Called: []string{"Jamie Morgan"}}
	subjects := map[uuid.UUID]likeness{jamie: same, finance: namesake}
	for story, test := range map[string]struct {
		method, path, query, body string
		subject                   *uuid.UUID
		want                      likeness
	}{
		"its subject":             {method: "PATCH", path: "/Users/x", subject: &jamie, want: same},
		"a group of that name":    {method: "PATCH", path: "/Groups/x", subject: &finance, want: namesake},
		"the id in the address":   {method: "GET", path: "/Users/" + jamie.String(), want: same},
		"a look-up":               {method: "GET", path: "/Users", query: `filter=userName eq "Jamie@corp.example"&count=1`, want: same},
		"a look-up by type":       {method: "GET", path: "/Users", query: `filter=emails[type eq "work"].value eq "jamie@corp.example"`, want: same},
		"a look-up of a manager":  {method: "GET", path: "/Users", query: `filter=id eq "x" and manager eq "` + jamie.String() + `"`, want: unlike},
		"a look-up by name":       {method: "GET", path: "/Users", query: `filter=displayName eq "Jamie Morgan"`, want: namesake},
		"userName":                {method: "POST", path: "/Users", body: `{"userName":"jamie@corp.example"}`, want: same},
		"externalId":              {method: "POST", path: "/Users", body: `{"userName":"j","externalId":"00u1"}`, want: same},
		"an address":              {method: "POST", path: "/Users", body: `{"userName":"j","emails":[{"value":"jamie@corp.example"}]}`, want: same},
		"an address, by PATCH":    {method: "PATCH", path: "/Users/x", body: `{"Operations":[{"op":"replace","path":"emails[type eq \"work\"].value","value":"jamie@corp.example"}]}`, want: same},
		"the whole URN":           {method: "PATCH", path: "/Users/x", body: `{"Operations":[{"op":"add","value":{"urn:ietf:params:scim:schemas:core:2.0:User:userName":"jamie@corp.example"}}]}`, want: same},
		"the display name":        {method: "POST", path: "/Users", body: `{"userName":"j2","displayName":"Jamie Morgan"}`, want: namesake},
		"the formatted name":      {method: "POST", path: "/Users", body: `{"userName":"j2","name":{"formatted":"Jamie Morgan"}}`, want: namesake},
		"the manager's name":      {method: "POST", path: "/Users", body: `{"userName":"sam","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"` + jamie.String() + `","displayName":"Jamie Morgan"}}}`, want: unlike},
		"the manager, by PATCH":   {method: "PATCH", path: "/Users/x", body: `{"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName","value":"Jamie Morgan"}]}`, want: unlike},
		"the manager's id":        {method: "PATCH", path: "/Users/x", body: `{"Operations":[{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"` + jamie.String() + `"}]}`, want: unlike},
		"a member":                {method: "PATCH", path: "/Groups/x", body: `{"Operations":[{"op":"add","path":"members","value":[{"value":"` + jamie.String() + `","display":"Jamie Morgan"}]}]}`, want: unlike},
		"a longer name around it": {method: "POST", path: "/Users", body: `{"userName":"xjamie@corp.example","displayName":"Jamie Morgan-Smith"}`, want: unlike},
		"nothing":                 {method: "GET", path: "/Users", want: unlike},
	} {
		r := &Request{Method: test.method, Path: "/t/acme/scim/v2" + test.path, Query: test.query, Body: Body(test.body), Subject: test.subject}
		if got := read(r, nil).likeness(e, subjects); got != test.want {
			t.Errorf("%s: got %d, want %d", story, got, test.want)
		}
	}
}
