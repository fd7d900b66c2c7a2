package throttle

import (
	"encoding/json"
	"fmt"
	"time"
)

// xmin is who holds back the removal of dead rows from this database's tables:
// open transactions, prepared transactions, and slots (of standbys with
// hot_standby_feedback). As long as they do, every row that a migration
// updates takes its space twice.
type xmin struct {
	holders []holder // the oldest of each kind
	seen    map[string]time.Time
}

type holder struct {
	Kind         string   `json:"kind"` // "transaction", "prepared transaction", "slot"
	Name         string   `json:"name"`
	Mark         string   `json:"mark"` // the transaction id that it holds on to
	Transactions int64    `json:"transactions"`
	Seconds      *float64 `json:"seconds"` // nil: hidden, or not known of its kind

	age time.Duration
}

// observedFrom is how many transactions must have begun since for an age that
// was only observed to count: in a server at rest every mark stands still.
const observedFrom = 100

func newXmin() *xmin { return &xmin{} }

func (*xmin) name() string         { return "xmin" }
func (*xmin) mode(c *Config) Mode  { return c.Xmin.Mode }
func (*xmin) every() time.Duration { return 5 * time.Second }

// Left out are vacuums and logical walsenders, which hold nothing back from
// tables, other databases' sessions (but a standby's feedback, without a
// database, counts in all of them), and bbmd's own.
func (*xmin) query() string {
	return `(SELECT coalesce(json_agg(h), '[]') FROM (
  (SELECT 'transaction' AS kind, format('pid %s%s', pid, coalesce(', ' || nullif(application_name, ''), '')) AS name,
      CASE WHEN coalesce(age(backend_xid), -1) > coalesce(age(backend_xmin), -1) THEN backend_xid ELSE backend_xmin END::text AS mark,
      greatest(age(backend_xid), age(backend_xmin)) AS transactions, extract(epoch FROM clock_timestamp() - xact_start) AS seconds
    FROM activity
    WHERE (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL) AND NOT ours
      AND (datid IS NULL OR datid = (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
      AND (datid IS NULL OR pid NOT IN (SELECT pid FROM pg_stat_get_wal_senders()))
    ORDER BY 4 DESC, 5 DESC NULLS LAST LIMIT 1)
  UNION ALL
  (SELECT 'prepared transaction', gid, transaction::text, age(transaction), extract(epoch FROM clock_timestamp() - prepared)
    FROM pg_prepared_xacts WHERE database = current_database() ORDER BY 4 DESC LIMIT 1)
  UNION ALL
  (SELECT 'slot', slot_name, xmin::text, age(xmin), NULL
    FROM pg_replication_slots WHERE xmin IS NOT NULL ORDER BY 4 DESC LIMIT 1)) h)`
}

func (x *xmin) observe(answer []byte, at time.Time) error {
	x.holders = nil
	if err := json.Unmarshal(answer, &x.holders); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	seen := map[string]time.Time{}
	for i := range x.holders {
		h := &x.holders[i]
		key := h.Kind + " " + h.Name + " " + h.Mark
		first, known := x.seen[key]
		if !known {
			first = at
		}
		seen[key] = first
		switch {
		case h.Seconds != nil:
			h.age = seconds(*h.Seconds)
		case h.Transactions >= observedFrom:
			h.age = at.Sub(first)
		}
	}
	x.seen = seen
	return nil
}

func (x *xmin) judge(c *Config, v view) opinion {
	worst := going(0, time.Duration(c.Xmin.Age).Seconds(), UnitSeconds)
	for _, h := range x.holders {
		for _, o := range []opinion{
			h.judge(c, v, h.age.Seconds(), time.Duration(c.Xmin.Age).Seconds(), UnitSeconds),
			h.judge(c, v, float64(h.Transactions), float64(c.Xmin.Transactions), UnitTransactions),
		} {
			if o.worse(worst) || !worst.worse(o) && ratio(o) > ratio(worst) {
				worst = o
			}
		}
	}
	return worst
}

func (h holder) judge(c *Config, v view, value, limit float64, unit Unit) opinion {
	o := going(value, limit, unit)
	if !tooMuch(value, limit, float64(c.Resume), v.slow) {
		return o
	}
	duty := c.Xmin.Duty
	reason := exceeded(fmt.Sprintf("the age of the %s %s, which keeps dead rows from being removed,", h.Kind, h.Name), value, limit, float64(c.Resume), unit)
	if duty > 0 {
		reason += fmt.Sprintf(": work %s of the time", duty)
	}
	return o.because(float64(duty), reason)
}
