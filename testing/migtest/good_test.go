package migtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
	"github.com/bbmd-dev/bbmd/testing/migtest"
)

// TestGoodWorks demands that the kit has nothing to say about Works that are
// right, each in a way of its own.
func TestGoodWorks(t *testing.T) {
	t.Parallel()
	for name, c := range goodWorks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			migtest.Run(t, c)
		})
	}
}

func goodWorks() map[string]migtest.Case {
	works := map[string]migtest.Case{"reads_with_lock": inGo(lockedRead)}

	adds := inSQL("UPDATE people SET seen = seen + 1, email_norm = clock_timestamp()::text WHERE id BETWEEN :start AND :end")
	adds.Once, adds.Volatile = true, []string{"email_norm"}
	works["adds_one"] = adds

	alone := inGo(alone)
	alone.Alone = true
	works["alone"] = alone

	works["copies_all_columns"] = migtest.Case{
		Work:  inSQL("INSERT INTO archive SELECT * FROM people WHERE :range ON CONFLICT DO NOTHING").Work,
		Setup: people + "; CREATE TABLE archive (LIKE people INCLUDING ALL)", Table: "people",
		Want: migtest.NoRows("TABLE people EXCEPT TABLE archive"),
	}
	works["logs"] = migtest.Case{
		Work: inSQL(`WITH done AS (UPDATE people SET email_norm = lower(email) WHERE :range AND email_norm IS NULL RETURNING id)
			INSERT INTO log (entry) SELECT id FROM done`).Work,
		Setup: people + "; CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entry bigint)", Table: "people",
		Volatile: []string{"log.id"},
		Want:     migtest.All(normalized(), migtest.Rows("SELECT count(*), count(DISTINCT entry) FROM log", "24|24")),
	}
	works["partitions"] = migtest.Case{
		Work: inSQL("DELETE FROM events WHERE :range AND done").Work,
		Setup: `CREATE TABLE events (region text, id uuid, done boolean, note text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
			CREATE TABLE events_north PARTITION OF events FOR VALUES IN ('north');
			CREATE TABLE events_rest PARTITION OF events DEFAULT;
			INSERT INTO events SELECT (ARRAY['north', 'south', 'ea"st'])[i % 3 + 1], md5(i::text)::uuid, i % 2 = 0, 'Event ' || i FROM generate_series(1, 30) i`,
		Table: "events",
		Want:  migtest.Rows("SELECT done, count(*) FROM events GROUP BY done", "f|15"),
	}
	works["append_only"] = migtest.Case{
		Work: inSQL("INSERT INTO archive SELECT * FROM people WHERE :range ON CONFLICT DO NOTHING").Work,
		Setup: people + `; CREATE TABLE archive (LIKE people INCLUDING ALL);
			CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'nobody changes what happened'; END $$;
			CREATE TRIGGER append_only BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION refuse()`, Table: "people",
		Want: migtest.NoRows("TABLE people EXCEPT TABLE archive"),
	}
	works["other_key"] = migtest.Case{
		Work: inSQL("UPDATE \"Odd Names\" SET \"New N\" = n WHERE :range").Work,
		Setup: `CREATE TABLE "Odd Names" (id int PRIMARY KEY, "The Code" text COLLATE "C" NOT NULL UNIQUE, n int, "New N" int);
			INSERT INTO "Odd Names" SELECT i, md5(i::text) || '''"', i FROM generate_series(1, 20) i`,
		Table: `"Odd Names"`, Columns: []string{"The Code"},
		Want: migtest.NoRows(`SELECT FROM "Odd Names" WHERE n IS DISTINCT FROM "New N"`),
	}
	return works
}

// lockedRead normalizes in Go what it has read, and nobody can write meanwhile.
func lockedRead(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	if _, err := tx.Exec(ctx, "SELECT FROM people WHERE "+b.Where()+" ORDER BY id FOR UPDATE", b.Args()...); err != nil {
		return registry.Result{}, err
	}
	return staleRead(ctx, tx, b)
}

// alone wants no other batch beside it.
func alone(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	var alone bool
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(1)").Scan(&alone); err != nil || !alone {
		return registry.Result{}, errors.Join(err, errors.New("somebody else is at it"))
	}
	return normalizeInGo(ctx, tx, b)
}
