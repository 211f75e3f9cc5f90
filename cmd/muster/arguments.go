package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// arguments checks how a command was called by its Use line, "log TENANT
// [REQUEST]" for one: each word behind its name is an argument, those in
// brackets may be left out. Then it checks that no required flag is missing.
func arguments(c *cobra.Command, args []string) error {
	words := strings.Fields(c.Use)[1:]
	least := 0
	for _, word := range words {
		if !strings.HasPrefix(word, "[") {
			least++
		}
	}
	if len(args) < least || len(args) > len(words) {
		return misused(c, fmt.Errorf("accepts %s, got %d", accepted(least, words), len(args)))
	}
	return misused(c, c.ValidateRequiredFlags())
}

// accepted says which arguments a command takes: "1 argument (SLUG)".
func accepted(least int, words []string) string {
	if len(words) == 0 {
		return "no argument"
	}
	count := counted(len(words), "argument", "arguments")
	if least < len(words) {
		count = fmt.Sprintf("%d to %s", least, count)
	}
	return fmt.Sprintf("%s (%s)", count, strings.Join(words, " "))
}

// misused says which command was called wrongly, how, and where its help is.
func misused(c *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	message := err.Error()
	if cause := errors.Unwrap(err); cause != nil && strings.HasPrefix(cause.Error(), "time: ") {
		message += "; a length of time has the units h, m and s: seven days are 168h"
	}
	if _, name, below := strings.Cut(c.CommandPath(), " "); below {
		message = name + ": " + message
	}
	return usagef("%s; %s --help has an example", message, c.CommandPath())
}
