package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A usage is the CPU time that each side has used so far.
type usage struct{ server, database, load time.Duration }

func (u usage) minus(v usage) usage {
	return usage{u.server - v.server, u.database - v.database, u.load - v.load}
}

// readUsage adds up processes as Linux counts them. The database is the
// postmaster, its children, and those of its children that have ended.
func readUsage(server, postmaster int) (usage, error) {
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return usage{}, err
	}
	u := usage{load: time.Duration(self.Utime.Nano() + self.Stime.Nano())}
	var err error
	if u.server, _, err = processTime(server); err != nil {
		return usage{}, err
	}
	u.database, err = treeTime(postmaster)
	return u, err
}

func treeTime(postmaster int) (time.Duration, error) {
	own, ended, err := processTime(postmaster)
	total := own + ended
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", postmaster))
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(text)) {
			pid, _ := strconv.Atoi(field)
			if t, _, err := processTime(pid); err == nil {
				total += t
			}
		}
	}
	return total, err
}

// processTime reads a process's CPU time and that of its ended children.
func processTime(pid int) (own, children time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	var ticks [4]int64
	for i := range ticks {
		ticks[i], _ = strconv.ParseInt(fields[11+i], 10, 64)
	}
	const tick = 10 * time.Millisecond // Linux counts at 100 Hz
	return time.Duration(ticks[0]+ticks[1]) * tick, time.Duration(ticks[2]+ticks[3]) * tick, nil
}
