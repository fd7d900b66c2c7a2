package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/config"
)

func TestLoadFindsTheFile(t *testing.T) {
	t.Parallel()
	const one = "databases: {one: {url: host=h}}"
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, in("a.yaml"), one)
	writeFile(t, in("b.toml"), "[databases.two]\nurl='host=h'")
	require.NoError(t, os.Mkdir(in("other"), 0o700))
	writeFile(t, in("other/c.json"), `{"databases":{"three":{"url":"host=h"}}}`)
	tests := map[string]struct {
		file    string
		search  []string
		environ []string
		flags   []string
		want    string
		wantErr string
	}{
		"named":                        {file: in("a.yaml"), search: []string{in("b.toml")}, want: "one"},
		"by flag":                      {flags: []string{"-c", in("a.yaml")}, environ: []string{"BBMD_CONFIG=" + in("b.toml")}, want: "one"},
		"by variable":                  {environ: []string{"BBMD_CONFIG=" + in("b.toml")}, search: []string{in("a.yaml")}, want: "two"},
		"first of the search":          {search: []string{in("none.yaml"), in("other/c.json"), in("a.yaml")}, want: "three"},
		"two in one directory":         {search: []string{in("a.yaml"), in("b.toml")}, wantErr: "b.toml is there as well; remove one, or choose with --config"},
		"named and gone":               {file: in("none.yaml"), search: []string{in("a.yaml")}, wantErr: "none.yaml: there is no such file; create it, or correct the path"},
		"a directory":                  {file: in("other"), wantErr: "other: it cannot be read: it is not a regular file"},
		"a search that cannot be done": {search: []string{in("a.yaml/below")}, wantErr: "below: it cannot be read: not a directory"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := given{environ: test.environ, flags: test.flags}.sources(t)
			sources.File = test.file
			if test.search != nil {
				sources.Search = test.search
			}
			cfg, err := config.Load(sources)
			if test.wantErr != "" {
				require.ErrorContains(t, err, test.wantErr)
				require.NotContains(t, err.Error(), "no database", "what the file would have said is not known")
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{test.want}, cfg.Names())
			require.NotEmpty(t, cfg.File())
		})
	}
}

func TestSearchPaths(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		"bbmd.yaml", "bbmd.yml", "bbmd.toml", "bbmd.json",
		"/etc/bbmd/bbmd.yaml", "/etc/bbmd/bbmd.yml", "/etc/bbmd/bbmd.toml", "/etc/bbmd/bbmd.json",
	}, config.SearchPaths())
}
