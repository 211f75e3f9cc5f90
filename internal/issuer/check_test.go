package issuer_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
)

func TestACheckAnswersForAUserAndForAnIdentity(t *testing.T) {
	d := newDeployment(t)
	d.code("timesheet") // binds the identity
	want := map[string]any{"allowed": true, "user": d.person.ID.String(), "roles": []any{"timesheet.viewer"}, "rule_set": 1.0}
	for _, question := range []string{
		`{"user":"` + d.person.ID.String() + `"}`,
		`{"identity":{"connection":"entra","issuer":"` + idpIssuer + `","subject":"sub-jamie"}}`,
	} {
		a := d.check("ringling", "timesheet", d.secrets["timesheet"], question)
		position, _ := a.body["position"].(string)
		delete(a.body, "position")
		if diff := cmp.Diff(want, a.body); a.status != http.StatusOK || position == "" || diff != "" {
			t.Errorf("%s: %d %s -want +got\n%s", question, a.status, a.text, diff)
		}
	}
}

// The answer after a change has seen it; one that has not, says so.
func TestACheckSeesWhatWasAcknowledged(t *testing.T) {
	d := newDeployment(t)
	question := `{"user":"` + d.person.ID.String() + `"}`
	before := d.check("ringling", "timesheet", d.secrets["timesheet"], question)
	d.deactivate()
	after := d.check("ringling", "timesheet", d.secrets["timesheet"], question)
	if before.body["allowed"] != true || after.body["allowed"] != false || after.body["reason"] != "inactive" {
		t.Errorf("before %s, after %s", before.text, after.text)
	}
	position := after.body["position"].(string)
	again := d.check("ringling", "timesheet", d.secrets["timesheet"], `{"user":"`+d.person.ID.String()+`","at_least":"`+position+`"}`)
	if again.status != http.StatusOK || again.body["reason"] != "inactive" {
		t.Errorf("at least what was seen: %d %s", again.status, again.text)
	}
	d.check("ringling", "timesheet", d.secrets["timesheet"], `{"user":"x","at_least":"another-database"}`).refused(t, http.StatusConflict, "not_yet")
}

// Whoever does not prove to be an application of the tenant learns nothing, not even
// whether the tenant is there.
func TestACheckTellsStrangersNothing(t *testing.T) {
	d := newDeployment(t)
	question := `{"user":"` + d.person.ID.String() + `"}`
	secret := d.secrets["timesheet"]
	var first answer
	for i, a := range []answer{
		d.check("ringling", "timesheet", secret+"x", question),
		d.check("ringling", "timesheet", "", question),
		d.check("ringling", "timesheet", "x", question),
		d.check("ringling", "payroll", secret, question),
		d.check("ringling", "nobody", secret, question),
		d.check("ringling", "kiosk", "", question),
		d.check("nobody", "timesheet", secret, question),
		d.check("no%00body", "timesheet", secret, question),
		d.check("cirque", "timesheet", secret, question),
		d.check("ringling", "foreign", d.secrets["foreign"], question),
		d.check("ringling", "timesheet", secret+"x", `{"user":"x","at_least":"another-database"}`),
		d.post("/t/ringling/check", "application/json", question),
		d.post("/t/ringling/check", "application/json", question, "Authorization", "Bearer "+secret),
	} {
		if i == 0 {
			first = a
		}
		if a.status != http.StatusUnauthorized || a.text != first.text || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%d: got %d %s, want 401 %s", i, a.status, a.text, first.text)
		}
	}
}

func TestACheckOfAStrangerIsAnAnswer(t *testing.T) {
	d := newDeployment(t)
	for _, question := range []string{
		`{"user":"` + uuid.NewString() + `"}`, `{"user":"jamie@ringling.example"}`, `{"user":"00000000-0000-0000-0000-000000000000"}`,
		`{"identity":{"connection":"entra","issuer":"` + idpIssuer + `","subject":"stranger"}}`,
		`{"identity":{"connection":"nowhere","issuer":"` + idpIssuer + `","subject":"sub-jamie"}}`,
		`{"identity":{"connection":"entra","issuer":"https://evil.example","subject":"sub-jamie"}}`,
	} {
		a := d.check("ringling", "timesheet", d.secrets["timesheet"], question)
		if a.status != http.StatusOK || a.body["allowed"] != false || a.body["reason"] != "not_provisioned" || a.body["user"] != nil {
			t.Errorf("%s: got %d %s, want not_provisioned", question, a.status, a.text)
		}
	}
	d.check("ringling", "timesheet", d.secrets["timesheet"], `{"user":1}`).refused(t, http.StatusBadRequest, "invalid_request")
}

func TestACheckSaysWhyNot(t *testing.T) {
	d := newDeployment(t)
	question := `{"user":"` + d.person.ID.String() + `"}`
	for _, test := range []struct {
		reason store.Reason
		off    store.Switch
	}{
		{store.TenantSuspended, store.Switch{Tenant: "ringling"}},
		{store.ConnectionDisabled, store.Switch{Tenant: "ringling", Connection: "entra"}},
		{store.ApplicationDisabled, store.Switch{Client: "timesheet"}},
	} {
		test.off.Off = true
		d.must(d.store.Revoke(t.Context(), "test", test.off))
		a := d.check("ringling", "timesheet", d.secrets["timesheet"], question)
		if a.body["allowed"] != false || a.body["reason"] != string(test.reason) {
			t.Errorf("got %d %s, want %s", a.status, a.text, test.reason)
		}
		test.off.Off = false
		d.must(d.store.Revoke(t.Context(), "test", test.off))
	}
}
