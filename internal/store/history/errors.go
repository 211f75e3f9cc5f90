package history

import "errors"

// ErrNotFound: the log holds no such request. It may have expired.
var ErrNotFound = errors.New("not found")

// An ArgumentError is a mistake in what was asked for, in words for an admin.
type ArgumentError struct{ Message string }

func (e *ArgumentError) Error() string { return e.Message }
