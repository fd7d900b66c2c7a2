package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fleet is `bbmd run` on some databases, in one process.
type fleet struct {
	cmd     *exec.Cmd
	dir     string
	address string // of its probes
	ended   chan struct{}
	err     error // why it ended, to be read after ended
	output  output
}

// output keeps what a process says, and finds the address of its probes in it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	address chan string
}

func (o *output) line(text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(append(text, '\n'))
	var said struct {
		Message string `json:"msg"`
		Address string `json:"address"`
	}
	if json.Unmarshal(text, &said) == nil && said.Message == "serving probes and metrics" {
		select {
		case o.address <- said.Address:
		default:
		}
	}
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startFleet runs a program on the databases, and returns when it is ready: it listens on all of them.
func startFleet(ctx context.Context, program string, all []*database) (*fleet, error) {
	program, err := filepath.Abs(program) // it runs in a directory of its own
	if err != nil {
		return nil, fmt.Errorf("run bbmd: %w", err)
	}
	f := &fleet{ended: make(chan struct{}), output: output{address: make(chan string, 1)}}
	if f.dir, err = os.MkdirTemp("", "bbmd-bench-"); err != nil {
		return nil, fmt.Errorf("run bbmd: %w", err)
	}
	config := map[string]any{}
	for _, d := range all {
		config[d.name] = map[string]string{"url": d.url}
	}
	text, err := json.Marshal(map[string]any{
		"databases": config, "http": map[string]string{"listen": "127.0.0.1:0"}, "dashboard": map[string]string{"listen": ""}, "log": map[string]string{"format": "json"},
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dir, "bbmd.json"), text, 0o600)
	}
	if err == nil {
		err = f.start(ctx, program)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run bbmd: %w", err), os.RemoveAll(f.dir))
	}
	if err := f.ready(ctx); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fleet) start(ctx context.Context, program string) error {
	f.cmd = exec.CommandContext(ctx, program, "run", "--config", filepath.Join(f.dir, "bbmd.json")) //nolint:gosec // the program to measure
	f.cmd.Dir = f.dir
	f.cmd.Cancel = func() error { return f.cmd.Process.Signal(syscall.SIGTERM) }
	f.cmd.WaitDelay = closing
	said, err := f.cmd.StderrPipe()
	if err != nil {
		return err
	}
	f.cmd.Stdout = f.cmd.Stderr
	if err := f.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(f.ended)
		lines := bufio.NewScanner(said)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			f.output.line(bytes.Clone(lines.Bytes()))
		}
		_, _ = io.Copy(io.Discard, said) // a line that is too long shall not block it
		f.err = f.cmd.Wait()
	}()
	return nil
}

// ready waits until all databases are listened on.
func (f *fleet) ready(ctx context.Context) error {
	const patience = 3 * time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("bbmd was not ready within three minutes"))
	defer cancel()
	select {
	case f.address = <-f.output.address:
	case <-f.ended:
		return fmt.Errorf("bbmd ended: %w: %s", f.err, f.output.String())
	case <-ctx.Done():
		return fmt.Errorf("%w: %s", context.Cause(ctx), f.output.String())
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := f.get(ctx, "/readyz"); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-f.ended:
			return fmt.Errorf("bbmd ended: %w: %s", f.err, f.output.String())
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), f.output.String())
		}
	}
}

func (f *fleet) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.address+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s says %s", path, response.Status)
	}
	return string(text), err
}

// memory is what a process has, in MB.
type memory struct {
	resident, heap float64
	routines       int
}

func (m memory) String() string {
	return fmt.Sprintf("%.0f MB resident, %.1f MB of heap in use, %d goroutines", m.resident, m.heap, m.routines)
}

// memory reads the process's memory, from the system and from its metrics.
func (f *fleet) memory(ctx context.Context) (m memory, err error) {
	text, err := f.get(ctx, "/metrics")
	if err != nil {
		return m, fmt.Errorf("read bbmd's metrics: %w", err)
	}
	for name, to := range map[string]func(float64){
		"process_resident_memory_bytes": func(v float64) { m.resident = v / (1 << 20) },
		"go_memstats_heap_inuse_bytes":  func(v float64) { m.heap = v / (1 << 20) },
		"go_goroutines":                 func(v float64) { m.routines = int(v) },
	} {
		_, rest, found := strings.Cut(text, "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(value, 64)
		if !found || err != nil {
			return m, fmt.Errorf("bbmd has no metric %s", name)
		}
		to(v)
	}
	return m, nil
}

func (f *fleet) close() {
	_ = f.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-f.ended
	_ = os.RemoveAll(f.dir)
}
