package await

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/initialize"
)

// Target is a database and what is waited for there.
type Target struct {
	Spec   initialize.Spec // of its Connect nothing is used
	Goals  []Goal
	Strict bool // a database that is newer than the files, or had others, is none that was waited for
}

// Validate says what of the goals nobody could ever say.
func (t Target) Validate() error {
	for _, g := range t.Goals {
		if g.Kind == Schema && !t.Spec.Configured() {
			return fmt.Errorf("database %s has no schema that could be waited for: set schema.migrations, schema.models or schema.command of it, or wait for a version", t.Spec.Database)
		}
	}
	return nil
}

// Verdict is what one look has found.
type Verdict struct {
	Reached bool
	Says    string       // who works on what, or why nothing moves; empty once it is reached
	Blocked *FailedError // what waiting may not mend; nil: nothing is wrong
}

// looker collects what stands between the database and the goals.
type looker struct {
	Target

	conn    *pgx.Conn
	store   control.Store
	control bool // the control schema is there
	finding initialize.Finding
	says    []string
	blocked *FailedError
	schema  bool // something about the schema is waited for
}

// Look looks once. Errors are those of the connection, or a [*initialize.ConfigError].
func (t Target) Look(ctx context.Context, conn *pgx.Conn) (Verdict, error) {
	if !t.Strict {
		// A migration that failed, and was mended under its version, has another text than the files of those who
		// waited for it all the while. Whether it may is judged where it is applied.
		t.Spec.EditedFiles = initialize.Allow
	}
	l := &looker{Target: t, conn: conn, store: control.NewStore(t.Spec.ControlSchema)}
	err := l.look(ctx)
	if refusal := refusalOf(err); refusal != nil && !conn.IsClosed() && ctx.Err() == nil {
		l.refuse(strings.TrimPrefix(refusal.Error(), "database "+t.Spec.Database+": "))
		err = nil
	}
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Reached: len(l.says) == 0, Says: strings.Join(l.says, "; "), Blocked: l.blocked}, nil
}

// refusalOf returns what somebody has to decide or look into, nil where err is something else.
func refusalOf(err error) error {
	pg, said := errors.AsType[*pgconn.PgError](err)
	switch kind := initialize.KindOf(err); {
	case err == nil:
		return nil
	case said && pg.Code == "42501":
		return fmt.Errorf("this role may not look: %s: grant it what deploy/sql/wait-role.sql does", pg.Message)
	case kind == initialize.KindRefused, kind == initialize.KindUnexpected:
		return err
	default:
		return nil
	}
}

func (l *looker) look(ctx context.Context) error {
	const tables = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'force_recreate_tokens')"
	name := l.Spec.ControlSchema
	if name == "" {
		name = control.DefaultSchema
	}
	if err := l.conn.QueryRow(ctx, tables, name).Scan(&l.control); err != nil {
		return fmt.Errorf("look: %w", err)
	}
	for _, g := range l.Goals {
		if err := l.weigh(ctx, g); err != nil {
			return err
		}
	}
	if !l.schema {
		return nil
	}
	return l.explain(ctx)
}

// weigh notes what is missing of a goal.
func (l *looker) weigh(ctx context.Context, g Goal) error {
	switch g.Kind {
	case Schema:
		return l.weighSchema(ctx)
	case Version:
		if err := l.inspect(ctx); err != nil {
			return err
		}
		if !l.finding.Has(g.Name) {
			l.schema = true
			l.says = append(l.says, fmt.Sprintf("version %s is not there: %s", g.Name, where(l.finding)))
		}
		return nil
	case Migration:
		return l.weighMigrations(ctx, control.Selection{Names: []string{g.Name}}, g.Name)
	case All:
		if l.Spec.Configured() {
			if err := l.weighSchema(ctx); err != nil {
				return err
			}
		}
		return l.weighMigrations(ctx, control.Selection{Open: true}, "")
	}
	return nil
}

func (l *looker) inspect(ctx context.Context) (err error) {
	if l.finding.State == "" {
		l.finding, err = initialize.InspectOn(ctx, l.conn, l.Spec)
	}
	return err
}

func (l *looker) weighSchema(ctx context.Context) error {
	if err := l.inspect(ctx); err != nil {
		return err
	}
	problem := l.finding.Reached(l.Spec, l.Strict)
	if problem == nil {
		return nil
	}
	if !l.Strict {
		newer, err := initialize.NewerByRecord(ctx, l.conn, l.Spec, l.finding)
		if newer || err != nil {
			return err
		}
	}
	l.schema = true
	if refusal, ok := errors.AsType[*initialize.RefusalError](problem); ok {
		l.refuse(strings.TrimPrefix(refusal.Error(), "database "+l.Spec.Database+": "))
		return nil
	}
	l.says = append(l.says, pending(l.finding))
	return nil
}

// refuse notes that somebody has to decide.
func (l *looker) refuse(text string) {
	l.says = append(l.says, oneLine(text))
	l.block(&FailedError{Decide: true, Failure: Failure{Key: text, What: text}})
}

// block notes what waiting may not mend; the first counts.
func (l *looker) block(why *FailedError) {
	if l.blocked == nil {
		why.Database = l.Spec.Database
		l.blocked = why
	}
}

// pending says what the schema lacks.
func pending(f initialize.Finding) string {
	if len(f.Pending) == 0 {
		return "the schema is not there yet: " + f.Reason
	}
	versions := make([]string, 0, len(f.Pending))
	for _, step := range f.Pending {
		versions = append(versions, step.Version)
	}
	return fmt.Sprintf("%s; %d pending: %s", where(f), len(versions), few(versions))
}

// where says where the schema is.
func where(f initialize.Finding) string {
	switch {
	case f.Table == "":
		return "there is no history table: " + f.Reason
	case len(f.Current) == 0:
		return "the schema is at no version"
	default:
		return "the schema is at " + few(f.Current)
	}
}

func few(all []string) string {
	const most = 5
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
