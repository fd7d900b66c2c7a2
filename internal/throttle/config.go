package throttle

import "time"

// Config says which signals count, and what their limits are. Start from
// [Default]: the zero Config is not valid. Its JSON names are those of the
// configuration file and of the overrides of a migration.
type Config struct {
	// Enabled false makes every verdict go, and reads nothing. Defaults to true.
	Enabled bool `json:"enabled"`

	// Interval is how often the fast signals (traffic, busy, blocked, replica_lag) are
	// read while a migration runs: 20ms to 10s. Reading shall take a fiftieth
	// of the time, so a slow answer stretches it, up to one second;
	// so does a stop that lasts, up to five. Defaults to 100ms. Not for
	// overrides: a database is read once for all of its migrations.
	Interval Duration `json:"interval"`

	// UnreadableAfter is for how long the last value of a signal counts after
	// the server failed to answer. Then work stops until it answers. Defaults
	// to 15s; 0 stops with the first failure.
	UnreadableAfter Duration `json:"unreadable_after"`

	// HiddenDuty is the share of the time to work while a signal of mode auto
	// cannot be seen: the role lacks a privilege, or the server the function.
	// Defaults to 0.25; 0 stops.
	HiddenDuty Share `json:"hidden_duty"`

	// Resume is the part of a limit below which a stop lifts, so that work does
	// not flicker around the limit. Defaults to 0.8; 1 is the limit itself.
	Resume Share `json:"resume"`

	// Traffic gives way to other sessions that run one statement after the other.
	Traffic Traffic `json:"traffic"`
	// Busy slows down with the load that other sessions put on the server.
	Busy Busy `json:"busy"`
	// Blocked stops while somebody waits for a lock of the migration's sessions.
	Blocked Blocked `json:"blocked"`
	// ReplicaLag stops while a standby is too far behind.
	ReplicaLag ReplicaLag `json:"replica_lag"`
	// WALRate keeps the server's WAL below a rate.
	WALRate WALRate `json:"wal_rate"`
	// ArchiveBacklog stops while too much WAL waits to be archived.
	ArchiveBacklog ArchiveBacklog `json:"archive_backlog"`
	// Autovacuum gives way to a vacuum of the migration's table.
	Autovacuum Autovacuum `json:"autovacuum"`
	// Xmin slows down while an old transaction keeps dead rows from being removed.
	Xmin Xmin `json:"xmin"`

	// Custom are queries of the operator's own. Defaults to none.
	Custom []Custom `json:"custom"`
	// Windows are the times at which to work; outside of all of them work
	// stops. Defaults to none, which is always.
	Windows []Window `json:"windows"`
	// Duty is the share of the time to work at most, whatever the signals say.
	// Defaults to 1; 0 stops.
	Duty Share `json:"duty"`

	mistake string // of a configuration that was refused: stops all work
}

// Traffic slows down from a tenth of Sessions on, and works Duty of the time
// at all of them.
type Traffic struct {
	// Mode defaults to auto.
	Mode Mode `json:"mode"`
	// Sessions is how many sessions that run one statement after the other, in
	// all databases, are as much traffic as counts. Ten that run a statement
	// each second are one. Defaults to 2.
	Sessions int `json:"sessions"`
	// Duty is the share of the time to work at the least, all workers
	// together. Defaults to 0.02; 0 stops.
	Duty Share `json:"duty"`
}

// Busy works duty = (1 - active/cores)^2 of the time, where active is the
// smoothed number of other sessions that run a statement, in all databases.
type Busy struct {
	// Mode defaults to auto.
	Mode Mode `json:"mode"`
	// Cores of the server, which PostgreSQL does not tell. Defaults to 0: those
	// of this machine where the server runs on it, else 4.
	Cores int `json:"cores"`
	// Floor is the least duty, so that a server which is always busy gets its
	// migration done all the same. Defaults to 0.05; 0 stops when other
	// sessions keep all cores busy.
	Floor Share `json:"floor"`
}

// Blocked has no limit: a single session that waits stops the migration it waits for.
type Blocked struct {
	// Mode defaults to auto.
	Mode Mode `json:"mode"`
}

// ReplicaLag looks at the physical standbys that are connected to this server.
type ReplicaLag struct {
	// Mode defaults to auto.
	Mode Mode `json:"mode"`
	// Bytes of WAL that a standby may still have to replay. Defaults to 64MB; 0: any.
	Bytes Bytes `json:"bytes"`
	// Time by which a standby may be behind, where that is more than 1 MB.
	// Defaults to 10s; 0: any.
	Time Duration `json:"time"`
	// Standbys names those that count, by application_name; one that is not
	// connected stops work. Defaults to none: all that are connected count.
	Standbys []string `json:"standbys"`
	// Ignore names those that do not count, such as one that is behind on
	// purpose (recovery_min_apply_delay). Defaults to none.
	Ignore []string `json:"ignore"`
	// MissingFor is for how long work stops after a standby has disconnected;
	// then it counts as removed. Defaults to 5m; 0 does not stop.
	MissingFor Duration `json:"missing_for"`
	// LogicalSlots is how many bytes of WAL a logical slot, of any database,
	// may be behind. Temporary ones do not count. Defaults to 0: any.
	LogicalSlots Bytes `json:"logical_slots"`
}

// WALRate begins to slow down at half the rate, and stops at all of it.
type WALRate struct {
	// PerSecond is the WAL that the whole server may write in a second, on
	// average over some seconds. Defaults to 0: any.
	PerSecond Bytes `json:"per_second"`
}

// ArchiveBacklog counts where archive_mode is on.
type ArchiveBacklog struct {
	// Mode defaults to auto.
	Mode Mode `json:"mode"`
	// Segments that are complete and may wait for the archiver. Defaults to 42.
	Segments int `json:"segments"`
}

// Autovacuum counts manual vacuums as well, and those of the table's
// partitions and of its TOAST table. An ANALYZE does not count.
type Autovacuum struct {
	// Mode defaults to auto.
	Mode Mode `json:"mode"`
	// Duty is the share of the time to work meanwhile. Defaults to 0: stop.
	Duty Share `json:"duty"`
}

// Xmin looks at transactions, prepared transactions and slots that hold back
// the removal of dead rows from the migration's table.
type Xmin struct {
	// Mode defaults to auto.
	Mode Mode `json:"mode"`
	// Age from which a holder counts. Defaults to 10m; 0: none by its age.
	Age Duration `json:"age"`
	// Transactions that have begun since, from which a holder counts. Defaults
	// to 0: none by their number.
	Transactions int64 `json:"transactions"`
	// Duty is the share of the time to work meanwhile. Defaults to 0.25; 0 stops.
	Duty Share `json:"duty"`
}

// Custom is a query that returns one column and at most one row. It runs in a
// read-only transaction of its own.
//
// A boolean that is true stops. A number stops when it is more than Limit. A
// text that is not empty stops, and is the reason; no row and NULL are no
// reason. For the other types no row and NULL are no answer, as is an error,
// and count as unreadable.
type Custom struct {
	// Name of the signal, in reasons and metrics as "custom:<name>".
	Name string `json:"name"`
	// SQL is the query.
	SQL string `json:"sql"`
	// Limit for a query that returns a number. Defaults to 0.
	Limit float64 `json:"limit,omitempty"`
	// Every is how often it runs while a migration does: 100ms to 1h. Defaults to 10s.
	Every Duration `json:"every,omitzero"`
	// Timeout is how long it may take: 10ms to 1m. Defaults to 1s.
	Timeout Duration `json:"timeout,omitzero"`
	// Duty is the share of the time to work when it says stop. Defaults to 0: stop.
	Duty Share `json:"duty,omitzero"`
}

const (
	defaultCustomEvery   = Duration(10 * time.Second)
	defaultCustomTimeout = Duration(time.Second)
)

// filled has the defaults of the fields that were left out.
func (c Custom) filled() Custom {
	if c.Every == 0 {
		c.Every = defaultCustomEvery
	}
	if c.Timeout == 0 {
		c.Timeout = defaultCustomTimeout
	}
	return c
}

// Default returns a configuration that is safe on any server: each of its
// signals is readable by any role or says that it is not, and none of them
// stops a server that is well. docs/throttling.md gives the evidence.
func Default() Config {
	return Config{
		Enabled:         true,
		Interval:        Duration(100 * time.Millisecond),
		UnreadableAfter: Duration(15 * time.Second),
		HiddenDuty:      0.25,
		Resume:          0.8,
		Traffic:         Traffic{Mode: Auto, Sessions: 2, Duty: 0.02},
		Busy:            Busy{Mode: Auto, Floor: 0.05},
		Blocked:         Blocked{Mode: Auto},
		ReplicaLag: ReplicaLag{
			Mode: Auto, Bytes: 64 << 20, Time: Duration(10 * time.Second), MissingFor: Duration(5 * time.Minute),
		},
		ArchiveBacklog: ArchiveBacklog{Mode: Auto, Segments: 42},
		Autovacuum:     Autovacuum{Mode: Auto},
		Xmin:           Xmin{Mode: Auto, Age: Duration(10 * time.Minute), Duty: 0.25},
		Duty:           1,
	}
}
