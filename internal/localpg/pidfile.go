package localpg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pause is how long a wait for another process sleeps before it looks again.
const pause = 10 * time.Millisecond

// pidFile is what a running server says of itself in postmaster.pid (PostgreSQL's
// miscinit.c and pidfile.h): one fact a line, the later ones once it knows them.
type pidFile struct {
	pid    int
	socket string // the folder of the socket
	ready  bool
}

const (
	pidLine    = 0
	socketLine = 4
	statusLine = 7
)

// readPidFile reads the server's pid file; an absent or half-written one is [os.ErrNotExist].
func readPidFile(data string) (pidFile, error) {
	text, err := os.ReadFile(pidPath(data))
	if err != nil {
		return pidFile{}, err
	}
	return parsePidFile(string(text))
}

func parsePidFile(text string) (pidFile, error) {
	lines := append(strings.Split(text, "\n"), make([]string, statusLine+1)...)
	pid, err := strconv.Atoi(strings.TrimSpace(lines[pidLine]))
	if err != nil {
		return pidFile{}, fmt.Errorf("postmaster.pid names no process: %w", os.ErrNotExist)
	}
	return pidFile{
		pid:    pid,
		socket: strings.TrimSpace(lines[socketLine]),
		ready:  strings.TrimSpace(lines[statusLine]) == "ready",
	}, nil
}

func pidPath(data string) string { return filepath.Join(data, "postmaster.pid") }

// stopOrphan stops the server that an earlier program left running in the folder, if
// there is one, and makes the pid file of one that was killed harmless. The caller
// holds the folder's lock, so no living program needs that server.
func stopOrphan(ctx context.Context, f folder) error {
	data := f.data()
	file, err := readPidFile(data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !isServerOf(file.pid, data) {
		return disown(f)
	}
	if err := syscall.Kill(file.pid, syscall.SIGINT); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("stop PostgreSQL (process %d) that was left running in %s: %w", file.pid, data, err)
	}
	if err := waitFor(ctx, func() bool { return !isServerOf(file.pid, data) }); err != nil {
		return err
	}
	// One that was killed at that moment has left its pid file, and until somebody
	// reaps it its number still looks alive to PostgreSQL.
	left, err := readPidFile(data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || left.pid != file.pid {
		return err
	}
	return disown(f)
}

// isServerOf reports whether the process is alive and is the server of data, which
// is its working folder. After a reboot the number may be any other program's.
func isServerOf(pid int, data string) bool {
	if err := syscall.Kill(pid, 0); err == syscall.ESRCH {
		return false
	}
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		folder, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
		return err == nil && folder == data
	}
	command, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(command), " -D "+data+" ")
}

// disown replaces the process in the pid file by one that cannot exist: PostgreSQL
// would take any living process of that number for its server and not start. The
// rest of the file stays, because by it PostgreSQL finds out whether a process of
// the dead server still uses the shared memory.
func disown(f folder) error {
	text, err := os.ReadFile(pidPath(f.data()))
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	harmless := pidPath(f.data()) + ".new"
	if err := os.WriteFile(harmless, fmt.Appendf(nil, "%d\n%s", math.MaxInt32, rest), 0o600); err != nil {
		return err
	}
	return errors.Join(f.user.own(harmless), os.Rename(harmless, pidPath(f.data())))
}

// waitFor returns once done holds or the context ends.
func waitFor(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
