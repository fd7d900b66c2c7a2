package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

// line is one line of a transcript. Lines without an arrow are comments.
type line struct {
	from string // "->" of bbmd, "<-" of a child
	text []byte
}

func transcript(tb testing.TB, path string) []line {
	tb.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(tb, err)
	var all []line
	for text := range bytes.Lines(raw) {
		if from, message, ok := bytes.Cut(bytes.TrimRight(text, "\n"), []byte(" ")); ok && (string(from) == "->" || string(from) == "<-") {
			all = append(all, line{string(from), message})
		}
	}
	require.NotEmpty(tb, all)
	return all
}

func transcripts(tb testing.TB, pattern string) []string {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	require.NoError(tb, err)
	require.NotEmpty(tb, paths)
	return paths
}

// TestGoldenTranscripts decodes every line and encodes it again: nothing is
// lost, and what is written is what other implementations were told.
func TestGoldenTranscripts(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, path := range transcripts(t, "good_*.txt") {
		for _, l := range transcript(t, path) {
			again, err := reencode(l)
			require.NoError(t, err, "%s: %s", path, l.text)
			require.Equal(t, string(l.text)+"\n", string(again), path)
			var head struct{ Type string }
			require.NoError(t, json.Unmarshal(l.text, &head))
			seen[head.Type] = true
		}
	}
	require.Len(t, seen, 16, "a type of message is in no transcript")
}

func reencode(l line) ([]byte, error) {
	if l.from == "->" {
		message, err := protocol.DecodeHost(l.text)
		if err != nil {
			return nil, err
		}
		return protocol.EncodeHost(message)
	}
	message, err := protocol.DecodeChild(l.text)
	if err != nil {
		return nil, err
	}
	return protocol.EncodeChild(message)
}

func TestRefusedLines(t *testing.T) {
	t.Parallel()
	for _, path := range transcripts(t, "refused_*.txt") {
		for _, l := range transcript(t, path) {
			_, err := reencode(l)
			require.Error(t, err, "%s: %s", path, l.text)
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	message, err := protocol.DecodeChild([]byte(`{"type":"log","level":"info","message":"x","color":"red"}`))
	require.NoError(t, err)
	require.Equal(t, protocol.Log{Level: "info", Message: "x"}, message)
}

func TestReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100<<10)
	for name, from := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "a byte at a time": iotest.OneByteReader, "with the end": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := protocol.NewReader(from(strings.NewReader("a\n\n"+long+"\nb\r\nrest")), len(long)+1)
			for _, want := range []string{"a", "", long, "b\r"} {
				got, err := r.Next()
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
			_, err := r.Next()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			_, err = protocol.NewReader(from(strings.NewReader("")), 10).Next()
			require.ErrorIs(t, err, io.EOF)
			_, err = protocol.NewReader(from(strings.NewReader(long)), 10).Next()
			require.ErrorIs(t, err, protocol.ErrTooLong)
			_, err = protocol.NewReader(from(strings.NewReader(long+"\n")), len(long)).Next()
			require.ErrorIs(t, err, protocol.ErrTooLong)
		})
	}
}

func TestReaderGoesOnAfterADeadline(t *testing.T) {
	t.Parallel()
	pause := errors.New("pause")
	r := protocol.NewReader(&halting{pieces: []string{"ha", "", "lf\nrest\n"}, pause: pause}, 100)
	_, err := r.Next()
	require.ErrorIs(t, err, pause)
	got, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, "half", string(got))
}

// halting returns an error for each empty piece.
type halting struct {
	pieces []string
	pause  error
}

func (h *halting) Read(into []byte) (int, error) {
	piece := h.pieces[0]
	h.pieces = h.pieces[1:]
	if piece == "" {
		return 0, h.pause
	}
	return copy(into, piece), nil
}

// FuzzDecode wants what is decoded to mean the same once it is encoded, and
// never to leave its line.
func FuzzDecode(f *testing.F) {
	for _, path := range append(transcripts(f, "good_*.txt"), transcripts(f, "refused_*.txt")...) {
		for _, l := range transcript(f, path) {
			f.Add(l.text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, from := range []string{"->", "<-"} {
			first, err := reencode(line{from, text})
			if err != nil {
				continue
			}
			require.Equal(t, len(first)-1, bytes.IndexByte(first, '\n'))
			second, err := reencode(line{from, first[:len(first)-1]})
			require.NoError(t, err, "%s", first)
			require.Equal(t, string(first), string(second))
		}
	})
}

// FuzzReader wants the lines that were written, however they are cut.
func FuzzReader(f *testing.F) {
	f.Add([]byte("a\nb\n"), 10)
	f.Add([]byte("\n\nlong"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, longest int) {
		longest = 1 + (longest&0xffff)%100
		r := protocol.NewReader(iotest.HalfReader(bytes.NewReader(stream)), longest)
		rest := stream
		for {
			got, err := r.Next()
			if err != nil {
				end := bytes.IndexByte(rest, '\n') + 1
				require.True(t, end == 0 || end > longest, "%v", err)
				return
			}
			require.Less(t, len(got), longest)
			require.True(t, bytes.HasPrefix(rest, append(bytes.Clone(got), '\n')))
			rest = rest[len(got)+1:]
		}
	})
}
