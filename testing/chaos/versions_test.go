package chaos_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/chaos"
)

// nextSQL is what a next release may do to the control schema: what locks tables
// for a moment, and gives the queries of the present one other rows than they knew.
const nextSQL = `
ALTER TABLE bbm.batched_background_migrations ADD COLUMN next_note text NOT NULL DEFAULT 'next';
ALTER TABLE bbm.batched_background_migration_jobs ADD COLUMN next_note text;
ALTER TABLE bbm.batched_background_migration_jobs ALTER COLUMN next_note SET DEFAULT 'next';
CREATE INDEX next_jobs ON bbm.batched_background_migration_jobs (owner) WHERE status = 'running';
CREATE TABLE bbm.next_things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job bigint NOT NULL);
CREATE FUNCTION bbm.next_thing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bbm.next_things (job) VALUES (NEW.id);
  RETURN NULL;
END
$$;
CREATE TRIGGER next_thing AFTER UPDATE OF status ON bbm.batched_background_migration_jobs
  FOR EACH ROW WHEN (NEW.status = 'failed') EXECUTE FUNCTION bbm.next_thing();
`

// TestNextReleaseBesideThisOne puts a next release, which is this one with one more version
// of the control schema, beside this one.
func TestNextReleaseBesideThisOne(t *testing.T) {
	t.Parallel()
	const present, next = "v1.0.0", "v1.1.0-next"
	t.Logf("again: go test -race ./testing/chaos %s-run '^%s$' -seed %d", longFlag(), t.Name(), *seed)
	earlier := chaos.Release{Program: buildRelease(t, present, "../.."), Version: present}
	later := chaos.Release{Program: buildRelease(t, next, "../..", "-overlay", overlay(t)), Version: next}
	reported(t, chaos.RunVersions(t, *seed, earlier, later))
}

// TestThisReleaseBesideThePast puts this release beside what it was before the control
// schema had its latest version. It is for the long form, since it takes the history of the source.
func TestThisReleaseBesideThePast(t *testing.T) {
	t.Parallel()
	if !*long {
		return
	}
	const past, present = "v0.9.0-past", "v1.0.0"
	earlier := chaos.Release{Program: buildRelease(t, past, beforeTheLatestSchema(t)), Version: past, Past: true}
	later := chaos.Release{Program: buildRelease(t, present, "../.."), Version: present}
	reported(t, chaos.RunVersions(t, *seed, earlier, later))
}

// beforeTheLatestSchema returns the source as of the commit before the one that added the latest version of
// the control schema.
func beforeTheLatestSchema(t *testing.T) string {
	t.Helper()
	added := git(t, "log", "--diff-filter=A", "--format=%H", "-1", "--", latestStep(t))
	require.NotEmpty(t, added, "the latest version of the control schema is not committed")
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	git(t, "-C", "../..", "archive", "--output", archive, added+"^") // of a shallow clone: git fetch --unshallow
	output, err := exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", dir).CombinedOutput()
	require.NoError(t, err, string(output))
	return dir
}

// latestStep returns the file with the latest version of the control schema.
func latestStep(t *testing.T) string {
	t.Helper()
	steps, err := filepath.Glob("../../internal/control/schema/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, steps)
	slices.Sort(steps)
	return steps[len(steps)-1]
}

func git(t *testing.T, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput()
	require.NoError(t, err, string(output))
	return strings.TrimSpace(string(output))
}

// overlay returns a file which says that the source has one more version of the control schema.
func overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	step := filepath.Join(dir, "next.sql")
	require.NoError(t, os.WriteFile(step, []byte(nextSQL), 0o600))
	place, err := filepath.Abs(filepath.Join(filepath.Dir(latestStep(t)), "9999_next.sql"))
	require.NoError(t, err)
	content, err := json.Marshal(map[string]map[string]string{"Replace": {place: step}})
	require.NoError(t, err)
	path := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// buildRelease builds the command from a source, as of a version. It is without the race
// detector, as most of it is built for other tests already.
func buildRelease(t *testing.T, version, source string, args ...string) chaos.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bbmd")
	args = append([]string{"build", "-C", source, "-o", path, "-buildvcs=false", "-ldflags", "-X main.version=" + version}, args...)
	output, err := exec.CommandContext(t.Context(), "go", append(args, "./cmd/bbmd")...).CombinedOutput()
	require.NoError(t, err, string(output))
	return chaos.Program{Args: []string{path, "run"}}
}
