package catalog_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/catalog"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// drift is what somebody does to the database, and how that is told.
type drift struct{ sql, want string }

func TestEveryChangeIsTold(t *testing.T) {
	t.Parallel()
	for name, group := range map[string][]drift{
		"tables": tableDrifts(), "columns": columnDrifts(), "constraints and indexes": constraintDrifts(),
		"triggers, rules and policies": triggerDrifts(), "partitions": partitionDrifts(), "views": viewDrifts(),
		"sequences": sequenceDrifts(), "types": typeDrifts(), "routines": routineDrifts(), "others": otherDrifts(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := everything(t).Conn(t)
			declared := take(t, conn, catalog.Options{})
			for _, d := range group {
				require.Empty(t, cmp.Diff(lines(d.want), drifted(t, conn, declared, d.sql)), d.sql)
			}
		})
	}
}

// drifted returns the difference that a change makes, and undoes the change.
func drifted(t *testing.T, conn *pgx.Conn, declared catalog.Snapshot, sql string) []string {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	exec(t, tx, sql)
	difference := catalog.Compare(declared, take(t, tx, catalog.Options{}))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, difference.String() == "", difference.Empty())
	return lines(difference.String())
}

// lines splits a text, and takes the indentation of the test's source away.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(strings.TrimLeft(line, "\t"), "\n"); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func TestEveryChangeOfNewerVersionsIsTold(t *testing.T) {
	t.Parallel()
	db := everything(t)
	conn := db.Conn(t)
	declared := take(t, conn, catalog.Options{})
	version := pgtest.One[int](t, db, "SELECT current_setting('server_version_num')::int / 10000")
	for since, group := range newerDrifts() {
		for _, d := range group {
			if version >= since {
				require.Empty(t, cmp.Diff(lines(d.want), drifted(t, conn, declared, d.sql)), d.sql)
			}
		}
	}
}

// newerDrifts are those of versions after 13.
func newerDrifts() map[int][]drift {
	return map[int][]drift{
		14: {
			{"DROP TYPE shop.money_range; CREATE TYPE shop.money_range AS RANGE (subtype = numeric, multirange_type_name = shop.many)", "range shop.money_range: multirange is shop.many, declared shop.money_multirange"},
			{"CREATE OR REPLACE FUNCTION shop.total(text) RETURNS text LANGUAGE sql RETURN $1", `function shop.total(text): definition differs: - declared, + actual
				    - AS $function$SELECT $1$function$
				    + RETURN $1`},
			{"ALTER TABLE shop.cache ALTER value SET COMPRESSION pglz", ""},
		},
		15: {
			{"CREATE UNIQUE INDEX extra ON plain (id) NULLS NOT DISTINCT", "table public.plain: index extra is not declared"},
			{"ALTER VIEW shop.open_invoice SET (security_invoker = true)", "view shop.open_invoice: options are security_barrier=true, security_invoker=true, declared security_barrier=true"},
			{"ALTER SEQUENCE shop.number SET UNLOGGED", "sequence shop.number: persistence is unlogged, declared logged"},
			{"CREATE PUBLICATION p FOR TABLES IN SCHEMA shop", ""},
		},
		17: {
			{"ALTER TABLE shop.customer ALTER upper_name SET EXPRESSION AS (lower(name))", "table shop.customer: column upper_name generated is lower(name) STORED, declared upper(name) STORED"},
		},
		18: {
			{"ALTER TABLE shop.customer DROP upper_name, ADD upper_name text GENERATED ALWAYS AS (upper(name)) VIRTUAL", "table shop.customer: column upper_name generated is upper(name) VIRTUAL, declared upper(name) STORED"},
			{"ALTER TABLE plain ADD CONSTRAINT n NOT NULL id NOT VALID", "table public.plain: column id is NOT NULL NOT VALID, declared NULL"},
			{"ALTER TABLE plain ADD CONSTRAINT whatever NOT NULL id", "table public.plain: column id is NOT NULL, declared NULL"},
			{"ALTER TABLE shop.invoice ALTER CONSTRAINT invoice_customer_fk NOT ENFORCED", "table shop.invoice: constraint invoice_customer_fk definition is FOREIGN KEY (customer_id) REFERENCES shop.customer(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED NOT ENFORCED, declared FOREIGN KEY (customer_id) REFERENCES shop.customer(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"},
		},
	}
}

func tableDrifts() []drift {
	return []drift{
		{"SELECT 1", ""},
		{"CREATE TABLE shop.more (id int PRIMARY KEY)", "table shop.more is not declared"},
		{"DROP TABLE shop.cache", "table shop.cache is missing"},
		{"ALTER TABLE shop.cache RENAME TO \"Cache\"", "table shop.\"Cache\" is not declared\ntable shop.cache is missing"},
		{"ALTER TABLE shop.cache SET LOGGED", "table shop.cache: persistence is logged, declared unlogged"},
		{"ALTER TABLE plain ENABLE ROW LEVEL SECURITY", "table public.plain: row security is enabled, declared disabled"},
		{"ALTER TABLE shop.customer FORCE ROW LEVEL SECURITY", "table shop.customer: row security is enabled, forced, declared enabled"},
		{"ALTER TABLE plain REPLICA IDENTITY FULL", "table public.plain: replica identity is full, declared default"},
		{"ALTER TABLE shop.cache REPLICA IDENTITY USING INDEX cache_pkey", "table shop.cache: replica identity is index cache_pkey, declared default"},
		{"ALTER TABLE shop.dog NO INHERIT shop.animal", `table shop.dog: parents are none, declared shop.animal
			table shop.dog: constraint animal_name_check is not declared`},
		{"ALTER TABLE shop.home_of NOT OF", "table shop.home_of: type is none, declared shop.address"},
		{"ALTER FOREIGN TABLE shop.remote OPTIONS (SET table_name 'elsewhere')", "foreign table shop.remote: options are table_name=elsewhere, declared table_name=there"},
		{"ALTER FOREIGN TABLE shop.remote ALTER id OPTIONS (SET column_name 'no')", "foreign table shop.remote: column id options are column_name=no, declared column_name=ID"},
		{"CREATE SERVER other FOREIGN DATA WRAPPER nowhere; DROP FOREIGN TABLE shop.remote; CREATE FOREIGN TABLE shop.remote (id integer OPTIONS (column_name 'ID') NOT NULL) SERVER other OPTIONS (table_name 'there')", "foreign table shop.remote: server is other, declared nowhere"},

		// What is tuned or granted where the database runs does not count.
		{"ALTER TABLE shop.cache SET (fillfactor = 70, autovacuum_enabled = off)", ""},
		{"ALTER TABLE shop.cache ALTER value SET STORAGE EXTERNAL, ALTER key SET STATISTICS 7", ""},
		{"COMMENT ON TABLE shop.cache IS 'warm'; GRANT SELECT ON shop.cache TO PUBLIC; ALTER TABLE shop.cache OWNER TO pg_monitor", ""},
		{"INSERT INTO shop.cache VALUES ('a', '1')", ""},
		{"CREATE TEMP TABLE t (id int); CREATE TEMP VIEW v AS SELECT 1 AS a", ""},
		{"CREATE PUBLICATION p FOR TABLE plain", ""},
		{"CREATE SCHEMA tools", ""},
		{"DROP SCHEMA \"Odd Schema\" CASCADE", "schema \"Odd Schema\" is missing\ntable \"Odd Schema\".\"Odd \"\" Table\" is missing"},
	}
}

func columnDrifts() []drift {
	return []drift{
		{"ALTER TABLE plain ADD due date", "table public.plain: column due is not declared"},
		{"ALTER TABLE shop.cache DROP value", "table shop.cache: column value is missing"},
		{"ALTER TABLE shop.cache DROP value, ADD extra int, ADD value jsonb", "table shop.cache: column extra is not declared"},
		{"ALTER TABLE shop.cache DROP key, ADD key text PRIMARY KEY", ""}, // the order of columns is not part of it
		{"ALTER TABLE plain ALTER id TYPE bigint", "table public.plain: column id is bigint, declared integer"},
		{"ALTER TABLE shop.customer ALTER note TYPE varchar(30)", "table shop.customer: column note is character varying(30), declared character varying(20)"},
		{"ALTER TABLE plain ALTER id SET NOT NULL", "table public.plain: column id is NOT NULL, declared NULL"},
		{"ALTER TABLE shop.invoice ALTER amount DROP NOT NULL", "table shop.invoice: column amount is NULL, declared NOT NULL"},
		{"ALTER TABLE plain ALTER id SET DEFAULT 1", "table public.plain: column id default is 1, declared none"},
		{"ALTER TABLE shop.customer ALTER mood DROP DEFAULT", "table shop.customer: column mood default is none, declared 'happy'::shop.mood"},
		{"ALTER TABLE shop.customer ALTER mood SET DEFAULT 'sad'", "table shop.customer: column mood default is 'sad'::shop.mood, declared 'happy'::shop.mood"},
		{"ALTER TABLE shop.customer ALTER id SET GENERATED BY DEFAULT", "table shop.customer: column id identity is BY DEFAULT, declared ALWAYS"},
		{
			"ALTER TABLE shop.customer ALTER id SET INCREMENT BY 2",
			"table shop.customer: column id identity sequence is START 100 INCREMENT 2 MINVALUE 1 MAXVALUE 9223372036854775807 CACHE 1 NO CYCLE, declared START 100 INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 CACHE 1 NO CYCLE",
		},
		{"ALTER TABLE shop.customer ALTER id DROP IDENTITY", `table shop.customer: column id identity is none, declared ALWAYS
			table shop.customer: column id identity sequence is none, declared START 100 INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 CACHE 1 NO CYCLE`},
		{"ALTER TABLE shop.customer ALTER upper_name DROP EXPRESSION", "table shop.customer: column upper_name generated is none, declared upper(name) STORED"},
		{"ALTER TABLE shop.customer DROP upper_name, ADD upper_name text GENERATED ALWAYS AS (lower(name)) STORED", "table shop.customer: column upper_name generated is lower(name) STORED, declared upper(name) STORED"},
		{`ALTER TABLE "Odd Schema"."Odd "" Table" ALTER "select" TYPE text COLLATE "C"`, `table "Odd Schema"."Odd "" Table": column select collation is "C", declared none`},
		{`ALTER TABLE "Odd Schema"."Odd "" Table" RENAME "Odd Column" TO odd_column`, `table "Odd Schema"."Odd "" Table": column "Odd Column" is missing
			table "Odd Schema"."Odd "" Table": column odd_column is not declared`},
	}
}

func constraintDrifts() []drift {
	return []drift{
		{"ALTER TABLE plain ADD CONSTRAINT positive CHECK (id > 0)", "table public.plain: constraint positive is not declared"},
		{"ALTER TABLE shop.customer DROP CONSTRAINT name_not_empty, ADD CONSTRAINT name_not_empty CHECK (name <> 'x')", "table shop.customer: constraint name_not_empty definition is CHECK ((name <> 'x'::text)), declared CHECK ((name <> ''::text))"},
		{"ALTER TABLE shop.customer DROP CONSTRAINT name_not_empty, ADD CONSTRAINT name_not_empty CHECK (name <> '') NOT VALID", "table shop.customer: constraint name_not_empty definition is CHECK ((name <> ''::text)) NOT VALID, declared CHECK ((name <> ''::text))"},
		{
			"ALTER TABLE shop.invoice DROP CONSTRAINT invoice_customer_fk, ADD CONSTRAINT invoice_customer_fk FOREIGN KEY (customer_id) REFERENCES shop.customer",
			"table shop.invoice: constraint invoice_customer_fk definition is FOREIGN KEY (customer_id) REFERENCES shop.customer(id), declared FOREIGN KEY (customer_id) REFERENCES shop.customer(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
		},
		{"ALTER TABLE shop.invoice ALTER CONSTRAINT invoice_customer_fk NOT DEFERRABLE", "table shop.invoice: constraint invoice_customer_fk definition is FOREIGN KEY (customer_id) REFERENCES shop.customer(id) ON DELETE CASCADE, declared FOREIGN KEY (customer_id) REFERENCES shop.customer(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"},
		{"ALTER TABLE shop.customer DROP CONSTRAINT customer_name_key, ADD CONSTRAINT customer_name_key UNIQUE (name)", "table shop.customer: constraint customer_name_key definition is UNIQUE (name), declared UNIQUE (name, mail)"},
		{"ALTER TABLE shop.customer DROP CONSTRAINT customer_name_key", "table shop.customer: constraint customer_name_key is missing"},
		{"ALTER TABLE shop.invoice DROP CONSTRAINT invoice_pkey, ADD CONSTRAINT invoice_pkey PRIMARY KEY (id, customer_id)", "table shop.invoice: constraint invoice_pkey definition is PRIMARY KEY (id, customer_id), declared PRIMARY KEY (id)"},
		{"ALTER TABLE shop.invoice DROP CONSTRAINT invoice_no_overlap", "table shop.invoice: constraint invoice_no_overlap is missing"},
		{"ALTER TABLE shop.invoice RENAME CONSTRAINT invoice_pkey TO pk", `table shop.invoice: constraint invoice_pkey is missing
			table shop.invoice: constraint pk is not declared`},
		{"ALTER TABLE shop.animal ALTER name SET NOT NULL", "table shop.animal: column name is NOT NULL, declared NULL\ntable shop.dog: column name is NOT NULL, declared NULL"},
		{"CREATE INDEX extra ON plain (id)", "table public.plain: index extra is not declared"},
		{"DROP INDEX shop.customer_lower_idx", "table shop.customer: index customer_lower_idx is missing"},
		{
			"DROP INDEX shop.customer_lower_idx; CREATE UNIQUE INDEX customer_lower_idx ON shop.customer (upper(name)) WHERE note = 'a'",
			"table shop.customer: index customer_lower_idx definition is CREATE UNIQUE INDEX customer_lower_idx ON shop.customer USING btree (upper(name)) WHERE ((note)::text = 'a'::text), declared CREATE INDEX customer_lower_idx ON shop.customer USING btree (lower(name), id DESC NULLS LAST) INCLUDE (note) WHERE (note IS NOT NULL)",
		},
		{"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.customer_lower_idx'::regclass", "table shop.customer: index customer_lower_idx state is invalid, declared valid"},
		{"DROP INDEX shop.per_customer_idx", "materialized view shop.per_customer: index per_customer_idx is missing"},
		{
			"DROP STATISTICS shop.customer_stats; CREATE STATISTICS shop.customer_stats (ndistinct) ON name, note FROM shop.customer",
			"table shop.customer: statistics shop.customer_stats definition is CREATE STATISTICS shop.customer_stats (ndistinct) ON name, note FROM shop.customer, declared CREATE STATISTICS shop.customer_stats (dependencies) ON name, note FROM shop.customer",
		},
		{"CLUSTER shop.cache USING cache_pkey", ""},
	}
}

func triggerDrifts() []drift {
	return []drift{
		{"DROP TRIGGER touch ON shop.customer", "table shop.customer: trigger touch is missing"},
		{"ALTER TABLE shop.customer DISABLE TRIGGER touch", "table shop.customer: trigger touch state is disabled, declared enabled"},
		{"ALTER TABLE shop.customer ENABLE ALWAYS TRIGGER touch", "table shop.customer: trigger touch state is enabled always, declared enabled"},
		{
			"DROP TRIGGER touch ON shop.customer; CREATE TRIGGER touch BEFORE UPDATE ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.touch()",
			"table shop.customer: trigger touch definition is CREATE TRIGGER touch BEFORE UPDATE ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.touch(), declared CREATE TRIGGER touch BEFORE UPDATE OF name ON shop.customer FOR EACH ROW WHEN ((old.name <> new.name)) EXECUTE FUNCTION shop.touch()",
		},
		{"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON plain DEFERRABLE FOR EACH ROW EXECUTE FUNCTION shop.touch()", "table public.plain: trigger late is not declared"},
		{"DROP RULE quiet ON shop.customer", "table shop.customer: rule quiet is missing"},
		{"ALTER TABLE shop.customer DISABLE RULE quiet", "table shop.customer: rule quiet state is disabled, declared enabled"},
		{
			"CREATE OR REPLACE RULE quiet AS ON DELETE TO shop.customer DO INSTEAD NOTHING", `table shop.customer: rule quiet definition differs: - declared, + actual
			    -     ON DELETE TO shop.customer
			    -    WHERE (old.id < 0) DO INSTEAD NOTHING;
			    +     ON DELETE TO shop.customer DO INSTEAD NOTHING;`,
		},
		{"DROP POLICY own ON shop.customer", "table shop.customer: policy own is missing"},
		{"ALTER POLICY own ON shop.customer TO pg_monitor", "table shop.customer: policy own roles are pg_monitor, declared public"},
		{"ALTER POLICY own ON shop.customer USING (true)", "table shop.customer: policy own using is true, declared (name = CURRENT_USER)"},
		{
			"DROP POLICY own ON shop.customer; CREATE POLICY own ON shop.customer AS RESTRICTIVE FOR UPDATE USING (name = CURRENT_USER) WITH CHECK (true)",
			`table shop.customer: policy own check is true, declared none
			table shop.customer: policy own command is UPDATE, declared SELECT
			table shop.customer: policy own mode is restrictive, declared permissive`,
		},
	}
}
