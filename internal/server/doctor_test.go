package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/conformance"
	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/history"
	"github.com/muster-id/muster/internal/store/registry"
	"github.com/muster-id/muster/internal/store/storetest"
)

// A patient is a tenant to which a transcript is played, to ask the doctor about.
type patient struct {
	*world
	t          *testing.T
	owner      string // URL of the database
	slug       string
	connection registry.Connection
	token      string
	provider   conformance.Provider
}

// A complaint is what the lines of a transcript's promise say besides: whose
// client it is, what is set up, and what the doctor must find.
type complaint struct {
	finds   []string
	kind    string
	signsIn bool
	later   time.Duration
	rules   string // a rule set; empty: none
	match   string // of somebody who signs in after all requests; empty: nobody does
	hint    string
	taken   string // a role that the tenant loses after all requests
}

func complaintOf(t *testing.T, promise string) complaint {
	t.Helper()
	c := complaint{kind: "generic"}
	for line := range strings.Lines(promise) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Doctor":
			c.read(t, rest)
		case "Rules":
			c.rules = "version: 1\ngroupRoles:\n"
			for name := range strings.SplitSeq(rest, ", ") {
				c.rules += "  - name: " + name + "\n    grant: [sheet.viewer]\n"
			}
		case "Rule":
			c.rules = "version: 1\nrules:\n  - id: tried\n    when: |\n      " + rest + "\n    grant: [sheet.viewer]\n"
		case "Sign-in":
			c.match, c.hint, _ = strings.Cut(rest, " ")
		case "Taken":
			c.taken = rest
		}
	}
	return c
}

func (c *complaint) read(t *testing.T, line string) {
	t.Helper()
	for word := range strings.SplitSeq(line, ", ") {
		name, value, _ := strings.Cut(word, " ")
		switch name {
		case "finds":
			c.finds = append(c.finds, value)
		case "kind":
			c.kind = value
		case "signs-in":
			c.signsIn = true
		case "later":
			later, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			c.later = later
		default:
			t.Fatalf("a complaint of %q", word)
		}
	}
}

// hospital is a world whose database a test can reach.
func hospital(t *testing.T) (w *world, owner string) {
	t.Helper()
	owner, database := storetest.Database(t)
	return start(t, storetest.Open(t, database)), owner
}

// admit opens a tenant with one connection as the complaint wants it.
func admit(t *testing.T, w *world, owner, slug string, c complaint) *patient {
	t.Helper()
	ctx := t.Context()
	p := &patient{world: w, t: t, owner: owner, slug: slug}
	w.tenant(slug)
	wanted := registry.Connection{Name: "connection", Kind: c.kind, Profile: "lenient", MatchAttribute: "externalId"}
	if c.signsIn {
		wanted.Issuer, wanted.ClientID, wanted.Secret = "http://127.0.0.1:1", "muster", "s"
	}
	var err error
	if p.connection, err = w.vendor.AddConnection(ctx, slug, wanted); err != nil {
		t.Fatal(err)
	}
	if p.token, _, err = w.vendor.CreateToken(ctx, slug, "connection", registry.NewToken{Name: "main"}); err != nil {
		t.Fatal(err)
	}
	if c.rules != "" || c.match != "" {
		p.application(c.rules)
	}
	p.provider = conformance.Provider{Base: w.base(slug), Token: p.token, Actors: map[string]string{}}
	return p
}

// application lets the tenant's people into an application with one role, and
// publishes the rules that grant it.
func (p *patient) application(rules string) {
	p.t.Helper()
	_, _, err := p.vendor.AddApplication(p.t.Context(), registry.NewApplication{
		ClientID: "sheet-" + p.slug, RedirectURIs: []string{"https://sheet.example/cb"}, Tenants: []string{p.slug}, Roles: []string{"viewer"},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	if rules == "" {
		return
	}
	rules = strings.ReplaceAll(rules, "sheet.", "sheet-"+p.slug+".")
	if _, issues, err := p.admin().PublishRules(p.t.Context(), []byte(rules)); err != nil {
		p.t.Fatal(err, issues)
	}
}

func (p *patient) admin() *store.Directory {
	p.t.Helper()
	dir, err := p.store.Admin(p.t.Context(), p.slug, "test", store.Request{})
	if err != nil {
		p.t.Fatal(err)
	}
	return dir
}

// play plays a transcript, brings whom it needs, and does what comes after.
func (p *patient) play(transcript *conformance.Transcript, c complaint) {
	p.t.Helper()
	for _, need := range transcript.Needs {
		if bring, ok := ailing[need]; ok {
			p.provider.Actors[need] = bring(p.world, p.slug)
		} else if bring, ok := actors[need]; ok {
			bring(p.world, p.slug, p.provider.Actors)
		} else {
			p.t.Fatalf("%s needs %q, which nobody brings", transcript.Name, need)
		}
	}
	if err := conformance.Play(p.t.Context(), p.provider, transcript).Err(); err != nil {
		p.t.Fatal(err)
	}
	if c.match != "" {
		p.signIn(c.match, c.hint)
	}
	if c.taken != "" {
		p.take(strings.Replace(c.taken, "sheet.", "sheet-"+p.slug+".", 1))
	}
}

// signIn lets somebody come back from the identity provider.
func (p *patient) signIn(match, hint string) {
	p.t.Helper()
	ctx := p.t.Context()
	challenge := sha256.Sum256([]byte("a verifier that is long enough to be one, for sure"))
	away, err := p.store.BeginSignIn(ctx, store.SignInRequest{
		Tenant: p.slug, ConnectionID: p.connection.ID.String(), ClientID: "sheet-" + p.slug, RedirectURI: "https://sheet.example/cb",
		State: "s", Nonce: "n", CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]), Scope: "openid",
	})
	if err != nil {
		p.t.Fatal(err)
	}
	back, err := p.store.ResumeSignIn(ctx, p.slug, p.connection.ID.String(), away.State, away.Browser)
	if err != nil {
		p.t.Fatal(err)
	}
	_, _, err = p.store.MintCode(ctx, back, store.Identity{Issuer: "http://127.0.0.1:1", Subject: match, Match: match, Hint: hint})
	if err != nil {
		p.t.Fatal(err)
	}
}

// take takes a role from the tenant, as no command does yet.
func (p *patient) take(role string) {
	p.t.Helper()
	conn := storetest.Look(p.t, p.owner, p.slug)
	for _, sql := range []string{`delete from tenant_roles where role = $1`, `update tenants set derivation = derivation + 1 where $1 <> ''`} {
		if _, err := conn.Exec(p.t.Context(), sql, role); err != nil {
			p.t.Fatal(err)
		}
	}
}

// examine asks the doctor.
func (p *patient) examine(later time.Duration) []history.Finding {
	p.t.Helper()
	if err := p.store.FlushRequests(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	asked := history.Consultation{Since: time.Now().Add(-time.Hour)}
	if later > 0 {
		asked.Now = time.Now().Add(later)
	}
	found, _, err := p.admin().History().Diagnose(p.t.Context(), asked)
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

func ids(findings []history.Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.ID)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestDoctor plays every transcript of conformance/doctor: the doctor finds what
// it says and nothing else, and every diagnosis has a transcript.
func TestDoctor(t *testing.T) {
	w, owner := hospital(t)
	files, err := filepath.Glob("../../conformance/doctor/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			transcript := transcriptIn(t, file)
			c := complaintOf(t, transcript.Promise)
			p := admit(t, w, owner, fmt.Sprintf("patient-%d", i), c)
			p.play(transcript, c)
			findings := p.examine(c.later)
			if got := ids(findings); !slices.Equal(got, c.finds) {
				t.Errorf("found %q, want %q", got, c.finds)
			}
			for _, f := range findings {
				shown[f.ID] = true
				if f.Title == "" || f.Text == "" || f.Remedy == "" || f.Count == 0 || len(f.Evidence) == 0 || f.Connection == "" || f.Last.Before(f.First) {
					t.Errorf("the finding is not whole: %+v", f)
				}
			}
		})
	}
	for _, d := range history.Diagnoses() {
		if !shown[d.ID] {
			t.Errorf("no transcript shows the diagnosis %s", d.ID)
		}
	}
	if n := len(history.Diagnoses()); n < 25 {
		t.Errorf("%d diagnoses, want 25 at least", n)
	}
}

func transcriptIn(t *testing.T, file string) *conformance.Transcript {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	transcript, err := conformance.Parse(strings.TrimSuffix(filepath.Base(file), ".txtar"), text)
	if err != nil {
		t.Fatal(err)
	}
	return transcript
}

// lives are transcripts of customary clients, by the kind of their connection, and
// what the doctor has to say about each: of most of them nothing.
var lives = map[string]map[string][]string{
	"entra": {
		"entra/lifecycle":          nil,
		"entra/lifecycle-flag":     nil,
		"entra/create-user":        nil,
		"entra/update-user":        nil,
		"entra/update-user-flag":   nil,
		"entra/groups":             nil,
		"entra/group-members-flag": nil,
		"entra/discovery":          nil,
		"entra/test-connection":    nil,
		"entra/life":               {"account-enabled-mapped", "external-id-mail-nickname"},
		"entra/life-flag":          {"account-enabled-mapped", "external-id-mail-nickname", "flag-half-applied"},
		"entra/first-sync":         {"external-id-mail-nickname", "unknown-members-skipped"},
	},
	"okta": {
		"okta/create":          nil,
		"okta/groups":          nil,
		"okta/groups-put":      nil,
		"okta/import":          nil,
		"okta/reprovision":     nil,
		"okta/test-connection": nil,
		"okta/deactivate":      {"password-pushed"},
		"okta/life":            {"password-pushed"},
	},
	"generic": {
		"authentik/life": nil,
		"jumpcloud/life": nil,
		"onelogin/life":  nil,
		"rippling/life":  nil,
		"pingone/life":   {"attribute-ignored"},
	},
}

// The doctor raises no false alarm: of clients that do as they should it finds
// nothing, and of others what is the matter and no more.
func TestDoctorRaisesNoFalseAlarm(t *testing.T) {
	w, owner := hospital(t)
	n := 0
	for kind, names := range lives {
		for name, want := range names {
			n++
			t.Run(name, func(t *testing.T) {
				p := admit(t, w, owner, fmt.Sprintf("life-%d", n), complaint{kind: kind})
				p.play(transcriptIn(t, "../../conformance/"+name+".txtar"), complaint{})
				findings := p.examine(0)
				if got := ids(findings); !slices.Equal(got, want) {
					t.Errorf("found %q, want %q: %+v", got, want, findings)
				}
			})
		}
	}
}

// An address without the version is a tenant's like that with it: what is not found there
// is not for the address.
func TestDoctorReadsAnAddressWithoutTheVersion(t *testing.T) {
	w, owner := hospital(t)
	for slug, c := range map[string]struct {
		path string
		want []string
	}{
		"nobody":  {"/Users/00919288221112222", nil},
		"my-scim": {"/Users/00919288221112222", nil},
		"twice":   {"/scim/v2/Users", []string{"users-404"}},
		"old":     {"/v1/Users", []string{"wrong-base-url"}},
	} {
		p := admit(t, w, owner, slug, complaint{kind: "okta"})
		at := strings.TrimSuffix(w.base(slug), "/v2")
		w.send("GET", at+"/Users?startIndex=1&count=2", "Bearer "+p.token, "")
		w.send("GET", at+c.path, "Bearer "+p.token, "").refusal(t, c.path, 404, "")
		if got := ids(p.examine(0)); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", at+c.path, got, c.want)
		}
	}
}

// An entry that somebody copied from the provider's own log leads to the requests
// that it is about, and to what is wrong with them.
func TestAPastedEntryLeadsToItsRequests(t *testing.T) {
	w, owner := hospital(t)
	p := admit(t, w, owner, "pasted", complaint{kind: "entra"})
	send := func(method, path, body string, want int) string {
		a := w.send(method, w.base("pasted")+path, "Bearer "+p.token, body)
		if a.status != want {
			t.Fatalf("%s %s: got %d, want %d: %s", method, path, a.status, want, a.body)
		}
		return a.body
	}
	send("POST", "/Users", `{"userName":"alice@corp.example","externalId":"alice","active":true}`, 201)
	send("POST", "/Users", `{"userName":"Alice@corp.example","externalId":"9d0c","active":true}`, 409)
	send("POST", "/Users", `{"userName":"bob@corp.example","externalId":"9d0d","displayName":"Bob","active":true}`, 201)
	send("POST", "/Users", `{"userName":"carol@corp.example","externalId":"9d0e","active":true,"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"9d0d","displayName":"Bob"}}}`, 201)
	send("POST", "/Groups", `{"displayName":"Finance"}`, 201)
	if err := w.store.FlushRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	entry := func(at time.Time, who, action, status, code string) string {
		return fmt.Sprintf(`{"activityDateTime":%q,"provisioningAction":%q,"sourceIdentity":{"id":%q},"provisioningStatusInfo":{"status":%q,"errorInformation":{"errorCode":%q}}}`,
			at.UTC().Format(time.RFC3339), action, who, status, code)
	}
	called := func(at time.Time, who, name string) string {
		return fmt.Sprintf(`{"eventType":"application.provision.user.push","published":%q,"outcome":{"result":"SUCCESS"},"target":[{"id":%q,"type":"AppUser","alternateId":"nobody@other.example","displayName":%q}]}`,
			at.UTC().Format(time.RFC3339), who, name)
	}
	now := time.Now()
	for _, test := range []struct {
		story, entry     string
		statuses         []int
		diagnosis        string
		verdict, meaning string
	}{
		{"who was refused", entry(now, "9d0c", "create", "failure", "EntryConflict"), []int{409}, "", "it was refused here: userName is already in use", "compare the matching attributes"},
		{"who was made, by an id that only the body has", entry(now, "alice", "create", "success", ""), []int{201}, "external-id-mail-nickname", "it was done here", ""},
		{"done here, failed there", entry(now, "9d0d", "create", "failure", ""), []int{201}, "", "nothing about it was refused here", ""},
		{"another action than came", entry(now, "9d0d", "delete", "success", ""), []int{201}, "", "no request that does it came", ""},
		{"another action, which was refused", entry(now, "9d0c", "delete", "failure", ""), []int{409}, "", "one was refused: userName is already in use", ""},
		{"somebody else of the same name, of another tenant", called(now, "7f7f", "Bob"), []int{201}, "", "a weak match", ""},
		{"an id is more than a name", called(now, "9d0e", "Bob"), []int{201}, "manager-not-an-id", "it was done here", ""},
		{"a group, which has its name alone", called(now, "00g1", "Finance"), []int{201}, "", "a weak match", ""},
		{"long ago", entry(now.Add(-time.Hour), "9d0d", "create", "success", ""), nil, "", "no request about it came", ""},
		{"skipped there", entry(now, "stranger", "other", "skipped", "NotEffectivelyEntitled"), nil, "", "decided to send nothing", "not assigned to the application"},
	} {
		events, err := history.ParseEvents([]byte(test.entry))
		if err != nil {
			t.Fatal(err)
		}
		explained, err := p.admin().History().Explain(t.Context(), events)
		if err != nil || len(explained) != 1 {
			t.Fatalf("%s: %v %v", test.story, explained, err)
		}
		x := explained[0]
		var statuses []int
		var diagnoses []string
		for _, r := range x.Requests {
			statuses = append(statuses, r.Status)
			diagnoses = append(diagnoses, r.Diagnoses...)
		}
		if !slices.Equal(statuses, test.statuses) || strings.Join(diagnoses, " ") != test.diagnosis ||
			!strings.Contains(x.Verdict, test.verdict) || !strings.Contains(x.Meaning, test.meaning) {
			t.Errorf("%s: got %v %v, %q, %q", test.story, statuses, diagnoses, x.Verdict, x.Meaning)
		}
	}
}
