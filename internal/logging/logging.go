package logging

import (
	"io"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// timeFormat is how a line for people tells the time: local, to the
// millisecond. JSON has RFC 3339 in UTC.
const timeFormat = "15:04:05.000"

// New returns a logger that writes to w as log says, and the level that can be
// changed while it is used. It reads NO_COLOR and TERM from the environment.
func New(w io.Writer, log config.Log) (*slog.Logger, *slog.LevelVar) {
	return newLogger(w, log, isTerminal(w), os.Getenv)
}

func newLogger(w io.Writer, log config.Log, terminal bool, getenv func(string) string) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(log.Level)
	if log.Format == config.LogJSON || log.Format != config.LogText && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replaceJSON})), level
	}
	color := terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level: level, ReplaceAttr: replaceText, TimeFormat: timeFormat, NoColor: !color,
	})), level
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
