package initialize

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// alembicRunner brings a history up with Alembic itself, as a program. What it says
// of its success is not taken for granted: the version table is.
type alembicRunner struct {
	spec  Spec
	files history.Files
}

var _ runner = alembicRunner{}

// alembicRun is one run of it on one database.
type alembicRun struct {
	alembicRunner
	to     target
	watch  watcher
	conn   *pgx.Conn // looks at the version table; nil until it is needed
	known  []string  // indexes that were invalid before
	finish []string  // versions that were told of as done
	around map[time.Duration]environment
}

func (a alembicRunner) run(ctx context.Context, to target, pending []history.Step, watch watcher) error {
	if len(pending) == 0 {
		return nil
	}
	if err := furnish(ctx, a.spec, to); err != nil {
		return err
	}
	r := &alembicRun{alembicRunner: a, to: to, watch: watch, around: make(map[time.Duration]environment)}
	defer r.hangUp(ctx)
	var err error
	if r.known, err = invalidIndexes(ctx, to); err != nil {
		return err
	}
	defer reportWaits(ctx, a.spec, to, waitsAfter, waitsEvery)()
	everything := len(a.files.Compare(to.table.Applied).Pending) == len(pending)
	all := parts(pending, to)
	for i, part := range all {
		if err := require(ctx, a.spec, to, part[0]); err != nil {
			return err
		}
		targets := []string{"heads"} // never head: there may be several
		if !everything || i < len(all)-1 {
			if targets, err = a.targets(part); err != nil {
				return err
			}
		}
		for _, revision := range targets {
			if err := r.upgrade(ctx, revision, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// parts cuts steps into those that one call of Alembic runs. A step that waits
// for a background migration begins one. What builds CONCURRENTLY is by itself: it
// waits for other transactions, and a lock timeout would only leave an invalid index; there are none
// where the database is new.
func parts(pending []history.Step, to target) [][]history.Step {
	var all [][]history.Step
	for i, step := range pending {
		if i == 0 || len(step.Requires) > 0 && !to.shadow || step.Transactional != pending[i-1].Transactional && !to.fresh {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], step)
	}
	return all
}

// targets are the revisions to upgrade to so that exactly the steps of a part run:
// those that no other of them needs.
func (a alembicRunner) targets(part []history.Step) ([]string, error) {
	var targets []string
	covered := make(map[string]bool)
	for _, step := range slices.Backward(part) {
		if covered[step.Version] {
			continue
		}
		needs, err := a.files.Until([]string{step.Version})
		if err != nil {
			return nil, fmt.Errorf("look what revision %s needs: %w", step.Version, err)
		}
		for _, s := range needs {
			covered[s.Version] = true
		}
		targets = append(targets, step.Version)
	}
	slices.Reverse(targets)
	return targets, nil
}

// upgrade runs Alembic, again when others were in its way, and looks what it has done.
func (r *alembicRun) upgrade(ctx context.Context, revision string, part []history.Step) error {
	limits := r.spec.Limits.orDefaults()
	if !slices.ContainsFunc(part, func(s history.Step) bool { return s.Transactional }) {
		limits.LockTimeout = 0
	}
	around, err := r.surroundings(ctx, limits.LockTimeout)
	if err != nil {
		return err
	}
	seen := &progress{run: r, part: part}
	err = limits.retry(ctx, func() error { return r.call(ctx, around, revision, seen) },
		func(error) bool {
			return seen.told == nil && contended(seen.out.refusal()) && !leftSome(ctx, r.to, r.known)
		},
		func(err error, pause time.Duration) {
			fprintf(r.to.log, "%v: again in %s\n", err, pause.Round(time.Millisecond))
		})
	if err != nil {
		r.hangUp(ctx) // it is called as those that are ended
		if failed := endSessions(ctx, r.to); failed != nil {
			fprintf(r.to.log, "end the sessions of Alembic: %v\n", failed)
		}
	}
	if seen.told != nil {
		return seen.told
	}
	if ctx.Err() != nil {
		return seen.blame(interrupted(ctx, err))
	}
	missing, failed := seen.conclude(ctx, revision)
	switch {
	case failed != nil:
		return errors.Join(err, failed)
	case err != nil && len(missing) == 0:
		return failure(r.spec, fmt.Errorf("%w (all that it was to apply is applied)", err))
	case err != nil:
		return seen.blame(leftInvalid(ctx, r.to, r.known, err))
	case len(missing) > 0:
		return &FailedError{Database: r.spec.Database, Err: fmt.Errorf("alembic upgrade %s reported success, and the version table lacks %s: does env.py use the database that %s names, and another version_table?",
			revision, few(missing), r.spec.urlVariable())}
	default:
		return nil
	}
}

// call runs Alembic once.
func (r *alembicRun) call(ctx context.Context, around environment, revision string, seen *progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	argv, dir, err := r.spec.alembic("upgrade", revision)
	if err != nil {
		return err
	}
	seen.begin(ctx, cancel, around.mask)
	p := program{argv: argv, title: "alembic upgrade " + revision, dir: dir, env: around.environ, line: seen.out.add}
	err = p.run(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return &ConfigError{Database: r.spec.Database, Err: fmt.Errorf("%w: install Alembic where bbmd runs, or give command, such as [python, -m, alembic]", err)}
	}
	return seen.out.blame(err)
}

func (r *alembicRun) surroundings(ctx context.Context, lockTimeout time.Duration) (environment, error) {
	if around, ok := r.around[lockTimeout]; ok {
		return around, nil
	}
	around, err := surroundings(ctx, r.spec, r.to, lockTimeout)
	if err == nil {
		r.around[lockTimeout] = around
	}
	return around, err
}

// applied returns the rows of Alembic's version table.
func (r *alembicRun) applied(ctx context.Context) ([]string, error) {
	if r.conn == nil {
		conn, err := r.to.connect(ctx)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		r.conn = conn
	}
	records, err := history.Find(ctx, r.conn, r.spec.controlSchema())
	if err != nil {
		return nil, err
	}
	records = slices.DeleteFunc(records, func(record history.Record) bool { return !r.isOurs(record) })
	switch len(records) {
	case 0:
		return nil, nil
	case 1:
		return records[0].Applied, nil
	default:
		return nil, &ConfigError{Database: r.spec.Database, Err: fmt.Errorf("there are several version tables of Alembic's (%s and %s): give version_table", records[0].Place(), records[1].Place())}
	}
}

func (r *alembicRun) hangUp(ctx context.Context) {
	if r.conn != nil {
		hangUp(ctx, r.conn)
		r.conn = nil
	}
}

func (r *alembicRun) isOurs(record history.Record) bool {
	switch {
	case record.Tool != history.Alembic:
		return false
	case r.to.table.Table != "":
		return record.Place() == r.to.table.Place()
	case r.spec.VersionTable != "":
		return r.spec.VersionTable == record.Schema+"."+record.Table || r.spec.VersionTable == record.Table
	default:
		return true
	}
}

// alembic returns a call of Alembic, and the directory for it.
func (s Spec) alembic(subcommand ...string) (argv []string, dir string, err error) {
	argv = slices.Clone(s.Command)
	if len(argv) == 0 {
		argv = []string{"alembic"}
	}
	config, dir, err := s.alembicConfig()
	if err != nil {
		return nil, "", err
	}
	if config != "" {
		argv = append(argv, "-c", config)
	}
	if s.HistoryOptions.Section != "" {
		argv = append(argv, "-n", s.HistoryOptions.Section)
	}
	return append(append(argv, s.Arguments...), subcommand...), dir, nil
}

// revisionOf returns the revision to which a line of Alembic's says that it upgrades.
func revisionOf(line string) (string, bool) {
	_, upgrade, found := strings.Cut(line, "Running upgrade ")
	if !found {
		return "", false
	}
	_, to, found := strings.Cut(upgrade, "-> ")
	if !found {
		return "", false
	}
	revision, _, _ := strings.Cut(to, ",")
	return strings.TrimSpace(revision), true
}
