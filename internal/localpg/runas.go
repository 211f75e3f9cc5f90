package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// runAs is the operating system's user that PostgreSQL runs as: never root.
type runAs struct {
	name     string
	uid, gid int
	drop     bool // the program is root and must change to this user
}

// chooseUser returns the user that the cluster in dir runs as: the program's own;
// for root the owner of dir if it exists, else "postgres", else "nobody".
func chooseUser(dir string) (runAs, error) {
	if uid := os.Geteuid(); uid != 0 {
		return runAs{name: "uid " + strconv.Itoa(uid), uid: uid, gid: os.Getegid()}, nil
	}
	if stat, err := os.Stat(dir); err == nil {
		if uid := stat.Sys().(*syscall.Stat_t).Uid; uid != 0 {
			return parseUser(user.LookupId(strconv.Itoa(int(uid))))
		}
	}
	return unprivileged(user.Lookup)
}

// unprivileged returns the user that a new cluster of root's runs as.
func unprivileged(lookup func(name string) (*user.User, error)) (runAs, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := lookup(name); err == nil && u.Uid != "0" {
			return parseUser(u, nil)
		}
	}
	return runAs{}, errors.New("PostgreSQL does not run as root, and this system has neither a user postgres nor nobody to run it as")
}

func parseUser(u *user.User, err error) (runAs, error) {
	if err != nil {
		return runAs{}, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return runAs{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return runAs{}, err
	}
	return runAs{name: u.Username, uid: uid, gid: gid, drop: true}, nil
}

// attributes makes a process run as the user, and in a session of its own: a
// Ctrl-C at the terminal reaches the program, which then stops the server in order.
func (u runAs) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if u.drop {
		attributes.Credential = &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.gid)}
	}
	return attributes
}

// own hands path to the user. A link itself is changed, not what it points to.
func (u runAs) own(path string) error {
	if !u.drop {
		return nil
	}
	return os.Lchown(path, u.uid, u.gid)
}

// owns reports whether path itself belongs to the user.
func (u runAs) owns(stat fs.FileInfo) bool {
	return int(stat.Sys().(*syscall.Stat_t).Uid) == u.uid
}

// checkReach returns an error that names the first folder above dir which the user
// may not enter. It judges by mode bits: a program that did not drop privileges
// has found out itself.
func (u runAs) checkReach(dir string) error {
	if !u.drop {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := u.checkReach(parent); err != nil {
			return err
		}
	}
	stat, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !u.mayEnter(stat) {
		return fmt.Errorf("the user %s, as whom PostgreSQL runs, may not enter %s (%v): choose a folder elsewhere, such as /var/lib/muster", u.name, dir, stat.Mode())
	}
	return nil
}

func (u runAs) mayEnter(stat fs.FileInfo) bool {
	unix := stat.Sys().(*syscall.Stat_t)
	switch {
	case int(unix.Uid) == u.uid:
		return stat.Mode()&0o100 != 0
	case int(unix.Gid) == u.gid:
		return stat.Mode()&0o010 != 0
	}
	return stat.Mode()&0o001 != 0
}
