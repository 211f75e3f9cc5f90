package issuer

import (
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
)

const maxQuestion = 4 << 10

// A question asks about one person, by exactly one of user and identity.
type question struct {
	User     string        `json:"user"`
	Identity *identityName `json:"identity"`
	AtLeast  string        `json:"at_least"` // a position that the answer must have seen
}

// An identityName is how an identity provider names a person.
type identityName struct {
	Connection string `json:"connection"` // its name
	Issuer     string `json:"issuer"`
	Subject    string `json:"subject"`
}

// An answer is a Decision as applications read it.
type answer struct {
	Allowed    bool                `json:"allowed"`
	Reason     store.Reason        `json:"reason,omitempty"` // why not
	User       string              `json:"user,omitempty"`
	Roles      []string            `json:"roles"`                 // without a scope
	RoleScopes map[string][]string `json:"role_scopes,omitempty"` // role → scopes
	RuleSet    int64               `json:"rule_set"`
	Position   string              `json:"position"` // give it back as at_least
}

// check answers whether a person may enter the asking application now, and as
// what: POST /t/{tenant}/check with the application's credentials in HTTP Basic
// and a question of at most 4 KiB.
//
// An unknown tenant, an unknown application, a wrong secret and a tenant that
// the application does not serve are one answer, 401. An unknown person is an
// answer like any other: allowed false, not_provisioned. 409 not_yet: at_least
// is not visible here yet.
func (i *Issuer) check(w http.ResponseWriter, r *http.Request) error {
	c, err := basicClient(r)
	if err != nil {
		return err
	}
	q, err := readQuestion(w, r)
	if err != nil {
		return err
	}
	request := store.CheckRequest{
		Tenant: chi.URLParam(r, "tenant"), ClientID: c.id, Secret: c.secret, UserID: q.User, AtLeast: q.AtLeast,
	}
	if q.Identity != nil {
		request.Connection, request.Issuer, request.Subject = q.Identity.Connection, q.Identity.Issuer, q.Identity.Subject
	}
	if !isName(request.Tenant) {
		return store.ErrUnauthenticated
	}
	decision, err := i.store.Check(r.Context(), request)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newAnswer(decision))
	return nil
}

// readQuestion reads strictly: an unknown or repeated member, or one in another
// letter case, refuses the request.
func readQuestion(w http.ResponseWriter, r *http.Request) (question, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	if err != nil {
		return question{}, badRequest("the body is longer than 4 KiB or was cut off")
	}
	return parseQuestion(body)
}

func parseQuestion(body []byte) (question, error) {
	var q question
	if err := json.Unmarshal(body, &q, json.RejectUnknownMembers(true)); err != nil {
		return question{}, badRequest(`send {"user":"…"} or {"identity":{"connection":"…","issuer":"…","subject":"…"}}, and at_least if you like, as JSON`)
	}
	if (q.User == "") == (q.Identity == nil) {
		return question{}, badRequest("ask by user or by identity, by exactly one of them")
	}
	if !isText(q.User) || !isText(q.AtLeast) {
		return question{}, badRequest("user or at_least is not text")
	}
	if id := q.Identity; id != nil && !(isName(id.Connection) && isName(id.Issuer) && isName(id.Subject)) {
		return question{}, badRequest("identity needs connection, issuer and subject, in visible ASCII characters")
	}
	return q, nil
}

func newAnswer(d store.Decision) answer {
	a := answer{
		Allowed: d.Allowed, Reason: d.Reason,
		Roles: present(d.Roles), RoleScopes: d.RoleScopes, RuleSet: d.RuleSet, Position: d.Position,
	}
	if d.UserID != uuid.Nil {
		a.User = d.UserID.String()
	}
	return a
}
