package localpg

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
)

// SharedVariable is the environment variable that names the folder of the cluster
// which one run of many tests uses.
const SharedVariable = "MUSTER_TEST_CLUSTER"

// Test is what [Shared] needs of a [testing.TB].
type Test interface {
	Helper()
	Fatalf(format string, arguments ...any)
}

// Shared returns the cluster for tests: the one that `make test` has started, or one
// for this test binary, which ends with it, however it ends. It is never stopped by
// a test and runs without fsync; a test of durability starts its own.
func Shared(t Test) *Cluster {
	t.Helper()
	cluster, err := shared()
	if err != nil {
		t.Fatalf("shared test cluster: %v", err)
	}
	return cluster
}

var shared = sync.OnceValues(func() (*Cluster, error) {
	if dir := os.Getenv(SharedVariable); dir != "" {
		return Attach(dir)
	}
	return StartForTests(context.Background())
})

// StartForTests runs a cluster in a new folder below /tmp, with whatever change sets.
// Both end with Stop or with the program, however it ends.
func StartForTests(ctx context.Context, change ...func(*Config)) (*Cluster, error) {
	dir, err := os.MkdirTemp("/tmp", "muster-test-")
	if err != nil {
		return nil, err
	}
	lifeline, err := undertake(dir)
	if err != nil {
		return nil, err
	}
	config := Config{Dir: dir, Settings: map[string]string{"max_connections": "400"}}
	for _, c := range change {
		c(&config)
	}
	cluster, err := Start(ctx, config)
	if err != nil {
		return nil, errors.Join(err, lifeline.Close())
	}
	cluster.lifeline = lifeline
	return cluster, nil
}

// undertake starts a process that waits until the returned line is closed, which
// the end of this program does too; then it stops the server in dir and removes dir.
// A deferred call would not run in a test binary that panics, times out or is killed.
func undertake(dir string) (io.Closer, error) {
	const script = `
		cat
		pid=$(head -n 1 "$1/data/postmaster.pid") && kill -INT "$pid"
		tries=0
		while [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries + 1)); done
		rm -rf "$1"`
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	undertaker := exec.Command("/bin/sh", "-c", script, "sh", dir)
	undertaker.Stdin, undertaker.SysProcAttr = theirs, runAs{}.attributes()
	return ours, undertaker.Start()
}
