package plugins_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins"
)

func open(t *testing.T, path string) *plugins.Dir {
	t.Helper()
	dir, err := plugins.OpenDir(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dir.Close()) })
	return dir
}

// configMap lays files out as a mounted ConfigMap does.
func configMap(t *testing.T, dir, version string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		write(t, filepath.Join(dir, version, name), content)
		link := filepath.Join(dir, name)
		if _, err := os.Lstat(link); err != nil {
			require.NoError(t, os.Symlink(filepath.Join("..data", name), link))
		}
	}
	require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
}

func TestDirAcceptsConfigMaps(t *testing.T) {
	t.Parallel()
	path := directory(t)
	configMap(t, path, "..2026_01", map[string]string{"a.sql": "one"})
	dir := open(t, path)
	entries, err := dir.Entries()
	require.NoError(t, err)
	require.Equal(t, []plugins.Entry{{Name: "a.sql"}}, entries)
	content, err := dir.Read("a.sql", 3)
	require.NoError(t, err)
	require.Equal(t, "one", string(content))
}

func TestDirRefuses(t *testing.T) {
	t.Parallel()
	path := directory(t)
	outside := filepath.Join(directory(t), "outside")
	write(t, outside, "secret")
	relative, err := filepath.Rel(path, outside)
	require.NoError(t, err)
	for name, target := range map[string]string{"absolute": outside, "relative": relative, "nothing": "no-such-file", "circle": "circle"} {
		require.NoError(t, os.Symlink(target, filepath.Join(path, name)))
	}
	write(t, filepath.Join(path, "group"), "x")
	require.NoError(t, os.Chmod(filepath.Join(path, "group"), 0o664))
	write(t, filepath.Join(path, "open", "file"), "x")
	require.NoError(t, os.Chmod(filepath.Join(path, "open"), 0o777))
	require.NoError(t, os.Symlink("open/file", filepath.Join(path, "through")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(path, "pipe"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(path, "directory"), 0o755))
	write(t, filepath.Join(path, "large"), "1234")

	dir := open(t, path)
	for name, want := range map[string]string{
		"absolute":   "absolute is a link that is not followed",
		"relative":   "put the file itself there, or a relative link to one in the directory",
		"nothing":    "nothing is a link to nothing",
		"circle":     "circle is a link that is not followed",
		"group":      "others can write " + filepath.Join(path, "group") + " (mode 0664): chmod go-w it",
		"open/file":  "others can write " + filepath.Join(path, "open") + " (mode 0777)",
		"through":    "others can write " + filepath.Join(path, "open"),
		"pipe":       "pipe is not a file",
		"directory":  "directory is not a file",
		"missing":    "no such file",
		"large":      "has more than 3 bytes",
		"../outside": "open " + filepath.Join(filepath.Dir(path), "outside"),
	} {
		_, err := dir.Read(name, 3)
		require.ErrorContains(t, err, want, name)
	}
	_, err = dir.Read("missing", 3)
	require.ErrorIs(t, err, fs.ErrNotExist)
	entries, err := dir.Entries()
	require.NoError(t, err)
	for _, entry := range entries {
		switch entry.Name {
		case "absolute", "relative", "nothing", "circle":
			require.Error(t, entry.Err, entry.Name)
		default:
			require.NoError(t, entry.Err, entry.Name)
		}
	}
}

func TestDirOfSomebodyElse(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := directory(t)
	write(t, filepath.Join(path, "a"), "x")
	require.NoError(t, os.Chown(filepath.Join(path, "a"), 4242, -1))
	_, err := open(t, path).Read("a", 3)
	require.ErrorContains(t, err, "belongs to the user 4242, who can write it: chown it to root")
	require.NoError(t, os.Chown(path, 4242, -1))
	_, err = plugins.OpenDir(path)
	require.ErrorContains(t, err, "belongs to the user 4242")
}

func TestOpenDirRefuses(t *testing.T) {
	t.Parallel()
	path := directory(t)
	_, err := plugins.OpenDir(filepath.Join(path, "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	write(t, filepath.Join(path, "file"), "x")
	_, err = plugins.OpenDir(filepath.Join(path, "file"))
	require.ErrorContains(t, err, "open plugin directory")
	require.NoError(t, os.Chmod(path, 0o775))
	_, err = plugins.OpenDir(path)
	require.ErrorContains(t, err, "open plugin directory: others can write "+path+" (mode 0775): chmod go-w it")
}

func TestDigestOfDirectory(t *testing.T) {
	t.Parallel()
	build := func(change func(path string)) string {
		path := directory(t)
		top := filepath.Join(path, "geo")
		write(t, filepath.Join(top, "run.py"), "import lib")
		write(t, filepath.Join(top, "lib", "a.py"), "x = 1")
		write(t, filepath.Join(top, "..2026", "run.py"), "an older version")
		write(t, filepath.Join(path, "beside"), "x")
		if change != nil {
			change(top)
		}
		digest, err := open(t, path).Digest("geo")
		require.NoError(t, err)
		require.Regexp(t, "^sha256:[0-9a-f]{64}$", digest)
		return digest
	}
	same := build(nil)
	require.Equal(t, same, build(nil), "where it is does not count")
	require.Equal(t, same, build(func(top string) { write(t, filepath.Join(top, "..2027", "x"), "") }))
	require.Equal(t, same, build(func(top string) { require.NoError(t, os.Chmod(filepath.Join(top, "run.py"), 0o600)) }))
	for name, change := range map[string]func(top string){
		"content":    func(top string) { write(t, filepath.Join(top, "lib", "a.py"), "x = 2") },
		"executable": func(top string) { require.NoError(t, os.Chmod(filepath.Join(top, "run.py"), 0o755)) },
		"added":      func(top string) { write(t, filepath.Join(top, "lib", ".hidden"), "") },
		"renamed": func(top string) {
			require.NoError(t, os.Rename(filepath.Join(top, "lib", "a.py"), filepath.Join(top, "lib", "b.py")))
		},
		"removed": func(top string) { require.NoError(t, os.RemoveAll(filepath.Join(top, "lib"))) },
	} {
		require.NotEqual(t, same, build(change), name)
	}
}

func TestDigestOfDirectoryRefuses(t *testing.T) {
	t.Parallel()
	path := directory(t)
	write(t, filepath.Join(path, "geo", "lib", "a.py"), "x")
	require.NoError(t, os.Symlink("lib", filepath.Join(path, "geo", "more")))
	_, err := open(t, path).Digest("geo")
	require.ErrorContains(t, err, "geo/more is not a file")
	require.NoError(t, os.Remove(filepath.Join(path, "geo", "more")))
	require.NoError(t, os.Chmod(filepath.Join(path, "geo", "lib"), 0o777))
	_, err = open(t, path).Digest("geo")
	require.ErrorContains(t, err, "others can write")
	_, err = open(t, path).Digest("missing")
	require.ErrorIs(t, err, fs.ErrNotExist)
}
