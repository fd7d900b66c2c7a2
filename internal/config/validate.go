package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate reports everything that is wrong with the values of c, joined, each
// a [KeyError]. [Load] has done so already.
func (c Config) Validate() error {
	v := validator{config: c}
	return errors.Join(v.problems()...)
}

type validator struct {
	config           Config
	databasesUnknown bool // they could not be read, which has been reported
	found            []error
}

func (v *validator) problems() []error {
	v.databases()
	v.profiles()
	v.controlSchema()
	v.schemaMigrations()
	v.backgroundMigrations()
	v.plugins()
	v.events()
	v.forceRecreate()
	v.listen()
	v.dashboard()
	v.log()
	v.tracing()
	v.sentry()
	inRange(v, "shutdown_grace", v.config.ShutdownGrace, 0, 24*time.Hour)
	return v.found
}

func (v *validator) report(key string, err error) {
	problem := &KeyError{Key: key, Source: v.config.Origin(key).String(), Reason: err.Error()}
	if bad, ok := errors.AsType[*badValueError](err); ok {
		problem.Hint = bad.hint
	}
	v.found = append(v.found, problem)
}

// quote renders a value for an error, unless it came out of a variable that
// the file named: nobody knows what else that holds.
func (v *validator) quote(key, value string) string {
	if v.config.loaded != nil && v.config.loaded.expanded[key] {
		return shownExpanded
	}
	return quote(value)
}

// inRange reports a value outside its bounds, both included.
func inRange[T cmp.Ordered](v *validator, key string, value, least, most T) {
	if value < least || value > most {
		v.report(key, refuse(fmt.Sprintf("%v is out of range", value), fmt.Sprintf("use %v to %v", least, most)))
	}
}

func (v *validator) databases() {
	if len(v.config.Databases) == 0 && !v.databasesUnknown {
		v.noDatabases()
	}
	seen := map[string]string{}
	for _, name := range v.config.Names() {
		if !databaseName.MatchString(name) {
			v.report("databases", badDatabaseName(name))
			continue
		}
		v.database(name)
		v.schema("databases."+name+".schema", v.config.Databases[name].Schema)
		v.duplicate(seen, name)
	}
}

func (v *validator) noDatabases() {
	if v.config.Profile == "" {
		v.report("databases", refuse("no database is configured",
			"set DATABASE_URL in the environment, or write databases: {default: {url: …}}"))
	} else if databases, ok := v.config.Profiles.Databases(v.config.Profile); ok && len(databases) == 0 {
		v.report("profile", refuse("no database is in "+v.quote("profile", v.config.Profile), "add one to it in profiles"))
	}
}

func (v *validator) database(name string) {
	path, db := "databases."+name, v.config.Databases[name]
	if db.URL != "" && db.URLFile != "" {
		v.report(path+".url", refuse(fmt.Sprintf("url and url_file (%s) are both set", v.config.Origin(path+".url_file")), "keep one of them"))
		return
	}
	if db.URLFile != "" {
		if _, err := db.ConnString(); err != nil {
			v.report(path+".url_file", refuse(err.Error(), "check the path, its permissions and its content, or set url"))
		}
	} else if err := checkConn(string(db.URL)); err != nil {
		v.report(path+".url", err)
	}
	if db.ListenURL != "" {
		if err := checkConn(string(db.ListenURL)); err != nil {
			v.report(path+".listen_url", err)
		}
	}
}

// duplicate reports a database that is there under a second name, and names
// that variables cannot tell apart.
func (v *validator) duplicate(seen map[string]string, name string) {
	db := v.config.Databases[name]
	check := func(mark, reason, hint string) {
		if first, taken := seen[mark]; taken {
			v.report("databases."+name, refuse(fmt.Sprintf(reason, first), hint))
		}
		seen[mark] = name
	}
	check("name "+envName(name), "environment variables cannot tell it from databases.%s", "rename one of them")
	if db.URL != "" || db.URLFile != "" {
		check("url "+string(db.URL)+"\x00"+db.URLFile+"\x00"+db.Schema.VersionTable, "it is the same database as databases.%s",
			"remove one, correct its url, or give each history a schema.version_table of its own")
	}
}

// schemaName is an identifier that needs no quotes in SQL.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func (v *validator) controlSchema() {
	const key = "control_schema"
	switch name := v.config.ControlSchema; {
	case !schemaName.MatchString(name):
		v.report(key, refuse(v.quote(key, name)+" cannot be the name of a schema here", "use small letters, digits and '_', 63 at most, such as bbm"))
	case name == "public" || name == "information_schema" || strings.HasPrefix(name, "pg_"):
		v.report(key, refuse(quote(name)+" belongs to others", "use a schema of its own, such as bbm"))
	}
}

func (v *validator) backgroundMigrations() {
	const section = "background_migrations."
	m := v.config.BackgroundMigrations
	inRange(v, section+"workers", m.Workers, 1, 256)
	inRange(v, section+"max_attempts", m.MaxAttempts, 1, 100)
	inRange(v, section+"target_duration", m.TargetDuration, 0, time.Minute)
	inRange(v, section+"takeover_interval", m.TakeoverInterval, 100*time.Millisecond, 10*time.Minute)
	inRange(v, section+"statement_timeout", m.StatementTimeout, 10*time.Millisecond, 24*time.Hour)
	inRange(v, section+"lock_timeout", m.LockTimeout, time.Millisecond, 24*time.Hour)
	if m.LockTimeout >= m.StatementTimeout && m.StatementTimeout > 0 {
		v.report(section+"lock_timeout", refuse(
			fmt.Sprintf("%v is not less than statement_timeout (%v)", m.LockTimeout, m.StatementTimeout),
			"make it shorter, or a wait for a lock counts as a failed batch"))
	}
	modes := []string{"off", "local", "on", "remote_write", "remote_apply"}
	if !slices.Contains(modes, m.SynchronousCommit) {
		v.report(section+"synchronous_commit", refuse(v.quote(section+"synchronous_commit", m.SynchronousCommit)+" is no such mode", "use "+strings.Join(modes, ", ")))
	}
}

func (v *validator) listen() {
	if address := v.config.HTTP.Listen; address != "" {
		v.address("http.listen", address, `write :8080, 127.0.0.1:8080 or [::1]:8080; "" for no HTTP server`)
	}
}

// address reports what is no address to listen on.
func (v *validator) address(key, address, hint string) {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		v.report(key, refuse(v.quote(key, address)+" is not host:port", hint))
	}
}

func (v *validator) events() {
	if source := v.config.Events; source != EventsNotify && source != EventsWAL {
		v.report("events", refuse(v.quote("events", string(source))+" is no source of events", "use notify or wal"))
	}
}

func (v *validator) log() {
	formats := []LogFormat{LogAuto, LogText, LogJSON}
	if !slices.Contains(formats, v.config.Log.Format) {
		v.report("log.format", refuse(v.quote("log.format", string(v.config.Log.Format))+" is no such format", "use auto, text or json"))
	}
}
