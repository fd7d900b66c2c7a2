package initialize

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/history"
)

// Reached returns nil when the database is where the spec's files say, as [Verify] does, or
// further. With strict, further is a [*RefusalError].
func (f Finding) Reached(s Spec, strict bool) error {
	if strict && f.State == Ahead {
		return f.Plan.refusal
	}
	return f.verify(s)
}

// Has reports whether a version is applied, or, where versions are numbers, a
// later one. Of Alembic's revisions the files tell which are older than the
// database's; without files only the current ones are known.
func (f Finding) Has(version string) bool {
	if !f.found || f.State == Dirty {
		return false
	}
	if slices.ContainsFunc(f.record.Applied, sameVersion(version)) || slices.ContainsFunc(f.Current, sameVersion(version)) {
		return true
	}
	if f.files != nil {
		same := sameVersion(version)
		known := slices.ContainsFunc(f.files.Steps(), func(step history.Step) bool { return same(step.Version) })
		if known && len(f.Unknown) == 0 {
			return !slices.ContainsFunc(f.Pending, func(step Step) bool { return same(step.Version) })
		}
	}
	wanted, err := strconv.ParseUint(version, 10, 64)
	if err != nil || f.Tool == history.Alembic {
		return false
	}
	return slices.ContainsFunc(f.Current, func(current string) bool {
		number, err := strconv.ParseUint(current, 10, 64)
		return err == nil && number >= wanted
	})
}

// sameVersion compares versions, numbers by their value: files say 00002, and
// databases 2.
func sameVersion(version string) func(string) bool {
	number, err := strconv.ParseUint(version, 10, 64)
	return func(other string) bool {
		if version == other {
			return true
		}
		n, bad := strconv.ParseUint(other, 10, 64)
		return err == nil && bad == nil && n == number
	}
}

// NewerByRecord reports whether bbm.applied vouches for it that an
// [UnknownRevision] is a later one, and none that was lost: every step of the files
// was applied, and so were the unknown ones, by a bbmd that had their files.
func NewerByRecord(ctx context.Context, db DB, s Spec, f Finding) (newer bool, err error) {
	if f.State != UnknownRevision || f.files == nil || !f.control {
		return false, nil
	}
	tx, err := db.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return false, fmt.Errorf("database %s: look: %w", s.Database, err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only read
	applied, err := s.store().Applied(ctx, tx, s.history(f.files))
	if err != nil {
		return false, s.wrap("look", err)
	}
	versions := slices.Clone(f.Unknown)
	for _, step := range f.files.Steps() {
		versions = append(versions, step.Version)
	}
	return !slices.ContainsFunc(versions, func(version string) bool {
		_, known := applied[version]
		return !known
	}), nil
}
