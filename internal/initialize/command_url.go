package initialize

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// link is a connection string as programs understand it.
type link struct {
	url     string // empty: everything is in libpq's variables
	options string // of the session's start, which the string had: they go into PGOPTIONS, with ours
	secrets []string
}

// errLink does not say what the string is: it is a secret.
var errLink = errors.New("the connection string cannot be read")

// linkFor makes a connection string one that programs understand: a URL whose
// scheme SQLAlchemy knows, without what only Go's driver knows, and without what would
// win over the variables in which the limits are.
func linkFor(conn string) (link, error) {
	conn = strings.TrimSpace(conn)
	if conn == "" {
		return link{}, nil
	}
	parsed, err := parseLink(conn)
	if err != nil {
		return link{}, err
	}
	query := parsed.Query()
	l := link{options: query.Get("options")}
	for name := range query {
		if slices.Contains(ours(), name) || strings.HasPrefix(name, "pool_") {
			query.Del(name)
		}
	}
	parsed.RawQuery = query.Encode()
	if parsed.Scheme == "postgres" { // SQLAlchemy has no such dialect any more
		parsed.Scheme = "postgresql"
	}
	l.url = parsed.String()
	for _, password := range []string{passwordOf(parsed), query.Get("password"), query.Get("sslpassword")} {
		l.secrets = append(l.secrets, password, url.QueryEscape(password), url.PathEscape(password), strings.TrimPrefix(url.UserPassword("", password).String(), ":"))
	}
	return l, nil
}

// ours are the parameters of a connection string that programs are not told: what Go's driver
// has for itself, and what is said in PGAPPNAME and PGOPTIONS.
func ours() []string {
	return []string{
		"application_name", "options", "lock_timeout", "statement_timeout",
		"default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity", "min_protocol_version", "max_protocol_version",
	}
}

func passwordOf(u *url.URL) string {
	password, _ := u.User.Password()
	return password
}

// parseLink reads a URL, or keywords and values.
func parseLink(conn string) (*url.URL, error) {
	scheme, _, isURL := strings.Cut(conn, "://")
	if isURL && !strings.ContainsAny(scheme, " =") {
		parsed, err := url.Parse(conn)
		if err != nil {
			return nil, errLink
		}
		return parsed, nil
	}
	values, err := keywords(conn)
	if err != nil {
		return nil, err
	}
	return urlOf(values), nil
}

// urlOf makes a URL of keywords and their values.
func urlOf(values map[string]string) *url.URL {
	take := func(name string) string {
		value := values[name]
		delete(values, name)
		return value
	}
	u := &url.URL{Scheme: "postgresql", Path: "/" + take("dbname")}
	if user, password := take("user"), take("password"); password != "" {
		u.User = url.UserPassword(user, password)
	} else if user != "" {
		u.User = url.User(user)
	}
	query := url.Values{}
	host, port := values["host"], values["port"]
	if host != "" && !strings.ContainsAny(host, "/,@") {
		delete(values, "host")
		u.Host = host
		if strings.Contains(host, ":") {
			u.Host = "[" + host + "]"
		}
		if port != "" && !strings.Contains(port, ",") {
			delete(values, "port")
			u.Host += ":" + port
		}
	}
	for name, value := range values {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u
}

// keywords reads keyword=value pairs as libpq does: values may be in single
// quotes, in which a backslash takes the meaning from the character behind it.
func keywords(conn string) (map[string]string, error) {
	values := make(map[string]string)
	rest := strings.TrimSpace(conn)
	for rest != "" {
		name, after, found := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		if !found || name == "" || strings.ContainsAny(name, " \t'\\") {
			return nil, errLink
		}
		value, left, ok := value(strings.TrimLeft(after, " \t\r\n"))
		if !ok {
			return nil, errLink
		}
		values[name] = value
		rest = strings.TrimLeft(left, " \t\r\n")
	}
	return values, nil
}

// value reads one value, and returns what follows it.
func value(text string) (read, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	var b strings.Builder
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quoted && c == '\'':
			return b.String(), text[i+1:], true
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			return b.String(), text[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}
