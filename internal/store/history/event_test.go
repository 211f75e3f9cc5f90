package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 7, 17, 12, 31, 10, 0, time.UTC)

// An entry of either log is understood in every form in which it is copied.
func TestParseEvents(t *testing.T) {
	graph := `{"activityDateTime":"2026-07-17T12:31:10Z","changeId":"e2","durationInMilliseconds":630,"initiatedBy":{"displayName":"Azure AD Provisioning Service"},
		"modifiedProperties":[],"provisioningAction":"create","provisioningStatusInfo":{"status":"failure","errorInformation":{"errorCode":"DuplicateTargetEntries","reason":"Two of them","errorCategory":"failure"}},
		"servicePrincipal":{"displayName":"Timesheet","id":"e7"},
		"sourceIdentity":{"details":{"DisplayName":"Alice","id":"0a21","odatatype":"User","UserPrincipalName":"alice@corp.example"},"displayName":"Alice","id":"0a21","identityType":"User"},
		"targetIdentity":{"details":{},"displayName":"","id":"0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50"}}`
	created := Event{
		Source: "entra", At: noon, Action: "create", Status: "failure", Code: "DuplicateTargetEntries", Reason: "Two of them",
		About: []string{"0a21", "alice@corp.example", "0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50"}, Called: []string{"Alice"},
	}
	for story, test := range map[string]struct {
		text string
		want []Event
	}{
		"Entra, one entry of Graph":    {graph, []Event{created}},
		"Entra, as Graph lists":        {`{"@odata.context":"https://graph.microsoft.com","value":[` + graph + `,` + graph + `]}`, []Event{created, created}},
		"Entra, the portal's download": {"\uFEFF [" + graph + "]\n", []Event{created}},
		"Entra, skipped: the step says why": {`{"activityDateTime":"2026-07-17T12:31:10Z","action":"Other","statusInfo":{"status":"skipped"},"sourceIdentity":{"id":"ae0c","displayName":"servers"},
			"provisioningSteps":[{"name":"EntryImport","status":"success","details":{"objectId":"ae0c"}},{"name":"EntrySynchronizationSkip","status":"skipped","description":"already match","details":{"SkipReason":"RedundantExport","n":1}}]}`,
			[]Event{{Source: "entra", At: noon, Action: "Other", Status: "skipped", Code: "RedundantExport", Reason: "already match", About: []string{"ae0c"}, Called: []string{"servers"}}}},
		"Entra, CSV": {"id,activityDateTime,Provisioning action,Source identity id,Source identity display name,Source identity type,Status,Status error code,Status reason\n" +
			"a3,2026-07-17T12:31:10Z,create,0a21,\"Alice, A.\",User,failure,Conflict,taken\n",
			[]Event{{Source: "entra", At: noon, Action: "create", Status: "failure", Code: "Conflict", Reason: "taken", About: []string{"0a21"}, Called: []string{"Alice, A."}}}},
		"Entra, CSV of the portal, which writes either there": {"Date (UTC),Action,Source Identity,Target Identity,Status\n\"7/17/2026, 12:31:10 PM\",Create,Alice A.,alice@corp.example,Success\n",
			[]Event{{Source: "entra", At: noon, Action: "Create", Status: "Success", About: []string{"Alice A.", "alice@corp.example"}, Called: []string{"Alice A."}}}},
		"Entra, whose display name is a user name": {`{"activityDateTime":"2026-07-17T12:31:10Z","sourceIdentity":{"displayName":"alice@corp.example"}}`,
			[]Event{{Source: "entra", At: noon, About: []string{"alice@corp.example"}}}},
		"Okta": {`{"actor":{"id":"00u","type":"SystemPrincipal"},"eventType":"application.provision.user.push_profile","published":"2026-07-17T12:31:10.000Z","outcome":{"result":"FAILURE","reason":"Bad Request. Errors reported by remote server: userName is already in use"},
			"target":[{"id":"0oa1","type":"AppInstance","alternateId":"Timesheet","displayName":"Timesheet"},{"id":"0ua2","type":"AppUser","alternateId":"alice@corp.example","displayName":"Alice"},{"id":"00u3","type":"User","alternateId":"unknown"}],"displayMessage":"Push"}`,
			[]Event{{Source: "okta", At: noon, Action: "application.provision.user.push_profile", Status: "failure", Reason: "Bad Request. Errors reported by remote server: userName is already in use",
				About: []string{"0ua2", "alice@corp.example", "00u3"}, Called: []string{"Alice"}}}},
		"values of another kind": {`{"activityDateTime":"2026-07-17T12:31:10Z","provisioningAction":7,"provisioningStatusInfo":{"status":null,"errorInformation":null},"sourceIdentity":{"id":{"a":1}}}`,
			[]Event{{Source: "entra", At: noon, About: []string{}}}},
	} {
		got, err := ParseEvents([]byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", story, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", story, diff)
		}
	}
}

// What is no entry is refused with a word about what is.
func TestWhatIsNoEventIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "no log entry",
		"hello":                               "no log entry",
		"Date (UTC),Action,Identity":          "a header and no entry",
		"a,b\n1,2\n":                          "no log entry",
		"Date\nyesterday":                     "no log entry",
		`{}`:                                  "no log entry",
		`[]`:                                  "between 1 and 50",
		`{"value":[]}`:                        "no log entry",
		`[1]`:                                 "no log entry",
		`{"published":1}`:                     "no log entry",
		`{"eventType":`:                       "copied whole",
		`{"eventType":"x"} {"eventType":"x"}`: "no log entry",
		`[` + strings.Repeat(`{"eventType":"x"},`, 50) + `{}]`:            "between 1 and 50",
		`{"activityDateTime":"2026-07-17"}`:                               "no log entry",
		"Date\n" + strings.Repeat("2026-07-17T12:31:10Z\n", mostEvents+1): "at most 50",
		strings.Repeat("x", longestPaste+1):                               "at most 1 MiB",
	} {
		events, err := ParseEvents([]byte(text))
		if _, argument := errors.AsType[*ArgumentError](err); !argument || !strings.Contains(err.Error(), want) || events != nil {
			t.Errorf("%.40q: got %v %v, want it refused: %s", text, events, err, want)
		}
	}
}

func TestAnEventIsBounded(t *testing.T) {
	long := strings.Repeat("x", 5000)
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf(`{"id":"%d","type":"User","displayName":"Alice %d"}`, i, i))
	}
	events, err := ParseEvents([]byte(`{"eventType":"` + long + `","published":"2026-07-17T12:31:10Z","outcome":{"result":"` + long + `","reason":"` + long +
		`"},"target":[{"id":"` + long + `","displayName":"` + long + `"},` + strings.Join(names, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if e := events[0]; len(e.Action) != longestName || len(e.Status) != longestName || len(e.Reason) != longestReason {
		t.Errorf("%d bytes of action, %d of status, %d of reason", len(e.Action), len(e.Status), len(e.Reason))
	} else if len(e.About) != mostNames || len(e.Called) != mostNames || !within(e) {
		t.Errorf("%d ids and %d display names: %+v", len(e.About), len(e.Called), e)
	}
}

// within reports whether an event keeps the bounds of what may be pasted, and holds what
// may be asked of PostgreSQL.
func within(e Event) bool {
	long := func(s string) bool {
		return len(s) > longestName || !utf8.ValidString(s) || strings.Contains(s, "\x00")
	}
	return len(e.About) <= mostNames && len(e.Called) <= mostNames && len(e.Reason) <= longestReason &&
		!slices.ContainsFunc(slices.Concat([]string{e.Action, e.Status, e.Code}, e.About, e.Called), long)
}

func FuzzParseEvents(f *testing.F) {
	f.Add([]byte(`{"activityDateTime":"2026-07-17T12:31:10Z","sourceIdentity":{"id":"a"}}`))
	f.Add([]byte(`[{"eventType":"x","published":"2026-07-17T12:31:10Z","target":[{"id":"a"}]}]`))
	f.Add([]byte("Date (UTC),Action,Identity\n\"7/17/2026, 12:31:10 PM\",Create,a\n"))
	f.Add([]byte(`{"activityDateTime":"2026-07-17T12:31:10Z","sourceIdentity":{"id":"a\u0000"}}`))
	f.Add([]byte("Date (UTC),Action,Identity\n\"7/17/2026, 12:31:10 PM\",Create\xff,a\xff\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		events, err := ParseEvents(text)
		if err != nil {
			if _, argument := errors.AsType[*ArgumentError](err); !argument || events != nil {
				t.Errorf("got %v %v", events, err)
			}
			return
		}
		if len(events) == 0 || len(events) > mostEvents {
			t.Errorf("%d events", len(events))
		}
		for _, e := range events {
			if e.At.IsZero() || e.Source == "" || !within(e) {
				t.Errorf("%+v", e)
			}
		}
	})
}
