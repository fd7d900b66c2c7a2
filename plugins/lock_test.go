package plugins_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
)

var digest = "sha256:" + strings.Repeat("0a", 32)

func TestLockRoundTrip(t *testing.T) {
	t.Parallel()
	path := filepath.Join(directory(t), "plugins.lock")
	lock, err := plugins.ReadLock(path)
	require.NoError(t, err)
	require.Empty(t, lock)
	want := plugins.Lock{"b": {Kind: plugins.KindProcess, Digest: digest}, "a": {Kind: plugins.KindSQL, Digest: digest}}
	for range 2 { // also over itself
		require.NoError(t, want.Write(path))
		got, err := plugins.ReadLock(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, `{
  "a": {
    "kind": "sql",
    "digest": "`+digest+`"
  },
  "b": {
    "kind": "process",
    "digest": "`+digest+`"
  }
}
`, string(want.Format()))
	require.Equal(t, "{}\n", string(plugins.Lock(nil).Format()))
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file is left")
	require.ErrorContains(t, want.Write(filepath.Join(path, "x")), "write lock file")
}

func TestParseLockRefuses(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		``:      "not the JSON",
		`[]`:    "not the JSON",
		`{} {}`: "something follows",
		`{"a": {"kind": "sql", "digest": "md5:1"}}`:                           `plugin "a" has the digest "md5:1", which is not sha256:`,
		`{"a": {"kind": "sql", "digest": "` + strings.ToUpper(digest) + `"}}`: "which is not sha256:",
		`{"a": {"digest": "` + digest + `"}}`:                                 `plugin "a" has no kind`,
		`{"a": {"kind": "sql", "digest": "` + digest + `", "sig": 1}}`:        `unknown field "sig"`,
		strings.Repeat(" ", 1<<20) + "{}":                                     "more than 1048576 bytes",
	} {
		_, err := plugins.ParseLock([]byte(content))
		require.ErrorContains(t, err, want)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	lock := plugins.Lock{"a": {Kind: plugins.KindSQL, Digest: digest}}
	other := "sha256:" + strings.Repeat("0b", 32)
	type verdict struct {
		state  plugins.State
		usable bool
	}
	tests := map[string]struct {
		candidate plugins.Candidate
		kind      plugins.Kind
		want      map[plugins.Policy]verdict
		reason    string
	}{
		"vouched for": {plugins.Candidate{Name: "a", Digest: digest}, plugins.KindSQL, map[plugins.Policy]verdict{
			plugins.PolicyOff: {plugins.StateOK, true}, plugins.PolicyWarn: {plugins.StateOK, true}, plugins.PolicyRequired: {plugins.StateOK, true},
		}, ""},
		"edited": {plugins.Candidate{Name: "a", Path: "a.sql", Digest: other}, plugins.KindSQL, map[plugins.Policy]verdict{
			plugins.PolicyOff: {plugins.StateOK, true}, plugins.PolicyWarn: {plugins.StateMismatch, true}, plugins.PolicyRequired: {plugins.StateMismatch, false},
		}, "the lock file says sha256:0a0a0a0a0a0a and it is sha256:0b0b0b0b0b0b: put back what was vouched for, or, if a.sql is as it should be, bbmd plugins lock --update a"},
		"another kind": {plugins.Candidate{Name: "a", Path: "a", Digest: digest}, plugins.KindProcess, map[plugins.Policy]verdict{
			plugins.PolicyOff: {plugins.StateOK, true}, plugins.PolicyWarn: {plugins.StateMismatch, true}, plugins.PolicyRequired: {plugins.StateMismatch, false},
		}, "the lock file names a plugin of kind sql and this one is of kind process"},
		"unknown": {plugins.Candidate{Name: "b", Path: "b.sql", Digest: digest}, plugins.KindSQL, map[plugins.Policy]verdict{
			plugins.PolicyOff: {plugins.StateOK, true}, plugins.PolicyWarn: {plugins.StateUnpinned, true}, plugins.PolicyRequired: {plugins.StateUnpinned, false},
		}, "the lock file does not name it: if b.sql is as it should be, bbmd plugins lock --update b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for policy, want := range test.want {
				state, reason, usable := lock.Judge(test.kind, test.candidate, policy)
				require.Equal(t, want, verdict{state, usable}, policy)
				if policy != plugins.PolicyOff {
					require.Contains(t, reason, test.reason)
				}
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"off", "warn", "required"} {
		policy, err := plugins.ParsePolicy(name)
		require.NoError(t, err)
		require.Equal(t, name, string(policy))
	}
	_, err := plugins.ParsePolicy("on")
	require.EqualError(t, err, `policy "on" is none: write off, warn or required`)
	require.Equal(t, plugins.PolicyRequired, plugins.DefaultPolicy(plugins.KindProcess))
	require.Equal(t, plugins.PolicyWarn, plugins.DefaultPolicy(plugins.KindSQL))
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte(`{"a": {"kind": "sql", "digest": "` + digest + `"}}`))
	f.Add([]byte(`{} x`))
	f.Fuzz(func(t *testing.T, content []byte) {
		lock, err := plugins.ParseLock(content)
		if err != nil {
			return
		}
		again, err := plugins.ParseLock(lock.Format())
		require.NoError(t, err)
		require.Equal(t, len(lock), len(again))
	})
}
