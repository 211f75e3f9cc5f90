package scimhttp

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

// statusClosed marks a request whose client has gone: nobody reads the answer.
const statusClosed = 499

// pause is the customary time before a repetition.
const pause = time.Second

// busyPause is that time where large bodies have kept all places.
const busyPause = 5 * time.Second

// errBusy: no large body can be taken for the moment.
var errBusy = errors.New("too many large bodies at once")

var errNoRoute = refuse(http.StatusNotFound, "there is no such endpoint")

var errMisplaced = refuse(http.StatusNotFound, "there is no such endpoint: the address of a tenant's SCIM endpoints is %s", base)

// refuse is a refusal of the door's own, without a scimType.
func refuse(status int, format string, args ...any) *scim.Error {
	return scim.Refuse(status, format, args...)
}

// A refusal is an error in the words of RFC 7644 §3.12.
type refusal struct {
	fault *scim.Error
	retry time.Duration // worth sending again after that time; 0: not
	ours  bool          // not the client's doing: the cause belongs in the log

	limited bool // the tenant's own limit, and nothing that the request said
	brought bool // of a 401: there was a token in the request
	narrow  bool // of a 403: there was a token that holds, and not for this
}

// A narrowError refuses what the credential is not for.
type narrowError struct{ fault *scim.Error }

func (e *narrowError) Error() string { return e.fault.Error() }

// beyond is the refusal of a change that the credential may not make.
func beyond(format string, args ...any) error {
	return &narrowError{refuse(http.StatusForbidden, format, args...)}
}

// wireError is the one translator of errors. What it does not know is ours: a
// bare 500 with the request's id as reference.
func wireError(err error, request uuid.UUID) refusal {
	var fault *scim.Error
	var taken *store.TakenError
	var limit *limitError
	var narrow *narrowError
	switch {
	case errors.As(err, &narrow):
		return refusal{fault: narrow.fault, narrow: true}
	case errors.As(err, &fault):
		return refusal{fault: fault}
	case errors.As(err, &taken):
		return refusal{fault: scim.Uniqueness("%s is already in use", taken.Attribute)}
	case errors.Is(err, store.ErrUnauthenticated):
		return refusal{fault: refuse(http.StatusUnauthorized, "the bearer token is missing, unknown, expired or revoked, or does not belong to this address")}
	case errors.Is(err, store.ErrNotFound):
		return refusal{fault: scim.NotFound("no resource has this id")}
	case errors.Is(err, store.ErrStale):
		return refusal{fault: refuse(http.StatusPreconditionFailed, "the resource has changed: its version is not the one in If-Match")}
	case errors.Is(err, store.ErrTooMany):
		return refusal{fault: scim.TooMany("the query takes too long; make the filter more selective, or sort by another attribute")}
	case errors.As(err, &limit):
		return limited(limit.wait, "the tenant sends more requests than it may; send fewer at once")
	case errors.Is(err, store.ErrBusy):
		return limited(busyWait, "too many requests of the tenant wait already; send fewer at once")
	case errors.Is(err, store.ErrRedeclared):
		return refusal{fault: refuse(http.StatusServiceUnavailable, "the schemas are being changed; nothing was done"), retry: pause}
	case errors.Is(err, store.ErrBadCursor):
		return refusal{fault: scim.BadCursor("this is no cursor of this query: begin with an empty one, and change nothing else from page to page")}
	case errors.Is(err, store.ErrExpiredCursor):
		return refusal{fault: scim.ExpiredCursor("the cursor is older than the cursorTimeout of /ServiceProviderConfig: begin with an empty one")}
	case errors.Is(err, store.ErrOtherCount):
		return refusal{fault: scim.BadCount("the cursor belongs to a query with another count: keep it from page to page")}
	case errors.Is(err, store.ErrUnknownOutcome):
		return refusal{fault: refuse(http.StatusServiceUnavailable, "it is not known whether the change is durable; send it again (reference %s)", request), retry: pause, ours: true}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return refusal{fault: refuse(http.StatusServiceUnavailable, "the service is not available for the moment; nothing was changed (reference %s)", request), retry: pause, ours: true}
	case errors.Is(err, errBusy):
		return refusal{fault: refuse(http.StatusServiceUnavailable, "too many large requests at once; nothing was changed"), retry: busyPause, ours: true}
	case errors.Is(err, context.Canceled):
		return refusal{fault: refuse(statusClosed, "the request was cancelled")}
	}
	return refusal{fault: refuse(http.StatusInternalServerError, "internal error (reference %s)", request), ours: true}
}

// tooManyFailures is what a client is told that has brought too many credentials
// that do not hold. One that holds is never counted and always served.
func tooManyFailures(wait time.Duration) refusal {
	return refusal{fault: refuse(http.StatusTooManyRequests, "too many requests from this address without a valid bearer token"), retry: wait}
}

// tells reports whether the refusal says something that only a valid
// credential may learn.
func (a refusal) tells() bool {
	return a.fault.Status != http.StatusUnauthorized && !a.ours && !a.limited
}

// reason names the refusal for the counters: a closed set.
func (a refusal) reason() string {
	if a.limited {
		return "tenant_limit"
	}
	if a.fault.Type != "" {
		return a.fault.Type
	}
	return strconv.Itoa(a.fault.Status)
}

func (a refusal) write(w http.ResponseWriter) {
	body, err := a.fault.MarshalJSON()
	if err != nil {
		panic(err) // strings and numbers
	}
	switch {
	case a.fault.Status == http.StatusUnauthorized, a.narrow:
		w.Header().Set("WWW-Authenticate", a.challenge())
	case a.retry > 0: // whole seconds: some clients cannot read a date there (Q13)
		w.Header().Set("Retry-After", strconv.FormatInt(int64((a.retry+time.Second-1)/time.Second), 10))
	}
	write(w, a.fault.Status, body)
}

// challenge names the scheme by which to authenticate, and says of a token that was
// brought that it does not hold, of every one the same, or is not for this (RFC 6750
// §3.1).
func (a refusal) challenge() string {
	switch {
	case a.narrow:
		return `Bearer realm="SCIM", error="insufficient_scope"`
	case a.brought:
		return `Bearer realm="SCIM", error="invalid_token"`
	}
	return `Bearer realm="SCIM"`
}
