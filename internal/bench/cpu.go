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

func (u usage) plus(v usage) usage {
	return usage{u.server + v.server, u.database + v.database, u.load + v.load}
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
	if u.server, err = processTime(server); err != nil {
		return usage{}, err
	}
	u.database, err = treeTime(postmaster)
	return u, err
}

func treeTime(postmaster int) (time.Duration, error) {
	total, err := processTime(postmaster)
	if err != nil {
		return 0, err
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", postmaster))
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(text)) {
			pid, _ := strconv.Atoi(field)
			if t, err := processTime(pid); err == nil { // it may have ended since
				total += t
			}
		}
	}
	ended, err := endedTime(postmaster)
	return total + ended, err
}

// processTime reads the CPU time of a process's threads, in nanoseconds.
func processTime(pid int) (total time.Duration, err error) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if len(threads) == 0 {
		return 0, fmt.Errorf("process %d: Linux tells no CPU time of it", pid)
	}
	for _, path := range threads {
		text, _ := os.ReadFile(path) // a thread may have ended since
		used, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(used, 10, 64)
		total += time.Duration(n)
	}
	return total, nil
}

// endedTime reads the CPU time of a process's children that have ended.
func endedTime(pid int) (total time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	const tick = 10 * time.Millisecond // Linux counts these at 100 Hz
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	for _, field := range fields[13:15] {
		ticks, _ := strconv.ParseInt(field, 10, 64)
		total += time.Duration(ticks) * tick
	}
	return total, nil
}
