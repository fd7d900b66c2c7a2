package migtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Want checks a database after all batches have run. It fails the test where the
// Work has not done its work. [Try] runs it outside of a test, with a tb that has
// no more than reports, a context and Cleanup.
type Want func(tb testing.TB, db *pgx.Conn)

// NoRows wants a query to return no row: that nothing is wrong any more.
func NoRows(query string) Want {
	return func(tb testing.TB, db *pgx.Conn) {
		tb.Helper()
		if rows := texts(tb, db, query); len(rows) > 0 {
			tb.Errorf("%d rows are not as they should be:\n%s\nof: %s", len(rows), list(rows), query)
		}
	}
}

// Rows wants a query to return these rows, in this order. A row is written as its
// values' texts, as PostgreSQL prints them, with "|" between them; NULL is NULL.
func Rows(query string, want ...string) Want {
	return func(tb testing.TB, db *pgx.Conn) {
		tb.Helper()
		if rows := texts(tb, db, query); !slices.Equal(rows, want) {
			tb.Errorf("got the rows\n%s\nand wanted\n%s\nof: %s", list(rows), list(want), query)
		}
	}
}

// All wants everything that the given ones want.
func All(wants ...Want) Want {
	return func(tb testing.TB, db *pgx.Conn) {
		tb.Helper()
		for _, want := range wants {
			want(tb, db)
		}
	}
}

// texts returns the rows of a query, each as one line.
func texts(tb testing.TB, db *pgx.Conn, query string) []string {
	tb.Helper()
	results, err := db.PgConn().Exec(tb.Context(), query).ReadAll()
	if err != nil {
		tb.Fatalf("%v\nin: %s", err, query)
	}
	var rows []string
	for _, result := range results {
		for _, values := range result.Rows {
			row := make([]string, len(values))
			for i, value := range values {
				row[i] = "NULL"
				if value != nil {
					row[i] = string(value)
				}
			}
			rows = append(rows, strings.Join(row, "|"))
		}
	}
	return rows
}

// list renders rows one to a line, and not more than a screenful.
func list(rows []string) string {
	const most = 20
	if len(rows) == 0 {
		return "  (none)"
	}
	text := "  " + strings.Join(rows[:min(most, len(rows))], "\n  ")
	if len(rows) > most {
		text += "\n  …"
	}
	return text
}
