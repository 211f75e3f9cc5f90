package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store/history"
)

// TestAbuse_I16: a name that looks like another's is taken as it came, as the name of
// somebody else, and flagged with its code points: in the log of the request that gave
// it and by the doctor. The console, which shows the same, is a later issue's.
func TestAbuse_I16(t *testing.T) {
	w, owner := hospital(t)
	p := admit(t, w, owner, "acme", complaint{kind: "generic"})
	admin := w.create("/Users", p.token, `{"userName":"admin","active":true}`)
	const confusable, evidence = "\u0430dmin", "Cyrillic U+0430, Latin U+0064 U+006D U+0069 U+006E"

	made := w.scim("POST", "/Users", p.token, `{"userName":"`+confusable+`","active":true}`)
	id := made.field(t, "id")
	if made.status != http.StatusCreated || made.field(t, "userName") != confusable || id == admin {
		t.Fatalf("POST: got %d, want 201 and the name unchanged: %s", made.status, made.body)
	}
	for name, want := range map[string]string{"admin": admin, confusable: id} {
		found := w.scim("GET", "/Users?filter=userName%20eq%20%22"+name+"%22", p.token, "").body
		if !strings.Contains(found, want) || !strings.Contains(found, `"totalResults":1,`) {
			t.Errorf("%q finds %s, want %s alone", name, found, want)
		}
	}

	flagged := p.flagged(made)
	renamed := w.scim("PATCH", "/Users/"+id, p.token,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"userName","value":"adm\u0456n"}]}`)
	for story, r := range map[string]history.Request{"created": flagged, "renamed": p.flagged(renamed)} {
		if !slices.Equal(r.Diagnoses, []string{"name-mixes-scripts"}) || len(r.Evidence) != 1 {
			t.Fatalf("%s: the log shows %q and %q, want name-mixes-scripts", story, r.Diagnoses, r.Evidence)
		}
	}
	if !strings.Contains(flagged.Evidence[0], evidence) {
		t.Errorf("the log shows %q, want the code points %s", flagged.Evidence, evidence)
	}
	findings := p.examine(0)
	if got := ids(findings); !slices.Equal(got, []string{"name-mixes-scripts"}) {
		t.Fatalf("the doctor finds %q", got)
	}
	if f := findings[0]; f.Count != 2 || !strings.Contains(strings.Join(f.Evidence, "\n"), evidence) {
		t.Errorf("the doctor found it %d times and shows %q, want 2 and %s", f.Count, f.Evidence, evidence)
	}
}

// flagged is what the log has of a request, by its answer.
func (p *patient) flagged(a answer) history.Request {
	p.t.Helper()
	if err := p.store.FlushRequests(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	id, err := uuid.Parse(a.header.Get("X-Request-Id"))
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := p.admin().History().Request(p.t.Context(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}
