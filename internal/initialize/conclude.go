package initialize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// pick is which of the version tables counts.
type pick struct {
	record    history.Record // also when it is empty; the zero value: there is none
	found     bool           // there is a record
	ambiguous string         // why none can be picked
	others    []history.Record
}

// choose picks the version table that counts: the one that is named, else the
// only one of the files' tool, else, where nothing is said about a tool, the only one there is.
// Where only another tool has been at work, somebody has to say that the files count: once they were run there
// would be two tools' tables, and the next look would not know which one counts.
func choose(s Spec, files history.Files, records []history.Record) pick {
	var p pick
	var own []history.Record
	for _, r := range records {
		switch {
		case s.VersionTable == "" && (files == nil || r.Tool == files.Tool()),
			s.VersionTable != "" && (s.VersionTable == r.Table || s.VersionTable == r.Schema+"."+r.Table):
			own = append(own, r)
		default:
			p.others = append(p.others, r)
		}
	}
	full, foreign, unsaid := saying(own), saying(p.others), s.History == "" && s.VersionTable == ""
	switch {
	case s.modelsAlone(): // whoever made the tables, models have no version table
		p.others = records
	case len(full) > 1:
		p.ambiguous = "version tables of one and the same database: " + tables(full)
	case len(full) == 1 && len(foreign) > 0 && unsaid:
		p.ambiguous = "version tables of several tools: " + tables(append(full, foreign...))
	case len(foreign) > 0 && len(dirty(foreign)) == 0 && unsaid:
		p.ambiguous = fmt.Sprintf("the files in %s are of %s, and the version table is another tool's: %s", files.Dir(), files.Tool().Title(), tables(foreign))
	case len(full) == 1:
		p.record, p.found = full[0], true
	case len(own) > 0:
		p.record, p.found = own[0], true
	}
	return p
}

// says reports whether a version table says anything.
func says(r history.Record) bool { return len(r.Applied) > 0 || r.Dirty != "" }

func saying(records []history.Record) []history.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r history.Record) bool { return !says(r) })
}

// dirty are the version tables whose tool has not come to an end, and would not go on.
func dirty(records []history.Record) []history.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r history.Record) bool { return r.Dirty == "" })
}

// tables names version tables, with their tools.
func tables(records []history.Record) string {
	names := make([]string, 0, len(records))
	for _, r := range records {
		names = append(names, describe(r))
	}
	return strings.Join(names, ", ")
}

func describe(r history.Record) string {
	text := fmt.Sprintf("%s.%s (%s", r.Schema, r.Table, r.Tool.Title())
	if len(r.Current) > 0 {
		text += ", at " + few(r.Current)
	}
	return text + ")"
}

// conclude says what the database is and what would be done. It is a function of what was
// seen and nothing else.
func conclude(s Spec, files history.Files, v sight) Finding {
	f := Finding{
		Database: s.Database, Missing: v.missing, Production: v.production != nil,
		files: files, control: v.control, objects: v.objects, records: v.records, running: v.running,
		Current: []string{}, Target: []string{}, Pending: []Step{},
	}
	if len(v.runs) > 0 {
		f.last = &v.runs[0]
	}
	if f.last != nil && (f.last.Outcome == control.OutcomeRunning || f.last.Outcome == control.OutcomeInterrupted) {
		f.Interrupted = f.last.ID
	}
	p := choose(s, files, v.records)
	for _, r := range p.others {
		f.Others = append(f.Others, describe(r))
	}
	f.record, f.found = p.record, p.found
	f.Tool = tool(s, files, p)
	if p.found {
		f.Table = p.record.Schema + "." + p.record.Table
		f.Current = append(f.Current, p.record.Current...)
	}
	f.compare(s, v)
	f.State, f.Reason = state(s, p, v, &f)
	f.Plan = plan(s, f)
	return f
}

func tool(s Spec, files history.Files, p pick) history.Tool {
	switch {
	case files != nil:
		return files.Tool()
	case s.History == Command && !p.found:
		return Command
	case s.modelsAlone():
		return modelsTool
	default:
		return p.record.Tool
	}
}

// compare holds the version table against the files.
func (f *Finding) compare(s Spec, v sight) {
	if f.files == nil {
		if sum, known := v.applied[modelsVersion]; known && s.modelsAlone() {
			f.Current, f.Target = []string{short(sum.Checksum)}, []string{short(v.checksum)}
		}
		return
	}
	f.Target = append(f.Target, f.files.Heads()...)
	c := f.files.Compare(f.record.Applied)
	f.comparison, f.Unknown = c, c.Unknown
	pending := map[string]bool{}
	for _, step := range c.Pending {
		pending[step.Version] = true
		f.Pending = append(f.Pending, Step{
			Version: step.Version, Name: step.Name, File: step.File, Transactional: step.Transactional, Requires: step.Requires,
		})
	}
	for _, step := range c.Late {
		f.Late = append(f.Late, step.Version)
	}
	for _, step := range f.files.Steps() {
		if pending[step.Version] || step.Checksum == "" {
			continue
		}
		was, known := v.applied[step.Version]
		switch {
		case !known:
			f.unadopted = append(f.unadopted, step)
		case was.Checksum != step.Checksum:
			f.Edited = append(f.Edited, Edited{Version: step.Version, File: step.File, Applied: was.RecordedAt, Was: was.Checksum, Is: step.Checksum})
		}
	}
}

// short is as much of a checksum as people compare.
func short(checksum string) string {
	const digits = 12
	return checksum[:min(digits, len(checksum))]
}

// state says what the database is, and why.
func state(s Spec, p pick, v sight, f *Finding) (is State, why string) {
	switch {
	case v.missing:
		return Empty, "the server has no database of that name"
	case p.ambiguous != "":
		return Ambiguous, p.ambiguous
	case p.found && p.record.Dirty != "":
		return Dirty, describe(p.record) + ": " + p.record.Dirty
	case p.found && len(p.record.Applied) > 0:
		return versioned(p, f)
	}
	f.Objects = names(f.objects)
	switch {
	case s.modelsAlone() && len(f.Target) > 0 && len(f.Objects) > 0:
		return modeled(f)
	case len(dirty(p.others)) > 0: // what is there, or missing, is only half of what that tool was about
		f.stuck = dirty(p.others)[0]
		return Dirty, describe(f.stuck) + ": " + f.stuck.Dirty
	case len(f.Objects) == 0 && p.found:
		return Empty, "no objects but an empty version table, " + f.Table
	case len(f.Objects) == 0:
		return Empty, "no objects"
	}
	if begun := begunEmpty(v.runs, f.Tool); begun != 0 {
		f.resumed = true
		return Empty, fmt.Sprintf("run %d began on the empty database, and came to no end in a step outside a transaction: it is gone on with", begun)
	}
	switch {
	case p.found:
		return Unversioned, fmt.Sprintf("the version table %s is empty, and there are objects: %s", f.Table, few(f.Objects))
	case len(saying(p.others)) > 0:
		return Unversioned, "no version of the configured history, but another tool's: " + tables(saying(p.others))
	default:
		return Unversioned, "objects and no version table: " + few(f.Objects)
	}
}

func versioned(p pick, f *Finding) (State, string) {
	at := describe(p.record)
	switch {
	case f.files == nil:
		return Versioned, at
	case f.comparison.Ahead:
		return Ahead, fmt.Sprintf("%s has %s, and the files in %s end before that", at, few(f.Unknown), f.files.Dir())
	case len(f.Unknown) > 0:
		return UnknownRevision, fmt.Sprintf("%s has %s, and the files in %s do not", at, few(f.Unknown), f.files.Dir())
	case f.comparison.Refusal != "":
		return Dirty, at + ": " + f.comparison.Refusal
	default:
		return Versioned, at
	}
}

// modeled is the state of a database that was made from models and nothing else.
func modeled(f *Finding) (State, string) {
	if f.Current[0] == f.Target[0] {
		return Versioned, "made from the models as they are"
	}
	return Unversioned, "made from other models than those there are now"
}

// names of the objects that are no version tables.
func names(objects []catalog.Object) []string {
	var all []string
	for _, o := range objects {
		if !o.Version {
			all = append(all, o.String())
		}
	}
	return all
}

// begunEmpty returns the run that began with nothing, was to run all migrations, and did not
// get past a step outside a transaction: what is there is what that step has left, without a version
// that would say so. It returns 0 where there is none, or others have come since that got further.
func begunEmpty(runs []control.Run, tool history.Tool) int64 {
	for _, r := range runs {
		if r.Outcome == control.OutcomeFinished || r.Tool == nil || *r.Tool != string(tool) {
			return 0
		}
		if began := r.StateBefore == string(Empty) && r.Action == string(ActMigrate); !began && !dropped(r) {
			return 0
		}
		for _, step := range r.Steps {
			if step.Does == doesMigrate && step.FinishedAt == nil && !step.Transactional {
				return r.ID
			}
		}
	}
	return 0
}

// dropped reports whether a run has dropped everything.
func dropped(r control.Run) bool {
	return slices.ContainsFunc(r.Steps, func(step control.RunStep) bool { return step.Does == doesDrop && step.FinishedAt != nil })
}
