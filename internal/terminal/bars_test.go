package terminal_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/bbmd-dev/bbmd/internal/terminal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTerminal shows what a terminal would: it understands what mpb writes,
// which is text, new lines, and "up n lines and clear from there on".
type fakeTerminal struct {
	mu      sync.Mutex
	lines   []string
	raw     strings.Builder
	changed chan struct{}
}

func newFakeTerminal() *fakeTerminal {
	return &fakeTerminal{lines: []string{""}, changed: make(chan struct{}, 1)}
}

func (f *fakeTerminal) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw.Write(p)
	text := string(p)
	for text != "" {
		switch {
		case text[0] == '\n':
			f.lines = append(f.lines, "")
			text = text[1:]
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexAny(text[2:], "AJm") + 2
			if text[end] == 'A' {
				up, err := strconv.Atoi(text[2:end])
				if err != nil {
					return 0, fmt.Errorf("unknown sequence %q", text[:end+1])
				}
				f.lines = append(f.lines[:len(f.lines)-1-up], "")
			}
			text = text[end+1:]
		default:
			r := []rune(text)[0]
			f.lines[len(f.lines)-1] += string(r)
			text = text[len(string(r)):]
		}
	}
	select {
	case f.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (f *fakeTerminal) screen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.lines, "\n")
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
	bars := terminal.Screen{Out: fake, Live: true, Color: true, Width: 60}.NewBars()
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
	bars := terminal.Screen{Out: fake, Live: true, Width: 32}.NewBars()
	bars.Set(terminal.Bar{Name: "a_name_that_is_too_long", Share: -1, Facts: facts("25.0%", "1,000,000 rows", "1.2k/s")})
	fake.shows(t, "a_name_that_…  ┄┄┄┄┄┄┄┄┄┄  25.0%\n")
	bars.Close()
	require.NotContains(t, fake.raw.String(), "\x1b[0m", "no colors")
}
