package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// peerPatience bounds one answer of a peer.
const peerPatience = 3 * time.Minute

// peer is a process of the program testing/bench/peers: what bbmd is measured beside.
type peer struct {
	name     string // with its version
	settings string

	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	stderr bytes.Buffer
	cpu    time.Duration // of the process so far
}

// peerRequest is what a peer is asked for: see the program.
type peerRequest struct {
	Do     string        `json:"do"`
	URL    string        `json:"url,omitempty"`
	Dir    string        `json:"dir,omitempty"`
	Rest   time.Duration `json:"rest,omitempty"`
	Within time.Duration `json:"within,omitempty"`
	Table  string        `json:"table,omitempty"`
	First  int64         `json:"first,omitempty"`
	Last   int64         `json:"last,omitempty"`
	Size   int           `json:"size,omitempty"`
}

type peerAnswer struct {
	Name     string        `json:"name"`
	Settings string        `json:"settings"`
	Took     time.Duration `json:"took"`
	CPU      time.Duration `json:"cpu"`
	Runs     int           `json:"runs"`
	Jobs     int           `json:"jobs"`
	Error    string        `json:"error"`
}

// startPeer starts a peer, and returns when it is ready.
func startPeer(ctx context.Context, o Options, arguments ...string) (*peer, error) {
	p := &peer{cmd: exec.CommandContext(ctx, o.Peers, arguments...)} //nolint:gosec // the program that this one was given
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = closing
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", arguments[0], err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", arguments[0], err)
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", arguments[0], err)
	}
	p.name = arguments[0]
	ready, err := p.answer(ctx)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.name, p.settings = ready.Name, ready.Settings
	return p, nil
}

// ask sends a request and waits for its answer.
func (p *peer) ask(ctx context.Context, q peerRequest) (peerAnswer, error) {
	if err := json.NewEncoder(p.in).Encode(q); err != nil {
		return peerAnswer{}, fmt.Errorf("ask %s: %w", p.name, err)
	}
	return p.answer(ctx)
}

// answer waits for one line, and ends the process where it does not come.
func (p *peer) answer(ctx context.Context) (a peerAnswer, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, peerPatience, fmt.Errorf("no answer within %s", peerPatience))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() }) // the answer then ends, too
	defer stop()
	if err := p.out.Decode(&a); err != nil {
		return a, fmt.Errorf("%s: %w", p.name, errors.Join(err, context.Cause(ctx)))
	}
	p.cpu = a.CPU
	if a.Error != "" {
		return a, fmt.Errorf("%s: %s", p.name, a.Error)
	}
	return a, nil
}

// close ends the process, by the end of its input.
func (p *peer) close() error {
	err := p.in.Close()
	if err := errors.Join(err, p.cmd.Wait()); err != nil {
		return fmt.Errorf("end %s: %w: %s", p.name, err, bytes.TrimSpace(p.stderr.Bytes()))
	}
	return nil
}

// with runs do with a peer, and ends the peer.
func with(ctx context.Context, o Options, arguments []string, do func(*peer) error) error {
	p, err := startPeer(ctx, o, arguments...)
	if err != nil {
		return err
	}
	return errors.Join(do(p), p.close())
}
