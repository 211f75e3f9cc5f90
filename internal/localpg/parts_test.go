package localpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for out, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 9.6.24\n":                         9,
		"psql (PostgreSQL) 15.18\n":                              0,
		"":                                                       0,
	} {
		got, err := parseVersion(out)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("parseVersion(%q) = %d, %v; want %d", out, got, err, want)
		}
	}
}

func TestChooseBinaries(t *testing.T) {
	v14, v15, v17 := binaries{"/14", 14}, binaries{"/15", 15}, binaries{"/17", 17}
	tests := []struct {
		name  string
		found []binaries
		made  string // PG_VERSION of the data folder; "" for a new one
		want  binaries
		err   error
	}{
		{"a new folder takes the first that serves", []binaries{v14, v17, v15}, "", v17, nil},
		{"an old folder keeps its version after an upgrade of the system", []binaries{v17, v15}, "15", v15, nil},
		{"the version that made the folder is gone", []binaries{v17}, "15", binaries{}, ErrOtherVersion},
		{"the version that made the folder is too old", []binaries{v14}, "14", binaries{}, ErrOtherVersion},
		{"only an old one is installed", []binaries{v14}, "", binaries{}, ErrNoPostgres},
		{"none is installed", nil, "", binaries{}, ErrNoPostgres},
		{"none is installed, and the folder has data", nil, "15", binaries{}, ErrNoPostgres},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := t.TempDir()
			if test.made != "" {
				write(t, filepath.Join(data, "PG_VERSION"), test.made+"\n")
			}
			got, err := chooseBinaries(test.found, data)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("chooseBinaries(%v) = %v, %v; want %v, %v", test.found, got, err, test.want, test.err)
			}
		})
	}
}

func TestUnprivilegedUserIsNeverRoot(t *testing.T) {
	postgres, nobody := &user.User{Username: "postgres", Uid: "101", Gid: "104"}, &user.User{Username: "nobody", Uid: "65534", Gid: "65534"}
	tests := []struct {
		name  string
		users []*user.User
		want  string // "": refused
	}{
		{"both", []*user.User{nobody, postgres}, "postgres"},
		{"no postgres", []*user.User{nobody}, "nobody"},
		{"a postgres that is root in disguise", []*user.User{{Username: "postgres", Uid: "0", Gid: "0"}, nobody}, "nobody"},
		{"neither", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := unprivileged(func(name string) (*user.User, error) {
				for _, u := range test.users {
					if u.Username == name {
						return u, nil
					}
				}
				return nil, user.UnknownUserError(name)
			})
			if got.name != test.want || (err == nil) != (test.want != "") {
				t.Errorf("unprivileged() = %q, %v; want %q", got.name, err, test.want)
			}
		})
	}
}

func TestUnreachableFolderIsNamed(t *testing.T) {
	closed := filepath.Join(reachable(t), "closed")
	inside := filepath.Join(closed, "inside")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	stranger := runAs{name: "stranger", uid: 54321, gid: 54321, drop: true}
	if err := stranger.checkReach(inside); err != nil {
		t.Fatalf("checkReach of an open folder: %v", err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := stranger.checkReach(inside); err == nil || !strings.Contains(err.Error(), closed+" ") {
		t.Errorf("checkReach = %v, want it to name %s", err, closed)
	}
}

func TestParsePidFile(t *testing.T) {
	const full = "4711\n/d/data\n1790000000\n5432\n/d/socket\n\n  131072  5\nready   \n"
	tests := []struct {
		name, text string
		want       pidFile
		err        error
	}{
		{"running", full, pidFile{4711, "/d/socket", true}, nil},
		{"starting", strings.Replace(full, "ready   ", "starting", 1), pidFile{4711, "/d/socket", false}, nil},
		{"cut short", full[:12], pidFile{4711, "", false}, nil},
		{"empty", "", pidFile{}, os.ErrNotExist},
		{"no number", "postgres\n", pidFile{}, os.ErrNotExist},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parsePidFile(test.text)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("parsePidFile(%q) = %+v, %v; want %+v, %v", test.text, got, err, test.want, test.err)
			}
		})
	}
}

// After a reboot the number of the killed server may be another program's of the
// same user. PostgreSQL itself would refuse to start.
func TestStalePidOfAnotherProcessDoesNotBlockTheStart(t *testing.T) {
	config := Config{Dir: prepared(t)}
	cluster, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := os.ReadFile(pidPath(cluster.folder.data()))
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cluster.lock.Close(); err != nil {
		t.Fatal(err)
	}
	bystander := exec.Command("sleep", "600")
	bystander.SysProcAttr = cluster.folder.user.attributes()
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bystander.Process.Kill(); bystander.Wait() })
	_, rest, _ := strings.Cut(string(pid), "\n")
	write(t, pidPath(cluster.folder.data()), fmt.Sprintf("%d\n%s", bystander.Process.Pid, rest))

	again, err := Start(t.Context(), config)
	if err != nil {
		t.Fatalf("Start beside a stranger of the killed server's number: %v", err)
	}
	defer again.Stop(t.Context())
	if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was stopped: %v", err)
	}
}

func TestLongLogIsPutAside(t *testing.T) {
	f := folder{path: t.TempDir()}
	write(t, f.log(), strings.Repeat("x", maxLog+1))
	log, err := f.openLog()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if stat, err := os.Stat(f.log()); err != nil || stat.Size() != 0 {
		t.Errorf("the new log: %v, %v; want it empty", stat, err)
	}
	if _, err := os.Stat(f.log() + ".old"); err != nil {
		t.Errorf("the old log is gone: %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
