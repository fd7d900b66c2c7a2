package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/bbmd-dev/bbmd/daemon"
	"github.com/bbmd-dev/bbmd/internal/config"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

// waitFlags are the flags of `bbmd wait`.
type waitFlags struct {
	goals       []string
	timeout     time.Duration
	grace       time.Duration
	progress    time.Duration
	strict      bool
	quiet       bool
	termination string
	via, url    string
}

func newWaitCommand(a *app) *cobra.Command {
	var flags waitFlags
	cmd := &cobra.Command{
		Use:   "wait [DATABASE...]",
		Short: "Wait until databases are where this release needs them",
		Long: "Waits until the schema of each database is where the migrations' files are that it sees, or\n" +
			"further: start it before a service, with the service's own files. It says what it waits for: who\n" +
			"works on what, or why nothing moves. It waits for a database that is not there yet, and holds\n" +
			"no lock. It ends early on a failure that nobody repeats within --retry-grace, and prints it.\n\n" +
			"It needs to connect and to read, and nothing of Kubernetes: deploy/sql/wait-role.sql makes a role\n" +
			"for it. With --via http it asks a running daemon, and needs no database.\n\n" +
			"It exits 0 when all are there, " + strconv.Itoa(exitTimeout) + " when they are not in time (" + strconv.Itoa(exitUnreachable) +
			" when there was no connection in the end),\n" + strconv.Itoa(exitMigration) + " when a migration failed, " +
			strconv.Itoa(exitRefused) + " when somebody has to decide.",
		Example: "  bbmd wait\n  bbmd wait billing --for version=20260101 --timeout 5m\n" +
			"  bbmd wait --for migration=backfill_total\n  bbmd wait --via http --url http://bbmd:8080 --for version=7",
		ValidArgsFunction: a.completeDatabases,
		RunE: func(cmd *cobra.Command, names []string) error {
			err := a.wait(cmd, names, flags)
			a.lastWords(flags.termination, err)
			return err
		},
	}
	cmd.Flags().StringArrayVar(&flags.goals, "for", nil, "`what` to wait for: schema, all, version=VERSION or migration=NAME; can be repeated (default schema)")
	cmd.Flags().DurationVar(&flags.timeout, "timeout", 10*time.Minute, "give up after so `long`; 0 is never")
	cmd.Flags().DurationVar(&flags.grace, "retry-grace", 30*time.Second, "how `long` a failure may be somebody's to repeat before this gives up")
	cmd.Flags().DurationVar(&flags.progress, "progress", 10*time.Second, "say at least so `often` what is waited for")
	cmd.Flags().BoolVar(&flags.strict, "strict", false, "do not accept a schema that is newer than the files, or whose files were edited since")
	cmd.Flags().BoolVarP(&flags.quiet, "quiet", "q", false, "say nothing but errors")
	cmd.Flags().StringVar(&flags.via, "via", "db", "`how`: db asks the database, http a running daemon")
	cmd.Flags().StringVar(&flags.url, "url", "", "`address` of the daemon for --via http (default http.listen of the configuration, on this machine)")
	terminationFlag(cmd, &flags.termination)
	return cmd
}

func (a *app) wait(cmd *cobra.Command, names []string, flags waitFlags) error {
	begun, say := time.Now(), sync.Mutex{}
	tell := func(database, says string) {
		say.Lock()
		defer say.Unlock()
		if !flags.quiet {
			_, _ = fmt.Fprintf(a.err, "bbmd: waiting %s: database %s: %s\n", elapsed(begun, flags.timeout), database, config.Redact(says)) // there is nobody else to tell
		}
	}
	var err error
	switch flags.via {
	case "db":
		err = a.waitDB(cmd.Context(), names, flags, tell)
	case "http":
		err = a.waitHTTP(cmd.Context(), names, flags, tell)
	default:
		return withCode(exitUsage, fmt.Errorf("--via %s: it is db or http", flags.via))
	}
	return waitVerdict(cmd.Context(), err)
}

func (a *app) waitDB(ctx context.Context, names []string, flags waitFlags, tell func(database, says string)) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	return daemon.Wait(ctx, cfg, daemon.WaitOptions{
		Databases: names, For: flags.goals, Strict: flags.strict, Timeout: flags.timeout, RetryGrace: graceOf(flags), Progress: flags.progress, Say: tell,
	})
}

// graceOf is the patience with a failure: where the flag says zero, there is none.
func graceOf(flags waitFlags) time.Duration {
	if flags.grace <= 0 {
		return -1
	}
	return flags.grace
}

// elapsed is how long it has waited, of how long it will.
func elapsed(begun time.Time, timeout time.Duration) string {
	since := time.Since(begun).Truncate(time.Second).String()
	if timeout <= 0 {
		return since
	}
	return since + " of " + timeout.String()
}

// waitVerdict gives the error of waiting its exit code.
func waitVerdict(ctx context.Context, err error) error {
	failed, isFailed := errors.AsType[*daemon.WaitFailedError](err)
	late, isLate := errors.AsType[*daemon.WaitTimeoutError](err)
	var coded *exitError
	switch {
	case err == nil || errors.As(err, &coded):
		return err
	case isFailed && failed.Decide:
		return withCode(exitRefused, err)
	case isFailed:
		return withCode(exitMigration, err)
	case isLate && late.Lost:
		return withCode(exitUnreachable, err)
	case isLate:
		return withCode(exitTimeout, err)
	case ctx.Err() != nil:
		return withCode(signalCode(ctx), errors.New("not waiting any more: "+context.Cause(ctx).Error()))
	case initialize.KindOf(err) == initialize.KindUnexpected, initialize.KindOf(err) == initialize.KindConfig:
		return withCode(exitUsage, err)
	}
	return err
}
