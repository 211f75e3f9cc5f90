package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// An Event is one row of an identity provider's own log of what it provisions.
type Event struct {
	Source string    `json:"source"` // entra | okta
	At     time.Time `json:"at"`
	Action string    `json:"action"` // as the provider calls it: create, update, application.provision.user.push
	Status string    `json:"status"` // as the provider calls it: success, failure, skipped
	Code   string    `json:"code,omitempty"`
	Reason string    `json:"reason,omitempty"`
	About  []string  `json:"about"`            // ids, user names and addresses of whom it is about, there and here
	Called []string  `json:"called,omitempty"` // their display names, which others may have too
}

// Bounds of what may be pasted.
const (
	longestPaste  = 1 << 20 // bytes
	mostEvents    = 50
	mostNames     = 16  // of one event
	longestName   = 256 // bytes
	longestReason = 2048
)

// errNoEvent says what can be read.
var errNoEvent = &ArgumentError{"this is no log entry that the doctor can read: paste one of Entra's provisioning log (JSON, or CSV with its header line), or an event of Okta's System Log (JSON)"}

// ParseEvents reads what somebody copied from an identity provider's log: one
// entry or several of Entra's provisioning log, as JSON (alone, as an array, or as
// Microsoft Graph answers a list) or as CSV with its header, or events of Okta's
// System Log as JSON. At most 1 MiB and 50 entries; an [ArgumentError] says what is
// wrong with others.
func ParseEvents(text []byte) ([]Event, error) {
	if len(text) > longestPaste {
		return nil, &ArgumentError{"paste at most 1 MiB"}
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\uFEFF")))
	if len(text) == 0 {
		return nil, errNoEvent
	}
	if text[0] != '{' && text[0] != '[' {
		return parseCSV(text)
	}
	entries, err := jsonEntries(text)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, entry := range entries {
		e, ok := entry.event()
		if !ok {
			return nil, errNoEvent
		}
		events = append(events, e)
	}
	return events, nil
}

// jsonEntries reads one entry, an array of them, or the object around such an array.
func jsonEntries(text []byte) ([]entry, error) {
	if list, err := decode[[]entry](text); err == nil {
		return bounded(list)
	}
	around, err := decode[struct {
		Value []entry `json:"value"`
	}](text)
	if err == nil && len(around.Value) > 0 {
		return bounded(around.Value)
	}
	one, err := decode[entry](text)
	_, broken := errors.AsType[*json.SyntaxError](err)
	switch {
	case broken, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &ArgumentError{"the JSON is broken: " + err.Error() + "; was the entry copied whole?"}
	case err != nil:
		return nil, errNoEvent
	}
	return []entry{one}, nil
}

func bounded(list []entry) ([]entry, error) {
	if len(list) == 0 || len(list) > mostEvents {
		return nil, &ArgumentError{"paste between 1 and 50 entries"}
	}
	return list, nil
}

// decode reads one JSON value and nothing after it.
func decode[T any](text []byte) (v T, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&v); err != nil {
		return v, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return v, errNoEvent
	}
	return v, nil
}

// An entry is one of either log. Values whose form differs between versions are
// read loosely: see words.
type entry struct {
	// Entra: provisioningObjectSummary of Microsoft Graph, and the portal's download.
	ActivityDateTime       *time.Time  `json:"activityDateTime"`
	Action                 loose       `json:"action"`
	ProvisioningAction     loose       `json:"provisioningAction"`
	StatusInfo             entraStatus `json:"statusInfo"`
	ProvisioningStatusInfo entraStatus `json:"provisioningStatusInfo"`
	SourceIdentity         identity    `json:"sourceIdentity"`
	TargetIdentity         identity    `json:"targetIdentity"`
	ProvisioningSteps      []step      `json:"provisioningSteps"`

	// Okta: LogEvent.
	EventType      loose      `json:"eventType"`
	Published      *time.Time `json:"published"`
	DisplayMessage loose      `json:"displayMessage"`
	Outcome        struct {
		Result loose `json:"result"`
		Reason loose `json:"reason"`
	} `json:"outcome"`
	Target []struct {
		ID          loose `json:"id"`
		Type        loose `json:"type"`
		AlternateID loose `json:"alternateId"`
		DisplayName loose `json:"displayName"`
	} `json:"target"`
}

type entraStatus struct {
	Status           loose      `json:"status"`
	ErrorInformation entraFault `json:"errorInformation"`
	entraFault
}

type entraFault struct {
	ErrorCode loose `json:"errorCode"`
	Reason    loose `json:"reason"`
}

type identity struct {
	ID          loose            `json:"id"`
	DisplayName loose            `json:"displayName"`
	Details     map[string]loose `json:"details"`
}

type step struct {
	Status      loose            `json:"status"`
	Description loose            `json:"description"`
	Details     map[string]loose `json:"details"`
}

// loose is a string, or "" where the log has another kind of value.
type loose string

func (l *loose) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		*l = loose(strings.TrimSpace(s))
	}
	return nil
}

// event is what the entry says, if it is one of either log.
func (e entry) event() (Event, bool) {
	switch {
	case e.ActivityDateTime != nil:
		return e.entra(), true
	case e.Published != nil && e.EventType != "":
		return e.okta(), true
	}
	return Event{}, false
}

func (e entry) entra() Event {
	status := e.ProvisioningStatusInfo
	if status.Status == "" {
		status = e.StatusInfo
	}
	fault := status.ErrorInformation
	if fault.ErrorCode == "" {
		fault = status.entraFault
	}
	v := Event{
		Source: "entra", At: *e.ActivityDateTime, Action: first(e.ProvisioningAction, e.Action), Status: string(status.Status),
		Code: string(fault.ErrorCode), Reason: string(fault.Reason),
	}
	for _, s := range e.ProvisioningSteps {
		if reason := s.Details["SkipReason"]; reason != "" && v.Code == "" {
			v.Code, v.Reason = string(reason), string(s.Description)
		}
	}
	for _, one := range []identity{e.SourceIdentity, e.TargetIdentity} {
		v.name(one.ID)
		v.call(one.DisplayName)
		for _, detail := range []string{"UserPrincipalName", "userPrincipalName", "Email", "mail", "userName", "externalId"} {
			v.name(one.Details[detail])
		}
	}
	return v.clipped()
}

func (e entry) okta() Event {
	v := Event{
		Source: "okta", At: *e.Published, Action: string(e.EventType), Status: strings.ToLower(string(e.Outcome.Result)),
		Reason: first(e.Outcome.Reason, e.DisplayMessage),
	}
	for _, t := range e.Target {
		if t.Type != "AppInstance" {
			v.name(t.ID, t.AlternateID)
			v.call(t.DisplayName)
		}
	}
	return v.clipped()
}

func first(texts ...loose) string {
	for _, text := range texts {
		if text != "" {
			return string(text)
		}
	}
	return ""
}

// name adds ids of whom the event is about.
func (e *Event) name(names ...loose) { e.About = named(e.About, names) }

// call adds what they are called; for Entra that may be their user name.
func (e *Event) call(names ...loose) {
	for _, name := range names {
		if strings.Contains(string(name), "@") {
			e.name(name)
		} else {
			e.Called = named(e.Called, []loose{name})
		}
	}
}

// named adds what is a name to a list, once and within bounds. Nobody here has one that
// is not UTF-8 or holds a NUL.
func named(list []string, names []loose) []string {
	for _, name := range names {
		s := string(name)
		if s != "" && s != "unknown" && len(s) <= longestName && text(s) == s && len(list) < mostNames && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// text is what PostgreSQL takes of s: UTF-8 without NUL.
func text(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "") }

func (e Event) clipped() Event {
	for _, field := range []*string{&e.Action, &e.Status, &e.Code} {
		*field = text((*field)[:min(len(*field), longestName)])
	}
	e.Reason = text(e.Reason[:min(len(e.Reason), longestReason)])
	if e.About == nil {
		e.About = []string{}
	}
	return e
}
