package dev_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/dev"
)

func writeLog(t *testing.T, e *dev.Environment, flag int, text string) {
	t.Helper()
	file, err := os.OpenFile(e.LogPath(), os.O_CREATE|os.O_WRONLY|flag, 0o600)
	require.NoError(t, err)
	_, err = file.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

func TestTheEndOfALog(t *testing.T) {
	t.Parallel()
	e, _ := project(t, "")
	require.ErrorIs(t, e.Logs(t.Context(), nil, dev.LogOptions{}), os.ErrNotExist)
	require.NoError(t, dev.Make(e.Dir()))
	writeLog(t, e, 0, "one database=auth\ntwo database=authors\nthree {\"database\":\"auth\"}\nhalf")
	for name, test := range map[string]struct {
		options dev.LogOptions
		want    string
	}{
		"all":        {dev.LogOptions{Lines: -1}, "one database=auth\ntwo database=authors\nthree {\"database\":\"auth\"}\n"},
		"the last":   {dev.LogOptions{Lines: 1}, "three {\"database\":\"auth\"}\n"},
		"none":       {dev.LogOptions{}, ""},
		"a database": {dev.LogOptions{Lines: -1, Database: "auth"}, "one database=auth\nthree {\"database\":\"auth\"}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.NoError(t, e.Logs(t.Context(), &out, test.options))
			require.Equal(t, test.want, out.String())
		})
	}
}

// shown is what was written so far.
type shown struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *shown) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestALogIsFollowed(t *testing.T) {
	t.Parallel()
	e, _ := project(t, "")
	require.NoError(t, dev.Make(e.Dir()))
	ctx, cancel := context.WithCancel(t.Context())
	out := &shown{}
	done := make(chan error, 1)
	go func() { done <- e.Logs(ctx, out, dev.LogOptions{Lines: 10, Follow: true}) }()
	sees := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { return out.String() == want }, patience, time.Millisecond, "%q, not %q", out, want)
	}

	// It may not watch yet: what is there by then is shown all the same.
	writeLog(t, e, os.O_APPEND, "one\ntw")
	sees("one\n")
	writeLog(t, e, os.O_APPEND, "o\n")
	sees("one\ntwo\n")
	writeLog(t, e, os.O_TRUNC, "3\n")
	sees("one\ntwo\n3\n")
	require.NoError(t, os.Rename(e.LogPath(), filepath.Join(e.Dir(), "log.1")))
	writeLog(t, e, 0, "four\n")
	sees("one\ntwo\n3\nfour\n")

	cancel()
	require.NoError(t, <-done)
}
