package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is how many symlinks a path may go through, as in the kernel.
const maxLinks = 40

// trail returns the directory entries that decide which file path leads to, or
// that there is none: every symlink on the way (a Kubernetes ConfigMap swaps
// ..data, not the file) and the file itself, or what is missing first. Their
// directories are the ones to watch.
func trail(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	var entries []string
	at, rest := root(path), components(path)
	for links := 0; len(rest) > 0 && links <= maxLinks; {
		next := filepath.Join(at, rest[0])
		info, err := os.Lstat(next)
		isLink := err == nil && info.Mode()&fs.ModeSymlink != 0
		if err != nil || isLink || len(rest) == 1 {
			entries = append(entries, next)
		}
		rest = rest[1:]
		switch {
		case err != nil:
			return entries
		case !isLink:
			at = next
		default:
			target, err := os.Readlink(next)
			if err != nil {
				return entries
			}
			if filepath.IsAbs(target) {
				at = root(target)
			}
			rest = append(components(target), rest...)
			links++
		}
	}
	return entries
}

func root(path string) string {
	return filepath.VolumeName(path) + string(filepath.Separator)
}

// components returns the names on the way from the root, or from here.
func components(path string) []string {
	names := strings.Split(strings.TrimPrefix(path, filepath.VolumeName(path)), string(filepath.Separator))
	return slices.DeleteFunc(names, func(name string) bool { return name == "" || name == "." })
}
