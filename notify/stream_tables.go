package notify

import (
	"slices"
	"strings"

	"github.com/jackc/pglogrepl"
)

// The control tables whose changes are events. docs/adr says why these.
const (
	tableMigrations = "batched_background_migrations"
	tableCounters   = "counters"
	tableQuarantine = "quarantine"
	tableRuns       = "runs"
)

// PublishedTables returns the names of the tables, in the control schema, that a
// Stream's publication consists of, in a fresh slice.
func PublishedTables() []string {
	return []string{tableMigrations, tableCounters, tableQuarantine, tableRuns}
}

// knobs returns the columns of a migration whose change is a bbm_status: those
// that the trigger notify_status compares.
func knobs() []string {
	return []string{
		"status", "batch_size", "min_batch_size", "max_batch_size", "target_duration", "pause", "throttle",
		"parallelism", "priority", "depends_on", "max_attempts", "max_quarantined",
	}
}

// relation is a table that the stream has described.
type relation struct {
	columns int
	tell    func(d *decoder, kind pglogrepl.MessageType, row []value)
}

// describe remembers a table. One that changed is described again.
func (d *decoder) describe(c *cursor) {
	id, schema, name, columns := c.relation()
	if c.broken {
		return
	}
	r := &relation{columns: len(columns), tell: func(*decoder, pglogrepl.MessageType, []value) {}}
	if schema == d.schema {
		switch name {
		case tableMigrations:
			r.tell = migrationsRelation(columns)
		case tableCounters:
			r.tell = countersRelation(columns)
		case tableRuns:
			r.tell = runsRelation(columns)
		case tableQuarantine:
			r.tell = quarantineChanged
		}
	}
	d.relations[id] = r
}

// migration is what was last seen of one: an UPDATE comes without the row as it
// was.
type migration struct {
	name   string
	knobs  string
	reason string
}

// mostMigrations is how many are remembered. An update of one that is not costs a
// needless event.
const mostMigrations = 10_000

func (d *decoder) remember(id string, m migration) {
	if len(d.known) >= mostMigrations {
		clear(d.known)
	}
	d.known[id] = m
}

func migrationsRelation(columns []string) func(*decoder, pglogrepl.MessageType, []value) {
	id, name, reason := picked(columns, "id"), picked(columns, "name"), picked(columns, "status_reason")
	compared := picked(columns, knobs()...)
	return func(d *decoder, kind pglogrepl.MessageType, row []value) {
		key := render(row, id)
		now := migration{name: render(row, name), knobs: render(row, compared), reason: render(row, reason)}
		before, known := d.known[key]
		switch {
		case kind == pglogrepl.MessageTypeDelete:
			delete(d.known, key)
			return
		case kind == pglogrepl.MessageTypeInsert:
			d.tell(Event{Channel: ChannelNew})
		case !known || now.knobs != before.knobs:
			d.tell(Event{Channel: ChannelStatus})
		case now.reason != before.reason:
			d.tell(Event{Channel: ChannelProgress, Payload: now.name})
		}
		d.remember(key, now)
	}
}

func countersRelation(columns []string) func(*decoder, pglogrepl.MessageType, []value) {
	id := picked(columns, "batched_background_migration_id")
	return func(d *decoder, kind pglogrepl.MessageType, row []value) {
		if kind != pglogrepl.MessageTypeDelete {
			d.tell(Event{Channel: ChannelProgress, Payload: d.known[render(row, id)].name})
		}
	}
}

// runsRelation tells about a run that begins or ends. What it writes into its log
// meanwhile is no news. A run without finished_at is not over.
func runsRelation(columns []string) func(*decoder, pglogrepl.MessageType, []value) {
	finished := slices.Index(columns, "finished_at")
	return func(d *decoder, kind pglogrepl.MessageType, row []value) {
		over := finished < 0 || row[finished].kind != pglogrepl.TupleDataTypeNull
		if kind == pglogrepl.MessageTypeInsert || (kind == pglogrepl.MessageTypeUpdate && over) {
			d.tell(Event{Channel: ChannelStatus})
		}
	}
}

// quarantineChanged tells about rows that are taken out of quarantine, to be tried again.
func quarantineChanged(d *decoder, kind pglogrepl.MessageType, _ []value) {
	if kind == pglogrepl.MessageTypeDelete {
		d.tell(Event{Channel: ChannelStatus})
	}
}

// picked returns where the named columns are, without those that are not there:
// another release's control schema may have others.
func picked(columns []string, names ...string) []int {
	var at []int
	for _, name := range names {
		if i := slices.Index(columns, name); i >= 0 {
			at = append(at, i)
		}
	}
	return at
}

// render returns some columns of a row as one text that differs when they do. Of
// a long value that did not change the server says only that; the texts then
// differ once too often, never once too seldom. A single column is its own text.
func render(row []value, at []int) string {
	if len(at) == 1 {
		return string(row[at[0]].data)
	}
	var b strings.Builder
	for _, i := range at {
		b.WriteByte(row[i].kind)
		b.Write(row[i].data)
		b.WriteByte(0) // in no text of PostgreSQL
	}
	return b.String()
}
