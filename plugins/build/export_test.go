package build

// Sort says which of a program's Works are whose: a name and a package each.
func Sort(o Options, named ...string) (map[string][]string, error) {
	b := builder{Options: o}
	var all []work
	for i := 0; i < len(named); i += 2 {
		all = append(all, work{Name: named[i], Path: named[i+1]})
	}
	return b.sort(all)
}

// LeastGo is what the module that is built asks for.
const LeastGo = leastGo
