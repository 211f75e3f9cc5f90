package login

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// An attempt is what is known so far of one sign-in, for the log.
type attempt struct{ tenant, connection, client string }

// A refusal ends a sign-in on the page of its reason.
type refusal struct {
	reason  string
	detail  string // for the log
	advice  string // for the organisation's IT, on the page
	counted bool   // by store
}

func (r *refusal) Error() string { return r.reason + ": " + r.detail }

func refuse(reason, detail string) error { return &refusal{reason: reason, detail: detail} }

// decided is a refusal that store made. Only what has to be changed in the
// identity provider's mapping is shown to whoever sits at the browser: it names
// attributes, not people.
func decided(decision store.Decision) error {
	r := &refusal{reason: string(decision.Reason), detail: decision.Detail, counted: true}
	if decision.Reason == store.JoinMismatch {
		r.advice = decision.Detail
	}
	return r
}

// An ask is not an error of anybody: the page that asks for what is missing.
type ask struct {
	params      map[string][]string
	unknown     bool // an organisation was named, and there is none
	tenant      registry.Tenant
	connections []registry.Connection // to choose from; none: ask for the organisation
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
