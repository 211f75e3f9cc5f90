package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// An attempt is what is known so far of one sign-in.
type attempt struct {
	tenant, connection, client string // for the log

	// Until the browser leaves for the identity provider:
	application registry.Application
	params      url.Values // the application's request
}

// A refusal ends a sign-in on the page of its reason.
type refusal struct {
	reason  string
	detail  string // for the log
	advice  string // for the organisation's IT, on the page
	counted bool   // by store
}

func (r *refusal) Error() string { return r.reason + ": " + r.detail }

func refuse(reason, detail string) error { return &refusal{reason: reason, detail: detail} }

// decided is a refusal that store made.
func decided(decision store.Decision, connection registry.Connection, who store.Identity) error {
	r := &refusal{reason: string(decision.Reason), detail: decision.Detail, counted: true}
	if decision.Reason == store.JoinMismatch {
		r.advice = mapping(connection, who)
	}
	return r
}

// mapping says what has to be changed in the identity provider, to whoever sits at
// the browser: it names attributes, and no value of anybody's.
func mapping(connection registry.Connection, who store.Identity) string {
	attribute := connection.MatchAttribute
	switch {
	case who.Match == "":
		return "the ID Token has no claim " + connection.MatchClaim + ". Let the identity provider send it."
	case connection.Kind == "entra":
		return attribute + " is mapped from mailNickname or another attribute that is not the objectId. " +
			"In the attribute mapping of the provisioning in Entra, map objectId to " + attribute + ", then restart provisioning."
	case connection.Kind == "okta":
		return attribute + " is not the user’s Okta id. In the attribute mappings of the application in Okta, map user.id to " + attribute + ", then push the users again."
	}
	return attribute + " is not what the claim " + connection.MatchClaim + " says. Map the same immutable identifier to both."
}

// An ask is not an error of anybody: the page that asks for what is missing.
type ask struct {
	*attempt
	unknown      bool // an organisation was named, and there is none
	organisation registry.Tenant
	connections  []registry.Connection // to choose from; none: ask for the organisation
}

func (a *ask) Error() string { return "the person has to say where they belong" }

// show is the one translator of errors for people. What it does not know is
// ours: a bare 500 with a reference.
func (l *Login) show(w http.ResponseWriter, r *http.Request, a *attempt, err error) {
	if question, ok := errors.AsType[*ask](err); ok {
		l.writeQuestion(w, question)
		return
	}
	said, ok := errors.AsType[*refusal](err)
	if !ok {
		l.fail(w, r, a, err)
		return
	}
	l.log.InfoContext(r.Context(), "sign-in refused", "request", l.requestID(r),
		"reason", said.reason, "detail", said.detail,
		"tenant", clip(a.tenant), "connection", clip(a.connection), "client", a.client)
	if !said.counted {
		l.refused(said.reason)
	}
	l.writePage(w, r, said.reason, said.advice)
}

// fail answers what is not the person's doing, nor the provider's.
func (l *Login) fail(w http.ResponseWriter, r *http.Request, a *attempt, err error) {
	reason := "internal"
	for _, passing := range []error{store.ErrUnavailable, store.ErrUnknownOutcome, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, passing) {
			reason = "unavailable"
		}
	}
	l.log.ErrorContext(r.Context(), "sign-in failed", "request", l.requestID(r), "error", err,
		"tenant", clip(a.tenant), "connection", clip(a.connection), "client", a.client)
	l.refused(reason)
	l.writePage(w, r, reason, "")
}

// Page shows the page of a reason: for doors that refuse a browser before a
// sign-in has begun.
func (l *Login) Page(w http.ResponseWriter, r *http.Request, reason string) {
	l.refused(reason)
	l.writePage(w, r, reason, "")
}

// isConnection reports whether s has the form of a connection's id.
func isConnection(s string) bool {
	return uuid.Validate(s) == nil && len(s) == 36
}

// isText reports whether s can be stored: UTF-8 without control characters, not
// longer than any identifier is.
func isText(s string) bool {
	const most = 1 << 10
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
