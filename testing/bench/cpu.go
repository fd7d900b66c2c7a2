package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// serverCPU returns the CPU time of all processes that the server's first process
// has started, those that have ended included, and false where the system does not tell.
// Of the ended ones it knows hundredths of seconds: rough for one slice, exact for many.
func serverCPU(postmaster int) (time.Duration, bool) {
	stat, err := readStat(postmaster)
	if err != nil {
		return 0, false
	}
	const childrenUser, childrenSystem = 13, 14 // cutime and cstime, counted from the state
	total, ok := ticks(stat, childrenUser, childrenSystem)
	if !ok {
		return 0, false
	}
	for _, pid := range childrenOf(postmaster) {
		total += running(pid)
	}
	return total, true
}

// running returns the CPU time of a process that may have ended: its parent has the time then.
func running(pid int) time.Duration {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0
	}
	nanoseconds, _, _ := strings.Cut(string(content), " ")
	n, err := strconv.ParseInt(nanoseconds, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n)
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) []int {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var children []int
	parent := strconv.Itoa(pid)
	for _, path := range paths {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if stat, err := readStat(child); err == nil && len(stat) > 1 && stat[1] == parent {
			children = append(children, child)
		}
	}
	return children
}

// readStat returns the fields of a process's stat from the state on: the name before it may
// hold anything.
func readStat(pid int) ([]string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, rest, found := bytes.Cut(content, []byte(") "))
	if !found {
		return nil, fmt.Errorf("read /proc/%d/stat: no name in it", pid)
	}
	return strings.Fields(string(rest)), nil
}

func ticks(stat []string, fields ...int) (time.Duration, bool) {
	const tick = 10 * time.Millisecond // USER_HZ, which is 100 wherever Linux runs
	var total time.Duration
	for _, f := range fields {
		if f >= len(stat) {
			return 0, false
		}
		n, err := strconv.ParseInt(stat[f], 10, 64)
		if err != nil {
			return 0, false
		}
		total += time.Duration(n) * tick
	}
	return total, true
}

// alive reports whether a process is there.
func alive(pid uint32) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}
