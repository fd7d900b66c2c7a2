package executor_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
)

// process stands for the operating system's process that a replica is in life:
// what happens to it happens to all of its connections at once.
type process struct {
	mu     sync.Mutex
	wires  map[*wire]struct{}
	dead   bool
	frozen chan struct{} // closed when it goes on; nil: it runs
	tapped bool
	writes [][]byte // what was written while tapped
}

// wire is a connection of a process.
type wire struct {
	net.Conn
	process *process
}

func newProcess() *process { return &process{wires: make(map[*wire]struct{})} }

var errDead = errors.New("the process was killed by the test")

func (p *process) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.running()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		_ = conn.Close()
		return nil, errDead
	}
	w := &wire{Conn: conn, process: p}
	p.wires[w] = struct{}{}
	return w, nil
}

// kill closes every connection and lets no new one be opened, as the kernel
// does for a process that is killed.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for w := range p.wires {
		_ = w.Conn.Close()
	}
}

// freeze stops the process as SIGSTOP does: its kernel goes on to acknowledge what arrives.
func (p *process) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// thaw lets a frozen process go on.
func (p *process) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// running waits while the process is frozen.
func (p *process) running() {
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (w *wire) Read(data []byte) (int, error) {
	n, err := w.Conn.Read(data)
	w.process.running()
	return n, err
}

func (w *wire) Write(data []byte) (int, error) {
	w.process.running()
	w.process.mu.Lock()
	if w.process.tapped {
		w.process.writes = append(w.process.writes, slices.Clone(data))
	}
	w.process.mu.Unlock()
	return w.Conn.Write(data)
}

func (w *wire) Close() error {
	w.process.mu.Lock()
	delete(w.process.wires, w)
	w.process.mu.Unlock()
	return w.Conn.Close()
}

// record keeps everything that is written from now on, write by write.
func (p *process) record() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tapped = true
}

// recorded returns what was written since record.
func (p *process) recorded() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tapped = false
	return p.writes
}
