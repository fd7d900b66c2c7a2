package process

import (
	"os"
	"path/filepath"
	"strings"
)

// environment returns what a program gets of bbmd's environment: what every
// program needs, and what its manifest lists.
func environment(listed []string, lookup func(string) (string, bool)) []string {
	env := []string{
		"PATH=" + searchPath(lookup),
		"PYTHONDONTWRITEBYTECODE=1", // it would change the directory, and with it the digest
	}
	for _, name := range append([]string{"HOME", "LANG", "TZ"}, listed...) {
		if value, ok := lookup(name); ok && name != "PATH" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// searchPath returns the directories in which programs are looked up: only
// those that mean the same wherever a program runs.
func searchPath(lookup func(string) (string, bool)) string {
	path, _ := lookup("PATH")
	var kept []string
	for _, dir := range filepath.SplitList(path) {
		if filepath.IsAbs(dir) {
			kept = append(kept, dir)
		}
	}
	if len(kept) == 0 {
		return "/usr/local/bin:/usr/bin:/bin"
	}
	return strings.Join(kept, string(os.PathListSeparator))
}
