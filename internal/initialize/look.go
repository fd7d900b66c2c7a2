package initialize

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// DB is a connection or a pool.
type DB interface {
	BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
}

// Inspect looks at a database, in one read-only transaction, and says what it
// is and what would be done. It takes no lock, so that the answer may be about a run
// that is at work right now. A database that does not exist is [Empty]. A spec that is not
// [Spec.Configured] is fine: the plan is then to do nothing.
//
// The error is a [*ConfigError] where files cannot be read, or an [*UnreachableError].
func Inspect(ctx context.Context, s Spec) (Finding, error) {
	begun := s.beginOpen(ctx)
	files, err := openFiles(s)
	if err != nil {
		begun.drop(ctx)
		return Finding{}, err
	}
	conn, err := s.openWith(ctx, begun)
	if errors.Is(err, errNoDatabase) {
		return conclude(s, files, sight{missing: true}), nil
	}
	if err != nil {
		return Finding{}, err
	}
	defer hangUp(ctx, conn)
	return look(ctx, conn, s, files)
}

// InspectOn is [Inspect] on a connection that is there.
func InspectOn(ctx context.Context, db DB, s Spec) (Finding, error) {
	files, err := openFiles(s)
	if err != nil {
		return Finding{}, err
	}
	return look(ctx, db, s, files)
}

// wrap says on which database and at what an error came up, unless it says so itself.
func (s Spec) wrap(doing string, err error) error {
	if _, own := errors.AsType[interface {
		error
		Kind() Kind
	}](err); own || err == nil {
		return err
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case codeInsufficientPrivilege:
			return &RefusalError{
				Database: s.Database, Refusal: RefusedPrivilege, Reason: fmt.Sprintf("%s: %v", doing, err),
				WayOut: "grant that to the role, or connect as one that may", Err: err,
			}
		case codeUnknownStatement, codeDuplicateStatement: // what one transaction prepared is gone, or another session's, in the next
			return s.pooled(err)
		default:
		}
	}
	return fmt.Errorf("database %s: %s: %w", s.Database, doing, err)
}

// openFiles reads the history in files, or returns nil where there is none.
func openFiles(s Spec) (history.Files, error) {
	if s.Configured() {
		if err := s.Validate(); err != nil {
			return nil, err
		}
	}
	if s.Migrations == "" || s.History == Command {
		return nil, nil //nolint:nilnil // there is no history in files, and that is no error
	}
	files, err := history.Open(s.Migrations, s.History, s.HistoryOptions)
	if err != nil {
		return nil, &ConfigError{Database: s.Database, Err: err}
	}
	return files, nil
}

// sight is what was seen, before anything is concluded from it.
type sight struct {
	missing    bool // there is no database
	control    bool // there is a control schema with the tables that are read here
	records    []history.Record
	objects    []catalog.Object // the user's, where they can decide
	applied    map[string]control.AppliedFile
	production *control.Mark
	running    bool          // a run says so
	runs       []control.Run // the last ones, the latest first
	checksum   string        // of the models, where they are all there is and were applied before
}

// look sees and concludes.
func look(ctx context.Context, db DB, s Spec, files history.Files) (Finding, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return Finding{}, fmt.Errorf("database %s: look: %w", s.Database, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only read
	v, err := see(ctx, tx, s, files)
	if err != nil {
		return Finding{}, s.wrap("look", err)
	}
	return conclude(s, files, v), nil
}

func see(ctx context.Context, tx pgx.Tx, s Spec, files history.Files) (sight, error) {
	var v sight
	store := s.store()
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", control.Once, store.Schema()+".force_recreate_tokens").Scan(&v.control); err != nil {
		return v, err
	}
	var err error
	if v.records, err = history.Find(ctx, tx, s.controlSchema()); err != nil {
		return v, err
	}
	p := choose(s, files, v.records)
	if v.control {
		if err := v.seeControl(ctx, tx, s, files); err != nil {
			return v, err
		}
	}
	upToDate := files != nil && p.found && files.Compare(p.record.Applied).UpToDate() // then there is nothing to clear away or to go on with
	if v.control && !upToDate {
		if v.runs, err = store.RunsWithoutLog(ctx, tx, runsLooked); err != nil {
			return v, err
		}
	}
	if p.found && len(p.record.Applied) > 0 || p.ambiguous != "" {
		return v, nil // the rows say it all
	}
	v.objects, err = catalog.UserObjects(ctx, tx, notSchema(s, v.records))
	return v, err
}

// runsLooked is how many runs may have failed, before they did anything, after one that left something behind.
const runsLooked = 10

func (v *sight) seeControl(ctx context.Context, tx pgx.Tx, s Spec, files history.Files) (err error) {
	store := s.store()
	if v.applied, err = store.Applied(ctx, tx, s.history(files)); err != nil {
		return err
	}
	if v.production, v.running, err = store.Production(ctx, tx); err != nil {
		return err
	}
	if _, known := v.applied[modelsVersion]; known && s.modelsAlone() {
		models, err := readModels(ctx, s, io.Discard)
		if err != nil {
			return err
		}
		v.checksum = models.checksum()
	}
	return nil
}

// modelsVersion is under which version the checksum of models is recorded.
const modelsVersion = "models"

// modelsAlone reports whether models are all there is: their checksum is the version then.
func (s Spec) modelsAlone() bool {
	return s.Models.Declared() && s.Migrations == "" && s.History != Command
}

// history is under which name checksums are recorded: two services may share a
// database, each with a version table of its own.
func (s Spec) history(files history.Files) string {
	switch {
	case files == nil:
		return string(modelsTool)
	case s.VersionTable != "":
		return string(files.Tool()) + " " + s.VersionTable
	default:
		return string(files.Tool())
	}
}

// notSchema says what in a database is nobody's schema.
func notSchema(s Spec, records []history.Record) catalog.Options {
	options := catalog.Options{Exclude: []string{s.controlSchema()}}
	for _, r := range records {
		options.VersionTables = append(options.VersionTables, catalog.Name{Schema: r.Schema, Table: r.Table})
		for _, companion := range r.Companions {
			options.VersionTables = append(options.VersionTables, catalog.Name{Schema: r.Schema, Table: companion})
		}
	}
	return options
}
