package notify

import (
	"errors"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// listenerName is what pg_stat_activity shows for a listener that nobody gave a name.
const listenerName = "bbmd/listener"

// serverParams are the settings that the session asks for when it starts. They
// let the server notice a dead client (whose session would hold back the
// notification queue), and bound what little we ever send.
func serverParams() map[string]string {
	return map[string]string{
		"tcp_keepalives_idle":                 "15",
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
		"tcp_user_timeout":                    "30000", // ms; PostgreSQL 12
		"client_connection_check_interval":    "10000", // ms; PostgreSQL 14
		"statement_timeout":                   "10000", // ms
		"lock_timeout":                        "10000", // ms
		"idle_in_transaction_session_timeout": "10000", // ms; we never open one
	}
}

// setParams puts our settings into a configuration that came from the user. Two
// are not the user's to choose: the name, by which people and tests find the
// session, and the idle time-out, because a listener is idle by profession.
func setParams(config *pgconn.Config, name string) {
	for setting, value := range serverParams() {
		if _, ok := config.RuntimeParams[setting]; !ok {
			config.RuntimeParams[setting] = value
		}
	}
	config.RuntimeParams["application_name"] = name
	config.RuntimeParams["idle_session_timeout"] = "0" // PostgreSQL 14
}

// SQLSTATEs with which a server, or a pooler in front of it, refuses a setting.
const (
	codeUndefinedObject       = "42704" // older than the setting
	codeInvalidParameterValue = "22023" // has it, but not on this platform
	codeProtocolViolation     = "08P01" // pgbouncer: unsupported startup parameter
	codeReadOnly              = "25006" // LISTEN on a hot standby
)

// dropRefused removes the setting of ours that err says the server does not take,
// and reports whether there was one, so that it is worth trying again. A pooler
// takes none of them, and would name (and log) one at a time: they all go.
func dropRefused(config *pgconn.Config, err error) bool {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return false
	}
	ours := serverParams()
	ours["idle_session_timeout"] = "0"
	maps.DeleteFunc(ours, func(name, value string) bool { return config.RuntimeParams[name] != value })
	named := maps.Clone(ours)
	maps.DeleteFunc(named, func(name, _ string) bool { return !strings.Contains(refusal.Message, name) })
	if len(named) == 0 {
		return false
	}
	switch refusal.Code {
	case codeUndefinedObject, codeInvalidParameterValue:
		ours = named
	case codeProtocolViolation:
	default:
		return false
	}
	for name := range ours {
		delete(config.RuntimeParams, name)
	}
	return true
}
