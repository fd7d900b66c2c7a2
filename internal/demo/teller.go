package demo

import (
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// teller writes the story: above the progress while there is some.
type teller struct {
	screen terminal.Screen
	steps  int

	mu  sync.Mutex
	out io.Writer
}

func newTeller(s terminal.Screen) *teller { return &teller{screen: s, out: s.Out} }

// redirect makes the story go to out.
func (t *teller) redirect(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = out
}

// Write writes whole lines. That it could not be written is found out by those
// who write more than a story.
func (t *teller) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(text)
}

func (t *teller) say(text string) { _, _ = io.WriteString(t, text) }

func (t *teller) intro() {
	t.say(t.screen.Paint(terminal.Bold, "bbmd demo") + "\n" +
		"A backfill is paused once, and its daemon is killed once, in the middle of it.\n" +
		"In the end every row must have been changed exactly once.\n")
}

// step begins a part of the story.
func (t *teller) step(title string) {
	t.steps++
	t.say(fmt.Sprintf("\n%s %s\n", t.screen.Paint(terminal.Cyan, fmt.Sprintf("%d.", t.steps)), t.screen.Paint(terminal.Bold, title)))
}

const indent = "   "

// fact tells what happened.
func (t *teller) fact(format string, args ...any) {
	for _, line := range terminal.Wrap(fmt.Sprintf(format, args...), max(0, t.screen.Width-len(indent))) {
		t.say(indent + line + "\n")
	}
}

// sql shows a statement.
func (t *teller) sql(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		t.say(indent + "  " + t.screen.Paint(terminal.Yellow, line) + "\n")
	}
}

// verdict shows the result of a proof.
func (t *teller) verdict(good bool, format string, args ...any) {
	mark := t.screen.Paint(terminal.Green, "✓ ")
	if !good {
		mark = t.screen.Paint(terminal.Red, "✗ ")
	}
	t.say(indent + mark + fmt.Sprintf(format, args...) + "\n")
}

// command shows what one may type; why says what for, where that needs words.
func (t *teller) command(text, why string) {
	if why != "" {
		why = t.screen.Paint(terminal.Dim, "  # "+why)
	}
	t.say(indent + "  " + t.screen.Paint(terminal.Yellow, text) + why + "\n")
}

func (s *story) whatNext() {
	bbmd := s.options.Command
	s.say("\n" + s.screen.Paint(terminal.Bold, "What next") + "\n")
	s.fact("The server of this story is gone. To look around in one that stays:")
	s.command(bbmd+" demo --keep", "")
	s.fact("On a database of your own:")
	s.command("export DATABASE_URL=postgres://user@host/database", "")
	s.command(bbmd+" doctor", "what would stop it")
	s.command(bbmd+" run", "the daemon")
	s.command(bbmd+" works", "what it can do without a line of Go")
	s.command(bbmd+" enqueue execute_sql TABLE --set sql='UPDATE … WHERE :range' --watch", "")
}

// addresses says how to reach what stays.
func (s *story) addresses() {
	bbmd := s.options.Command
	s.say("\n" + s.screen.Paint(terminal.Bold, "What next") + "\n")
	s.fact("Server and daemon stay until Ctrl-C, and are gone then. In another terminal:")
	psql := "psql"
	if found, ok := s.server.Binaries().Path(psql); ok {
		psql = found
	}
	s.command("export DATABASE_URL='"+s.server.URL(database)+"'", "")
	s.command(bbmd+" status", "")
	s.command(bbmd+" status "+migration, "its history: who did what, and when")
	s.command(bbmd+" enqueue execute_sql "+table+" --name again --watch \\", "")
	s.command("  --set sql='UPDATE "+table+" SET abalance = abalance + 1 WHERE :range'", "")
	s.command(bbmd+" pause again", "from a third terminal; then resume")
	s.command(psql+` "$DATABASE_URL" -c 'SELECT name, status, percent, status_reason FROM bbm.progress'`, "")
	if address := s.daemon.address(); address != "" {
		s.command("curl http://"+path.Join(address, "metrics"), "")
	}
}
