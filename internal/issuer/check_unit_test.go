package issuer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
)

const userID = "0198f000-0000-7000-8000-000000000001"

var goodQuestions = map[string]question{
	`{"user":"` + userID + `"}`:         {User: userID},
	`{"at_least":"p","user":"whoever"}`: {User: "whoever", AtLeast: "p"},
	`{"identity":{"connection":"entra","issuer":"https://idp.example","subject":"s"}}`: {
		Identity: &identityName{Connection: "entra", Issuer: "https://idp.example", Subject: "s"}},
}

var badQuestions = []string{
	``, `null`, `[]`, `"x"`, `{}`, `{`, `{"user":""}`, `{"user":null}`, `{"user":1}`, `{"user":["x"]}`,
	`{"user":"a"} {}`, `{"user":"a"}x`,
	`{"user":"a","user":"b"}`, `{"User":"a"}`, `{"user":"a","USER":"b"}`, `{"user":"a","more":1}`,
	`{"user":"a","identity":{"connection":"c","issuer":"i","subject":"s"}}`,
	`{"identity":{}}`, `{"identity":{"connection":"c","issuer":"i"}}`, `{"identity":{"connection":"c","issuer":"i","subject":""}}`,
	`{"identity":{"connection":"c","issuer":"i","subject":"s","email":"e"}}`,
	`{"identity":{"connection":"c","issuer":"i","subject":"a\u0000b"}}`, `{"user":"a\u0000b"}`, `{"user":"` + "\xff" + `"}`,
	`{"user":"\ud800"}`, `{"user":"` + strings.Repeat("a", maxValue+1) + `"}`,
}

func TestAQuestionIsReadStrictly(t *testing.T) {
	for body, want := range goodQuestions {
		got, err := parseQuestion([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", body, diff)
		}
	}
	for _, body := range badQuestions {
		if got, err := parseQuestion([]byte(body)); err == nil {
			t.Errorf("%.100s was read as %+v", body, got)
		}
	}
}

// A question that is read asks about exactly one person, in text that can be looked up.
func FuzzQuestion(f *testing.F) {
	for body := range goodQuestions {
		f.Add([]byte(body))
	}
	for _, body := range badQuestions {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := parseQuestion(body)
		if err != nil {
			return
		}
		if (q.User == "") == (q.Identity == nil) {
			t.Errorf("%q asks about %+v", body, q)
		}
		for _, s := range []string{q.User, q.AtLeast} {
			if strings.ContainsRune(s, 0) {
				t.Errorf("%q holds a NUL", body)
			}
		}
	})
}

func TestAnAnswerIsADecisionInJSON(t *testing.T) {
	for _, test := range []struct {
		decision store.Decision
		want     string
	}{
		{store.Decision{Allowed: true, UserID: uuid.MustParse(userID), UserName: "jamie@ringling.example", Roles: []string{"timesheet.viewer"},
			RoleScopes: map[string][]string{"timesheet.approver": {"eu"}}, RuleSet: 3, Position: "p", Detail: "secret"},
			`{"allowed":true,"user":"` + userID + `","roles":["timesheet.viewer"],"role_scopes":{"timesheet.approver":["eu"]},"rule_set":3,"position":"p"}`},
		{store.Decision{Reason: "not_provisioned", Position: "p"},
			`{"allowed":false,"reason":"not_provisioned","roles":[],"rule_set":0,"position":"p"}`},
	} {
		got, err := json.Marshal(newAnswer(test.decision))
		if err != nil || string(got) != test.want {
			t.Errorf("got  %s %v\nwant %s", got, err, test.want)
		}
	}
}
