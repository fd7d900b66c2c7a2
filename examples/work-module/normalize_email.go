package works

import "github.com/bbmd-dev/bbmd/registry"

func init() { registry.Register(NormalizeEmail) }

// NormalizeEmail fills email_norm, by which addresses are found.
var NormalizeEmail = registry.Work{
	Name:    "normalize_email",
	Summary: "Fills email_norm with the address in lower case.",
	SQL: func(m registry.Migration) (registry.Statement, error) {
		return registry.ParseStatement("UPDATE " + m.Table + " SET email_norm = lower(email) WHERE :range")
	},
}
