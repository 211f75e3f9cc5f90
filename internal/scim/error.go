package scim

import (
	"fmt"
	"net/http"

	elimity "github.com/elimity-com/scim/errors"
)

// Error is a refusal in the words of RFC 7644 §3.12. Its detail names the
// attribute or operation at fault, so that an administrator can act on it.
type Error struct {
	Status int    // HTTP status code
	Type   string // scimType of Table 9, or ""
	Detail string
}

// Error returns the status, the scimType and the detail on one line.
func (e *Error) Error() string { return e.wire().Error() }

// MarshalJSON returns the error message body of RFC 7644 §3.12.
func (e *Error) MarshalJSON() ([]byte, error) { return e.wire().MarshalJSON() }

func (e *Error) wire() elimity.ScimError {
	return elimity.ScimError{Status: e.Status, ScimType: elimity.ScimType(e.Type), Detail: e.Detail}
}

// Prefix returns e with where it happened in front of its detail.
func (e *Error) Prefix(format string, args ...any) *Error {
	return &Error{Status: e.Status, Type: e.Type, Detail: fmt.Sprintf(format, args...) + ": " + e.Detail}
}

func badRequest(t elimity.ScimType, format string, args []any) *Error {
	return refusal(http.StatusBadRequest, t, format, args)
}

func refusal(status int, t elimity.ScimType, format string, args []any) *Error {
	return &Error{Status: status, Type: string(t), Detail: fmt.Sprintf(format, args...)}
}

// BadFilter says that a filter is malformed or compares what cannot be compared.
func BadFilter(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeInvalidFilter, format, args)
}

// BadPath says that a path is malformed or names no attribute.
func BadPath(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeInvalidPath, format, args)
}

// BadSyntax says that a body is not the message it should be.
func BadSyntax(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeInvalidSyntax, format, args)
}

// BadValue says that a value is missing or does not fit its attribute.
func BadValue(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeInvalidValue, format, args)
}

// Mutability says that an attribute may not be changed that way.
func Mutability(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeMutability, format, args)
}

// NoTarget says that a path selects nothing to operate on.
func NoTarget(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeNoTarget, format, args)
}

// TooMany says that answering would cost more than the server is willing to spend.
func TooMany(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeTooMany, format, args)
}

// BadCursor says that a cursor is not one of the query it comes with (RFC 9865 §2.1).
func BadCursor(format string, args ...any) *Error { return badRequest("invalidCursor", format, args) }

// ExpiredCursor says that a cursor is too old (RFC 9865 §2.1).
func ExpiredCursor(format string, args ...any) *Error {
	return badRequest("expiredCursor", format, args)
}

// BadCount says that a count is none, or not that of the query that the cursor
// belongs to (RFC 9865 §2.1).
func BadCount(format string, args ...any) *Error { return badRequest("invalidCount", format, args) }

// BadVersion says that the SCIM protocol version is not supported.
func BadVersion(format string, args ...any) *Error {
	return badRequest(elimity.ScimTypeInvalidVersion, format, args)
}

// Uniqueness says that a value is taken: 409.
func Uniqueness(format string, args ...any) *Error {
	return refusal(http.StatusConflict, elimity.ScimTypeUniqueness, format, args)
}

// Sensitive says that a value must not stand in a URI: 403.
func Sensitive(format string, args ...any) *Error {
	return refusal(http.StatusForbidden, elimity.ScimTypeSensitive, format, args)
}

// NotFound says that there is no such resource: 404.
func NotFound(format string, args ...any) *Error {
	return Refuse(http.StatusNotFound, format, args...)
}

// Refuse is any other status; it carries no scimType.
func Refuse(status int, format string, args ...any) *Error {
	return refusal(status, "", format, args)
}
