package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine describes where and in what company the measurement ran.
type machine struct {
	cores                   int
	processor               string // its model
	realTime                bool   // no other process was let in between
	server                  string // its version
	loadBefore, loadAfter   string // averages over 1, 5 and 15 minutes
	flushBefore, flushAfter time.Duration
	began                   time.Time
	took                    time.Duration
}

// realTime reports whether this process, and with it the server that it starts, goes before all
// others (chrt), which is how to measure on a busy machine.
func realTime() bool {
	const policy, normal = 38, "0" // counted from the state
	stat, err := readStat(os.Getpid())
	return err == nil && len(stat) > policy && stat[policy] != normal
}

// processor returns the model of the first one; empty where the system does not tell.
func processor() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for text := range strings.Lines(string(content)) {
		if key, value, found := strings.Cut(text, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func load() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(content))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// begin looks at the machine before the measurement. dir is on the server's disk.
func (m *machine) begin(dir string) (err error) {
	m.cores, m.processor = runtime.NumCPU(), processor()
	m.began, m.loadBefore, m.realTime = time.Now(), load(), realTime()
	m.flushBefore, err = flushTime(dir)
	return err
}

func (m *machine) end(dir string) (err error) {
	m.took, m.loadAfter = time.Since(m.began), load()
	m.flushAfter, err = flushTime(dir)
	return err
}

// flushTime measures what a commit waits for: the median time to flush 8 kB.
func flushTime(dir string) (p50 time.Duration, err error) {
	file, err := os.CreateTemp(dir, "flush")
	if err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	page := make([]byte, 8192)
	const tries = 101
	all := make([]float64, 0, tries)
	if _, err := file.Write(make([]byte, len(page)*tries)); err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	if err := file.Sync(); err != nil {
		return 0, fmt.Errorf("measure fsync: %w", err)
	}
	for i := range int64(tries) {
		began := time.Now()
		if _, err := file.WriteAt(page, i*int64(len(page))); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		if err := flush(file); err != nil {
			return 0, fmt.Errorf("measure fsync: %w", err)
		}
		all = append(all, float64(time.Since(began)))
	}
	return time.Duration(median(all)), nil
}

// version returns the version of a module in this program.
func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == module {
				return m.Version
			}
		}
	}
	return "(unknown version)"
}
