package notify

import (
	"errors"
	"strings"
)

var (
	// ErrTransactionPooler means that LISTEN does not survive on this
	// connection: whoever configures it has to name a direct one.
	ErrTransactionPooler = errors.New("the connection goes through a transaction pooler, " +
		"which drops LISTEN between statements, so no notification would ever arrive: " +
		"set listen_url to a direct connection (or a session-mode pool) of the same database")

	// ErrStandby means that the server is read-only and has no events: it is
	// promoted before long, or whoever configures it has to name the primary.
	ErrStandby = errors.New("the server is a hot standby, which has no events of its own: " +
		"point listen_url at the primary, or name all hosts in it with target_session_attrs=primary; after a failover this ends when it is promoted")

	// ErrCannotStream means that the database does not let its events be streamed,
	// and what has to be done about it: somebody has to set or grant something, or
	// choose the other source.
	ErrCannotStream = errors.New("events cannot be streamed")

	// ErrRunning means that a source was run while it is running. One source
	// is one connection; make a second one.
	ErrRunning = errors.New("the listener is already running")
)

// lineError is an error whose text fits on one line and holds no secret. The
// chain behind it stays, for errors.Is and errors.As.
type lineError struct {
	text string
	err  error
}

func (e *lineError) Error() string { return e.text }
func (e *lineError) Unwrap() error { return e.err }

// oneLine makes err fit for logs: on one line, without the secret. An error that
// held it loses its chain, since every link of it may be printed.
func oneLine(err error, secret string) error {
	raw := err.Error()
	if secret != "" && strings.Contains(raw, secret) {
		return errors.New(squeeze(strings.ReplaceAll(raw, secret, "xxxxx")))
	}
	if text := squeeze(raw); text != raw {
		return &lineError{text: text, err: err}
	}
	return err
}

// squeeze puts text on one line. Lines that say the same are said once: a server
// that is away is away with and without TLS.
func squeeze(text string) string {
	var line strings.Builder
	said := make(map[string]bool)
	for part := range strings.Lines(text) {
		part = strings.Join(strings.Fields(part), " ")
		if part == "" || said[part] {
			continue
		}
		if len(said) > 0 {
			if !strings.HasSuffix(line.String(), ":") {
				line.WriteByte(';')
			}
			line.WriteByte(' ')
		}
		said[part] = true
		line.WriteString(part)
	}
	return line.String()
}
