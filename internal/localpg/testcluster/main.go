// Testcluster runs a command beside a PostgreSQL cluster for tests, which it starts
// before and removes after: `testcluster go test ./...` gives all test binaries of
// the run one cluster instead of one each. It exits as the command does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/muster-id/muster/internal/localpg"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
	}
	os.Exit(code)
}

func run(command []string) (int, error) {
	if len(command) == 0 {
		return 2, errors.New("usage: testcluster command [argument ...]")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cluster, err := localpg.StartForTests(ctx)
	if err != nil {
		return 1, err
	}
	code, err := runBeside(ctx, cluster, command)
	return code, errors.Join(err, cluster.Stop(context.Background()))
}

// runBeside runs the command with the cluster's folder in its environment. When ctx
// ends the command is interrupted, and waited for: its tests need the cluster.
func runBeside(ctx context.Context, cluster *localpg.Cluster, command []string) (int, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), localpg.SharedVariable+"="+cluster.Dir())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
