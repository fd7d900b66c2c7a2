package terminal_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTerminal shows what a terminal would: it understands what mpb writes,
// which is text, new lines, "up n lines", and "clear from here on".
type fakeTerminal struct {
	mu       sync.Mutex
	lines    [][]rune
	row, col int
	raw      strings.Builder
	changed  chan struct{}
}

func newFakeTerminal() *fakeTerminal {
	return &fakeTerminal{lines: [][]rune{nil}, changed: make(chan struct{}, 1)}
}

func (f *fakeTerminal) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw.Write(p)
	text := []rune(string(p))
	for len(text) > 0 {
		used, err := f.take(text)
		if err != nil {
			return 0, err
		}
		text = text[used:]
	}
	select {
	case f.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

// take does what the beginning of text says, and returns how long that is.
func (f *fakeTerminal) take(text []rune) (used int, err error) {
	switch text[0] {
	case '\r':
		f.col = 0
	case '\n':
		f.row, f.col = f.row+1, 0
		if f.row == len(f.lines) {
			f.lines = append(f.lines, nil)
		}
	case '\x1b':
		end := slices.IndexFunc(text[2:], unicode.IsLetter) + 2
		return end + 1, f.control(string(text[2:end]), text[end])
	default:
		f.lines[f.row] = append(f.lines[f.row][:f.col], text[0])
		f.col++
	}
	return 1, nil
}

func (f *fakeTerminal) control(argument string, letter rune) error {
	switch letter {
	case 'A':
		up, err := strconv.Atoi(argument)
		f.row -= up
		return err
	case 'J':
		f.lines = f.lines[:f.row+1]
		f.lines[f.row] = f.lines[f.row][:min(f.col, len(f.lines[f.row]))]
	}
	return nil // m: a color
}

func (f *fakeTerminal) screen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := make([]string, len(f.lines))
	for i, line := range f.lines {
		lines[i] = string(line)
	}
	return strings.Join(lines, "\n")
}

// shows waits until the screen is that.
func (f *fakeTerminal) shows(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for f.screen() != want {
		select {
		case <-f.changed:
		case <-deadline:
			require.Equal(t, want, f.screen())
		}
	}
}

func facts(texts ...string) (cells []terminal.Cell) {
	for _, text := range texts {
		cells = append(cells, terminal.Cell{Text: text})
	}
	return cells
}

func TestBarsAreRedrawnInPlace(t *testing.T) {
	t.Parallel()
	fake := newFakeTerminal()
	bars := terminal.Screen{Out: fake, Live: true, Color: true, Width: 60}.NewBars(t.Context())
	bars.Set(terminal.Bar{Name: "users", Share: 0.25, Facts: facts("25.0%", "1.2k/s"), Style: terminal.Cyan})
	fake.shows(t, line("users", 10, 28, "25.0%", "1.2k/s"))

	bars.Set(terminal.Bar{Name: "a_long_name", Share: 1, Facts: facts("100%"), Note: terminal.Cell{Text: "waits for\nusers"}})
	bars.Set(terminal.Bar{Name: "users", Share: 0.5, Facts: facts("50.0%", "1.2k/s")})
	both := line("users      ", 16, 16, "50.0%", "1.2k/s") + line("a_long_name", 32, 0, " 100%") + "  └ waits for users\n"
	fake.shows(t, both)

	_, err := bars.Write([]byte("something happened\n"))
	require.NoError(t, err)
	fake.shows(t, "something happened\n"+both)

	bars.Set(terminal.Bar{Name: "users", Share: 1, Facts: facts("100%", "done")})
	bars.Close()
	require.Contains(t, fake.screen(), "done", "the last state is drawn")
	_, err = bars.Write([]byte("after\n"))
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(fake.screen(), "after\n"))
	require.Contains(t, fake.raw.String(), "\x1b[36m━")
}

func line(name string, done, rest int, facts ...string) string {
	return name + "  " + strings.Repeat("━", done) + strings.Repeat("─", rest) + "  " + strings.Join(facts, "  ") + "\n"
}

func TestBarsGiveWayWhereTheScreenIsNarrow(t *testing.T) {
	t.Parallel()
	fake := newFakeTerminal()
	bars := terminal.Screen{Out: fake, Live: true, Width: 32}.NewBars(t.Context())
	bars.Set(terminal.Bar{Name: "a_name_that_is_too_long", Share: -1, Facts: facts("25.0%", "1,000,000 rows", "1.2k/s")})
	fake.shows(t, "a_name_that_…  ┄┄┄┄┄┄┄┄┄┄  25.0%\n")
	bars.Close()
	require.NotContains(t, fake.raw.String(), "\x1b[0m", "no colors")
}

func TestBarsSurviveTheEchoOfCtrlC(t *testing.T) {
	t.Parallel()
	fake := newFakeTerminal()
	ctx, interrupt := context.WithCancel(t.Context())
	bars := terminal.Screen{Out: fake, Live: true, Width: 60}.NewBars(ctx)
	bars.Set(terminal.Bar{Name: "users", Share: 0.25, Facts: facts("25.0%", "1.2k/s")})
	want := line("users", 10, 28, "25.0%", "1.2k/s")
	fake.shows(t, want)
	_, err := fake.Write([]byte("^C"))
	require.NoError(t, err)
	interrupt()
	bars.Close()
	require.Equal(t, want, fake.screen())
}
