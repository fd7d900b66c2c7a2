package initialize_test

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/history"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

// linear is a history of numbered files, 1 to n, as goose has them.
type linear struct {
	tool  history.Tool
	steps []history.Step
}

func files(n int) linear {
	l := linear{tool: history.Goose}
	for i := range n {
		version := strconv.Itoa(i + 1)
		l.steps = append(l.steps, history.Step{Version: version, File: "m/" + version + ".sql", Transactional: true, Checksum: "sum" + version})
	}
	return l
}

func (l linear) Tool() history.Tool    { return l.tool }
func (l linear) Dir() string           { return "m" }
func (l linear) Steps() []history.Step { return l.steps }
func (l linear) Heads() []string {
	if len(l.steps) == 0 {
		return nil
	}
	return []string{l.steps[len(l.steps)-1].Version}
}

func (l linear) at(version string) int {
	return slices.IndexFunc(l.steps, func(s history.Step) bool { return s.Version == version })
}

func (l linear) Resolve(version string) ([]string, error) {
	if l.at(version) < 0 {
		return nil, errors.New("there are 1 to n")
	}
	return []string{version}, nil
}

func (l linear) Until(heads []string) ([]history.Step, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	return l.steps[:l.at(heads[0])+1], nil
}

func (l linear) Compare(applied []string) history.Comparison {
	var c history.Comparison
	newest := -1
	for _, version := range applied {
		if at := l.at(version); at < 0 {
			c.Unknown = append(c.Unknown, version)
		} else {
			newest = max(newest, at)
		}
	}
	for i, step := range l.steps {
		if !slices.Contains(applied, step.Version) {
			c.Pending = append(c.Pending, step)
			if i < newest {
				c.Late = append(c.Late, step)
			}
		}
	}
	c.Ahead = len(c.Unknown) > 0 && len(c.Pending) == 0
	return c
}

func (l linear) Stamp(context.Context, pgx.Tx, history.Place, []string) error {
	return errors.ErrUnsupported
}

func record(tool history.Tool, table string, applied ...string) history.Record {
	r := history.Record{Tool: tool, Schema: "public", Table: table, Applied: applied, Remedy: "force it"}
	if len(applied) > 0 {
		r.Current = applied[len(applied)-1:]
	}
	return r
}

func objects(tables ...string) []catalog.Object {
	var all []catalog.Object
	for _, table := range tables {
		all = append(all, catalog.Object{Kind: "table", Schema: "public", Name: table, Identity: "public." + table})
	}
	return all
}

func does(p initialize.Plan) []string {
	var all []string
	for _, step := range p.Steps {
		all = append(all, step.Does+" "+step.Version)
	}
	return all
}
