package login_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// The rows of §1.B of the abuse catalogue that end in a sign-in: who a provisioned
// person is to whoever signs in. The others are tests of package server.

// signsIn lets whoever has these claims sign in, and returns the answer.
func (h *house) signsIn(claims map[string]any) answer {
	h.Helper()
	h.provider.person(claims)
	return newBrowser(h.T).signIn(h.authorize())
}

// person provisions somebody whom the claims of the returned map fit.
func (h *house) person(name, oid string) (store.User, map[string]any) {
	h.Helper()
	u := h.provision("ringling", "entra", `{"userName":"`+name+`@ringling.example","externalId":"`+oid+`","active":true,"emails":[{"value":"`+name+`@ringling.example"}]}`)
	return u, map[string]any{"sub": "subject-of-" + name, "oid": oid}
}

func (h *house) people() int {
	h.Helper()
	page, err := h.admin("ringling").List(h.Context(), store.Query{Types: []*scim.ResourceType{scim.UserType()}, Count: 100})
	h.must(err)
	return page.Total
}

// TestAbuse_I01: externalId is text of the customer's: never an id of ours, never a number.
func TestAbuse_I01(t *testing.T) {
	h := newHouse(t)
	admin, claims := h.person("admin", "real-admin")
	for i, external := range []string{"1", "0", "-1", admin.ID.String(), "../" + admin.ID.String()} {
		u := h.provision("ringling", "entra", `{"userName":"fake-`+string(rune('a'+i))+`","externalId":"`+external+`","active":true}`)
		if u.ID == admin.ID {
			t.Fatalf("externalId %q has become the admin", external)
		}
		code := h.signsIn(map[string]any{"sub": "s-" + external, "oid": external}).admitted(t)
		if got := h.subject(code); got != u.ID.String() {
			t.Errorf("externalId %q signs in as %s, want %s", external, got, u.ID)
		}
	}
	if got := h.subject(h.signsIn(claims).admitted(t)); got != admin.ID.String() {
		t.Errorf("the admin signs in as %s", got)
	}
}

// TestAbuse_I04: an e-mail address links nobody: who has it changed to the address of
// somebody else is still only who they were, and so is the other.
func TestAbuse_I04(t *testing.T) {
	h := newHouse(t)
	victim, claims := h.person("victim", "oid-victim")
	h.patch(victim.ID, `[{"op":"replace","path":"emails","value":[{"value":"attacker@evil.example","primary":true}]}]`)
	for _, attacker := range []map[string]any{
		{"sub": "attacker", "oid": "oid-attacker", "email": "attacker@evil.example", "email_verified": true},
		{"sub": "attacker", "oid": "oid-attacker", "email": "victim@ringling.example", "preferred_username": "victim@ringling.example"},
	} {
		if a := h.signsIn(attacker); a.status != http.StatusForbidden {
			t.Errorf("%v: got %d %s, want 403", attacker, a.status, a.location())
		}
	}
	if got := h.subject(h.signsIn(claims).admitted(t)); got != victim.ID.String() {
		t.Errorf("the victim signs in as %s", got)
	}
}

// TestAbuse_I05: an address that a directory has set is told to nobody as verified.
func TestAbuse_I05(t *testing.T) {
	h := newHouse(t)
	h.provision("ringling", "entra", `{"userName":"ceo@other.example","externalId":"oid-ceo","active":true,"emails":[{"value":"ceo@other.example","primary":true}]}`)
	code := h.signsIn(map[string]any{"sub": "s", "oid": "oid-ceo", "email": "ceo@other.example", "email_verified": true}).admitted(t)
	for _, token := range h.tokens(code) {
		if _, claims := h.parts(token); claims["email_verified"] == true || claims["email"] != nil && claims["email_verified"] != false {
			t.Errorf("the token vouches for the address: %v", claims)
		}
	}
}

// TestAbuse_I06: whose sign-in an address leads to is decided by verified domains, not
// by whom a tenant has provisioned.
func TestAbuse_I06(t *testing.T) {
	h := newHouse(t)
	h.connect("cirque", "okta", newProvider(t))
	h.provision("cirque", "okta", `{"userName":"jamie@ringling.example","externalId":"x","active":true,"emails":[{"value":"jamie@ringling.example"}]}`)
	sent := newBrowser(t).get(h.authorize("tenant", "", "login_hint", "jamie@ringling.example"))
	if !strings.HasPrefix(sent.location(), h.provider.URL+"/") {
		t.Errorf("the address leads to %s, want ringling's provider %s", sent.location(), h.provider.URL)
	}
}

// TestAbuse_I07: who is deleted and made again is somebody else: another id, another
// subject, and nothing of before.
func TestAbuse_I07(t *testing.T) {
	h := newHouse(t)
	first, claims := h.person("jo", "oid-jo")
	code := h.signsIn(claims).admitted(t)
	dir, err := h.admin("ringling").WithConnection("entra")
	h.must(err)
	h.must(dir.DeleteUser(t.Context(), first.ID.String(), ""))
	if got := h.redeem(code); got.status != http.StatusBadRequest {
		t.Errorf("the code of before: got %d %s, want 400", got.status, got.body)
	}
	second, _ := h.person("jo", "oid-jo")
	if second.ID == first.ID {
		t.Fatal("the id came back")
	}
	if got := h.subject(h.signsIn(claims).admitted(t)); got != second.ID.String() {
		t.Errorf("signs in as %s, want %s", got, second.ID)
	}
	if _, err := h.admin("ringling").User(t.Context(), first.ID.String(), false); err == nil {
		t.Error("the first is still there")
	}
}

// TestAbuse_I08: a change of the attribute that links a person ends what they have, and
// a value of somebody else's lets neither in. (externalId is not unique, design §5: the
// catalogue's 409 would tell Okta's next push that its own record is wrong; two who fit
// one identity are refused at the door instead.)
func TestAbuse_I08(t *testing.T) {
	h := newHouse(t)
	one, claims := h.person("one", "oid-one")
	two, others := h.person("two", "oid-two")
	code := h.signsIn(claims).admitted(t)
	h.patch(one.ID, `[{"op":"replace","path":"externalId","value":"oid-new"}]`)
	if got := h.redeem(code); got.status != http.StatusBadRequest {
		t.Errorf("a code of before the change: got %d %s, want 400", got.status, got.body)
	}
	if a := h.signsIn(claims); a.status != http.StatusForbidden {
		t.Errorf("by the value of before: got %d %s, want 403", a.status, a.location())
	}
	if got := h.subject(h.signsIn(map[string]any{"sub": "subject-of-one", "oid": "oid-new"}).admitted(t)); got != one.ID.String() {
		t.Errorf("by the new value: signs in as %s, want %s", got, one.ID)
	}
	h.patch(one.ID, `[{"op":"replace","path":"externalId","value":"oid-two"}]`)
	h.signsIn(others).refused(t, http.StatusForbidden, "ambiguous_identity")
	h.signsIn(map[string]any{"sub": "subject-of-one", "oid": "oid-two"}).refused(t, http.StatusForbidden, "ambiguous_identity")
	h.patch(one.ID, `[{"op":"replace","path":"externalId","value":"oid-one"}]`)
	if got := h.subject(h.signsIn(others).admitted(t)); got != two.ID.String() {
		t.Errorf("afterwards two signs in as %s, want %s", got, two.ID)
	}
}

// TestAbuse_I09: of two who fit, neither enters; and who is in another connection does
// not fit at all.
func TestAbuse_I09(t *testing.T) {
	h := newHouse(t)
	_, err := h.vendor().AddConnection(t.Context(), "ringling", registry.Connection{Name: "second", Kind: "entra"})
	h.must(err)
	h.provision("ringling", "second", `{"userName":"jamie@ringling.example","externalId":"`+jamieOID+`","active":true}`)
	if a := h.signsIn(jamie()); a.status != http.StatusForbidden || a.reason() != "not_provisioned" {
		t.Errorf("by a person of another connection: got %d %s, want not_provisioned", a.status, a.reason())
	}
	h.provisionJamie()
	h.provision("ringling", "entra", `{"userName":"JAMIE.two@ringling.example","externalId":"`+jamieOID+`","active":true}`)
	h.signsIn(jamie()).refused(t, http.StatusForbidden, "ambiguous_identity")
}

// TestAbuse_I10: no value is not a value: it identifies nobody, whatever it is called.
func TestAbuse_I10(t *testing.T) {
	h := newHouse(t)
	h.provision("ringling", "entra", `{"userName":"nobody@ringling.example","active":true}`)
	h.provision("ringling", "entra", `{"userName":"empty@ringling.example","externalId":"","active":true}`)
	h.provision("ringling", "entra", `{"userName":"null@ringling.example","externalId":"null","active":true}`)
	h.provision("ringling", "entra", `{"userName":"undefined@ringling.example","externalId":null,"active":true}`)
	for name, oid := range map[string]any{"absent": struct{}{}, "empty": "", "null": nil, "the word": "null"} {
		claims := map[string]any{"sub": "s", "oid": oid}
		if name == "absent" {
			delete(claims, "oid")
		}
		if a := h.signsIn(claims); a.status != http.StatusForbidden || a.location() != "" {
			t.Errorf("%s: got %d %s, want 403", name, a.status, a.location())
		}
	}
}

// TestAbuse_I11: the claim that links a person is a JSON string, and nothing is made one.
func TestAbuse_I11(t *testing.T) {
	h := newHouse(t)
	for _, external := range []string{"1", "x", "true", "[x]", "map[]"} {
		h.provision("ringling", "entra", `{"userName":"u-`+external+`","externalId":"`+external+`","active":true}`)
	}
	for _, oid := range []any{1, 1.0, true, []string{"x"}, map[string]any{}, []any{}} {
		if a := h.signsIn(map[string]any{"sub": "s", "oid": oid}); a.status != http.StatusForbidden {
			t.Errorf("oid %v: got %d %s, want 403", oid, a.status, a.location())
		}
	}
	for _, subject := range []any{1, []string{"x"}, map[string]any{}, nil, ""} {
		if a := h.signsIn(map[string]any{"sub": subject, "oid": "x"}); a.status < 400 {
			t.Errorf("sub %v: got %d %s, want a refusal", subject, a.status, a.location())
		}
	}
	if h.signsIn(map[string]any{"sub": "s", "oid": "x"}).status != http.StatusSeeOther {
		t.Error("a string is refused too")
	}
}

// TestAbuse_I18: every dialect of a deactivation shuts the person out; what is none
// changes nothing. (What a body of nonsense is answered is a test of package server.)
func TestAbuse_I18(t *testing.T) {
	h := newHouse(t)
	u, claims := h.person("jo", "oid-jo")
	for _, operations := range []string{
		`[{"op":"replace","path":"active","value":false}]`,
		`[{"op":"replace","path":"active","value":"False"}]`,
		`[{"op":"Replace","path":"active","value":"false"}]`,
		`[{"op":"Replace","value":{"active":false}}]`,
		`[{"op":"replace","value":{"active":"False"}}]`,
		`[{"op":"add","path":"active","value":false}]`,
		`[{"op":"Add","path":"urn:ietf:params:scim:schemas:core:2.0:User:active","value":"False"}]`,
		`[{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User:active":false}}]`,
	} {
		h.patch(u.ID, `[{"op":"replace","path":"active","value":true}]`)
		code := h.signsIn(claims).admitted(t)
		h.patch(u.ID, operations)
		h.signsIn(claims).refused(t, http.StatusForbidden, "inactive")
		if got := h.redeem(code); got.status != http.StatusBadRequest {
			t.Errorf("%s: the code of before: got %d, want 400", operations, got.status)
		}
	}
}

// TestAbuse_I19: who says nothing about active brings nobody back.
func TestAbuse_I19(t *testing.T) {
	h := newHouse(t)
	u, claims := h.person("jo", "oid-jo")
	h.patch(u.ID, `[{"op":"replace","path":"active","value":false}]`)
	h.patch(u.ID, `[{"op":"replace","path":"name.familyName","value":"New"}]`)
	h.replace(u.ID, `{"userName":"jo@ringling.example","externalId":"oid-jo","displayName":"Jo"}`)
	h.signsIn(claims).refused(t, http.StatusForbidden, "inactive")
}

// TestAbuse_I20: a creation that says inactive is one; and one that meets an inactive
// person lets nobody in who says so.
func TestAbuse_I20(t *testing.T) {
	h := newHouse(t)
	u, claims := h.person("jo", "oid-jo")
	code := h.signsIn(claims).admitted(t)
	h.replace(u.ID, `{"userName":"jo@ringling.example","externalId":"oid-jo","active":false}`)
	if got := h.redeem(code); got.status != http.StatusBadRequest {
		t.Errorf("the code of before: got %d, want 400", got.status)
	}
	h.provision("ringling", "entra", `{"userName":"jo.two@ringling.example","externalId":"oid-jo","active":false}`)
	if a := h.signsIn(claims); a.status != http.StatusForbidden {
		t.Errorf("got %d %s, want 403", a.status, a.location())
	}
}

// TestAbuse_I21: who comes back holds what now follows, and nothing of before opens.
func TestAbuse_I21(t *testing.T) {
	h := newHouse(t)
	h.publish("ringling", "version: 1\ngroupRoles:\n  - name: Artists\n    grant: [timesheet.approver]\nrules:\n  - id: everyone\n    everyone: true\n    grant: [timesheet.viewer]\n")
	u, claims := h.person("jo", "oid-jo")
	group := h.group("Artists", u.ID)
	code := h.signsIn(claims).admitted(t)
	h.patch(u.ID, `[{"op":"replace","path":"active","value":false}]`)
	h.members(group, `[{"op":"remove","path":"members","value":[{"value":"`+u.ID.String()+`"}]}]`)
	h.patch(u.ID, `[{"op":"replace","path":"active","value":true}]`)
	if got := h.redeem(code); got.status != http.StatusBadRequest {
		t.Errorf("the code of before: got %d, want 400", got.status)
	}
	_, access := h.parts(h.tokens(h.signsIn(claims).admitted(t))[0])
	if roles, _ := access["roles"].([]any); !slices.Equal(roles, []any{"timesheet.viewer"}) {
		t.Errorf("roles: %v, want viewer alone", access["roles"])
	}
}

// TestAbuse_I25: nobody is made by signing in, whatever the provider says of them.
func TestAbuse_I25(t *testing.T) {
	h := newHouse(t)
	h.provisionJamie()
	before := h.people()
	stranger := map[string]any{"sub": "stranger", "oid": uuid.NewString(), "email": "stranger@ringling.example", "email_verified": true}
	h.signsIn(stranger).refused(t, http.StatusForbidden, "not_provisioned")
	h.revokeTokens() // SCIM is off: still nobody is made
	h.signsIn(stranger).refused(t, http.StatusForbidden, "not_provisioned")
	if after := h.people(); after != before {
		t.Errorf("there were %d people, now %d", before, after)
	}
}
