package config

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// versionText is a version as migration tools have them, or a name for one.
var versionText = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,128}$`)

// tableName is a table with its schema, as the catalog spells them.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]{0,62}\.[A-Za-z_][A-Za-z0-9_$]{0,62}$`)

// tokenText is what force_recreate may be.
var tokenText = regexp.MustCompile(`^[A-Za-z0-9_.:+-]{1,100}$`)

// variableName is what an environment variable may be called.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (v *validator) schemaMigrations() {
	const section = "schema_migrations."
	m := v.config.SchemaMigrations
	inRange(v, section+"parallel", m.Parallel, 1, 64)
	inRange(v, section+"lock_timeout", m.LockTimeout, time.Millisecond, time.Hour)
	inRange(v, section+"lock_patience", m.LockPatience, 0, 24*time.Hour)
	inRange(v, section+"statement_timeout", m.StatementTimeout, 0, 24*time.Hour)
	inRange(v, section+"drain_timeout", m.DrainTimeout, time.Second, 24*time.Hour)
	if m.StatementTimeout > 0 && m.LockTimeout >= m.StatementTimeout {
		v.report(section+"lock_timeout", refuse(
			fmt.Sprintf("%v is not less than statement_timeout (%v)", m.LockTimeout, m.StatementTimeout),
			"make it shorter, or a wait for a lock ends the migration"))
	}
}

func (v *validator) profiles() {
	known := append(v.config.Names(), v.leftOut()...)
	for _, profile := range v.config.Profiles.Names() {
		databases, _ := v.config.Profiles.Databases(profile)
		if !databaseName.MatchString(profile) {
			v.report("profiles", refuse(quote(profile)+" cannot be the name of a profile", "start with a small letter; then small letters, digits, '_' and '-', 63 at most"))
		}
		for _, name := range databases {
			if !slices.Contains(known, name) && !v.databasesUnknown {
				v.report("profiles", refuse(fmt.Sprintf("%s in %s is no database of the configuration", quote(name), quote(profile)), "the databases are "+strings.Join(known, ", ")))
			}
		}
	}
	if _, ok := v.config.Profiles.Databases(v.config.Profile); !ok && v.config.Profile != "" {
		hint := "there are none: add it to profiles"
		if names := v.config.Profiles.Names(); len(names) > 0 {
			for i := range names {
				names[i] = quote(names[i])
			}
			hint = "the profiles are " + strings.Join(names, ", ")
		}
		v.report("profile", refuse("there is no profile "+v.quote("profile", v.config.Profile), hint))
	}
}

// leftOut are the databases that are known, and not looked after.
func (v *validator) leftOut() []string {
	outside, unreachable := v.config.Others()
	return slices.Concat(outside, unreachable)
}

func (v *validator) forceRecreate() {
	token := v.config.ForceRecreate
	switch {
	case token == "":
	case !tokenText.MatchString(string(token)):
		v.report("force_recreate", refuse("it is not a token", "use up to 100 letters, digits and . _ : + -, such as 2026-11-22"))
	case !v.config.DevelopmentMode:
		v.report("force_recreate", refuse("it drops databases, and development_mode is off", "remove it, or set development_mode where no data matters"))
	}
}

// schema reports what is wrong with the schema of one database.
func (v *validator) schema(path string, s Schema) {
	if s == (Schema{}) || s == DefaultSchema() {
		return
	}
	word(v, path+".on_start", s.OnStart, "", OnStartMigrate, OnStartVerify, OnStartOff)
	word(v, path+".history", s.History, HistoryAuto, HistoryGoose, HistoryAlembic, HistoryCommand)
	word(v, path+".bootstrap", s.Bootstrap, BootstrapModels, BootstrapMigrations)
	word(v, path+".out_of_order", s.OutOfOrder, PolicyRefuse, PolicyAllow)
	word(v, path+".edited_files", s.EditedFiles, PolicyRefuse, PolicyAllow)
	if !variableName.MatchString(s.URLVariable) {
		v.report(path+".url_variable", refuse("it is not the name of a variable", "use letters, digits and '_', such as "+databaseVariable))
	}
	if s.BaselineVersion != "" && !versionText.MatchString(s.BaselineVersion) {
		v.report(path+".baseline_version", refuse("it is not a version", "write it as the tool does, such as 20260131120000, or head"))
	}
	if s.VersionTable != "" && !tableName.MatchString(s.VersionTable) {
		v.report(path+".version_table", refuse("it is not a table with its schema", "write it as public.alembic_version"))
	}
	v.schemaPaths(path, s)
	v.schemaCommand(path+".command", s.Command.Args())
	v.schemaCommand(path+".arguments", s.Arguments.Args())
	v.schemaCommand(path+".models", s.Models.Command())
	v.alembicCommand(path, s)
	v.schemaWhole(path, s)
}

// word reports a value that is none of those that a key knows.
func word[T ~string](v *validator, key string, value T, known ...T) {
	if slices.Contains(known, value) {
		return
	}
	var names []string
	for _, name := range known {
		if name != "" {
			names = append(names, string(name))
		}
	}
	v.report(key, refuse(v.quote(key, string(value))+" is none of its values", "use "+strings.Join(names, ", ")))
}

func (v *validator) schemaPaths(path string, s Schema) {
	v.exists(path+".migrations", s.Migrations, true)
	v.exists(path+".directory", s.Directory, true)
	v.exists(path+".models", s.Models.Path(), false)
}

// exists reports a path that leads nowhere.
func (v *validator) exists(key, path string, dir bool) {
	switch {
	case path == "":
		return
	case looksLikeConn(path):
		v.report(key, refuse("it holds a connection string, where a path belongs", "the connection string belongs into url"))
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		v.report(key, refuse(v.shownPath(key, path)+": "+fileError(path, err).Reason, "correct the path; in the file it starts at the file's directory"))
	case dir && !info.IsDir():
		v.report(key, refuse(v.shownPath(key, path)+" is not a directory", "name the directory"))
	}
}

// shownPath is the path, unless it came out of a variable.
func (v *validator) shownPath(key, path string) string {
	if v.config.loaded != nil && v.config.loaded.expanded[key] {
		return shownExpanded
	}
	return path
}

// schemaCommand reports a connection string on a command line, which everybody on
// the machine can read.
func (v *validator) schemaCommand(key string, args []string) {
	if slices.ContainsFunc(args, looksLikeConn) {
		v.report(key, refuse("an argument of it is a connection string, which everybody on the machine could read", "the program finds it in the variable that url_variable names"))
	}
}

// schemaWhole reports what does not go together.
func (v *validator) schemaWhole(path string, s Schema) {
	report := func(key, reason, hint string) { v.report(path+"."+key, refuse(reason, hint)) }
	switch {
	case s.History == HistoryCommand && s.Command == "":
		report("history", "it is command, and there is none", "set command, or another history")
	case s.History == HistoryCommand && s.Models != "":
		report("models", "nobody knows how to stamp a history of command", "remove models, or set history to goose or alembic")
	case s.History == HistoryGoose && s.Command != "":
		report("command", "goose needs none, and would not run it", "remove it, or set history: command")
	case (s.History == HistoryGoose || s.History == HistoryAlembic) && s.Migrations == "":
		report("history", "there are no migrations to "+string(s.History), "set migrations to their directory")
	case s.Arguments != "" && (s.History == HistoryGoose || s.History == HistoryCommand || s.Migrations == ""):
		report("arguments", "they are Alembic's alone", "put them into command")
	case (s.OnStart == OnStartMigrate || s.OnStart == OnStartVerify) && !s.Configured():
		report("on_start", "there is nothing to "+string(s.OnStart), "set models, migrations or command")
	case s.Bootstrap == BootstrapMigrations && s.Migrations == "" && s.Command == "":
		report("bootstrap", "it is migrations, and there are none", "set migrations, or remove it")
	case s.BaselineVersion != "" && s.Migrations == "":
		report("baseline_version", "there is no history that it belongs to", "set migrations")
	}
}
