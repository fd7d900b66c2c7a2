package config

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// alembicSubcommand is a subcommand that brings databases somewhere, in the words that a shell is given.
var alembicSubcommand = regexp.MustCompile(`\balembic\b[^;&|]*\s(upgrade|downgrade|stamp)\b`)

// alembicCommand reports a subcommand in what runs Alembic: bbmd adds its own, which is not always the same one, and
// with two of them Alembic would only say that it does not understand its arguments.
func (v *validator) alembicCommand(at string, s Schema) {
	if s.Migrations == "" || s.History != HistoryAlembic && s.History != HistoryAuto {
		return
	}
	if word := subcommandIn(s.Command.Args()); word != "" {
		v.report(at+".command", refuse("it has "+v.quote(at+".command", word)+" in it, and bbmd adds the subcommand itself",
			"end it before that, as in [python, -m, alembic]; or set history: command, to have it run as it stands"))
	}
	if word := positional(s.Arguments.Args()); word != "" {
		v.report(at+".arguments", refuse("they have "+v.quote(at+".arguments", word)+" in them, and bbmd adds the subcommand itself",
			"name only options that stand before it, such as [-x, tenant=a]"))
	}
}

// subcommandIn returns the subcommand in a command that should run Alembic without one; empty: there is none.
func subcommandIn(args []string) string {
	for i, arg := range args {
		switch {
		case alembicSubcommand.MatchString(arg):
			return arg
		case path.Base(arg) == "alembic":
			return positional(args[i+1:])
		}
	}
	for _, arg := range args[min(1, len(args)):] { // a program of another name
		if slices.Contains([]string{"upgrade", "downgrade", "stamp"}, arg) {
			return arg
		}
	}
	return ""
}

// positional returns the first of Alembic's arguments that is neither an option nor the value of one.
func positional(args []string) string {
	for i := 0; i < len(args); i++ {
		switch {
		case slices.Contains([]string{"-c", "--config", "-n", "--name", "-x"}, args[i]):
			i++
		case !strings.HasPrefix(args[i], "-"):
			return args[i]
		}
	}
	return ""
}
