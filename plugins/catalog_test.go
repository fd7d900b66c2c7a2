package plugins_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
	"github.com/bbmd-dev/bbmd/registry"
)

func TestCatalogAddsWorks(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	require.Len(t, f.catalog.Works(), 1, "before the first load the compiled Works are there")
	require.False(t, f.catalog.Ready())
	f.write(t, "a.word", "one two")
	f.reload(t)
	require.True(t, f.catalog.Ready())
	require.Len(t, f.changes, 1)

	works := f.catalog.Works()
	require.Len(t, works, 3)
	require.Equal(t, []string{"copy_column", "one", "two"}, []string{works[0].Name, works[1].Name, works[2].Name})
	require.Empty(t, works[0].Digest)
	require.Equal(t, plugins.Digest([]byte("one two")), works[1].Digest)
	require.Equal(t, 1, works[1].Version, "completed as Register does")

	f.reload(t)
	require.Len(t, f.changes, 1, "nothing changed")
	opened, closed := f.words.counts("one two")
	require.Equal(t, 1, opened)
	require.Equal(t, 0, closed)
}

func TestCatalogReloadsByContent(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "a.word", "one")
	f.reload(t)
	before := f.catalog.Snapshot()
	f.write(t, "a.word", "one ") // another content, the same Work
	f.reload(t)
	work, err := f.catalog.Lookup("one")
	require.NoError(t, err)
	require.Equal(t, plugins.Digest([]byte("one ")), work.Digest)
	_, closed := f.words.counts("one")
	require.Equal(t, 1, closed)
	old, err := before.Lookup("one")
	require.NoError(t, err)
	require.Equal(t, plugins.Digest([]byte("one")), old.Digest, "a snapshot does not change")
}

func TestCatalogKeepsNamesApart(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "shadow.word", "copy_column fine")
	f.write(t, "x.word", "same x1")
	f.write(t, "y.word", "same y1")
	f.write(t, "z.word", "z1")
	f.reload(t)
	require.Equal(t, map[string]plugins.State{
		"shadow": plugins.StateConflict, "x": plugins.StateConflict, "y": plugins.StateConflict, "z": plugins.StateOK,
	}, f.states())
	require.Contains(t, f.reason("shadow"), `the Work "copy_column" is compiled into this bbmd`)
	require.Contains(t, f.reason("x"), "x.word and "+filepath.Join(f.dir, "y.word"))
	work, err := f.catalog.Lookup("copy_column")
	require.NoError(t, err)
	require.Empty(t, work.Digest, "the compiled one")
	_, err = f.catalog.Lookup("same")
	require.ErrorIs(t, err, registry.ErrUnknownWork)
	require.ErrorContains(t, err, "is in the state conflict")
	for _, content := range []string{"copy_column fine", "same x1", "same y1"} {
		opened, closed := f.words.counts(content)
		require.Equal(t, opened, closed, content)
	}

	require.NoError(t, os.Remove(filepath.Join(f.dir, "y.word")))
	f.reload(t)
	require.Equal(t, plugins.StateOK, f.states()["x"])
}

func TestCatalogConflictClosesWhatWasOpen(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "x.word", "same x1")
	f.reload(t)
	f.write(t, "y.word", "same y1")
	f.reload(t)
	_, closed := f.words.counts("same x1")
	require.Equal(t, 1, closed, "once")
}

func TestCatalogLeavesOutWhatIsBroken(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "good.word", "good")
	f.write(t, "bad.word", "broken")
	f.write(t, "shut.word", "stuck")
	f.write(t, "name.word", "Not-A-Name")
	f.write(t, "long.word", string(make([]byte, 200)))
	f.write(t, "writable.word", "writable")
	require.NoError(t, os.Chmod(filepath.Join(f.dir, "writable.word"), 0o666))
	f.reload(t)
	require.Equal(t, map[string]plugins.State{
		"good": plugins.StateOK, "bad": plugins.StateInvalid, "shut": plugins.StateInvalid, "name": plugins.StateInvalid,
		"long": plugins.StateInvalid, "writable": plugins.StateInvalid,
	}, f.states())
	require.Equal(t, "it is broken", f.reason("bad"))
	require.Equal(t, "it does not open", f.reason("shut"))
	require.Contains(t, f.reason("name"), `register work "Not-A-Name": name is not`)
	require.Contains(t, f.reason("long"), "has more than 100 bytes")
	require.Contains(t, f.reason("writable"), "chmod go-w")
	_, err := f.catalog.Lookup("bad")
	require.ErrorContains(t, err, `unknown work "bad": its plugin `+filepath.Join(f.dir, "bad.word")+" is in the state invalid: it is broken")
	_, err = f.catalog.Lookup("goood")
	require.ErrorContains(t, err, `did you mean "good"`)
}

func TestCatalogMissing(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "a.word", "one")
	f.reload(t)
	require.NoError(t, os.Remove(filepath.Join(f.dir, "a.word")))
	for range 2 { // it stays so
		f.reload(t)
		require.Equal(t, map[string]plugins.State{"a": plugins.StateMissing}, f.states())
	}
	_, err := f.catalog.Lookup("one")
	require.ErrorContains(t, err, "is in the state missing: "+filepath.Join(f.dir, "a.word")+" is gone: put it back")
	_, closed := f.words.counts("one")
	require.Equal(t, 1, closed)
	f.write(t, "a.word", "one")
	f.reload(t)
	require.Equal(t, plugins.StateOK, f.states()["a"])
}

func TestCatalogKeepsAllWithoutItsDirectory(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "a.word", "one")
	f.reload(t)
	require.NoError(t, os.Rename(f.dir, f.dir+".away"))
	require.ErrorIs(t, f.catalog.Reload(t.Context()), os.ErrNotExist)
	require.Len(t, f.catalog.Works(), 2)
	require.NoError(t, os.Rename(f.dir+".away", f.dir))
	require.NoError(t, os.Chmod(f.dir, 0o777))
	require.ErrorContains(t, f.catalog.Reload(t.Context()), "chmod go-w")
	require.Len(t, f.catalog.Works(), 2)
}

func TestCatalogCrashed(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "a.word", "one")
	f.reload(t)
	f.words.setCrashed("one", true)
	require.Equal(t, map[string]plugins.State{"a": plugins.StateCrashed}, f.states())
	require.Len(t, f.catalog.Works(), 1)
	_, err := f.catalog.Lookup("one")
	require.ErrorContains(t, err, "is in the state crashed: it ended five times: see the log")
	f.words.setCrashed("one", false)
	f.reload(t)
	require.Len(t, f.catalog.Works(), 2)
}

func TestCatalogPolicies(t *testing.T) {
	t.Parallel()
	for policy, usable := range map[plugins.Policy]int{plugins.PolicyOff: 3, plugins.PolicyWarn: 3, plugins.PolicyRequired: 1} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			lockFile := filepath.Join(directory(t), "plugins.lock")
			f := setup(t, func(o *plugins.Options) {
				o.LockFile, o.Policies = lockFile, map[plugins.Kind]plugins.Policy{"word": policy}
			})
			f.write(t, "good.word", "good")
			f.write(t, "edited.word", "edited")
			f.write(t, "added.word", "added")
			require.NoError(t, plugins.Lock{
				"good":   {Kind: "word", Digest: plugins.Digest([]byte("good"))},
				"edited": {Kind: "word", Digest: plugins.Digest([]byte("as it was"))},
			}.Write(lockFile))
			f.reload(t)
			require.Len(t, f.catalog.Works(), 1+usable)
			want := map[string]plugins.State{"good": plugins.StateOK, "edited": plugins.StateMismatch, "added": plugins.StateUnpinned}
			if policy == plugins.PolicyOff {
				want = map[string]plugins.State{"good": plugins.StateOK, "edited": plugins.StateOK, "added": plugins.StateOK}
			}
			require.Equal(t, want, f.states())
		})
	}
}

func TestCatalogBrokenLock(t *testing.T) {
	t.Parallel()
	lockFile := filepath.Join(directory(t), "plugins.lock")
	f := setup(t, func(o *plugins.Options) { o.LockFile = lockFile })
	f.write(t, "a.word", "one")
	write(t, lockFile, "{")
	require.ErrorContains(t, f.catalog.Reload(t.Context()), "lock file "+lockFile+": not the JSON")
	require.Len(t, f.catalog.Works(), 1)
	write(t, lockFile, "{}")
	require.NoError(t, os.Chmod(lockFile, 0o666))
	require.ErrorContains(t, f.catalog.Reload(t.Context()), "chmod go-w")
	require.NoError(t, os.Remove(lockFile))
	f.reload(t)
	require.Len(t, f.catalog.Works(), 2)
}

func TestCatalogClosed(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "a.word", "one")
	f.reload(t)
	require.NoError(t, f.catalog.Close())
	require.NoError(t, f.catalog.Close())
	_, closed := f.words.counts("one")
	require.Equal(t, 1, closed)
	require.ErrorContains(t, f.catalog.Reload(t.Context()), "closed")
	require.Len(t, f.catalog.Works(), 1)
}

func TestCountsHaveEveryState(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	f.write(t, "a.word", "one")
	f.write(t, "b.word", "broken")
	f.reload(t)
	counts := f.catalog.Snapshot().Counts()
	require.Equal(t, 1, counts[f.words.kind][plugins.StateInvalid])
	for _, kind := range []plugins.Kind{plugins.KindSQL, plugins.KindProcess} {
		for _, state := range plugins.States() {
			require.Contains(t, counts[kind], state)
		}
	}
	require.NotContains(t, counts, plugins.KindCompiled)
}

func TestReplacedIsNobodysFault(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("plugin a: %w", plugins.ErrReplaced)
	require.ErrorIs(t, err, plugins.ErrReplaced)
	var code *pgconn.PgError
	require.ErrorAs(t, err, &code)
	require.Equal(t, "53000", code.Code)
}
