package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
	"github.com/bbmd-dev/bbmd/registry"
)

// Serve does the tasks that bbmd sends, until it is told to end. It reads the
// plugin's name and version from plugin.json in the working directory, where
// bbmd starts programs. Its error says what is wrong with the Works, or with what bbmd sent.
func Serve(works ...registry.Work) error {
	raw, err := os.ReadFile("plugin.json")
	if err != nil {
		return fmt.Errorf("read the plugin's manifest: %w: a plugin is started by bbmd, in its directory", err)
	}
	var manifest struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return fmt.Errorf("read the plugin's manifest: %w", err)
	}
	out := os.Stdout
	os.Stdout = os.Stderr // what somebody prints is no message
	return ServeOn(os.Stdin, out, manifest.Name, manifest.Version, works...)
}

// ServeOn is Serve for other streams than the standard ones, for tests.
func ServeOn(in io.Reader, out io.Writer, name, version string, works ...registry.Work) error {
	known := registry.New()
	if err := known.Register(works...); err != nil {
		return err
	}
	s := &server{
		works: known, out: out, name: name, version: version,
		tasks: make(chan protocol.Host), answers: make(chan protocol.Host, 1),
		over: make(chan struct{}), ended: make(chan struct{}),
	}
	var readErr error
	go func() {
		defer close(s.over)
		readErr = s.read(in)
	}()
	if err := s.serve(); err != nil {
		close(s.ended)
		return err // nobody listens; the read ends with the stream, or with the program
	}
	return readErr // serve returned because over is closed
}

// server is one program's side of the protocol.
type server struct {
	works         *registry.Registry
	name, version string
	tasks         chan protocol.Host
	answers       chan protocol.Host
	over          chan struct{} // closed when nothing is read any more
	ended         chan struct{} // closed when nobody takes tasks any more

	writing sync.Mutex
	out     io.Writer

	mu      sync.Mutex
	current int64 // the task that is being done
	cancel  context.CancelFunc
}

var errShutdown = errors.New("bbmd is gone")

// read passes lines on to where they belong, until the stream ends.
func (s *server) read(in io.Reader) error {
	defer s.cancelTask(0)
	lines := protocol.NewReader(in, protocol.DefaultMaxLine)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from bbmd: %w", err)
		}
		message, err := protocol.DecodeHost(line)
		if err != nil {
			return fmt.Errorf("read from bbmd: %w", err)
		}
		switch m := message.(type) {
		case protocol.Init:
			if err := s.hello(m); err != nil {
				return err
			}
		case protocol.Shutdown:
			return nil
		case protocol.Cancel:
			s.cancelTask(m.ID)
		case protocol.Rows, protocol.OK, protocol.Error:
			s.deliver(m)
		default:
			select {
			case s.tasks <- m: // one at a time: serve takes it
			case <-s.ended:
				return nil
			}
		}
	}
}

// deliver hands in an answer, in the place of one that nobody waits for any more.
func (s *server) deliver(answer protocol.Host) {
	for {
		select {
		case s.answers <- answer:
			return
		default:
		}
		select {
		case <-s.answers:
		default:
		}
	}
}

func (s *server) hello(m protocol.Init) error {
	if m.Protocol != protocol.Version {
		return fmt.Errorf("bbmd speaks protocol %d and this program %d: build it with a matching bbmd", m.Protocol, protocol.Version)
	}
	names := []string{}
	for _, w := range s.works.Works() {
		names = append(names, w.Name)
	}
	return s.write(protocol.Hello{Protocol: protocol.Version, Name: s.name, Version: s.version, Works: names})
}

// cancelTask ends the task with that id, or with 0 any.
func (s *server) cancelTask(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil && (id == 0 || id == s.current) {
		s.cancel()
	}
}

func (s *server) write(m protocol.Child) error {
	line, err := protocol.EncodeChild(m)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err = s.out.Write(line)
	return err
}

// serve does one task after the other.
func (s *server) serve() error {
	for {
		select {
		case <-s.over:
			return nil
		case task := <-s.tasks:
			if err := s.do(task); err != nil {
				return fmt.Errorf("write to bbmd: %w", err)
			}
		}
	}
}

// do does one task and answers it.
func (s *server) do(message protocol.Host) error {
	id := idOf(message)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.mu.Lock()
	s.current, s.cancel = id, cancel
	s.mu.Unlock()
	answer := s.answer(ctx, id, message)
	s.mu.Lock()
	s.cancel = nil
	s.mu.Unlock()
	return s.write(answer)
}

func idOf(message protocol.Host) int64 {
	switch m := message.(type) {
	case protocol.Batch:
		return m.ID
	case protocol.Verify:
		return m.ID
	case protocol.Check:
		return m.ID
	default:
		return 0
	}
}

// answer does a task. A panic is the task's failure, and nobody else's end.
func (s *server) answer(ctx context.Context, id int64, message protocol.Host) (answer protocol.Child) {
	defer func() {
		if p := recover(); p != nil {
			answer = protocol.Fail{ID: id, Message: fmt.Sprintf("the Work panicked: %v", p)}
		}
	}()
	tx := &tx{server: s, id: id}
	var err error
	switch m := message.(type) {
	case protocol.Batch:
		answer, err = s.batch(ctx, tx, m)
	case protocol.Verify:
		answer, err = s.verify(ctx, tx, m)
	case protocol.Check:
		answer, err = s.check(ctx, tx, m)
	default:
		err = fmt.Errorf("unknown task %T", message)
	}
	tx.over = true
	if errors.Is(err, registry.ErrUnverifiable) {
		return protocol.Unverifiable{ID: id, Message: err.Error()}
	}
	if err != nil {
		return protocol.Fail{ID: id, Retryable: errors.Is(err, ErrRetry), Message: err.Error()}
	}
	return answer
}

// ErrRetry says, wrapped in a Work's error, that a failure is nobody's fault:
// the batch is tried again many times. Without it a batch that goes on to fail
// is narrowed down to the row that it fails for.
var ErrRetry = errors.New("try again later")
