package throttle

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// problems collects what is wrong with a configuration, each with its key.
type problems []error

func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

// Validate returns all that is wrong with the configuration, joined; nil if nothing is.
func (c Config) Validate() error {
	var p problems
	p.between("interval", c.Interval, 20*time.Millisecond, 10*time.Second)
	p.between("unreadable_after", c.UnreadableAfter, 0, time.Hour)
	p.share("hidden_duty", c.HiddenDuty)
	p.share("duty", c.Duty)
	if p.share("resume", c.Resume); c.Resume == 0 {
		p.add("resume", "is 0, so that no stop would ever lift: 0.8 is usual, 1 is the limit itself")
	}
	c.modes(&p)
	c.limits(&p)
	c.standbys(&p)
	c.customs(&p)
	for i, w := range c.Windows {
		if w.location == nil {
			p.add(fmt.Sprintf("windows[%d]", i), "is empty: write it as in %q", "Mon-Fri 22:00-06:00 Europe/Berlin")
		}
	}
	return errors.Join(p...)
}

func (p *problems) between(key string, d Duration, least, most time.Duration) {
	if time.Duration(d) < least || time.Duration(d) > most {
		p.add(key, "is %s, not between %s and %s", time.Duration(d), least, most)
	}
}

func (p *problems) share(key string, s Share) {
	if !(s >= 0 && s <= 1) {
		p.add(key, "is %g, not a share from 0 to 1", float64(s))
	}
}

func (p *problems) notNegative(key string, n float64) {
	if n < 0 {
		p.add(key, "is negative: 0 stands for no limit")
	}
}

func (c Config) modes(p *problems) {
	for _, m := range []struct {
		key  string
		mode Mode
	}{
		{"traffic.mode", c.Traffic.Mode},
		{"busy.mode", c.Busy.Mode},
		{"blocked.mode", c.Blocked.Mode},
		{"replica_lag.mode", c.ReplicaLag.Mode},
		{"archive_backlog.mode", c.ArchiveBacklog.Mode},
		{"autovacuum.mode", c.Autovacuum.Mode},
		{"xmin.mode", c.Xmin.Mode},
	} {
		if !slices.Contains([]Mode{Auto, On, Off}, m.mode) {
			p.add(m.key, "%q is not auto, on or off", m.mode)
		}
	}
}

func (c Config) limits(p *problems) {
	const mostCores = 4096
	if c.Traffic.Sessions < 1 {
		p.add("traffic.sessions", "is %d, not at least 1; mode off switches the signal off", c.Traffic.Sessions)
	}
	p.share("traffic.duty", c.Traffic.Duty)
	if c.Busy.Cores < 0 || c.Busy.Cores > mostCores {
		p.add("busy.cores", "is %d, not between 1 and %d, or 0 to find out", c.Busy.Cores, mostCores)
	}
	p.share("busy.floor", c.Busy.Floor)
	p.notNegative("replica_lag.bytes", float64(c.ReplicaLag.Bytes))
	p.notNegative("replica_lag.time", float64(c.ReplicaLag.Time))
	p.between("replica_lag.missing_for", c.ReplicaLag.MissingFor, 0, longestMissing)
	p.notNegative("replica_lag.logical_slots", float64(c.ReplicaLag.LogicalSlots))
	p.notNegative("wal_rate.per_second", float64(c.WALRate.PerSecond))
	if c.ArchiveBacklog.Segments < 1 {
		p.add("archive_backlog.segments", "is %d, not at least 1; mode off switches the signal off", c.ArchiveBacklog.Segments)
	}
	p.share("autovacuum.duty", c.Autovacuum.Duty)
	p.notNegative("xmin.age", float64(c.Xmin.Age))
	p.notNegative("xmin.transactions", float64(c.Xmin.Transactions))
	p.share("xmin.duty", c.Xmin.Duty)
}

func (c Config) standbys(p *problems) {
	for _, name := range c.ReplicaLag.Standbys {
		if slices.Contains(c.ReplicaLag.Ignore, name) {
			p.add("replica_lag.ignore", "%q is among replica_lag.standbys as well", name)
		}
	}
	if slices.Contains(c.ReplicaLag.Standbys, "") || slices.Contains(c.ReplicaLag.Ignore, "") {
		p.add("replica_lag", "a standby has an empty name: names are those of application_name in pg_stat_replication")
	}
}

func (c Config) customs(p *problems) {
	names := map[string]bool{}
	for i, query := range c.Custom {
		key := fmt.Sprintf("custom[%d]", i)
		if !regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`).MatchString(query.Name) {
			p.add(key+".name", "%q is not 1 to 63 letters, digits, dots, dashes and underscores", query.Name)
		} else if names[query.Name] {
			p.add(key+".name", "there are two of the name %q", query.Name)
		}
		names[query.Name] = true
		if strings.TrimSpace(query.SQL) == "" {
			p.add(key+".sql", "is empty")
		}
		if math.IsNaN(query.Limit) || math.IsInf(query.Limit, 0) {
			p.add(key+".limit", "is not a number")
		}
		query = query.filled()
		p.between(key+".every", query.Every, 100*time.Millisecond, time.Hour)
		p.between(key+".timeout", query.Timeout, 10*time.Millisecond, time.Minute)
		if p.share(key+".duty", query.Duty); query.Duty == 1 {
			p.add(key+".duty", "is 1, so that the query would have no effect")
		}
	}
}
