package config

import (
	"net/url"
	"regexp"
	"strings"
)

// masked stands where a secret was.
const masked = "***"

// isOpenKey reports whether the value of a connection parameter may be shown.
// A parameter that is neither open nor secret masks the whole string: an
// unquoted password can look like a parameter (password=a b=c).
func isOpenKey(key string) bool {
	switch strings.ToLower(key) {
	case "application_name", "channel_binding", "client_encoding", "connect_timeout", "database", "datestyle",
		"dbname", "default_query_exec_mode", "description_cache_capacity", "fallback_application_name",
		"gssencmode", "host", "hostaddr", "idle_in_transaction_session_timeout", "keepalives", "keepalives_count",
		"keepalives_idle", "keepalives_interval", "krbspn", "krbsrvname", "load_balance_hosts", "lock_timeout",
		"max_protocol_version", "min_protocol_version", "options", "passfile", "pool_max_conns", "port",
		"require_auth", "role", "search_path", "service", "servicefile", "ssl", "ssl_max_protocol_version",
		"ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcrl", "sslkey", "sslmode", "sslnegotiation",
		"sslrootcert", "sslsni", "statement_cache_capacity", "statement_timeout", "target_session_attrs",
		"tcp_user_timeout", "timezone", "user":
		return true
	default:
		return false
	}
}

// isSecretKey reports whether the value of a connection parameter is masked.
func isSecretKey(key string) bool {
	switch strings.ToLower(key) {
	case "oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword":
		return true
	default:
		return false
	}
}

// hostList is the host part of a URL: names, addresses and ports only.
var hostList = regexp.MustCompile(`^([A-Za-z0-9._%-]*|\[[0-9A-Fa-f:.%A-Za-z]*\])(:[0-9]*)?(,([A-Za-z0-9._%-]*|\[[0-9A-Fa-f:.%A-Za-z]*\])(:[0-9]*)?)*$`)

// mask returns the connection string without its secrets, or [masked] where it
// cannot tell for certain what is secret.
func mask(conn string) string {
	shown, _, ok := open(conn)
	if !ok {
		return masked
	}
	return shown
}

// open takes a connection string apart. It returns what may be shown of it and
// the secrets in it; ok is false where the string is ambiguous.
func open(conn string) (shown string, secrets []string, ok bool) {
	if strings.TrimSpace(conn) == "" {
		return "", nil, true
	}
	if scheme, rest, found := strings.Cut(conn, "://"); found && plainScheme(scheme) {
		shown, secrets, ok = openURL(rest)
		return scheme + "://" + shown, secrets, ok
	}
	return openPairs(conn)
}

func plainScheme(scheme string) bool {
	return scheme == "postgres" || scheme == "postgresql" || dialect.MatchString(scheme)
}

// openURL takes apart what follows the scheme. It trusts a URL only if its one
// '@' ends the user part: a password with a raw '/', '?', '#' or '@' moves
// that border to where a parser does not look for it.
func openURL(rest string) (shown string, secrets []string, ok bool) {
	rest, query, hasQuery := strings.Cut(rest, "?")
	authority, path, hasPath := strings.Cut(rest, "/")
	user, host, hasUser := strings.Cut(authority, "@")
	if !hasUser {
		user, host = "", authority
	}
	if !hostList.MatchString(host) || strings.ContainsAny(path, "@#") || strings.ContainsAny(query, "@#") {
		return "", nil, false
	}
	name, password, hasPassword := strings.Cut(user, ":")
	if hasPassword {
		secrets = appendSecret(secrets, password)
		name += ":" + masked
	}
	if hasUser {
		host = name + "@" + host
	}
	if hasPath {
		host += "/" + path
	}
	if !hasQuery {
		return host, secrets, true
	}
	query, hidden, ok := openQuery(query)
	return host + "?" + query, append(secrets, hidden...), ok
}

func openQuery(query string) (shown string, secrets []string, ok bool) {
	params := strings.Split(query, "&")
	for i, param := range params {
		raw, value, _ := strings.Cut(param, "=")
		key, err := url.QueryUnescape(raw)
		switch {
		case err != nil:
			return "", nil, false
		case isSecretKey(key):
			secrets = appendSecret(secrets, value)
			params[i] = raw + "=" + masked
		case key != "" && !isOpenKey(key):
			return "", nil, false
		}
	}
	return strings.Join(params, "&"), secrets, true
}

// appendSecret adds a secret as it is written and as it is meant.
func appendSecret(secrets []string, raw string) []string {
	secrets = append(secrets, raw)
	if plain, err := url.PathUnescape(raw); err == nil && plain != raw {
		secrets = append(secrets, plain)
	}
	return secrets
}

// pair is one key = value of a connection string; the value is quoted, or runs
// to the next space.
var pair = regexp.MustCompile(`^\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)(\s+|$)`)

// openPairs takes apart the key=value form.
func openPairs(conn string) (shown string, secrets []string, ok bool) {
	var parts []string
	for strings.TrimSpace(conn) != "" {
		match := pair.FindStringSubmatch(conn)
		if match == nil {
			return "", nil, false
		}
		key, value := match[1], match[2]
		switch {
		case isSecretKey(key):
			secrets = append(secrets, value, unquotePair(value))
			value = masked
		case !isOpenKey(key):
			return "", nil, false
		}
		parts = append(parts, key+"="+value)
		conn = conn[len(match[0]):]
	}
	return strings.Join(parts, " "), secrets, true
}

// escaped is a backslash and what it stands for.
var escaped = regexp.MustCompile(`\\(.)`)

func unquotePair(value string) string {
	if len(value) > 1 && strings.HasPrefix(value, "'") {
		value = value[1 : len(value)-1]
	}
	return escaped.ReplaceAllString(value, "$1")
}
