package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/muster-id/muster/internal/store"
)

// A fault is an error answer in OAuth's words (RFC 6749 §5.2).
type fault struct {
	status      int
	code        string
	description string
	challenge   bool // the client did not authenticate: RFC 6749 §5.2 wants WWW-Authenticate
	guess       bool // credentials or a code that do not hold
	ours        bool // not the client's doing: the cause belongs in the log

	retry time.Duration // worth sending again after that time; 0: not
}

func (f *fault) Error() string { return f.code + ": " + f.description }

func badRequest(format string, args ...any) error {
	return &fault{status: http.StatusBadRequest, code: "invalid_request", description: fmt.Sprintf(format, args...)}
}

func invalidGrant(description string) error {
	return &fault{status: http.StatusBadRequest, code: "invalid_grant", description: description}
}

var errInvalidClient = &fault{
	status: http.StatusUnauthorized, code: "invalid_client", challenge: true, guess: true,
	description: "the client is not known, or its secret is wrong, or it does not serve this tenant",
}

// wireError is the one translator of errors for machines. What it does not know
// is ours: a bare 500 with a reference.
func (i *Issuer) wireError(r *http.Request, err error) *fault {
	reference := func() string { return "reference " + i.config.RequestID(r).String() }
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	switch {
	case errors.Is(err, store.ErrUnauthenticated):
		return errInvalidClient
	case errors.Is(err, store.ErrInvalidGrant):
		return &fault{status: http.StatusBadRequest, code: "invalid_grant", guess: true,
			description: "the code is unknown, used, expired or another client's, or redirect_uri or code_verifier do not belong to it"}
	case errors.Is(err, store.ErrNotYet):
		return &fault{status: http.StatusConflict, code: "not_yet", description: "the position is not visible here yet; ask again"}
	case errors.Is(err, store.ErrBusy):
		return &fault{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "too many requests wait already; ask again", retry: time.Second}
	case unavailable(err):
		return &fault{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: reference(), ours: true, retry: time.Second}
	}
	return &fault{status: http.StatusInternalServerError, code: "server_error", description: reference(), ours: true}
}

// unavailable reports whether asking again may help.
func unavailable(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknownOutcome) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// tooManyFailures is what a client is told that has brought too many credentials
// or codes that do not hold. Those that hold are never counted and always served.
func tooManyFailures(wait time.Duration) *fault {
	return &fault{status: http.StatusTooManyRequests, code: "temporarily_unavailable", retry: wait,
		description: "too many requests from this address with credentials or codes that do not hold"}
}

// tooManyRequests is what a client is told whose tenant sends more than it may.
func tooManyRequests(wait time.Duration) *fault {
	return &fault{status: http.StatusTooManyRequests, code: "temporarily_unavailable", retry: wait,
		description: "the tenant sends more requests than it may; send fewer at once"}
}

// seconds is d in whole seconds, rounded up, as Retry-After has it.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// serve calls a handler for machines and answers its error.
func (i *Issuer) serve(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		if err == nil {
			return
		}
		f := i.judge(r, err)
		if f.ours {
			i.log.ErrorContext(r.Context(), "request failed", "request", i.config.RequestID(r), "path", r.URL.Path, "error", err)
		}
		i.config.Refused(f.code)
		f.write(w)
	}
}

// A clientError is why a client that is known gets no token.
type clientError struct {
	error
	client *store.Client
}

func (e *clientError) Unwrap() error { return e.error }

// judge says what a client is told about err. What a known client is refused stands in its
// tenant's provisioning log, unless the address has brought too much that does not hold:
// whoever knows a client's id, which is no secret, would fill that log with guesses.
func (i *Issuer) judge(r *http.Request, err error) *fault {
	f := i.wireError(r, err)
	if f.guess {
		if wait := i.config.Failed(r); wait > 0 {
			return tooManyFailures(wait)
		}
	}
	if known, ok := errors.AsType[*clientError](err); ok && !f.ours {
		known.client.Refused(i.came(r), f.status, f.code, err)
	}
	return f
}

func (f *fault) write(w http.ResponseWriter) {
	if f.challenge {
		w.Header().Set("WWW-Authenticate", `Basic realm="muster", charset="UTF-8"`)
	}
	if f.retry > 0 {
		w.Header().Set("Retry-After", seconds(f.retry))
	}
	writeJSON(w, f.status, map[string]string{"error": f.code, "error_description": f.description})
}

// writeJSON writes an answer that no cache may keep.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own strings and numbers
	}
	noStore(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body)
}

// A pageError ends an authorization request on a page: the redirect URI is not
// to be trusted.
type pageError struct {
	reason string
	client string // of a registered application, for the log
}

func (e *pageError) Error() string { return e.reason }

// page calls a handler for browsers and shows its error.
func (i *Issuer) page(handle func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		if err == nil {
			return
		}
		reason := "internal"
		if p, ok := errors.AsType[*pageError](err); ok {
			reason = p.reason
			i.log.InfoContext(r.Context(), "sign-in refused", "request", i.config.RequestID(r), "reason", p.reason, "client", p.client)
		} else {
			if unavailable(err) {
				reason = "unavailable"
			}
			i.log.ErrorContext(r.Context(), "request failed", "request", i.config.RequestID(r), "path", r.URL.Path, "error", err)
		}
		i.config.Page(w, r, reason)
	}
}
