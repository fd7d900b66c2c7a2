package history

import "github.com/jackc/pgx/v5"

// String is the table's name for people: schema.table, in quotes where it is
// not written in small letters.
func (p Place) String() string {
	if p.Schema == "" {
		return display(p.Table)
	}
	return display(p.Schema) + "." + display(p.Table)
}

// sql is the table's name for statements.
func (p Place) sql() string {
	if p.Schema == "" {
		return pgx.Identifier{p.Table}.Sanitize()
	}
	return pgx.Identifier{p.Schema, p.Table}.Sanitize()
}

func display(name string) string {
	plain := name != ""
	for i, c := range []byte(name) {
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			plain = false
		}
	}
	if plain {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}
