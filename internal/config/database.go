package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// databaseName is what a database may be called: the name becomes a label, a
// part of a variable's name, and an argument on the command line.
var databaseName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

func badDatabaseName(name string) error {
	return refuse(quote(name)+" cannot be the name of a database", "start with a small letter; then small letters, digits, '_' and '-', 63 at most")
}

// ConnString returns the connection string, password included, without what only
// a Python driver understands (postgresql+asyncpg://). It reads
// URLFile at every call, so call it at every connect. An empty string means
// the libpq variables, which pgx reads when it is given nothing.
func (d Database) ConnString() (string, error) {
	conn, err := d.ProgramURL()
	return plainURL(conn), err
}

// ProgramURL returns the connection string as it was configured, for programs
// that are given it in their environment. It reads URLFile at every call.
func (d Database) ProgramURL() (string, error) {
	if d.URLFile == "" {
		return string(d.URL), nil
	}
	if looksLikeConn(d.URLFile) {
		return "", errors.New("read url_file: it holds a connection string, where the path of a file belongs; use url")
	}
	content, err := os.ReadFile(d.URLFile)
	if err != nil {
		if reason, ok := errors.AsType[*fs.PathError](err); ok {
			err = reason.Err
		}
		return "", fmt.Errorf("read url_file %s: %w", d.URLFile, err)
	}
	conn := strings.TrimSpace(string(content))
	if conn == "" {
		return "", fmt.Errorf("read url_file %s: it is empty; write the connection string into it", d.URLFile)
	}
	if err := checkConn(conn); err != nil {
		return "", fmt.Errorf("read url_file %s: %w", d.URLFile, err)
	}
	return conn, nil
}

// looksLikeConn reports whether a path can only be a connection string in the
// wrong place, which must not be quoted as a path.
func looksLikeConn(path string) bool {
	return strings.Contains(path, "://") || strings.Contains(path, "password=")
}

// ListenConnString returns the connection string for the connection that
// listens: ListenURL, or what [Database.ConnString] returns.
func (d Database) ListenConnString() (string, error) {
	if d.ListenURL != "" {
		return plainURL(string(d.ListenURL)), nil
	}
	return d.ConnString()
}

// checkConn reports what is wrong with a connection string, without quoting
// more of it than is certainly harmless.
func checkConn(conn string) error {
	conn = plainURL(conn)
	_, err := pgconn.ParseConfig(conn)
	if err == nil {
		return nil
	}
	// Only one of reason and hint has a URL: what stands between two is taken for a password.
	hint := "write postgres://user@host:5432/name with special characters percent-encoded, or key=value pairs"
	reason := "it is not a connection string"
	shown, secrets, understood := open(conn)
	if detail, ok := parseReason(err); ok && understood && !containsAny(detail, secrets) {
		reason = fmt.Sprintf("%q: %s", shown, detail)
		hint = "correct it; special characters have to be percent-encoded in a URL"
	}
	if conn == "" {
		return refuse("the libpq variables are wrong: "+reason, "correct the PG… variables, or set url")
	}
	return refuse(reason, hint)
}

// parseReason returns pgx's reason without the connection string.
func parseReason(err error) (string, bool) {
	parseError, ok := errors.AsType[*pgconn.ParseConfigError](err)
	if !ok {
		return "", false
	}
	bare := *parseError
	bare.ConnString = ""
	return strings.TrimPrefix(bare.Error(), "cannot parse ``: "), true
}

func containsAny(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool {
		return part != "" && strings.Contains(text, part)
	})
}
