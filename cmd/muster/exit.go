package main

import (
	"errors"
	"fmt"

	"github.com/muster-id/muster/internal/store"
	"github.com/muster-id/muster/internal/store/registry"
)

// The exit codes, as rootText tells them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3
	exitMissing = 4
)

// errRefused: the answer is no, and has been printed.
var errRefused = errors.New("refused")

// A usageError is a mistake in how the program was called; nothing was done.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// A missingError says what is not there, and how to see what is.
type missingError struct{ message string }

func (e *missingError) Error() string { return e.message }

// missing gives a store's or registry's "not found" the words for what was
// looked for. Other errors stay.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, registry.ErrNotFound) {
		return &missingError{fmt.Sprintf(format, args...)}
	}
	return err
}

// exit prints the error of a command, unless it has been said, and returns the
// exit code.
func (p *program) exit(err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errRefused) {
		return exitRefused
	}
	fmt.Fprintln(p.errs, "muster:", err)
	if advice := advice(err); advice != "" {
		fmt.Fprintln(p.errs, "muster:", advice)
	}
	return p.code(err)
}

func (p *program) code(err error) int {
	_, missing := errors.AsType[*missingError](err)
	_, usage := errors.AsType[*usageError](err)
	_, argument := errors.AsType[*store.ArgumentError](err)
	_, registered := errors.AsType[*registry.ArgumentError](err)
	switch {
	case missing:
		return exitMissing
	case usage, argument, registered, !p.began:
		return exitUsage
	}
	return exitFailed
}

// advice is what to do about an error that does not say so itself.
func advice(err error) string {
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return "is the database up, and is its address right? muster config shows it"
	case errors.Is(err, store.ErrUnknownOutcome):
		return "nobody knows whether it happened: look, and do it again if it did not"
	}
	return ""
}
