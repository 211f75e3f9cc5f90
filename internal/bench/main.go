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

func main() {
	serve := flag.String("serve", "", "internal: be the server process on this database URL")
	seconds := flag.Float64("seconds", 3, "seconds a cell")
	only := flag.String("only", "", "run only the scenarios whose name contains this")
	profile := flag.String("profile", "", "write a CPU profile of the server to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := error(nil)
	if *serve != "" {
		err = beServer(ctx, *serve, *profile)
	} else {
		err = run(ctx, time.Duration(*seconds*float64(time.Second)), *only, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A scenario prepares a world and measures cells in it.
type scenario struct {
	name string
	run  func(ctx context.Context, w *world) error
}

func scenarios() []scenario {
	return []scenario{
		{"create", create},
		{"look-up", lookUp},
		{"patch", patch},
		{"member", member},
		{"check", check},
	}
}

func run(ctx context.Context, cell time.Duration, only, profile string) error {
	w, err := newWorld(ctx, cell, profile)
	if err != nil {
		return err
	}
	defer w.close()
	fmt.Println(header)
	for _, s := range scenarios() {
		if !strings.Contains(s.name, only) {
			continue
		}
		if err := s.run(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
