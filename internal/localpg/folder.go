package localpg

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	lockName = "muster.lock"
	// maxSocketPath is the longest path of a Unix socket, in bytes: 107 on Linux, 103 on macOS.
	maxSocketPath = 103
	socketName    = ".s.PGSQL.5432"
	// maxLog is the size in bytes from which Start puts the log aside.
	maxLog = 8 << 20
)

// ErrInUse says that another program runs the cluster in the folder.
var ErrInUse = errors.New("another program runs PostgreSQL in this folder")

// folder is the cluster's folder, which belongs to it alone.
type folder struct {
	path string // absolute, without links
	user runAs
}

func (f folder) data() string   { return filepath.Join(f.path, "data") }
func (f folder) log() string    { return filepath.Join(f.path, "postgres.log") }
func (f folder) socket() string { return filepath.Join(f.path, "socket") }

// openFolder makes dir, or takes it if it is empty or a cluster's, with mode 0700
// and for the user that PostgreSQL runs as.
func openFolder(dir string) (folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return folder{}, err
	}
	user, err := chooseUser(dir)
	if err != nil {
		return folder{}, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return folder{}, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return folder{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return folder{}, err
	}
	f := folder{dir, user}
	return f, f.claim()
}

// claim makes the folder private. It refuses one that holds anything else, whose
// owner and mode are not ours to change.
func (f folder) claim() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(f.path, lockName)); err != nil && len(entries) > 0 {
		return fmt.Errorf("%s holds other files (%s): choose a folder that is empty or does not exist", f.path, entries[0].Name())
	}
	if err := f.user.own(f.path); err != nil {
		return err
	}
	if err := os.Chmod(f.path, 0o700); err != nil {
		return err
	}
	return f.user.checkReach(f.path)
}

// lock makes the program the only one that runs the cluster, until the file is
// closed or the program ends, however it ends.
func (f folder) lock() (*os.File, error) {
	path := filepath.Join(f.path, lockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(file, 64))
		file.Close()
		return nil, fmt.Errorf("%w: %s is held by process %s: stop that one first, or choose another folder", ErrInUse, f.path, strings.TrimSpace(string(holder)))
	}
	if err := errors.Join(f.user.own(path), sign(file)); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// sign writes into the lock's file whose it is, for the one who is refused.
func sign(lock *os.File) error {
	err := lock.Truncate(0)
	_, writeErr := fmt.Fprintln(lock, os.Getpid())
	return errors.Join(err, writeErr)
}

// openLog opens the log for appending, after putting a long one aside.
func (f folder) openLog() (*os.File, error) {
	if stat, err := os.Stat(f.log()); err == nil && stat.Size() > maxLog {
		if err := os.Rename(f.log(), f.log()+".old"); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(f.log(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return file, f.user.own(f.log())
}

// openSocket returns the folder of the socket, of mode 0700: in the cluster's own
// folder, or, where that would be too long a path for a socket, below /tmp with a
// link to it. What an earlier server left there is removed.
func (f folder) openSocket() (string, error) {
	socket, err := f.makeSocket()
	if err != nil {
		return "", err
	}
	for _, name := range []string{socketName, socketName + ".lock"} {
		if err := os.Remove(filepath.Join(socket, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return socket, nil
}

func (f folder) makeSocket() (string, error) {
	if len(filepath.Join(f.socket(), socketName)) <= maxSocketPath {
		// A link is left when the folder was moved here from a longer path.
		return f.socket(), errors.Join(f.removeSocket(), f.makePrivate(f.socket()))
	}
	if target, err := os.Readlink(f.socket()); err == nil && f.isPrivate(target) {
		return target, nil
	}
	target, err := os.MkdirTemp("/tmp", "muster-pg-")
	if err != nil {
		return "", err
	}
	if err := f.makePrivate(target); err != nil {
		return "", err
	}
	if err := os.Remove(f.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return target, os.Symlink(target, f.socket())
}

func (f folder) makePrivate(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return f.user.own(path)
}

// isPrivate reports whether path is a folder that nobody but the cluster's user may
// enter: a name below /tmp may have been taken by anybody since.
func (f folder) isPrivate(path string) bool {
	stat, err := os.Lstat(path)
	return err == nil && stat.IsDir() && stat.Mode().Perm() == 0o700 && f.user.owns(stat)
}

// removeSocket removes a socket's folder below /tmp, which would be litter.
func (f folder) removeSocket() error {
	target, err := os.Readlink(f.socket())
	if err != nil {
		return nil // the folder is within the cluster's
	}
	return errors.Join(os.RemoveAll(target), os.Remove(f.socket()))
}

// logTail returns the end of the log, for an error that must say why.
func (f folder) logTail() string {
	text, err := os.ReadFile(f.log())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "\n")
}
