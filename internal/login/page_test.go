package login

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

var reference = uuid.MustParse("0198f000-0000-7000-8000-0000000000ff")

// pagesOnly returns a Login that shows pages and reaches nothing.
func pagesOnly(publicURL string) *Login {
	return New(Config{PublicURL: publicURL, RequestID: func(*http.Request) uuid.UUID { return reference }})
}

// shown checks what every page must be, and returns its text.
func shown(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	body := w.Body.String()
	if strings.Contains(body, "<script") || regexp.MustCompile(`(?i)<[^>]*\son\w+=`).MatchString(body) {
		t.Errorf("the page has script:\n%s", body)
	}
	if strings.Contains(body, "ZgotmplZ") || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		t.Errorf("the page was not rendered whole:\n%s", body)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	checkPolicy(t, w.Header().Get("Content-Security-Policy"), body)
	return body
}

// checkPolicy holds the policy's hash against the style sheet that is on the page.
func checkPolicy(t *testing.T, policy, body string) {
	t.Helper()
	_, rest, _ := strings.Cut(body, "<style>")
	css, _, found := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(css))
	for _, want := range []string{
		"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'",
		"style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	} {
		if !found || !strings.Contains(policy, want) {
			t.Errorf("Content-Security-Policy is %q, want %q in it", policy, want)
		}
	}
}

func TestEveryReasonHasAPage(t *testing.T) {
	for reason, want := range pages {
		t.Run(reason, func(t *testing.T) {
			w := httptest.NewRecorder()
			pagesOnly("https://id.example").Page(w, httptest.NewRequest("GET", "/", nil), reason)
			body := shown(t, w)
			if w.Code != want.status || want.status < 400 {
				t.Errorf("status is %d, want %d, and never a success", w.Code, want.status)
			}
			for _, part := range []string{want.Title, want.Why, want.Do, "Reason: " + reason, "Reference: " + reference.String()} {
				if part == "" || !strings.Contains(body, part) {
					t.Errorf("the page lacks %q:\n%s", part, body)
				}
			}
		})
	}
}

func TestEveryDecisionThatSaysNoHasAPageAndIsForbidden(t *testing.T) {
	for _, reason := range store.Reasons() {
		if p, ok := pages[string(reason)]; !ok || p.status != http.StatusForbidden {
			t.Errorf("%s: page %+v, want one with status 403", reason, p)
		}
	}
}

func TestAReasonWithoutAPageIsOursToExplain(t *testing.T) {
	w := httptest.NewRecorder()
	pagesOnly("https://id.example").Page(w, httptest.NewRequest("GET", "/", nil), "who_knows")
	if shown(t, w); w.Code != http.StatusInternalServerError {
		t.Errorf("status is %d, want 500", w.Code)
	}
}

func TestAdviceForITIsEscaped(t *testing.T) {
	w := httptest.NewRecorder()
	pagesOnly("https://id.example").writePage(w, httptest.NewRequest("GET", "/", nil), "join_mismatch", `map <objectId> to "externalId"`)
	if body := shown(t, w); !strings.Contains(body, "For your IT department: map &lt;objectId&gt; to &#34;externalId&#34;") {
		t.Errorf("the advice is not on the page, or not escaped:\n%s", body)
	}
}

func TestTheFirstPageAsksAndKeepsTheRequest(t *testing.T) {
	params := url.Values{"client_id": {"timesheet"}, "state": {`"><script>alert(1)</script>`}, "login_hint": {"jamie@ringling.example"}, "tenant": {"nobody"}}
	w := httptest.NewRecorder()
	pagesOnly("https://id.example").writeQuestion(w, &ask{attempt: &attempt{params: params}, unknown: true})
	body := shown(t, w)
	for _, want := range []string{
		`<input type="hidden" name="client_id" value="timesheet">`,
		`<input type="hidden" name="state" value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">`,
		`name="login_hint" type="email"`, `value="jamie@ringling.example"`, `role="alert"`, `<form method="get" action="/authorize">`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s:\n%s", want, body)
		}
	}
	if strings.Contains(body, `value="nobody"`) {
		t.Errorf("the form insists on the organisation that is not known:\n%s", body)
	}
	if w.Code != http.StatusNotFound {
		t.Errorf("status is %d, want 404", w.Code)
	}
}

func TestAnOrganisationWithTwoConnectionsLetsPeopleChoose(t *testing.T) {
	w := httptest.NewRecorder()
	pagesOnly("https://id.example").writeQuestion(w, &ask{
		attempt: &attempt{
			application: registry.Application{Name: "Time <& sheet>"},
			params:      url.Values{"client_id": {"timesheet"}, "login_hint": {"jamie@ringling.example"}},
		},
		organisation: registry.Tenant{Slug: "ringling", Name: "Ringling & Sons"},
		connections:  []registry.Connection{{Name: "entra"}, {Name: "okta"}},
	})
	body := shown(t, w)
	for _, want := range []string{
		"Sign in to Time &lt;&amp; sheet&gt;", "Where does Ringling &amp; Sons know you?",
		`href="/authorize?client_id=timesheet&amp;connection=entra&amp;login_hint=jamie%40ringling.example&amp;tenant=ringling"`,
		`href="/authorize?client_id=timesheet&amp;connection=okta&amp;`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s:\n%s", want, body)
		}
	}
}

// Browsers hold the redirect that follows a form against form-action.
func TestTheFormMayLeadToAnyIdentityProvider(t *testing.T) {
	for publicURL, want := range map[string]string{
		"https://id.example":    "form-action 'self' https:;",
		"http://127.0.0.1:8080": "form-action 'self' https: http:;",
	} {
		w := httptest.NewRecorder()
		pagesOnly(publicURL).writeQuestion(w, &ask{attempt: &attempt{}})
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, want) {
			t.Errorf("%s: policy is %q, want %q in it", publicURL, got, want)
		}
	}
}
