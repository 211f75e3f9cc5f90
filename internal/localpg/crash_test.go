package localpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestDataSurvivesAKillOfTheServer(t *testing.T) {
	cluster := start(t, prepared(t))
	query(t, cluster, writeSeven)
	before := cluster.OwnerURL("postgres")
	if err := cluster.Kill(t.Context()); err != nil {
		t.Fatalf("Kill: %v", err)
	}
	<-cluster.Exited()
	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatalf("Restart: %v", err)
	}
	if got := query(t, cluster, readKept); got != "7" {
		t.Errorf("after kill -9 the row is %q, want 7", got)
	}
	if got := cluster.OwnerURL("postgres"); got != before {
		t.Errorf("after kill -9 the URL is %q, was %q", got, before)
	}
	if got := readLog(t, cluster.Dir()); !strings.Contains(got, "automatic recovery in progress") {
		t.Errorf("log does not speak of recovery:\n%s", got)
	}
}

// A process of a killed server may take a while to notice. It keeps the shared memory
// in use, and PostgreSQL refuses to start beside it.
func TestRestartWaitsForProcessesOfAKilledServer(t *testing.T) {
	said := make(chan string, 100)
	cluster, err := Start(t.Context(), Config{Dir: prepared(t), Fsync: true, Log: writerFunc(func(line string) { said <- line })})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Stop(context.Background())
	go cluster.Psql(context.Background(), "postgres", `select pg_sleep(600);`)
	var sleeper int
	waitUntil(t, func() bool {
		sleeper, _ = strconv.Atoi(query(t, cluster, `select pid from pg_stat_activity where query like 'select pg_sleep%';`))
		return sleeper != 0
	})
	if err := syscall.Kill(sleeper, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Kill(t.Context()); err != nil {
		t.Fatalf("Kill: %v", err)
	}

	restarted := make(chan error)
	go func() { restarted <- cluster.Restart(context.Background()) }()
	if got := <-said; !strings.Contains(got, "waiting") {
		t.Errorf("Restart beside a living process of the killed server says %q, want that it waits", got)
	}
	if err := syscall.Kill(sleeper, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-restarted; err != nil {
		t.Errorf("Restart: %v", err)
	}
}

type writerFunc func(line string)

func (f writerFunc) Write(line []byte) (int, error) {
	f(string(line))
	return len(line), nil
}

func TestServerOfAKilledProgramIsStoppedAndItsDataKept(t *testing.T) {
	dir := prepared(t)
	_, child := startChild(t, "start "+dir)
	orphan, err := Attach(dir)
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	query(t, orphan, writeSeven)
	kill(t, child)
	if got := query(t, orphan, readKept); got != "7" {
		t.Fatalf("the server that outlived its program answers %q, want 7", got)
	}

	cluster := start(t, dir)
	if cluster.Pid() == orphan.Pid() || syscall.Kill(orphan.Pid(), 0) == nil && !isZombie(orphan.Pid()) {
		t.Errorf("process %d, whose program was killed, still runs beside %d", orphan.Pid(), cluster.Pid())
	}
	if got := query(t, cluster, readKept); got != "7" {
		t.Errorf("after kill -9 of the program the row is %q, want 7", got)
	}
}

func TestDataSurvivesAKillOfProgramAndServer(t *testing.T) {
	dir := prepared(t)
	_, child := startChild(t, "start "+dir)
	orphan, err := Attach(dir)
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	query(t, orphan, writeSeven)
	kill(t, child)
	if err := syscall.Kill(orphan.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := query(t, start(t, dir), readKept); got != "7" {
		t.Errorf("after kill -9 of both the row is %q, want 7", got)
	}
}

func TestClusterForTestsEndsWithItsProgram(t *testing.T) {
	dir, child := startChild(t, "shared")
	kill(t, child)
	waitUntil(t, func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
}

// startChild runs beChild in a process of its own and returns the folder of its cluster.
func startChild(t *testing.T, role string) (dir string, child *os.Process) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "/") {
		t.Fatalf("child said %q, %v; want the folder of its cluster", line, err)
	}
	return strings.TrimSpace(line), cmd.Process
}

func kill(t *testing.T, process *os.Process) {
	t.Helper()
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	process.Wait()
}

// isZombie reports whether the process has ended and nobody has asked how: in a
// container the first process may adopt orphans and never ask.
func isZombie(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(status), ") Z ")
}
