package initialize

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/history"
)

// Seen is what was seen in a database.
type Seen struct {
	Missing    bool
	Records    []history.Record
	Objects    []catalog.Object
	Applied    map[string]control.AppliedFile
	Production *control.Mark
	Runs       []control.Run
	Checksum   string
}

// Conclude is what a look comes to.
func Conclude(s Spec, files history.Files, seen Seen) Finding {
	return conclude(s, files, sight{
		missing: seen.Missing, control: true, records: seen.Records, objects: seen.Objects, applied: seen.Applied,
		production: seen.Production, runs: seen.Runs, checksum: seen.Checksum,
	})
}

// VerifyFinding is what Verify says of a finding.
func VerifyFinding(s Spec, f Finding) error { return f.verify(s) }

// Unadopted are the versions whose checksums would be adopted.
func (f Finding) Unadopted() []string {
	var versions []string
	for _, step := range f.unadopted {
		versions = append(versions, step.Version)
	}
	return versions
}

// InDatabase is what leads programs to a shadow.
func InDatabase(conn, database string) (string, error) { return inDatabase(conn, database) }

// Held runs what while conn's session lives.
func Held(ctx context.Context, conn *pgx.Conn, what func(context.Context) error) error {
	return held(ctx, conn, what)
}

// ErrLost ends what was held.
var ErrLost = errLost

// Pooled refuses sessions that are none.
func Pooled(ctx context.Context, s Spec, conn, other *pgx.Conn) error {
	return s.proveSession(ctx, conn, other)
}

// ApplicationPrefix begins the names of runners' sessions.
const ApplicationPrefix = applicationPrefix
