package bench

import (
	"context"

	"github.com/bbmd-dev/bbmd/notify"
)

// ourMessage is what NOTIFY is to those who follow the write-ahead log. Unlike a bare NOTIFY it is
// written there, and so waits for the disk.
const ourMessage = "SELECT pg_logical_emit_message(true, '" + notify.ChannelNew + "', '')"

// streamTarget is what the way through the log may take, as a multiple of the way by notification: one
// round trip more, until a snapshot has the transaction.
const streamTarget = 1.6

// listenStream measures with notify.Stream.
func listenStream(ctx context.Context, d *database, tries int, l *latencies) error {
	stream, err := notify.NewStream(notify.StreamConfig{URL: d.url})
	if err != nil {
		return err
	}
	sends, err := sendsMessages(ctx, d)
	if err != nil {
		return err
	}
	if !sends {
		return listenTo(ctx, d, stream, ourInsert, tries, l)
	}
	return listenTo(ctx, d, stream, ourMessage, tries, l)
}

// sendsMessages reports whether who follows the log hears of messages: from PostgreSQL 14 on.
func sendsMessages(ctx context.Context, d *database) (sends bool, err error) {
	err = d.admin.QueryRow(ctx, "SELECT current_setting('server_version_num')::int >= 140000").Scan(&sends)
	return sends, err
}

// addStreamed compares the two sources: the same INSERT, which both learn from.
func (r *Report) addStreamed(streamed, notified latencies, messages bool) {
	r.addWakes("INSERT by another session, until notify.Stream has it (events: wal); beside notify.Listener", streamed.insert, notified.insert, streamTarget)
	if !messages {
		return
	}
	r.addWakes("pg_logical_emit_message until notify.Stream has it; beside an INSERT until notify.Listener has it, which waits for the disk as well",
		streamed.notify, notified.insert, streamTarget)
}
