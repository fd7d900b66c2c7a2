package initialize

import (
	"context"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// Target is the database that a runner brings up.
type Target struct {
	Connect       func(ctx context.Context) (*pgx.Conn, error)
	URL           string
	Table         history.Record
	Fresh, Shadow bool
	Log           io.Writer
}

func (t Target) inside() target {
	return target{
		connect: t.Connect, url: func() (string, error) { return t.URL, nil },
		table: t.Table, fresh: t.Fresh, shadow: t.Shadow, log: t.Log,
	}
}

// Watch is told of steps. A nil function is not called.
type Watch struct {
	Started, Done func(ctx context.Context, step history.Step) error
}

func (w Watch) started(ctx context.Context, step history.Step) error {
	if w.Started == nil {
		return nil
	}
	return w.Started(ctx, step)
}

func (w Watch) done(ctx context.Context, step history.Step) error {
	if w.Done == nil {
		return nil
	}
	return w.Done(ctx, step)
}

func (w Watch) next(ctx context.Context, done, step history.Step) error {
	if err := w.done(ctx, done); err != nil {
		return err
	}
	return w.started(ctx, step)
}

// RunSteps brings a history up.
func RunSteps(ctx context.Context, s Spec, t Target, tool history.Tool, files history.Files, pending []history.Step, w Watch) error {
	r, err := newRunner(s, tool, files)
	if err != nil {
		return err
	}
	return r.run(ctx, t.inside(), pending, w)
}

// ApplicationName is what a runner's sessions are called.
var ApplicationName = applicationName

// DeclaredModels are models that were read.
type DeclaredModels struct{ declared }

// ReadModels reads models.
func ReadModels(ctx context.Context, s Spec, output io.Writer) (*DeclaredModels, error) {
	m, err := readModels(ctx, s, output)
	if err != nil {
		return nil, err
	}
	return &DeclaredModels{m}, nil
}

// Apply runs the models.
func (m *DeclaredModels) Apply(ctx context.Context, tx pgx.Tx) error { return m.apply(ctx, tx) }

// Checksum is that of the models.
func (m *DeclaredModels) Checksum() string { return m.checksum() }

// Names are the files of the models.
func (m *DeclaredModels) Names() []string { return m.names() }

// Piece is a statement of a script.
type Piece struct {
	Text string
	Line int
	Rows *string
	Meta bool
}

// Split takes a script apart.
func Split(file, text string) ([]Piece, error) {
	all, err := split(file, text)
	return pieces(all), err
}

// Checked is what is left of a script to run.
func Checked(file, text string) ([]Piece, error) {
	all, err := split(file, text)
	if err != nil {
		return nil, err
	}
	kept, err := check(file, all)
	return pieces(kept), err
}

func pieces(all []statement) []Piece {
	var out []Piece
	for _, s := range all {
		out = append(out, Piece{Text: s.text, Line: s.line, Rows: s.rows, Meta: s.meta})
	}
	return out
}

// Retry tries something as often as limits say.
func (l Limits) TryAgain(ctx context.Context, attempt func() error, note func(error, time.Duration)) error {
	return l.retry(ctx, attempt, contended, note)
}

// LinkFor makes a connection string one that programs understand.
func LinkFor(conn string) (url, options string, hide func(string) string, err error) {
	l, err := linkFor(conn)
	return l.url, l.options, newMask(l.secrets...).apply, err
}

// Keywords reads keyword=value pairs.
var Keywords = keywords

// RefusalIn is what the server refused, as a program's last lines say.
func RefusalIn(lines ...string) error {
	o := output{log: io.Discard}
	for _, line := range lines {
		o.add(line)
	}
	return o.refusal()
}

// What a program's lines say of Alembic.
var (
	RevisionOf  = revisionOf
	TracedLine  = tracedLine
	StatementIn = statementIn
)

// Parts are the calls of Alembic, and what each is to upgrade to.
func Parts(files history.Files, pending []history.Step, fresh bool) ([][]string, error) {
	var all [][]string
	for _, part := range parts(pending, target{fresh: fresh}) {
		targets, err := alembicRunner{files: files}.targets(part)
		if err != nil {
			return nil, err
		}
		all = append(all, targets)
	}
	return all, nil
}

// AlembicCall is how Alembic is called, and where.
func AlembicCall(s Spec) (argv []string, dir string, err error) { return s.alembic("upgrade", "heads") }

// ReportWaits says for whom a runner's sessions wait.
func ReportWaits(ctx context.Context, s Spec, t Target, every time.Duration) (stop func()) {
	return reportWaits(ctx, s, t.inside(), every, every)
}

// Event waits for news, at most for so long.
var Event = event

// Lines cuts what is written in pieces into lines.
func Lines(pieces ...string) []string {
	var lines []string
	w := &lineWriter{line: func(line string) { lines = append(lines, line) }}
	for _, piece := range pieces {
		_, _ = w.Write([]byte(piece))
	}
	w.flush()
	return lines
}
