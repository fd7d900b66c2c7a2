package dev_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/dev"
)

func TestTheKernelSaysWhoHasTheLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	pid, err := dev.Holder(dir)
	require.NoError(t, err)
	require.Zero(t, pid, "where there is no directory yet")

	other := holder(t, dir)
	pid, err = dev.Holder(dir)
	require.NoError(t, err)
	require.Equal(t, other.Process.Pid, pid)
	_, err = dev.Hold(dir)
	require.True(t, dev.IsHeld(err), err)

	require.NoError(t, other.Process.Kill())
	_ = other.Wait()
	pid, err = dev.Holder(dir)
	require.NoError(t, err)
	require.Zero(t, pid, "the kernel gives the lock of a killed process back")
	release, err := dev.Hold(dir)
	require.NoError(t, err)
	require.NoError(t, release())
}

func TestAStateAloneIsNotBelieved(t *testing.T) {
	t.Parallel()
	stranger := exec.Command("cat")
	in, err := stranger.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, stranger.Start())
	ended := make(chan error, 1)
	go func() { ended <- stranger.Wait() }()
	e, _ := project(t, "")
	require.NoError(t, dev.Make(e.Dir()))
	require.NoError(t, dev.WriteState(e.Dir(), dev.State{PID: stranger.Process.Pid, Phase: dev.Running}))

	state, up, err := e.Look()
	require.NoError(t, err)
	require.False(t, up)
	require.Equal(t, stranger.Process.Pid, state.PID)
	was, err := e.Down(t.Context())
	require.NoError(t, err)
	require.False(t, was)

	other := holder(t, e.Dir())
	state, up, err = e.Look()
	require.NoError(t, err)
	require.True(t, up)
	require.Equal(t, other.Process.Pid, state.PID, "of the one that has the lock")
	require.Equal(t, dev.Starting, state.Phase)
	was, err = e.Down(t.Context())
	require.NoError(t, err)
	require.True(t, was)

	require.Empty(t, ended, "the stranger was ended")
	require.NoError(t, in.Close())
	require.NoError(t, <-ended)
}

func TestStateDirectoriesOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.txt")
	require.NoError(t, os.WriteFile(thesis, []byte("years of work"), 0o600))
	require.ErrorContains(t, dev.Make(dir), "files of others")
	e, err := dev.New(dev.Options{State: dir})
	require.NoError(t, err)
	require.ErrorIs(t, e.Clean(t.Context()), dev.ErrNothing)
	require.FileExists(t, thesis)
}

func TestCleanKeepsWhatItHasNotMade(t *testing.T) {
	t.Parallel()
	e, dir := project(t, "")
	require.NoError(t, dev.Make(e.Dir()))
	note := filepath.Join(e.Dir(), "note.txt")
	require.NoError(t, os.WriteFile(note, nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(e.Dir(), "postgres", "data"), 0o700))
	require.ErrorContains(t, e.Clean(t.Context()), "note.txt in it is not of bbmd dev")
	require.FileExists(t, note)
	require.NoDirExists(t, filepath.Join(e.Dir(), "postgres"))

	require.NoError(t, os.Remove(note))
	require.NoError(t, dev.Make(e.Dir()))
	require.NoError(t, e.Clean(t.Context()))
	require.NoDirExists(t, filepath.Join(dir, ".bbmd"))
	require.False(t, e.Exists())
}

func TestManyMakeOneDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".bbmd", "dev")
	var group sync.WaitGroup
	problems := make([]error, 20)
	for i := range problems {
		group.Go(func() { problems[i] = dev.Make(dir) })
	}
	group.Wait()
	for _, err := range problems {
		require.NoError(t, err)
	}
}

func TestAHalfMadeServerIsMadeAnew(t *testing.T) {
	t.Parallel()
	e, _ := project(t, "")
	require.NoError(t, dev.Make(e.Dir()))
	data := filepath.Join(e.Dir(), "postgres", "data")
	require.NoError(t, e.BeginServer())
	require.NoError(t, os.MkdirAll(data, 0o700)) // and then it is killed

	require.NoError(t, e.BeginServer())
	require.NoDirExists(t, data)

	require.NoError(t, os.MkdirAll(data, 0o700))
	require.NoError(t, os.Remove(filepath.Join(e.Dir(), "first-start"))) // it has started
	require.NoError(t, e.BeginServer())
	require.DirExists(t, data)
}
