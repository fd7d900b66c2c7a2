package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/cmd/bbmd"
	"github.com/bbmd-dev/bbmd/testing/need"
)

const unitsDirectory = "../../deploy/systemd"

// TestUnitsAreAccepted has systemd itself read the units.
func TestUnitsAreAccepted(t *testing.T) {
	t.Parallel()
	analyze := need.Program(t, "systemd-analyze")
	dir := t.TempDir()
	program := filepath.Join(dir, "bbmd")
	need.Executable(t, program, []byte("#!/bin/sh\n"))
	for from, to := range map[string]string{"bbmd.service": "bbmd.service", "bbmd-migrate@.service": "bbmd-migrate@shop.service"} {
		text, err := os.ReadFile(filepath.Join(unitsDirectory, from))
		require.NoError(t, err)
		unit := strings.NewReplacer("/usr/bin/bbmd", program, "/bin/kill", program).Replace(string(text)) // a container need not have them
		unit = regexp.MustCompile(`(?m)^Documentation=.*\n`).ReplaceAllString(unit, "")                   // no man pages are installed here
		require.NoError(t, os.WriteFile(filepath.Join(dir, to), []byte(unit), 0o600))
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", filepath.Join(dir, to)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.NotContains(t, string(out), dir, "systemd complains")
	}
}

// TestUnitsCallWhatThereIs parses the command lines of the units, and the exit codes that they name.
func TestUnitsCallWhatThereIs(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob(unitsDirectory + "/*.service")
	require.NoError(t, err)
	require.Len(t, units, 2)
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		require.NoError(t, err)
		line := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/(.*)$`).FindStringSubmatch(string(text))
		require.NotNil(t, line, unit)
		words := strings.Fields(line[1])
		cmd, args, err := main.Commands().Find(words[1:])
		require.NoError(t, err, unit)
		require.NoError(t, cmd.ParseFlags(args), unit)
		require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), unit)
		final := regexp.MustCompile(`(?m)^RestartPreventExitStatus=(.*)$`).FindStringSubmatch(string(text))
		require.NotNil(t, final, unit)
		require.Contains(t, strings.Fields(final[1]), "2", "a wrong configuration does not get better by itself")
		require.NotContains(t, strings.Fields(final[1]), "75", "another try is what that is for")
		for _, key := range []string{"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "User=bbmd", "PrivateDevices=yes", "ProtectHome=yes"} {
			require.Contains(t, string(text), key, unit)
		}
	}
}
