package main_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	main "github.com/bbmd-dev/bbmd/testing/matrix"
)

const (
	passes = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestOne"}
{"Action":"output","Package":"p","Test":"TestOne","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestOne","Elapsed":0.1}
{"Action":"output","Package":"p","Test":"TestTwo","Output":"=== RUN   TestTwo\n"}
{"Action":"output","Package":"p","Test":"TestTwo","Output":"    need.go:39: SKIPPED for want of psql\n"}
{"Action":"output","Package":"p","Test":"TestTwo","Output":"--- SKIP: TestTwo (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestTwo"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.2s\n"}
{"Action":"pass","Package":"p","Elapsed":0.2}
{"Action":"skip","Package":"without"}
`
	fails = `{"Action":"output","Package":"p","Test":"TestOne","Output":"it is wrong\n"}
{"Action":"fail","Package":"p","Test":"TestOne"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.2s\n"}
{"Action":"fail","Package":"p"}
`
	builds = `{"ImportPath":"q","Action":"build-output","Output":"q.go:7:2: undefined: x\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"output","Package":"q","Output":"FAIL\tq [build failed]\n"}
{"Action":"fail","Package":"q","FailedBuild":"q"}
`
)

// printing is a run on servers of which each prints what the map says.
func printing(prints map[int]string) func(context.Context, int, []string, func(io.Reader) error) (string, error) {
	return func(_ context.Context, major int, command []string, events func(io.Reader) error) (string, error) {
		text, ok := prints[major]
		if !ok {
			return "99", errors.New("no server of version 99")
		}
		return strings.Join(command, "_"), events(strings.NewReader(text))
	}
}

func TestEveryVersionHasItsLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder

	err := main.Matrix(t.Context(), &out, []string{"13", "18", "--", "go", "test", "-run", "X", "./..."}, printing(map[int]string{13: passes, 18: passes}))

	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(out.String(), "ok   PostgreSQL go_test_-json_-run_X_./..."), "one at the end of each, and all of them at the end")
	require.Contains(t, out.String(), ": 1 packages, 0 of them failed; tests: 1 passed, 0 failed, 1 not run\n")
	require.Equal(t, 2, strings.Count(out.String(), "  not run: p: TestTwo (SKIPPED for want of psql)\n"))
	require.Equal(t, 2, strings.Count(out.String(), "ok  \tp\t0.2s\n"))
	require.NotContains(t, out.String(), "chatter")
}

func TestOneThatFailsIsNotTheLast(t *testing.T) {
	t.Parallel()
	for what, said := range map[string]string{fails: "it is wrong\nFAIL\tp\t0.2s\n", builds: "q.go:7:2: undefined: x\n", "nothing": "read what go test prints", "": "0 passed"} {
		var out strings.Builder

		err := main.Matrix(t.Context(), &out, []string{"13", "14", "99", "--", "go", "test"}, printing(map[int]string{13: what, 14: passes}))

		require.EqualError(t, err, "not every version passed")
		require.Contains(t, out.String(), said)
		require.Equal(t, 2, strings.Count(out.String(), "ok   PostgreSQL"), "the second version")
		require.Equal(t, 4, strings.Count(out.String(), "FAIL PostgreSQL"), "the first and the third")
		require.Contains(t, out.String(), "no server of version 99")
	}
}

func TestWhatIsInterruptedSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	err := main.Matrix(ctx, io.Discard, []string{"13", "--", "go", "test"}, printing(map[int]string{13: passes}))

	require.ErrorIs(t, err, context.Canceled)
}

func TestArgumentsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{nil, {"13"}, {"--", "go", "test"}, {"13", "--", "go"}, {"13", "--", "go", "build"}} {
		require.ErrorContains(t, main.Matrix(t.Context(), io.Discard, arguments, nil), "usage", arguments)
	}
	require.ErrorContains(t, main.Matrix(t.Context(), io.Discard, []string{"p13", "--", "go", "test"}, nil), `"p13" is not a major version`)
}

func TestACommandThatFails(t *testing.T) {
	t.Parallel()
	var read []byte

	err := main.Stream(t.Context(), []string{"sh", "-c", `printf %s "$SAY"; exit 3`}, append(os.Environ(), "SAY=hello"), func(r io.Reader) (err error) {
		read, err = io.ReadAll(r)
		return err
	})

	require.ErrorContains(t, err, "exit status 3")
	require.Equal(t, "hello", string(read))
}
