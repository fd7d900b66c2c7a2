package notify

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// parseURL reads a connection string. It goes through pgxpool, so that a string
// with pool settings is accepted as well. Its errors never hold a password, not
// even of a string in which nobody can tell where the password ends.
func parseURL(url string) (*pgconn.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err == nil {
		return config.ConnConfig.Config.Copy(), nil
	}
	// The library's message may quote the wrong part of a malformed string. What
	// it says of the same string without credentials cannot.
	if rest, ok := withoutCredentials(url); ok {
		if _, err = pgxpool.ParseConfig(rest); err != nil {
			return nil, fmt.Errorf("parse connection string: %s", reason(err))
		}
	}
	return nil, errors.New("parse connection string: user or password is malformed: " +
		"percent-encode special characters in a URL, quote them in key=value form")
}

// withoutCredentials cuts the user part of a URL, and everything from the first
// password setting on: what follows a password that is not quoted as it should be
// cannot be told from the password. It reports false where nobody can tell what
// the user part is.
func withoutCredentials(url string) (string, bool) {
	if scheme, rest, ok := strings.Cut(url, "://"); ok {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			if strings.ContainsAny(rest[:at], "/?#&=") {
				return "", false
			}
			rest = rest[at+1:]
		}
		url = scheme + "://" + rest
	}
	return regexp.MustCompile(`(?is)[\w%]*pass[\w%]*\s*=.*`).ReplaceAllString(url, ""), true
}

// reason returns what the library says of a connection string, without the
// string that it quotes in front.
func reason(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, "`: "); at >= 0 {
		text = text[at+len("`: "):]
	}
	return squeeze(text)
}
