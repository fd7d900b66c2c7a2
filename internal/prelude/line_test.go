package prelude_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/prelude"
)

// script is a server that has answered everything already, in reads of at most size bytes.
type script struct {
	answers *bytes.Reader
	size    int
}

func (s script) Read(data []byte) (int, error) {
	return s.answers.Read(data[:min(len(data), s.size)])
}

func encode(tb testing.TB, messages ...message) (all []byte) {
	tb.Helper()
	for _, m := range messages {
		var err error
		all, err = m.Encode(all)
		require.NoError(tb, err)
	}
	return all
}

type message = interface{ Encode([]byte) ([]byte, error) }

var (
	bound    = &pgproto3.BindComplete{}
	row      = &pgproto3.DataRow{Values: [][]byte{[]byte("1")}}
	command  = &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	inside   = &pgproto3.ReadyForQuery{TxStatus: 'T'}
	broken   = &pgproto3.ReadyForQuery{TxStatus: 'E'}
	outside  = &pgproto3.ReadyForQuery{TxStatus: 'I'}
	setting  = &pgproto3.ParameterStatus{Name: "application_name", Value: "x"}
	notice   = &pgproto3.NoticeResponse{Severity: "NOTICE", Message: "by the way"}
	deferred = &pgproto3.ErrorResponse{Severity: "ERROR", Code: "23503", Message: "violates a foreign key"}
	guarded  = &pgproto3.ErrorResponse{Severity: "ERROR", Code: "22012", Message: "division by zero"}
)

// users is what pgx sends for a prepared statement, and its answer.
func users(tb testing.TB) (sent, answer []byte) {
	tb.Helper()
	return encode(tb, &pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}),
		encode(tb, bound, &pgproto3.NoData{}, command, inside)
}

func groups() (ending, guard *prelude.Group) {
	ending, guard = &prelude.Group{}, &prelude.Group{}
	ending.Add("fence", []byte("1"))
	ending.Add("commit")
	guard.Add("guard", nil)
	return ending, guard
}

// Whatever a prelude's answers are, and wherever reads cut them, the user gets its own, and what comes at any time.
func TestTheUserGetsItsOwnAnswers(t *testing.T) {
	t.Parallel()
	sent, answer := users(t)
	skipped := encode(t, guarded, outside)
	for name, c := range map[string]struct {
		answers  []message
		users    []byte
		gets     []byte
		executed int
		failure  string
	}{
		"executed":             {[]message{bound, row, command, bound, command, inside, bound, row, command}, answer, answer, 2, ""},
		"the fence refuses":    {[]message{guarded, broken}, encode(t, guarded, broken), encode(t, guarded, broken), 0, "22012"},
		"the commit fails":     {[]message{bound, row, command, deferred, outside}, skipped, skipped, 1, "23503"},
		"the guard alone":      {[]message{bound, row, command, bound, command, inside}, skipped, skipped, 2, "22012"},
		"a setting in between": {[]message{bound, setting, row, command, bound, command, notice, inside, bound, row, command}, answer, append(encode(t, setting, notice), answer...), 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := append(encode(t, c.answers...), c.users...)
			for size := 1; size <= len(all); size++ {
				var wire bytes.Buffer
				line := prelude.NewLine(script{bytes.NewReader(all), size}, &wire)
				ending, guard := groups()
				require.NoError(t, line.Send(ending, guard))
				_, _, known := line.Outcome()
				require.False(t, known)
				n, err := line.Write(sent)
				require.NoError(t, err)
				require.Equal(t, len(sent), n)
				got, err := io.ReadAll(line)
				require.NoError(t, err)
				require.Equal(t, c.gets, got, "in reads of %d", size)

				executed, failure, known := line.Outcome()
				require.True(t, known)
				require.Equal(t, c.executed, executed)
				if c.failure == "" {
					require.Nil(t, failure)
					continue
				}
				require.Equal(t, c.failure, failure.Code)
				_, err = line.Write(sent)
				require.ErrorIs(t, err, prelude.ErrFailed)
				line.Forget()
				_, err = line.Write(sent)
				require.NoError(t, err)
			}
		})
	}
}

// The prelude is on its way at once, with its Sync; the guard goes in the same write as the user's statements.
func TestTheGuardTravelsWithTheUsersStatements(t *testing.T) {
	t.Parallel()
	sent, _ := users(t)
	var writes [][]byte
	line := prelude.NewLine(script{bytes.NewReader(nil), 1}, writer(func(data []byte) { writes = append(writes, bytes.Clone(data)) }))
	ending, guard := groups()
	require.NoError(t, line.Send(ending, guard))
	_, err := line.Write(sent)
	require.NoError(t, err)

	require.Len(t, writes, 2)
	require.Equal(t, encode(t, &pgproto3.Bind{PreparedStatement: "fence", Parameters: [][]byte{[]byte("1")}}, &pgproto3.Execute{},
		&pgproto3.Bind{PreparedStatement: "commit"}, &pgproto3.Execute{}, &pgproto3.Sync{}), writes[0])
	require.Equal(t, append(encode(t, &pgproto3.Bind{PreparedStatement: "guard", Parameters: [][]byte{nil}}, &pgproto3.Execute{}), sent...), writes[1])

	require.Error(t, line.Send(ending, guard))
	_, err = line.Write(sent)
	require.ErrorIs(t, err, io.EOF, "the guard is to be answered first")
	_, err = line.Write(encode(t, &pgproto3.Terminate{}))
	require.NoError(t, err)
	require.Len(t, writes, 3)
}

type writer func([]byte)

func (w writer) Write(data []byte) (int, error) {
	w(data)
	return len(data), nil
}

// What a guard would not hold back is not sent before it is known that nothing has failed.
func TestWhatNoGuardHoldsBackWaits(t *testing.T) {
	t.Parallel()
	extended, answer := users(t)
	for name, c := range map[string]struct {
		data []byte
		held bool
	}{
		"one statement":         {extended, false},
		"preparing":             {encode(t, &pgproto3.Parse{Query: "SELECT"}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Sync{}), false},
		"a Sync":                {encode(t, &pgproto3.Sync{}), false},
		"a simple query":        {encode(t, &pgproto3.Query{String: "SELECT 1"}), true},
		"two Syncs":             {append(bytes.Clone(extended), extended...), true},
		"no Sync":               {extended[:len(extended)-5], true},
		"half a message":        {extended[:len(extended)-2], true},
		"a flush":               {encode(t, &pgproto3.Flush{}, &pgproto3.Sync{}), true},
		"a copy":                {encode(t, &pgproto3.CopyData{Data: []byte("x")}), true},
		"a function":            {encode(t, &pgproto3.FunctionCall{}), true},
		"a length that is none": {[]byte{'S', 0, 0, 0, 1}, true},
		"nothing":               {nil, true},
	} {
		for _, fails := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				answers := []message{bound, command, bound, command, inside}
				if fails {
					answers = []message{bound, command, deferred, outside}
				}
				var wire bytes.Buffer
				line := prelude.NewLine(script{bytes.NewReader(append(encode(t, answers...), answer...)), 7}, &wire)
				ending, guard := groups()
				require.NoError(t, line.Send(ending, guard))
				wire.Reset()
				_, err := line.Write(c.data)
				switch {
				case !c.held:
					require.NoError(t, err)
					require.True(t, bytes.HasSuffix(wire.Bytes(), c.data))
					require.Greater(t, wire.Len(), len(c.data))
				case fails:
					require.ErrorIs(t, err, prelude.ErrFailed)
					require.Zero(t, wire.Len())
				default:
					require.NoError(t, err)
					require.Equal(t, len(c.data), wire.Len(), "without a guard")
					got, err := io.ReadAll(line)
					require.NoError(t, err)
					require.Equal(t, answer, got)
				}
			})
		}
	}
}

// The end of a connection is told to whoever reads, and to whoever would have to wait.
func TestTheConnectionEnds(t *testing.T) {
	t.Parallel()
	line := prelude.NewLine(script{bytes.NewReader(encode(t, bound, command)), 100}, io.Discard)
	ending, guard := groups()
	require.NoError(t, line.Send(ending, guard))
	_, err := line.Write(encode(t, &pgproto3.Query{String: "SELECT 1"}))
	require.ErrorIs(t, err, io.EOF)
	_, err = line.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, _, known := line.Outcome()
	require.False(t, known)
}

// Without a prelude everything passes as it is, whatever it is.
func FuzzNothingIsLostOnTheWay(f *testing.F) {
	_, answer := users(f)
	f.Add(answer, 3)
	f.Add(encode(f, setting, notice, deferred, outside), 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		line := prelude.NewLine(script{bytes.NewReader(data), max(size, 1)}, io.Discard)
		got, err := io.ReadAll(line)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(data, got))
		require.Less(t, len(data)-len(got), 5, "no more than the head of a message is kept back")
	})
}

// Whatever a server sends, the user's part is made of it, and the line ends in a known state or waits.
func FuzzAnswersToAPrelude(f *testing.F) {
	sent, answer := users(f)
	f.Add(append(encode(f, bound, command, bound, command, inside, bound, row, command), answer...), 5)
	f.Add(encode(f, deferred, outside, guarded, outside), 2)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		line := prelude.NewLine(script{bytes.NewReader(data), max(size, 1)}, io.Discard)
		ending, guard := groups()
		require.NoError(t, line.Send(ending, guard))
		_, err := line.Write(sent)
		require.NoError(t, err)
		got, err := io.ReadAll(line)
		require.NoError(t, err)
		require.LessOrEqual(t, len(got), len(data))
		if executed, failure, known := line.Outcome(); known && failure == nil {
			require.GreaterOrEqual(t, len(data), executed)
		}
	})
}
