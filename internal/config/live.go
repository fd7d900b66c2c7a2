package config

import (
	"slices"
	"strings"
)

// Changes is the difference of two configurations.
type Changes struct {
	// Live are the keys that changed and take effect at once.
	Live []string
	// Restart are the keys that changed and take effect with the next start.
	Restart []string
	// Applied is what is in force now: the old configuration with the live
	// keys of the new one.
	Applied Config
}

// Live compares the configuration in force with a new one. Keys are listed in
// the order of [Config]; a database that came or went is one of them.
func Live(old, new Config) Changes {
	changes := Changes{Applied: old}
	after := map[string]field{}
	for _, f := range fields(&new) {
		after[f.path] = f
	}
	inForce := fields(&changes.Applied)
	for _, before := range inForce {
		now, kept := after[before.path]
		delete(after, before.path)
		switch {
		case kept && before.value.Interface() == now.value.Interface():
		case kept && before.key.Live:
			before.value.Set(now.value)
			changes.Live = append(changes.Live, before.path)
		default:
			changes.Restart = append(changes.Restart, differing(before.path, kept))
		}
	}
	for _, f := range fields(&new) {
		if _, added := after[f.path]; added {
			changes.Restart = append(changes.Restart, differing(f.path, false))
		}
	}
	slices.Sort(changes.Restart)
	changes.Restart = slices.Compact(changes.Restart)
	return changes
}

// differing names what differs: a key, or the database that is only in one of the
// configurations.
func differing(path string, inBoth bool) string {
	if parts := strings.Split(path, "."); !inBoth && parts[0] == "databases" {
		return strings.Join(parts[:2], ".")
	}
	return path
}
