package store

import (
	"errors"
	"fmt"
)

// What the store answers when it is not a value. Doors translate these; every
// other error is ours to explain and is answered as a bare 500.
var (
	// ErrNotFound: no such living resource for this Directory. Another
	// tenant's or connection's id looks the same.
	ErrNotFound = errors.New("not found")
	// ErrUnauthenticated: the credential is unknown, expired or revoked, its
	// connection disabled or its tenant suspended. Which one is not said.
	ErrUnauthenticated = errors.New("not authenticated")
	// ErrInactive: who was to be new is here, inactive; nothing was changed.
	ErrInactive = errors.New("the user exists and is inactive")
	// ErrStale: If-Match names another version than the present one.
	ErrStale = errors.New("the version has changed")
	// ErrRedeclared: the tenant has declared schemas since the request was read;
	// nothing was done, and the request is to be read anew, by the new ones.
	ErrRedeclared = errors.New("the tenant's schemas have just changed")
	// ErrUnknownOutcome: a commit was sent and nobody knows whether it
	// happened and will last. Never acknowledge; the client asks again.
	ErrUnknownOutcome = errors.New("the outcome of the commit is not known")
	// ErrUnavailable: the database could not be asked; nothing was changed.
	ErrUnavailable = errors.New("the database is not available")
	// ErrBusy: too many requests of the tenant wait already; nothing was changed.
	ErrBusy = errors.New("too many requests of the tenant wait")
	// ErrTooMany: a filter or an order took longer than the statement timeout.
	ErrTooMany = errors.New("the query takes too long")
	// ErrBadCursor: not a cursor that was given to this connection for this query.
	ErrBadCursor = errors.New("not a cursor of this query")
	// ErrExpiredCursor: the cursor was given out longer ago than the timeout.
	ErrExpiredCursor = errors.New("the cursor has expired")
	// ErrOtherCount: the cursor was given to a query with another count.
	ErrOtherCount = errors.New("the count is not the cursor's")
	// ErrNotYet: the position asked for is not visible here.
	ErrNotYet = errors.New("the position is not visible yet")
	// ErrInvalidGrant: the code is unknown, used, expired or not this client's.
	ErrInvalidGrant = errors.New("invalid grant")
)

// A TakenError says that a unique attribute's value belongs to another living
// resource of the connection.
type TakenError struct{ Attribute string }

func (e *TakenError) Error() string { return e.Attribute + " is taken" }

// An ArgumentError is a mistake in what an admin asked for, in words for them.
type ArgumentError struct{ Message string }

func (e *ArgumentError) Error() string { return e.Message }

func badArgument(format string, args ...any) error {
	return &ArgumentError{Message: fmt.Sprintf(format, args...)}
}
