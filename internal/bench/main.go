// Bench measures the speed of the main job over HTTP, each figure beside raw
// PostgreSQL in the same run: a prepared, pipelined transaction that writes or
// reads the same rows without HTTP and without logic, and the single-row
// statement.
//
// The server runs as a process of its own, so that the CPU of server, database
// and load are told apart. PostgreSQL runs with fsync on. These are ratios to
// compare on one machine, not figures to compare between machines.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// options are what a run may be told.
type options struct {
	length     time.Duration // of a row
	only       string        // scenarios whose name contains it
	profile    string        // file for a CPU profile of the server
	statements bool          // count the database's statements
	people     int           // in the tenant before anything is measured
}

func main() {
	var o options
	serve := flag.String("serve", "", "internal: be the server process on this database URL")
	flag.DurationVar(&o.length, "length", 3*time.Second, "length of a row")
	flag.StringVar(&o.only, "only", "", "run only the scenarios whose name contains this")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the server to this file")
	flag.BoolVar(&o.statements, "statements", false, "say where the database's time goes (slower)")
	flag.IntVar(&o.people, "people", crowd, "people in the tenant before anything is measured, created over SCIM")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if *serve != "" {
		err = beServer(ctx, *serve, o.profile)
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A scenario prepares a world and measures rows in it.
type scenario struct {
	name  string
	run   func(ctx context.Context, w *world) error
	asked bool // takes minutes: runs only where it is asked for by its name
}

func scenarios() []scenario {
	return []scenario{
		{name: "create", run: create},
		{name: "look-up", run: lookUp},
		{name: "patch", run: patch},
		{name: "member", run: member},
		{name: "check", run: check},
		{name: "sign-in", run: signIn},
		{name: "first sync", run: firstSync, asked: true},
	}
}

func run(ctx context.Context, o options) error {
	w, err := newWorld(ctx, o)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.warm(ctx, o.people); err != nil {
		return err
	}
	fmt.Println(header)
	for _, s := range scenarios() {
		if !strings.Contains(s.name, o.only) || s.asked && o.only == "" {
			continue
		}
		err := s.run(ctx, w)
		if err == nil {
			err = w.printStatements(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	w.printVacuum()
	return nil
}
