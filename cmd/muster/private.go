package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// readPrivate reads a file that holds secrets, and refuses one that everybody
// may read or others may change. A group may read it: that is how container
// platforms mount secrets.
func readPrivate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if mode := stat.Mode().Perm(); mode&0o037 != 0 {
		return nil, fmt.Errorf("%s is of mode %04o: others may read or change it; chmod 600 %[1]s", path, mode)
	}
	return io.ReadAll(file)
}

// checkDataDir refuses a folder of --local whose files somebody else could put
// there: the key, or a socket behind which they play the database. One that is
// not there yet is nobody's.
func checkDataDir(dir string, uid int) error {
	stat, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usagef("data folder: %v", err)
	case !stat.IsDir():
		return usagef("data folder: %s is no folder", dir)
	}
	if owner, ok := stat.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != uid {
		return usagef("data folder: %s belongs to another user, who could change what is in it; choose another --data, or run as that user", dir)
	}
	if mode := stat.Mode().Perm(); mode&0o022 != 0 {
		return usagef("data folder: %s is of mode %04o: others could change what is in it; chmod go-w %[1]s", dir, mode)
	}
	return nil
}
