package control

import (
	"fmt"
	"strings"
)

// Script returns what [Install] runs on a database that has no control schema,
// as SQL for people: one transaction, with what is granted to roles at its end. schema is the schema's name, empty for [DefaultSchema].
func Script(schema string, roles ...Role) (string, error) {
	all, err := steps()
	if err != nil {
		return "", err
	}
	store := NewStore(schema)
	var b strings.Builder
	fmt.Fprintf(&b, "BEGIN;\nSET LOCAL lock_timeout = '1s';\nSET LOCAL synchronous_commit = on;\nSELECT pg_advisory_xact_lock(%d, 0);\n", lockInstall)
	b.WriteString(store.sql(createVersions) + ";\n")
	for _, s := range all {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(store.sql(s.sql)))
		fmt.Fprintf(&b, "INSERT INTO %s.versions (version, oldest_compatible) VALUES (%d, %d);\n", store.Schema(), s.version, oldestCompatible)
	}
	b.WriteString(store.sql(secureSQL) + ";\n")
	for _, role := range roles {
		b.WriteString(store.script(role) + ";\n")
	}
	b.WriteString("\nCOMMIT;\n")
	return b.String(), nil
}
