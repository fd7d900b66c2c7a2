package config

import (
	"net/url"
	"regexp"
	"strings"
)

// dialect is the scheme of SQLAlchemy's URLs that name the driver, which Python
// services have in their DATABASE_URL: postgresql+asyncpg, postgresql+psycopg.
var dialect = regexp.MustCompile(`^(postgres(?:ql)?)\+[a-z0-9_]+$`)

// plainURL returns a connection string without what only a Python driver
// understands: the driver's name in the scheme, and asyncpg's own parameters.
// Any other string comes back as it is.
func plainURL(conn string) string {
	scheme, rest, found := strings.Cut(strings.TrimSpace(conn), "://")
	match := dialect.FindStringSubmatch(scheme)
	if !found || match == nil {
		return conn
	}
	address, query, found := strings.Cut(rest, "?")
	if !found {
		return match[1] + "://" + rest
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return match[1] + "://" + rest // whoever parses it says what is wrong
	}
	if mode := values.Get("ssl"); mode != "" && !values.Has("sslmode") {
		values.Set("sslmode", mode)
	}
	for _, only := range []string{"ssl", "async_fallback", "prepared_statement_cache_size", "prepared_statement_name_func"} {
		values.Del(only)
	}
	if len(values) == 0 {
		return match[1] + "://" + address
	}
	return match[1] + "://" + address + "?" + values.Encode()
}
