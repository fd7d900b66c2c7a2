package catalog

import (
	"regexp"

	"github.com/jackc/pgx/v5"
)

// quote quotes an identifier for SQL where it has to be.
func quote(name string) string {
	if plainName(name) {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}

// plainName reports whether a name needs no quotes; keywords are for people to see, and
// statements quote always.
func plainName(name string) bool {
	matched, err := regexp.MatchString(`^[a-z_][a-z0-9_$]*$`, name)
	return err == nil && matched
}
