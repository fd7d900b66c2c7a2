package initialize

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// progress follows what Alembic does, by what it prints and by its version
// table. Whether its env.py makes a transaction of each revision or of all together cannot be known
// before: a revision is told of as done when its row can be seen from outside.
type progress struct {
	run  *alembicRun
	part []history.Step

	out     output
	current *history.Step // started, and not told of as done
	last    string        // the revision that Alembic said last that it runs
	told    error         // by the watcher
}

// begin prepares for another call of Alembic. cancel ends it.
func (p *progress) begin(ctx context.Context, cancel context.CancelCauseFunc, hide mask) {
	p.current, p.last = nil, ""
	p.out = output{log: p.run.to.log, mask: hide, each: func(line string) {
		revision, ok := revisionOf(line)
		if !ok || p.told != nil {
			return
		}
		p.last = revision
		if err := p.runs(ctx, revision); err != nil && ctx.Err() == nil {
			p.told = err
			cancel(err)
		}
	}}
}

// runs takes note that Alembic runs a revision now.
func (p *progress) runs(ctx context.Context, revision string) error {
	if p.current != nil && p.current.Version != revision {
		rows, err := p.run.applied(ctx)
		if err != nil {
			return err
		}
		if p.pending(rows, p.current.Version) {
			return nil // all in one transaction: it is told at the end
		}
		if err := p.done(ctx, *p.current); err != nil {
			return err
		}
	}
	at := slices.IndexFunc(p.part, func(s history.Step) bool { return s.Version == revision })
	if p.current != nil || at < 0 {
		return nil
	}
	p.current = &p.part[at]
	return p.run.watch.started(ctx, p.part[at])
}

func (p *progress) done(ctx context.Context, step history.Step) error {
	p.current = nil
	p.run.finish = append(p.run.finish, step.Version)
	return p.run.watch.done(ctx, step)
}

// pending reports whether rows do not have a revision.
func (p *progress) pending(rows []string, revision string) bool {
	return slices.ContainsFunc(p.run.files.Compare(rows).Pending, func(s history.Step) bool { return s.Version == revision })
}

// conclude tells of what Alembic has done in the end, as the version table says. It returns the
// steps that were to be done on the way to a revision, and are not.
func (p *progress) conclude(ctx context.Context, revision string) (missing []string, err error) {
	rows, err := p.run.applied(ctx)
	if err != nil {
		return nil, err
	}
	if p.current != nil && !p.pending(rows, p.current.Version) {
		if err := p.done(ctx, *p.current); err != nil {
			return nil, err
		}
	}
	wanted, err := p.wanted(revision)
	if err != nil {
		return nil, err
	}
	for _, step := range p.part {
		switch {
		case !wanted(step.Version) || slices.Contains(p.run.finish, step.Version):
		case p.pending(rows, step.Version):
			missing = append(missing, step.Version)
		default:
			if err := p.run.watch.started(ctx, step); err != nil {
				return nil, err
			}
			if err := p.done(ctx, step); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

// wanted returns which steps a call of Alembic was to do.
func (p *progress) wanted(revision string) (func(string) bool, error) {
	if revision == "heads" {
		return func(string) bool { return true }, nil
	}
	needs, err := p.run.files.Until([]string{revision})
	if err != nil {
		return nil, err
	}
	return func(version string) bool {
		return slices.ContainsFunc(needs, func(s history.Step) bool { return s.Version == version })
	}, nil
}

// blame makes err that of the step that Alembic was at, with the line in its file and the statement.
func (p *progress) blame(err error) error {
	at := slices.IndexFunc(p.part, func(s history.Step) bool { return s.Version == p.last })
	if at < 0 || slices.Contains(p.run.finish, p.last) {
		if _, own := errors.AsType[interface {
			error
			Kind() Kind
		}](err); own {
			return err
		}
		return failure(p.run.spec, err)
	}
	step := p.part[at]
	return &StepError{
		Version: step.Version, Name: step.Name, File: step.File,
		Line: tracedLine(p.out.tail, step.File), SQL: beginning(statementIn(p.out.tail)), Err: err,
	}
}

// tracebackLine finds where in a file Python was.
func tracebackLine() *regexp.Regexp { return regexp.MustCompile(`^\s*File "([^"]+)", line (\d+)`) }

// tracedLine returns the line of a file in which Python's last traceback was, or 0.
func tracedLine(lines []string, file string) int {
	at := tracebackLine()
	for _, line := range slices.Backward(lines) {
		if m := at.FindStringSubmatch(line); m != nil && filepath.Base(m[1]) == filepath.Base(file) {
			number, err := strconv.Atoi(m[2])
			if err == nil {
				return number
			}
		}
	}
	return 0
}

// statementIn returns the statement that SQLAlchemy says has failed.
func statementIn(lines []string) string {
	const begin = "[SQL: "
	from := -1
	for i, line := range lines {
		if strings.HasPrefix(line, begin) {
			from = i
		}
	}
	if from < 0 {
		return ""
	}
	var sql []string
	for _, line := range lines[from:] {
		sql = append(sql, line)
		if strings.HasSuffix(line, "]") {
			break
		}
	}
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.Join(sql, "\n"), begin), "]"))
}
