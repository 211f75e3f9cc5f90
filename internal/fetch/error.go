package fetch

import (
	"errors"
	"fmt"
	"log/slog"
)

// The classes of failure. Their texts are all that an error of this package says in public.
var (
	// ErrURL: the address is not one that may be asked, judged by its spelling alone.
	ErrURL = errors.New("not an acceptable https address")
	// ErrUnreachable: the identity provider did not answer, or not usably. Closed ports,
	// forbidden addresses, TLS failures and bad documents look the same.
	ErrUnreachable = errors.New("the identity provider cannot be reached or its answer cannot be used")
	// ErrRefused: the identity provider refused, or its ID Token is not acceptable.
	ErrRefused = errors.New("the sign-in at the identity provider was not accepted")
)

// Error is a failure whose text is safe to show to a tenant and whose cause is not.
type Error struct {
	Class error // ErrURL, ErrUnreachable or ErrRefused
	cause error
}

// Error returns the text of the class.
func (e *Error) Error() string { return e.Class.Error() }

// Unwrap lets errors.Is find the class and the cause.
func (e *Error) Unwrap() []error { return []error{e.Class, e.cause} }

// LogValue tells a structured log what Error does not.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(slog.String("class", e.Class.Error()), slog.String("detail", e.cause.Error()))
}

// Detail returns what happened, for the operator's log and never for a tenant.
// For an error of another package it is the error's own text.
func Detail(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.cause.Error()
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func badURL(format string, args ...any) error {
	return &Error{Class: ErrURL, cause: fmt.Errorf(format, args...)}
}

func unreachable(format string, args ...any) error {
	return &Error{Class: ErrUnreachable, cause: fmt.Errorf(format, args...)}
}

func refused(format string, args ...any) error {
	return &Error{Class: ErrRefused, cause: fmt.Errorf(format, args...)}
}
