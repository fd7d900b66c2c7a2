package config

import "slices"

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
// the order of [Config]; a database that came or went is listed by its keys.
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
			changes.Restart = append(changes.Restart, before.path)
		}
	}
	for _, f := range fields(&new) {
		if _, added := after[f.path]; added {
			changes.Restart = append(changes.Restart, f.path)
		}
	}
	slices.Sort(changes.Restart)
	return changes
}
