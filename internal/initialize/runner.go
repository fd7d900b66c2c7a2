package initialize

import (
	"context"
	"io"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// runner brings a history up. There is one per tool that bbmd can run; it is
// made for one run, after every check has passed, and is used by one goroutine.
type runner interface {
	// run applies pending in to, in order, and returns when they are applied and
	// recorded in the tool's own version table. It tells watch of each step that it
	// can tell apart: a tool that runs as one program may tell of all at its end,
	// from what the version table says then.
	//
	// The error of a step is a [*StepError]. Steps before it stay applied. When ctx
	// ends, no session of the runner's, nor of a program that it started, is at work
	// any more when it returns.
	run(ctx context.Context, to target, pending []history.Step, watch watcher) error
}

// target is the database that a runner brings up: the spec's own, or a shadow of it.
type target struct {
	// connect opens a session there, whose application_name is that of [applicationName].
	// The caller closes it. Its Config leads to the same database.
	connect func(ctx context.Context) (*pgx.Conn, error)
	// url is the connection string of the target, for programs. It is a secret.
	url func() (string, error)
	// table is the version table that is there, or the zero value: the tool makes its own.
	table history.Record
	// fresh says that there is no data but what this run makes: what is required of
	// background migrations is done inline.
	fresh bool
	// shadow says that the target is thrown away after a look at its schema:
	// nothing in it is worth waiting for. Runners put a control schema there, for
	// steps that enqueue background migrations; nobody runs these. See [furnish].
	shadow bool
	// log takes what programs print, and what a runner has to say to people. It is
	// kept in bbm.runs, and never returns an error.
	log io.Writer
}

// watcher is told of steps as they happen. Its errors are to be returned as they are.
type watcher interface {
	// started is called before a step's first statement, again for every attempt.
	started(ctx context.Context, step history.Step) error
	// done is called when the step is committed.
	done(ctx context.Context, step history.Step) error
	// next is done for one step and started for another, in one, where nothing is between the two.
	next(ctx context.Context, done, step history.Step) error
}

// applicationPrefix begins the application_name of every session of a runner. It
// must not change: by it a run finds the sessions that a killed one left.
const applicationPrefix = "bbmd-migrate/"

// applicationName is what every session of a runner, and of the programs that it
// starts, is called in pg_stat_activity.
func applicationName(database string) string { return applicationPrefix + database }

// declared is the schema that models declare, read and ready to be run. readModels makes
// it; it runs the models' command, if that is what they are, and touches no database.
type declared interface {
	// apply runs all of it in tx. Its errors are [*StepError]s without a version; statements
	// that would end the transaction are such errors.
	apply(ctx context.Context, tx pgx.Tx) error
	// checksum is the sha256 of the text, in hex.
	checksum() string
	// names are the files, or the command, for people.
	names() []string
}
