package config

// Parse loads content as if it were the file at path.
func Parse(path string, content []byte, sources Sources) (Config, error) {
	return load(sources, func(l *loader) { l.readContent(path, content) })
}

// Trail is trail.
func Trail(path string) []string { return trail(path) }

// Mask is mask.
func Mask(conn string) string { return mask(conn) }
