package notify_test

import (
	"context"
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/notify"
)

// pgout writes messages of pgoutput.
type pgout []byte

func (p pgout) u8(v byte) pgout    { return append(p, v) }
func (p pgout) u16(v uint16) pgout { return binary.BigEndian.AppendUint16(p, v) }
func (p pgout) u32(v uint32) pgout { return binary.BigEndian.AppendUint32(p, v) }
func (p pgout) u64(v uint64) pgout { return binary.BigEndian.AppendUint64(p, v) }
func (p pgout) str(v string) pgout { return append(append(p, v...), 0) }

// row appends the texts of a row: a pointer to none is NULL.
func (p pgout) row(values ...string) pgout {
	p = p.u16(uint16(len(values)))
	for _, v := range values {
		switch v {
		case "NULL":
			p = p.u8('n')
		case "TOAST":
			p = p.u8('u')
		default:
			p = append(p.u8('t').u32(uint32(len(v))), v...)
		}
	}
	return p
}

func begin(xid uint32) pgout { return pgout{'B'}.u64(100).u64(0).u32(xid) }

func commit(end uint64) pgout { return pgout{'C', 0}.u64(90).u64(end).u64(0) }

func describe(id uint32, schema, name string, columns ...string) pgout {
	p := pgout{'R'}.u32(id).str(schema).str(name).u8('d').u16(uint16(len(columns)))
	for _, column := range columns {
		p = p.u8(0).str(column).u32(25).u32(0xffffffff)
	}
	return p
}

func inserted(id uint32, values ...string) pgout { return pgout{'I'}.u32(id).u8('N').row(values...) }

func updated(values ...string) pgout { return pgout{'U'}.u32(migrations).u8('N').row(values...) }

func deleted(id uint32, values ...string) pgout { return pgout{'D'}.u32(id).u8('K').row(values...) }

func message(prefix, content string) pgout {
	return append(pgout{'M', 1}.u64(5).str(prefix).u32(uint32(len(content))), content...)
}

// migrations is the number of that table.
const migrations = 7

// describedMigrations is a migrations table of which not all columns are known.
func describedMigrations() pgout {
	return describe(migrations, "bbm", "batched_background_migrations", "id", "name", "status", "status_reason", "throttle")
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		messages []pgout
		want     []notify.Event
		err      string
	}{
		"nothing of ours": {messages: []pgout{begin(1), describe(7, "public", "counters", "id"), inserted(7, "1"), commit(110)}},
		"inserted twice": {
			messages: []pgout{begin(1), describedMigrations(), inserted(7, "1", "a", "active", "NULL", "NULL"), inserted(7, "2", "b", "active", "NULL", "NULL"), commit(110)},
			want:     []notify.Event{{Channel: notify.ChannelNew}},
		},
		"an update of what was not seen, then of nothing, then of the reason": {
			messages: []pgout{
				begin(1), describedMigrations(), updated("1", "a", "active", "NULL", "{}"), commit(110),
				begin(2), updated("1", "a", "active", "NULL", "{}"), commit(120),
				begin(3), updated("1", "a", "active", "slow", "{}"), commit(130),
			},
			want: []notify.Event{{Channel: notify.ChannelStatus}, {Channel: notify.ChannelProgress, Payload: "a"}},
		},
		"a long value that did not change is at most one event": {
			messages: []pgout{
				begin(1), describedMigrations(), updated("1", "a", "active", "NULL", "long"), commit(110),
				begin(2), updated("1", "a", "active", "NULL", "TOAST"), updated("1", "a", "active", "NULL", "TOAST"), commit(120),
				begin(3), updated("1", "a", "active", "NULL", "TOAST"), commit(130),
			},
			want: []notify.Event{{Channel: notify.ChannelStatus}, {Channel: notify.ChannelStatus}},
		},
		"the old row comes first": {
			messages: []pgout{
				begin(1), describedMigrations(), append(pgout{'U'}.u32(7).u8('O').row("1", "a", "active", "NULL", "{}").u8('N'), pgout{}.row("1", "a", "paused", "NULL", "{}")...), commit(110),
			},
			want: []notify.Event{{Channel: notify.ChannelStatus}},
		},
		"a column more": {
			messages: []pgout{
				begin(1), describedMigrations(), inserted(7, "1", "a", "active", "NULL", "{}"), commit(110),
				begin(2), describe(7, "bbm", "batched_background_migrations", "id", "new"), updated("1", "x"), commit(120),
			},
			want: []notify.Event{{Channel: notify.ChannelNew}, {Channel: notify.ChannelStatus}},
		},
		"quarantine is filled, and emptied": {
			messages: []pgout{begin(1), describe(8, "bbm", "quarantine", "id"), inserted(8, "1"), commit(110), begin(2), deleted(8, "1"), commit(120)},
			want:     []notify.Event{{Channel: notify.ChannelStatus}},
		},
		"messages":                    {messages: []pgout{message("bbm_new", "x"), message("other", "y")}, want: []notify.Event{{Channel: notify.ChannelNew, Payload: "x"}}},
		"what others send":            {messages: []pgout{begin(1), {'O'}, {'Y'}, {'T'}, commit(110)}},
		"cut short":                   {messages: []pgout{begin(1)[:12]}, err: "cut short"},
		"empty":                       {messages: []pgout{{}}, err: "was not asked for"},
		"streamed":                    {messages: []pgout{{'S', 0, 0, 0, 1, 1}}, err: "was not asked for"},
		"a length beyond the end":     {messages: []pgout{begin(1), describe(7, "bbm", "runs", "id"), pgout{'I'}.u32(7).u8('N').u16(1).u8('t').u32(0xfffffff0)}, err: "cut short"},
		"a table not described":       {messages: []pgout{begin(1), inserted(9, "1")}, err: "not described"},
		"a row of other columns":      {messages: []pgout{begin(1), describedMigrations(), inserted(7, "1")}, err: "a row of 1 columns"},
		"a change of no transaction":  {messages: []pgout{describedMigrations(), inserted(7, "1", "a", "active", "NULL", "NULL")}, err: "not where it belongs"},
		"a commit of no transaction":  {messages: []pgout{commit(1)}, err: "not where it belongs"},
		"a transaction inside of one": {messages: []pgout{begin(1), begin(2)}, err: "not where it belongs"},
		"a row of an unknown kind":    {messages: []pgout{begin(1), describe(8, "bbm", "runs", "id"), append(pgout{'I'}.u32(8).u8('K'), pgout{}.row("1")...)}, err: "a row of kind"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := notify.NewDecoder()
			var got []notify.Event
			var failed error
			for _, message := range test.messages {
				events, _, err := d.Decode(message)
				got = append(got, events...)
				if err != nil {
					failed = err
				}
			}
			if test.err != "" {
				require.ErrorContains(t, failed, test.err)
				return
			}
			require.NoError(t, failed)
			require.Equal(t, test.want, got)
		})
	}
}

// FuzzDecode: no message makes it panic, none brings about an event of another
// channel, and where pglogrepl's parser reads a message, ours does too.
func FuzzDecode(f *testing.F) {
	for _, message := range []pgout{
		begin(3), commit(110), describedMigrations(), inserted(7, "1", "a", "active", "NULL", "TOAST"), updated("1", "a", "paused", "NULL", "{}"),
		deleted(7, "1", "NULL", "NULL", "NULL", "NULL"), message("bbm_new", "x"), message("other", ""),
		{'O'},
		{'T'},
		{},
		append(pgout{'U'}.u32(7).u8('O').row("1", "a", "active", "NULL", "{}").u8('N'), pgout{}.row("1", "a", "active", "NULL", "{}")...),
	} {
		f.Add([]byte(message))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := notify.NewDecoder()
		for _, message := range []pgout{begin(1), describedMigrations(), describe(8, "bbm", "counters", "id"), describe(9, "bbm", "runs", "finished_at")} {
			_, _, err := d.Decode(message)
			require.NoError(t, err)
		}
		events, _, err := d.Decode(data)
		if len(data) > 0 && data[0] != 'C' {
			require.Empty(t, events, "before the end of the transaction")
		}
		for _, e := range events {
			require.True(t, slices.Contains(notify.Channels(), e.Channel))
			require.Less(t, len(e.Payload), 8000)
		}
		if theirs, ok := parsed(data); ok && err != nil {
			require.True(t, refusable(theirs), "pglogrepl reads %#v, and we do not: %v", theirs, err)
		}
	})
}

// parsed returns what pglogrepl makes of a message that it can be given: it takes
// lengths for granted.
func parsed(data []byte) (m pglogrepl.Message, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if len(data) == 0 || len(data) > 1<<16 || slices.Contains([]byte{'I', 'U', 'D', 'T'}, data[0]) {
		return nil, false // what holds lengths that it would make room for
	}
	m, err := pglogrepl.Parse(slices.Clip(data)) // it reads what is behind the end, if there is something
	return m, err == nil
}

// refusable reports whether a message is well-formed, and not one for this place.
func refusable(m pglogrepl.Message) bool { return m.Type() == pglogrepl.MessageTypeBegin }

// TestRowsAsPglogreplReadsThem holds the rows against the other parser.
func TestRowsAsPglogreplReadsThem(t *testing.T) {
	t.Parallel()
	for _, data := range []pgout{inserted(7, "1", "", "NULL", "TOAST"), updated("x"), deleted(7, "1", "NULL"), updated()} {
		m, err := pglogrepl.Parse(data)
		require.NoError(t, err)
		var theirs []string
		var tuple *pglogrepl.TupleData
		switch m := m.(type) {
		case *pglogrepl.InsertMessage:
			tuple = m.Tuple
		case *pglogrepl.UpdateMessage:
			tuple = m.NewTuple
		case *pglogrepl.DeleteMessage:
			tuple = m.OldTuple
		}
		for _, c := range tuple.Columns {
			theirs = append(theirs, string(rune(c.DataType))+string(c.Data))
		}
		require.Equal(t, theirs, notify.DecodeRow(data[6:]))
	}
}

// FuzzStreamBytes: whatever a server or a box in between sends, it ends in an error, and nothing
// but events of our channels comes out of it.
func FuzzStreamBytes(f *testing.F) {
	keepalive := append([]byte{'k'}, make([]byte, 17)...)
	keepalive[17] = 1
	for _, data := range [][]byte{
		keepalive, append(append([]byte{'w'}, make([]byte, 24)...), message("bbm_new", "x")...), {'w'}, {}, {'x'},
	} {
		encoded, err := (&pgproto3.CopyData{Data: data}).Encode(nil)
		require.NoError(f, err)
		f.Add(encoded)
	}
	f.Add([]byte{'E', 0, 0, 0, 5, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server := net.Pipe()
		go func() {
			buffer := make([]byte, 1024)
			for {
				if _, err := server.Read(buffer); err != nil {
					return
				}
			}
		}()
		go func() {
			_, _ = server.Write(data)
			_ = server.Close()
		}()
		err := notify.ReceiveOn(context.Background(), client, time.Minute, func(e notify.Event) {
			if !slices.Contains(notify.Channels(), e.Channel) {
				t.Errorf("delivered %q", e.Channel)
			}
		}, nil)
		require.Error(t, err)
	})
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		snapshot string
		xid      uint32
		want     bool
	}{
		"before all":                 {"10:20:10,14", 9, true},
		"open, the first":            {"10:20:10,14", 10, false},
		"over, between open ones":    {"10:20:10,14", 11, true},
		"open":                       {"10:20:10,14", 14, false},
		"the last that is over":      {"10:20:10,14", 19, true},
		"not over yet":               {"10:20:10,14", 20, false},
		"begun later":                {"10:20:10,14", 25, false},
		"none open":                  {"20:20:", 19, true},
		"none open, later":           {"20:20:", 20, false},
		"before a wrap":              {"4294967301:4294967301:", 0xffffffff, true},
		"open before a wrap":         {"4294967290:4294967301:4294967295", 0xffffffff, false},
		"after a wrap":               {"4294967290:4294967301:4294967290", 3, true},
		"later, after a wrap to be":  {"4294967290:4294967290:", 5, false},
		"open after a wrap":          {"4294967290:4294967301:4294967299", 3, false},
		"half a number space before": {"4294967301:4294967301:", 2147483660, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			has, err := notify.SnapshotHas(test.snapshot, test.xid)
			require.NoError(t, err)
			require.Equal(t, test.want, has)
		})
	}
	for _, text := range []string{"", "1", "1:2", "1:2:x", "1:2:3:4", "-1:2:", ":2:", "1:2:3,"} {
		_, err := notify.SnapshotHas(text, 1)
		require.Error(t, err, text)
	}
}
