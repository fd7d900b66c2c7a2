package initialize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// What a run does, step by step.
const (
	doesCreateDatabase = "create database"
	doesModels         = "models"
	doesStamp          = "stamp"
	doesCompare        = "compare"
	doesMigrate        = "migrate"
	doesCommand        = "command"
	doesCancel         = "cancel"
	doesDrop           = "drop"
)

// plan says what would be done about a finding. It is a function of its arguments.
func plan(s Spec, f Finding) Plan {
	if !s.Configured() {
		return Plan{Action: ActNothing, Why: "no schema is configured", Steps: []Planned{}}
	}
	switch f.State {
	case Empty:
		return stampable(s, f, planEmpty(s, f))
	case Versioned:
		return planVersioned(s, f)
	case Unversioned:
		return stampable(s, f, planUnversioned(s, f))
	case Ambiguous, Dirty, UnknownRevision, Ahead:
		return stop(s, f, refusalOf(f.State), wayOut(s, f))
	default:
		panic("a state without a plan: " + string(f.State))
	}
}

// stampable is a plan, or, where that would stamp a table in which Alembic would not look, the plan to do nothing.
func stampable(s Spec, f Finding, p Plan) Plan {
	stamps := slices.ContainsFunc(p.Steps, func(step Planned) bool { return step.Does == doesStamp })
	if !stamps || !s.unknownTable(f) {
		return p
	}
	return stopFor(s, f, RefusedState, "env.py names a version table of its own, and there is none yet to see which", wayToTable)
}

const wayToTable = "say what it is, with version_table: public.alembic_version, or whatever env.py has"

// unknownTable reports whether nobody can tell which table Alembic will look into.
func (s Spec) unknownTable(f Finding) bool {
	settings, ok := history.Settings(f.files)
	return ok && settings.OwnTable && !f.found && s.VersionTable == ""
}

// stop is the plan to do nothing, for the finding's reason.
func stop(s Spec, f Finding, refusal Refusal, wayOut string) Plan {
	return stopFor(s, f, refusal, f.Reason, wayOut)
}

func stopFor(s Spec, f Finding, refusal Refusal, reason, wayOut string) Plan {
	err := &RefusalError{Database: s.Database, Refusal: refusal, State: f.State, Reason: reason, WayOut: wayOut}
	return Plan{Action: ActStop, Why: reason, Steps: []Planned{}, Stop: reason + ": " + wayOut, refusal: err}
}

func refusalOf(state State) Refusal {
	switch state {
	case Ambiguous:
		return RefusedAmbiguous
	case Dirty:
		return RefusedDirty
	case UnknownRevision:
		return RefusedUnknown
	case Ahead:
		return RefusedAhead
	default:
		return RefusedState
	}
}

// wayOut says what to do about a database that is left alone.
func wayOut(s Spec, f Finding) string {
	switch f.State {
	case Ambiguous:
		return "say which one counts, with history or version_table, or drop the table that does not"
	case Dirty:
		if f.stuck.Dirty != "" {
			return fmt.Sprintf("see what that migration has left, mend that, then: %s; or, where that tool is not used any more: DROP TABLE %s", f.stuck.Remedy, f.stuck.Place())
		}
		if f.record.Dirty != "" && f.record.Remedy != "" {
			return "see what the failed migration has left, mend that, then: " + f.record.Remedy
		}
		return "see what is wrong with the version table's rows, then set them: bbmd stamp " + s.Database + " VERSION"
	case UnknownRevision:
		return fmt.Sprintf("bring back the files of that revision, or, when the schema is known to be at another one: bbmd stamp %s VERSION", s.Database)
	case Ahead:
		return "run a newer release of the code, whose files have those versions, or take the database back with its own tool"
	default:
		return ""
	}
}

func planEmpty(s Spec, f Finding) Plan {
	p := Plan{Steps: []Planned{}}
	if f.Missing {
		if !s.Create {
			return stop(s, f, RefusedMissing, "create it, or let bbmd do so with schema.create: true")
		}
		p.Steps = append(p.Steps, Planned{Does: doesCreateDatabase})
	}
	switch {
	case s.bootstrap() == FromModels && !f.resumed:
		p.Action, p.Why = ActCreate, "empty: create it from the models, in one transaction"
		p.Steps = append(p.Steps, Planned{Does: doesModels, File: modelsPlace(s.Models)})
		if f.files != nil {
			p.Steps = append(p.Steps, stamped(f.Target)...)
		}
	case s.History == Command:
		p.Action, p.Why = ActMigrate, "empty: run the command"
		p.Steps = append(p.Steps, commanded(s))
	default:
		p.Action, p.Why = ActMigrate, "empty: run all migrations, from the first"
		p.Steps = append(p.Steps, migrated(f)...)
		if len(p.Steps) == 0 {
			p.Action, p.Why = ActNothing, "empty, and there are no migrations yet"
		}
	}
	return p
}

func planVersioned(s Spec, f Finding) Plan {
	switch {
	case len(f.Edited) > 0 && s.EditedFiles != Allow:
		return stopFor(s, f, RefusedEdited, editedReason(f.Edited), fmt.Sprintf("restore what was applied and put the change into a new migration; "+
			"or accept a file as it is: DELETE FROM %s.applied WHERE tool = '%s' AND version = '%s'", s.store().Schema(), s.history(f.files), f.Edited[0].Version))
	case len(f.Late) > 0 && s.OutOfOrder != Allow:
		return stopFor(s, f, RefusedOutOfOrder, "pending, and older than what is applied: "+few(f.Late),
			"give these files a version of today, or allow it with schema.out_of_order: allow")
	case s.History == Command:
		return Plan{Action: ActMigrate, Why: "what is pending only the command knows: run it", Steps: []Planned{commanded(s)}}
	case len(f.Pending) > 0:
		return Plan{Action: ActMigrate, Why: fmt.Sprintf("%d pending", len(f.Pending)), Steps: migrated(f)}
	default:
		return Plan{Action: ActNothing, Why: "up to date", Steps: []Planned{}}
	}
}

func editedReason(edited []Edited) string {
	files := make([]string, 0, len(edited))
	for _, e := range edited {
		files = append(files, fmt.Sprintf("%s (version %s, sha256 %s… when it was applied, %s… now)", e.File, e.Version, short(e.Was), short(e.Is)))
	}
	return "changed after it was applied: " + strings.Join(files, "; ")
}

func planUnversioned(s Spec, f Finding) Plan {
	if s.History == Command {
		return Plan{Action: ActMigrate, Why: "what has been applied only the command knows: run it", Steps: []Planned{commanded(s)}}
	}
	p := Plan{Action: ActBaseline, Steps: []Planned{}}
	heads, then := f.Target, []history.Step(nil)
	if s.Baseline != "" {
		var err error
		if heads, then, err = baselineAt(f.files, s.Baseline); err != nil {
			return stopFor(s, f, RefusedState, fmt.Sprintf("baseline_version: %v", err), "correct it")
		}
		p.Why = "not versioned: baseline_version says that it is at " + s.Baseline
	} else {
		p.Why = "not versioned: compare it with the declared schema, and stamp it where they are equal"
		p.Steps = append(p.Steps, Planned{Does: doesCompare, Detail: declaredBy(s)})
	}
	if f.files != nil {
		p.Steps = append(p.Steps, stamped(heads)...)
	}
	for _, step := range then {
		p.Steps = append(p.Steps, Planned{Does: doesMigrate, Version: step.Version, Name: step.Name, File: step.File})
	}
	return p
}

// baselineAt returns what to stamp for a version, and the steps that come after it.
func baselineAt(files history.Files, version string) (heads []string, then []history.Step, err error) {
	if heads, err = files.Resolve(version); err != nil {
		return nil, nil, err
	}
	had, err := files.Until(heads)
	if err != nil {
		return nil, nil, err
	}
	have := map[string]bool{}
	for _, step := range had {
		have[step.Version] = true
	}
	for _, step := range files.Steps() {
		if !have[step.Version] {
			then = append(then, step)
		}
	}
	return heads, then, nil
}

// declaredBy says what the schema is compared with.
func declaredBy(s Spec) string {
	if s.bootstrap() == FromModels {
		return "a database made from " + modelsPlace(s.Models)
	}
	return "a database made by all migrations"
}

func modelsPlace(m Models) string {
	if m.Path != "" {
		return m.Path
	}
	return strings.Join(m.Command, " ")
}

func stamped(heads []string) []Planned {
	if len(heads) == 0 {
		return nil
	}
	return []Planned{{Does: doesStamp, Version: strings.Join(heads, " ")}}
}

func migrated(f Finding) []Planned {
	steps := make([]Planned, 0, len(f.Pending))
	for _, step := range f.Pending {
		detail := ""
		if len(step.Requires) > 0 {
			detail = "requires finished: " + strings.Join(step.Requires, ", ")
		}
		steps = append(steps, Planned{Does: doesMigrate, Version: step.Version, Name: step.Name, File: step.File, Detail: detail})
	}
	return steps
}

func commanded(s Spec) Planned {
	return Planned{Does: doesCommand, Detail: strings.Join(s.Command, " ")}
}
