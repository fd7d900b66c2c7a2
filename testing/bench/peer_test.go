package bench_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/testing/bench"
)

// fakePeer is the argument with which the test's own program stands for a peer: it says what it
// is, and answers every request but "fail" and "die".
const fakePeer = "fake-peer"

func serveFakePeer(in io.Reader, out io.Writer) error {
	fmt.Fprintln(out, `{"name":"a peer v1","settings":"as it comes"}`)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		switch {
		case strings.Contains(lines.Text(), `"do":"die"`):
			return io.ErrUnexpectedEOF
		case strings.Contains(lines.Text(), `"do":"fail"`):
			fmt.Fprintln(out, `{"error":"it was not to be"}`)
		default:
			fmt.Fprintln(out, `{"took":1500,"cpu":7,"jobs":3}`)
		}
	}
	return lines.Err()
}

func TestPeerAnswers(t *testing.T) {
	t.Parallel()
	p, err := bench.StartPeer(t.Context(), fakeProgram(t), fakePeer)
	require.NoError(t, err)
	require.Equal(t, "a peer v1: as it comes", bench.PeerNote(p))
	took, jobs, err := bench.Ask(p, t.Context(), "backfill")
	require.NoError(t, err)
	require.Equal(t, 1500*time.Nanosecond, took)
	require.Equal(t, 3, jobs)
	_, _, err = bench.Ask(p, t.Context(), "fail")
	require.EqualError(t, err, "a peer v1: it was not to be")
	_, _, err = bench.Ask(p, t.Context(), "insert") // it goes on after an error
	require.NoError(t, err)
	require.NoError(t, bench.ClosePeer(p))
}

func TestPeerThatDies(t *testing.T) {
	t.Parallel()
	p, err := bench.StartPeer(t.Context(), fakeProgram(t), fakePeer)
	require.NoError(t, err)
	_, _, err = bench.Ask(p, t.Context(), "die")
	require.ErrorIs(t, err, io.EOF)
	require.ErrorContains(t, bench.ClosePeer(p), "unexpected EOF", "what it wrote is told")
}

func TestPeerThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := bench.StartPeer(t.Context(), bench.Options{Peers: t.TempDir() + "/none"}, "river")
	require.ErrorContains(t, err, "start river")
	_, err = bench.Run(t.Context(), bench.Options{Tiny: true, Only: []string{bench.SectionPeers}})
	require.ErrorContains(t, err, "-peers")
}
