package process

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

const (
	longestLogged = 8 << 10 // bytes of a line
	mostLogged    = 100     // lines in a second
)

// lineLog passes what a program says to people on to the log, as much of it as
// people can read. It is safe for concurrent use.
type lineLog struct {
	log *slog.Logger

	mu      sync.Mutex
	second  time.Time
	lines   int
	dropped int
}

// copy logs lines until there are none.
func (l *lineLog) copy(ctx context.Context, from io.ReadCloser) {
	defer func() { _ = from.Close() }() // it was only read
	lines := bufio.NewReaderSize(from, longestLogged)
	for {
		line, more, err := lines.ReadLine()
		if len(line) > 0 {
			l.print(ctx, level(line), strings.ToValidUTF8(string(line), "?"))
		}
		for more && err == nil { // what is too long for the log
			_, more, err = lines.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

// said logs a message of the protocol.
func (l *lineLog) said(ctx context.Context, m protocol.Log) {
	text := m.Message
	if len(text) > longestLogged {
		text = strings.ToValidUTF8(text[:longestLogged], "")
	}
	var at slog.Level
	if at.UnmarshalText([]byte(m.Level)) != nil {
		at = slog.LevelInfo
	}
	l.print(ctx, at, text)
}

func (l *lineLog) print(ctx context.Context, at slog.Level, text string) {
	dropped, ok := l.take(time.Now())
	if dropped > 0 {
		l.log.WarnContext(ctx, "the plugin says more than is logged", "dropped_lines", dropped)
	}
	if ok {
		l.log.Log(ctx, at, "the plugin says", "text", text)
	}
}

// take counts a line, and returns how many were dropped in the seconds before.
func (l *lineLog) take(now time.Time) (dropped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.second) >= time.Second {
		dropped, l.second, l.lines, l.dropped = l.dropped, now, 0, 0
	}
	if l.lines++; l.lines > mostLogged {
		l.dropped++
		return 0, false
	}
	return dropped, true
}

// level reads the prefix that some programs give their lines.
func level(line []byte) slog.Level {
	switch {
	case len(line) < 2 || line[1] != '!':
		return slog.LevelInfo
	case line[0] == 'E':
		return slog.LevelError
	case line[0] == 'W':
		return slog.LevelWarn
	case line[0] == 'D':
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}
