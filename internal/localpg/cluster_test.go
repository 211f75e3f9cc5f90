package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// childVariable makes this test binary the program that a test kills: it holds a
// value such as "start /tmp/folder" or "shared".
const childVariable = "MUSTER_LOCALPG_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		beChild(role)
	}
	os.Exit(m.Run())
}

// beChild runs a cluster, says where, and waits to be killed.
func beChild(role string) {
	start := func() (*Cluster, error) { return StartForTests(context.Background()) }
	if dir, found := strings.CutPrefix(role, "start "); found {
		start = func() (*Cluster, error) {
			return Start(context.Background(), Config{Dir: dir, Fsync: true})
		}
	}
	cluster, err := start()
	if err != nil {
		fmt.Println("child:", err)
		os.Exit(1)
	}
	fmt.Println(cluster.Dir())
	select {}
}

// reachable makes a folder that PostgreSQL's user can reach when the test is root's:
// t.TempDir would be of mode 0700.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "muster-localpg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// prepared returns a folder with the cluster of an earlier run, which a second less
// of initdb makes the quicker.
func prepared(t *testing.T) string {
	t.Helper()
	return copyCluster(t, filepath.Join(reachable(t), "cluster"))
}

// deep is prepared with a path too long for a socket.
func deep(t *testing.T) string {
	t.Helper()
	return copyCluster(t, filepath.Join(reachable(t), strings.Repeat("deep/", 30), "cluster"))
}

func copyCluster(t *testing.T, dir string) string {
	t.Helper()
	earlier, err := earlierRun()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", earlier.Dir(), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// earlierRun makes a cluster once and stops it. Its folder goes when the test binary does.
var earlierRun = sync.OnceValues(func() (*Cluster, error) {
	dir, err := os.MkdirTemp("/tmp", "muster-localpg-")
	if err != nil {
		return nil, err
	}
	lifeline, err := undertake(dir)
	if err != nil {
		return nil, err
	}
	cluster, err := Start(context.Background(), Config{Dir: dir})
	if err != nil {
		return nil, errors.Join(err, lifeline.Close())
	}
	err = cluster.Stop(context.Background())
	cluster.lifeline = lifeline
	return cluster, err
})

// start runs a durable cluster in dir until the test ends.
func start(t *testing.T, dir string) *Cluster {
	t.Helper()
	cluster, err := Start(t.Context(), Config{Dir: dir, Fsync: true})
	if err != nil {
		t.Fatalf("Start(%s): %v", dir, err)
	}
	t.Cleanup(func() { cluster.Stop(context.Background()) })
	return cluster
}

func query(t *testing.T, cluster *Cluster, sql string) string {
	t.Helper()
	out, err := cluster.Psql(t.Context(), "postgres", sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

const (
	writeSeven = `create table kept (n int); insert into kept values (7);`
	readKept   = `select n from kept;`
)

func TestClusterIsPrivate(t *testing.T) {
	dir := filepath.Join(reachable(t), "new", "cluster")
	cluster := start(t, dir)
	for name, want := range map[string]string{
		"listen_addresses":                  "",
		"fsync":                             "on",
		"full_page_writes":                  "on",
		"log_parameter_max_length":          "0",
		"log_parameter_max_length_on_error": "0",
		"lc_messages":                       "C",
		"server_encoding":                   "UTF8",
		"data_checksums":                    "on",
	} {
		if got := query(t, cluster, "show "+name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, private := range []string{dir, filepath.Join(dir, "data"), filepath.Join(dir, "socket")} {
		stat, err := os.Stat(private)
		if err != nil {
			t.Fatal(err)
		}
		if got := stat.Mode().Perm(); got != 0o700 {
			t.Errorf("mode of %s = %o, want 700", private, got)
		}
	}
}

func TestServerNeverRunsAsRoot(t *testing.T) {
	cluster := start(t, prepared(t))
	// Who wrote the pid file is who runs.
	stat, err := os.Stat(filepath.Join(cluster.Dir(), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	got := int(stat.Sys().(*syscall.Stat_t).Uid)
	if got == 0 {
		t.Errorf("PostgreSQL runs as root")
	}
	if own := os.Geteuid(); own != 0 && got != own {
		t.Errorf("PostgreSQL runs as uid %d, want the program's own, %d", got, own)
	}
}

func TestDataSurvivesAnOrderlyStop(t *testing.T) {
	dir := prepared(t)
	cluster := start(t, dir)
	query(t, cluster, writeSeven)
	if err := cluster.Stop(t.Context()); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if got := readLog(t, dir); !strings.Contains(got, "database system is shut down") {
		t.Errorf("log does not end with an orderly shutdown:\n%s", got)
	}
	if got := query(t, start(t, dir), readKept); got != "7" {
		t.Errorf("after a restart the row is %q, want 7", got)
	}
}

// After Stop the folder may be another program's.
func TestStoppedClusterLetsGoOfItsFolder(t *testing.T) {
	dir := prepared(t)
	first := start(t, dir)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	second := start(t, dir)
	if err := first.Stop(t.Context()); err != nil {
		t.Errorf("second Stop: %v, want nothing to happen", err)
	}
	if err := first.Restart(t.Context()); err == nil {
		t.Error("Restart after Stop succeeded beside the cluster that has the folder now")
	}
	if got := query(t, second, "select 1"); got != "1" {
		t.Errorf("the second cluster answers %q, want 1", got)
	}
}

func TestStopWithoutTimeLosesNothing(t *testing.T) {
	dir := prepared(t)
	cluster := start(t, dir)
	query(t, cluster, writeSeven)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cluster.Stop(ended); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if got := query(t, start(t, dir), readKept); got != "7" {
		t.Errorf("after a restart the row is %q, want 7", got)
	}
}

func TestSecondProgramIsRefused(t *testing.T) {
	dir := prepared(t)
	cluster := start(t, dir)
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("second Start: %v, want %v", err, ErrInUse)
	}
	if want := fmt.Sprintf("process %d", os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("second Start: %v; want it to name %s", err, want)
	}
	if got := query(t, cluster, "select 1"); got != "1" {
		t.Errorf("the first cluster answers %q, want 1", got)
	}
}

func TestOtherMajorVersionIsRefused(t *testing.T) {
	dir := prepared(t)
	cluster := start(t, dir)
	cluster.Stop(t.Context())
	version := filepath.Join(dir, "data", "PG_VERSION")
	if err := os.WriteFile(version, []byte("12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrOtherVersion) || !strings.Contains(err.Error(), "made by PostgreSQL 12") {
		t.Errorf("Start on a folder of version 12: %v, want %v and the version", err, ErrOtherVersion)
	}
}

func TestFolderTooDeepForASocket(t *testing.T) {
	dir := deep(t)
	cluster := start(t, dir)
	query(t, cluster, writeSeven)
	socket, err := os.Readlink(filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatalf("no link to the socket's folder: %v", err)
	}
	if stat, err := os.Stat(socket); err != nil || stat.Mode().Perm() != 0o700 {
		t.Errorf("socket's folder %s: %v, %v; want mode 0700", socket, stat, err)
	}
	if err := cluster.Stop(t.Context()); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Stop, %s: %v; want it removed", socket, err)
	}
	if got := query(t, start(t, dir), readKept); got != "7" {
		t.Errorf("after a restart the row is %q, want 7", got)
	}
}

func TestSocketFolderThatSomebodyElseTookIsNotUsed(t *testing.T) {
	dir, trap := deep(t), filepath.Join(reachable(t), "trap")
	start(t, dir).Stop(t.Context())
	if err := os.Mkdir(trap, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(trap, filepath.Join(dir, "socket")); err != nil {
		t.Fatal(err)
	}
	if got := start(t, dir).ServerURL("postgres"); strings.Contains(got, "trap") {
		t.Errorf("URL = %s: a folder that others may enter holds the socket", got)
	}
}

func TestFolderWithOtherFilesIsLeftAlone(t *testing.T) {
	dir := reachable(t)
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("Start in a folder with other files: %v, want a refusal that names one", err)
	}
	if stat, err := os.Stat(dir); err != nil || stat.Mode().Perm() != 0o755 {
		t.Errorf("the folder's mode is now %v (%v), want it unchanged", stat.Mode(), err)
	}
}

func TestInterruptedInitdbIsDoneAgain(t *testing.T) {
	dir := filepath.Join(reachable(t), "cluster")
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "muster.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := query(t, start(t, dir), "select 1"); got != "1" {
		t.Errorf("select 1 = %q", got)
	}
}

func TestAttachedClusterCannotBeStopped(t *testing.T) {
	cluster := start(t, prepared(t))
	attached, err := Attach(cluster.Dir())
	if err != nil {
		t.Fatalf("Attach: %v", err)
	}
	if got, want := attached.ServerURL("postgres"), cluster.ServerURL("postgres"); got != want {
		t.Errorf("attached URL = %s, want %s", got, want)
	}
	if err := attached.Stop(t.Context()); err == nil {
		t.Error("Stop of an attached cluster succeeded; it is another program's")
	}
	cluster.Stop(t.Context())
	if _, err := Attach(cluster.Dir()); err == nil {
		t.Error("Attach succeeded where nothing runs")
	}
}

func readLog(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// waitUntil returns once done holds; the test's own time limit bounds it.
func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
