package idpsim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// newIdP returns an IdP that pushes to sp and never pauses for real.
func newIdP(t *testing.T, dir Directory, sp *serviceProvider, options Options) *IdP {
	t.Helper()
	if options.SCIMURL == "" {
		options.SCIMURL = sp.URL + "/scim/v2/"
	}
	options.Token = "secret"
	idp, err := New(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(idp.Close)
	idp.client.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return idp
}

// troupe is a directory small enough to read its requests.
func troupe() Directory {
	return Directory{
		Name: "Troupe", Domain: "troupe.example", Tenant: "11111111-1111-1111-1111-111111111111",
		People: []Person{
			{Nickname: "ann", ID: "a1", UserName: "ann@troupe.example", Email: "ann@troupe.example", Given: "Ann", Family: "Ångström", Title: "Director", Department: "Management", Number: "T1", Phone: "+1 555 0100"},
			{Nickname: "bob", ID: "b2", UserName: "bob@troupe.example", Email: "bob@troupe.example", Given: "Bob", Family: "O'Hara", Title: "Clown", Department: "Acrobatics", Number: "T2", Manager: "ann"},
			{Nickname: "cy", ID: "c3", UserName: "cy@troupe.example", Email: "cy@troupe.example", Given: "Cy", Inactive: true},
		},
		Groups: []Group{{Name: `Front "Office" (EMEA) & more`, ID: "g1", Members: []string{"ann", "bob", "cy"}}},
	}
}

func TestTheDialects(t *testing.T) {
	for name, options := range map[string]Options{
		"entra":      {Persona: Entra},
		"entra_flag": {Persona: Entra, Mapping: MappingObjectID, SCIMURL: "/?aadOptscim062020"},
		"okta":       {Persona: Okta},
	} {
		t.Run(name, func(t *testing.T) {
			sp := newServiceProvider(t)
			if options.SCIMURL != "" {
				options.SCIMURL = sp.URL + "/scim/v2" + options.SCIMURL
			}
			options.Parallel = 1
			idp := newIdP(t, troupe(), sp, options)
			got := story(t, idp, sp)
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// story makes every change that an IdP makes and returns the requests of each.
func story(t *testing.T, idp *IdP, sp *serviceProvider) string {
	t.Helper()
	ctx := context.Background()
	group := idp.Directory().Groups[0].Name
	var text strings.Builder
	for _, step := range []struct {
		title string
		do    func() error
	}{
		{"first push", func() error { return idp.Push(ctx, nil) }},
		{"second push, nothing changed", func() error { return idp.Push(ctx, nil) }},
		{"Bob marries and is promoted", func() error {
			return idp.Update(ctx, "bob", func(p *Person) {
				p.Family, p.Email, p.Title, p.Department, p.Phone = "Ångström", "bob@wed.example", "", "Management", "+1 555 0199"
			})
		}},
		{"Bob is unassigned", func() error { return idp.Deactivate(ctx, "bob@troupe.example") }},
		{"Bob is assigned again", func() error { return idp.Reactivate(ctx, "b2") }},
		{"Bob leaves the group", func() error { return idp.RemoveMember(ctx, group, "bob") }},
		{"Bob joins the group", func() error { return idp.AddMember(ctx, "g1", "bob") }},
		{"the group is renamed", func() error { return idp.RenameGroup(ctx, "g1", "Office") }},
		{"the group is pushed whole", func() error { return idp.PushGroup(ctx, "Office") }},
		{"Dee is hired", func() error {
			return idp.Hire(ctx, Person{Nickname: "dee", ID: "d4", Given: "Dee", Family: "Dot"}, "Office")
		}},
		{"the group is deleted", func() error { return idp.DeleteGroup(ctx, "Office") }},
		{"Bob is deleted", func() error {
			if err := idp.Delete(ctx, "bob"); idp.options.Persona == Entra || err == nil {
				return err
			}
			return nil
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.title, err)
		}
		fmt.Fprintf(&text, "-- %s --\n%s", step.title, sp.transcript())
	}
	return text.String()
}

func TestEveryMembershipArrivesThroughParallelRequests(t *testing.T) {
	for _, persona := range []string{Entra, Okta} {
		name := map[string]string{Entra: "ringling", Okta: "cirque"}[persona]
		dir := load(t, name)
		sp := newServiceProvider(t)
		var now, most atomic.Int64
		gathered := make(chan struct{}) // closed once three requests for one group are in flight
		var once sync.Once
		sp.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/Groups/") {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				if now.Load() >= 3 {
					once.Do(func() { close(gathered) })
				}
				<-gathered
			}
			return false
		}
		idp := newIdP(t, dir, sp, Options{Persona: persona, MemberBatch: 1, RepeatEvery: 5})
		if err := idp.Push(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		for _, g := range dir.Groups {
			id := idp.groups[g.ID]
			if got := len(sp.members[id]); got != len(g.Members) {
				t.Errorf("%s: %s has %d members at the service provider, want %d", name, g.Name, got, len(g.Members))
			}
		}
		if len(sp.users) != len(dir.People) {
			t.Errorf("%s: %d users, want %d", name, len(sp.users), len(dir.People))
		}
		if id, ok := idp.UserID("jamie.morgan"); !ok || !strings.HasPrefix(id, "user-") {
			t.Errorf("%s: Jamie's id = %q, %v", name, id, ok)
		}
	}
}

func TestANewIdPFindsWhatAnEarlierOnePushed(t *testing.T) {
	for _, persona := range []string{Entra, Okta} {
		sp := newServiceProvider(t)
		first := newIdP(t, troupe(), sp, Options{Persona: persona})
		if err := first.Push(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if err := first.Deactivate(context.Background(), "bob"); err != nil {
			t.Fatal(err)
		}
		second := newIdP(t, troupe(), sp, Options{Persona: persona})
		if err := second.Push(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if len(sp.users) != 2 || len(sp.groups) != 1 || sp.user("bob")["active"] != true {
			t.Errorf("%s: after both: %d users, %d groups, Bob active: %v", persona, len(sp.users), len(sp.groups), sp.user("bob")["active"])
		}
		third := newIdP(t, troupe(), sp, Options{Persona: persona})
		if err := third.Deactivate(context.Background(), "bob"); err != nil || sp.user("bob")["active"] != false {
			t.Errorf("%s: deactivated without a push before: %v, active %v", persona, err, sp.user("bob")["active"])
		}
	}
}

func TestThrottledUnservedAndLostRequestsAreRepeated(t *testing.T) {
	sp := newServiceProvider(t)
	idp := newIdP(t, troupe(), sp, Options{Persona: Entra, Parallel: 1, Backoff: time.Second})
	var pauses []time.Duration
	idp.client.sleep = func(_ context.Context, pause time.Duration) error {
		pauses = append(pauses, pause)
		return nil
	}
	posts := 0
	sp.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/Users") {
			return false
		}
		sp.mu.Lock() // an answer that is lost orders nothing between two requests
		defer sp.mu.Unlock()
		switch posts++; posts {
		case 1:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3: // it is created, and the answer is lost
			sp.users = append(sp.users, map[string]any{"id": "user-1", "userName": "ann@troupe.example"})
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
	var retries atomic.Int64
	err := idp.Push(context.Background(), func(e Event) {
		if e.Action == "retry" {
			retries.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{7 * time.Second, 2 * time.Second, 4 * time.Second}; !cmp.Equal(pauses, want) || retries.Load() != 3 {
		t.Errorf("pauses = %v, want %v; %d retries were reported", pauses, want, retries.Load())
	}
	if id, _ := idp.UserID("ann"); id != "user-1" || len(sp.users) != 2 {
		t.Errorf("Ann is %q and there are %d users: the lost creation was not recognised", id, len(sp.users))
	}
}

func TestOneFailureDoesNotStopTheOthers(t *testing.T) {
	sp := newServiceProvider(t)
	refused := false
	sp.before = func(w http.ResponseWriter, r *http.Request) bool {
		if refused || r.Method != http.MethodPost {
			return false
		}
		refused = true // Ann, the first
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"scimType":"invalidValue","detail":"no such title"}`)
		return true
	}
	idp := newIdP(t, troupe(), sp, Options{Persona: Okta, Parallel: 1})
	err := idp.Push(context.Background(), nil)
	if failure, ok := errors.AsType[*ResponseError](err); !ok || failure.Status != 400 || failure.ScimType != "invalidValue" {
		t.Errorf("error = %v", err)
	}
	if len(sp.users) != 1 || len(sp.groups) != 1 || len(sp.members["group-1"]) != 1 {
		t.Errorf("%d users, %d groups, members %v: the rest was not pushed", len(sp.users), len(sp.groups), sp.members)
	}
}

func TestPushStopsWhenItsContextEnds(t *testing.T) {
	sp := newServiceProvider(t)
	ctx, cancel := context.WithCancel(context.Background())
	sp.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			cancel()
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	idp := newIdP(t, Synthetic(200, 3, 1), sp, Options{Persona: Entra})
	if err := idp.Push(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestOktaImportsPageByPage(t *testing.T) {
	sp := newServiceProvider(t)
	for i := range 250 {
		sp.users = append(sp.users, map[string]any{"id": fmt.Sprint(i), "userName": fmt.Sprint(i)})
	}
	idp := newIdP(t, troupe(), sp, Options{Persona: Okta})
	if n, err := idp.Import(context.Background()); n != 250 || err != nil {
		t.Errorf("Import = %d, %v, want 250", n, err)
	}
	want := "GET /scim/v2/Users?startIndex=1&count=100\nGET /scim/v2/Users?startIndex=101&count=100\nGET /scim/v2/Users?startIndex=201&count=100\n"
	if got := sp.transcript(); got != want {
		t.Errorf("requests:\n%s", got)
	}
}

func TestHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		options Options
		want    map[string]string // "" for none
	}{
		"entra": {Options{Persona: Entra}, map[string]string{
			"Authorization": "Bearer secret", "User-Agent": "", "Content-Type": "", "Adscimversion": "2.0"}},
		"okta": {Options{Persona: Okta}, map[string]string{
			"Authorization": "Bearer secret", "User-Agent": "Okta SCIM Client 1.0.0", "Content-Type": contentType, "Accept": "application/scim+json"}},
		"okta without scheme": {Options{Persona: Okta, RawToken: true}, map[string]string{"Authorization": "secret"}},
	} {
		sp := newServiceProvider(t)
		if err := newIdP(t, troupe(), sp, test.options).Test(context.Background()); err != nil {
			t.Fatal(err)
		}
		for header, want := range test.want {
			if got := sp.headers[0].Get(header); got != want {
				t.Errorf("%s: a GET has %s: %q, want %q", name, header, got, want)
			}
		}
	}
}

func TestNewRefusesOptionsThatMeanNothing(t *testing.T) {
	for name, options := range map[string]Options{
		"no persona":      {},
		"unknown persona": {Persona: "ping"},
		"unknown mapping": {Persona: Entra, Mapping: "userPrincipalName"},
		"no URL":          {Persona: Okta, SCIMURL: "not a url"},
	} {
		if _, err := New(troupe(), options); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	stateless := troupe()
	stateless.Tenant = ""
	if _, err := New(stateless, Options{Persona: Entra}); err == nil {
		t.Error("Entra without a tenant id: accepted")
	}
	idp, err := New(troupe(), Options{Persona: Okta})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"push without a SCIM URL": idp.Push(context.Background(), nil),
		"unknown person":          idp.Deactivate(context.Background(), "nobody"),
		"unknown group":           idp.AddMember(context.Background(), "nothing", "ann"),
		"delete as Okta":          idp.Delete(context.Background(), "ann"),
		"nickname is taken":       idp.Hire(context.Background(), Person{Nickname: "ann", ID: "x"}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
