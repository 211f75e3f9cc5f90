package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A key that others may read is no secret, and one that others may change is
// whatever they like.
func TestAFileThatOthersReachIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for mode, good := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o700: true,
		0o440: true, 0o640: true, 0o644: false, 0o604: false, 0o660: false, 0o602: false, 0o620: false, 0o666: false,
	} {
		if err := os.WriteFile(path, []byte(newKey()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		key, err := (&settings{KeyFile: path}).readKey()
		if good != (err == nil) || good != (len(key) == 32) {
			t.Errorf("mode %04o: got %d bytes, %v", mode, len(key), err)
		}
		if !good && (err == nil || !strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Errorf("mode %04o: %v does not say what to do", mode, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADataFolderOfOthersIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := makeDataDir(dir); err != nil {
		t.Fatalf("a new folder: %v", err)
	}
	for mode, good := range map[os.FileMode]bool{0o711: true, 0o755: true, 0o700: true, 0o731: false, 0o713: false, 0o777: false, 0o777 | os.ModeSticky: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := makeDataDir(dir); good != (err == nil) || !good && !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("mode %v: %v", mode, err)
		}
		s := settings{Local: true, DataDir: dir}
		if _, err := s.runningDatabase(); err == nil || good == strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("a command beside mode %v: %v", mode, err)
		}
		if _, _, err := s.owner(""); err == nil || good == strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("migrate beside mode %v: %v", mode, err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := checkDataDir(dir, os.Geteuid()+1); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("somebody else's folder: %v", err)
	}
	if err := makeDataDir("/dev/null"); err == nil {
		t.Error("what is no folder was taken")
	}
}
