package throttle

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// archiveBacklog is how many complete WAL segments wait for the archiver. They
// stay on the server's disk until then, and a full disk is the end of it.
//
// It is reckoned from the position of the WAL and the last name that was
// archived, which everybody may read; looking into archive_status is for
// superusers.
type archiveBacklog struct {
	off     bool // archive_mode is
	waiting int64
	failing string // the segment that the archiver fails on
	start   *int64 // the first segment that may be waiting, as far as is known
}

func newArchiveBacklog() *archiveBacklog { return &archiveBacklog{} }

func (*archiveBacklog) name() string         { return "archive_backlog" }
func (*archiveBacklog) mode(c *Config) Mode  { return c.ArchiveBacklog.Mode }
func (*archiveBacklog) every() time.Duration { return time.Second }

func (*archiveBacklog) query() string {
	return `(SELECT CASE WHEN current_setting('archive_mode') = 'off' THEN '{"off": true}'::json ELSE json_build_object(
  'archived', coalesce(last_archived_wal, ''), 'failed', coalesce(last_failed_wal, ''),
  'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
  'position', pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, 'size', pg_size_bytes(current_setting('wal_segment_size'))) END
FROM pg_stat_archiver)`
}

func (b *archiveBacklog) observe(answer []byte, _ time.Time) error {
	var a struct {
		Off      bool   `json:"off"`
		Archived string `json:"archived"`
		Failed   string `json:"failed"`
		Failing  bool   `json:"failing"`
		Position int64  `json:"position"`
		Size     int64  `json:"size"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	b.off, b.waiting, b.failing = a.Off, 0, ""
	if a.Off {
		return nil
	}
	if a.Size <= 0 {
		return fmt.Errorf("the size of a WAL segment is %d", a.Size)
	}
	writing := max(0, a.Position-1) / a.Size // the segment that is being written
	if last, ok := segmentNumber(a.Archived, a.Size); ok {
		last++
		b.start = &last
	} else if failed, ok := segmentNumber(a.Failed, a.Size); ok && a.Failing && (b.start == nil || failed < *b.start) {
		b.start = &failed
	}
	if b.start == nil || *b.start > writing {
		b.start = &writing // nothing is known of the time before
	}
	b.waiting = writing - *b.start
	if a.Failing {
		b.failing = a.Failed
	}
	return nil
}

// segmentNumber reads the name of a segment, or of something that belongs to
// one, such as a backup's label; a timeline's history belongs to none.
func segmentNumber(name string, size int64) (int64, bool) {
	const digits = 8 // of the timeline, the "log" and the segment in it
	if len(name) < 3*digits || strings.HasSuffix(name, ".history") {
		return 0, false
	}
	log, errLog := strconv.ParseUint(name[digits:2*digits], 16, 32)
	segment, errSegment := strconv.ParseUint(name[2*digits:3*digits], 16, 32)
	if errLog != nil || errSegment != nil {
		return 0, false
	}
	return int64(log)*((1<<32)/size) + int64(segment), true
}

func (b *archiveBacklog) judge(c *Config, v view) opinion {
	o := going(float64(b.waiting), float64(c.ArchiveBacklog.Segments), UnitSegments)
	if b.off || !tooMuch(o.value, o.limit, float64(c.Resume), v.stands) {
		return o
	}
	reason := exceeded("archive backlog", o.value, o.limit, float64(c.Resume), UnitSegments)
	if b.failing != "" {
		reason += "; the archiver fails on " + b.failing
	}
	return o.because(0, reason)
}
