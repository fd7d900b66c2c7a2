package migtest_test

import (
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/migtest"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// inner names the broken Work to try, in the process that has to fail.
const inner = "MIGTEST_TRY_BROKEN_WORK"

// TestBrokenWorks demands that the kit finds what is wrong with each broken Work:
// the checks that are meant for it fail, one of them with a message that helps.
func TestBrokenWorks(t *testing.T) {
	t.Parallel()
	if name := os.Getenv(inner); name != "" {
		migtest.Run(t, brokenWorks()[name].Case)
		return
	}
	server, err := url.Parse(pgtest.NewEmpty(t).Superuser(t).URL)
	require.NoError(t, err)
	server.Path = "/postgres"
	for name, broken := range brokenWorks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			output := try(t, name, server.String(), broken.fails)
			for _, check := range broken.fails {
				require.Contains(t, output, "--- FAIL: TestBrokenWorks/"+check)
			}
			require.Contains(t, output, broken.says)
		})
	}
}

// try runs checks on a broken Work in another process, and returns what it prints.
func try(t *testing.T, name, server string, checks []string) string {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	pattern := "^TestBrokenWorks$/^(one_batch|" + strings.Join(checks, "|") + ")$"
	command := exec.CommandContext(t.Context(), program, "-test.v", "-test.run", pattern)
	command.Env = append(os.Environ(), inner+"="+name, pgtest.EnvServer+"="+server)
	output, err := command.CombinedOutput()
	require.Error(t, err, "a broken Work passes")
	t.Logf("%s", regexp.MustCompile(`(?m)^.*level=(DEBUG|INFO|WARN).*\n`).ReplaceAll(output, nil))
	return string(output)
}
