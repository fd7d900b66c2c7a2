package history

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// gooseFiles is a history of goose's.
type gooseFiles struct {
	dir   string
	steps []gooseStep // by number
}

type gooseStep struct {
	Step
	number int64
}

func (f *gooseFiles) Tool() Tool  { return Goose }
func (f *gooseFiles) Dir() string { return f.dir }

func (f *gooseFiles) Steps() []Step { return f.selected(func(gooseStep) bool { return true }) }

func (f *gooseFiles) Heads() []string {
	if len(f.steps) == 0 {
		return nil
	}
	return []string{f.steps[len(f.steps)-1].Version}
}

func (f *gooseFiles) selected(wanted func(gooseStep) bool) []Step {
	var steps []Step
	for _, s := range f.steps {
		if wanted(s) {
			steps = append(steps, s.Step)
		}
	}
	return steps
}

func (f *gooseFiles) Until(heads []string) ([]Step, error) {
	limit, given, err := single(heads)
	if err != nil || !given {
		return nil, err
	}
	return f.selected(func(s gooseStep) bool { return s.number <= limit }), nil
}

func (f *gooseFiles) Stamp(ctx context.Context, tx pgx.Tx, at Place, heads []string) error {
	steps, err := f.Until(heads)
	if err != nil {
		return fmt.Errorf("stamp goose: %w", err)
	}
	versions := make([]string, len(steps))
	for i, s := range steps {
		versions[i] = s.Version
	}
	return Stamp(ctx, tx, Goose, at, versions)
}

func (f *gooseFiles) Compare(applied []string) Comparison {
	done := map[string]bool{}
	var newest int64
	for _, v := range applied {
		done[v] = true
		if number, err := strconv.ParseInt(v, 10, 64); err == nil {
			newest = max(newest, number)
		}
	}
	var c Comparison
	for _, s := range f.steps {
		if done[s.Version] {
			delete(done, s.Version)
			continue
		}
		c.Pending = append(c.Pending, s.Step)
		if s.number < newest {
			c.Late = append(c.Late, s.Step)
		}
	}
	c.Ahead = len(c.Pending) == 0 && len(done) > 0
	for _, v := range applied {
		if !done[v] {
			continue
		}
		c.Unknown = append(c.Unknown, v)
		number, err := strconv.ParseInt(v, 10, 64)
		c.Ahead = c.Ahead && err == nil && (len(f.steps) == 0 || number > f.steps[len(f.steps)-1].number)
	}
	return c
}

func (f *gooseFiles) Resolve(version string) ([]string, error) {
	version = strings.TrimSpace(version)
	switch version {
	case "head", "heads":
		return f.Heads(), nil
	case "base", "0":
		return nil, nil
	}
	number, err := strconv.ParseInt(version, 10, 64)
	matches := f.selected(func(s gooseStep) bool {
		return err == nil && number == s.number || version == s.Name || version == filepath.Base(s.File)
	})
	if len(matches) == 0 && len(version) >= shortestPrefix {
		matches = f.selected(func(s gooseStep) bool {
			return strings.HasPrefix(s.Version, version) || strings.HasPrefix(filepath.Base(s.File), version)
		})
	}
	return chosen(version, matches, f.Steps())
}

// shortestPrefix keeps 1 from meaning 10 where a history begins with that.
const shortestPrefix = 4

// chosen returns the version of the only match.
func chosen(version string, matches, all []Step) ([]string, error) {
	switch {
	case len(matches) == 1:
		return []string{matches[0].Version}, nil
	case len(matches) > 1:
		return nil, fmt.Errorf("version %q may be one of several: %s", version, enumerate(matches))
	}
	return nil, fmt.Errorf("version %q is not in the files, which have %s", version, enumerate(all))
}

// enumerate names steps for a message, the newest of many.
func enumerate(steps []Step) string {
	const most = 5
	if len(steps) == 0 {
		return "none"
	}
	var names []string
	for _, s := range steps[max(0, len(steps)-most):] {
		names = append(names, strings.TrimSpace(s.Version+" "+s.Name))
	}
	list := strings.Join(names, ", ")
	if more := len(steps) - most; more > 0 {
		list = fmt.Sprintf("%d older ones, %s", more, list)
	}
	return list
}
