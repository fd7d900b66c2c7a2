package process_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/need"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

const page = "../../docs/plugins-process.md"

// TestPage does what docs/plugins-process.md says, to the letter.
func TestPage(t *testing.T) {
	t.Parallel()
	need.Program(t, "python3")
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	blocks := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		require.NotContains(t, blocks, block[1], "the page has more blocks than this test knows")
		blocks[block[1]] = block[2]
	}
	h := newHouse(t, nil)
	dir := filepath.Join(h.dir, "phones")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plugin.json"), []byte(blocks["json"]), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run.py"), []byte(blocks["python"]), 0o755))
	copyFile(t, filepath.Join(examples, "python", "bbmd.py"), filepath.Join(dir, "bbmd.py"))

	try := exec.CommandContext(t.Context(), "sh", "-c", blocks["sh"])
	try.Dir, try.Env = dir, append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	output, err := try.Output()
	require.NoError(t, err)
	require.Contains(t, string(output), `"args": ["[{\"id\": \"7\", \"phone\": \"03012\"}]"]`)

	db := pgtest.New(t)
	db.Exec(t, "CREATE TABLE users (id bigint PRIMARY KEY, phone text, phone_e164 text)")
	db.Exec(t, "INSERT INTO users SELECT i, '030 ' || i FROM generate_series(1, 100) i")
	execute(t, db, h.open()["phones"].Works()...)
	enqueue(t, db, "normalize_phone", "users", "{}", 10, 2)
	finished(t, db, "users")
	require.EqualValues(t, 100, pgtest.One[int64](t, db, "SELECT count(*) FROM users WHERE phone_e164 = '030' || id"))
}
