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

func partitionDrifts() []drift {
	return []drift{
		{"ALTER TABLE shop.event DETACH PARTITION shop.event_rest", `table shop.event_rest: parent is none, declared shop.event
			table shop.event_rest: partition bound is none, declared DEFAULT
			table shop.event_rest: column at is not declared
			table shop.event_rest: column id is not declared
			table shop.event_rest: column kind is not declared
			table shop.event_rest: index event_rest_at_idx is not declared`},
		{"CREATE TABLE shop.event_2026 PARTITION OF shop.event FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2027-01-01 00:00+00')", "table shop.event_2026 is not declared"},
		{"DROP TABLE shop.event_2025", "table shop.event_2025 is missing"},
		// What all partitions have with their parent is told once.
		{"ALTER TABLE shop.event ALTER id TYPE numeric", "table shop.event: column id is numeric, declared bigint"},
		{"ALTER TABLE shop.event ADD extra int, ADD CONSTRAINT positive CHECK (id > 0)", "table shop.event: column extra is not declared\ntable shop.event: constraint positive is not declared"},
		{"CREATE INDEX event_id_idx ON shop.event (id)", "table shop.event: index event_id_idx is not declared"},
		{"ALTER TABLE shop.event ADD PRIMARY KEY (id, at)", "table shop.event: constraint event_pkey is not declared"},
		{
			"ALTER TABLE shop.event ADD PRIMARY KEY (id, at); ALTER TABLE plain ADD at timestamptz, ADD FOREIGN KEY (id, at) REFERENCES shop.event",
			`table public.plain: column at is not declared
			table public.plain: constraint plain_id_at_fkey is not declared
			table shop.event: constraint event_pkey is not declared`,
		},
		{"ALTER TABLE shop.event ADD FOREIGN KEY (id) REFERENCES shop.customer", "table shop.event: constraint event_id_fkey is not declared"},
		{"DROP TRIGGER nothing ON shop.event", "table shop.event: trigger nothing is missing"},
		// What is their own is theirs.
		{"ALTER TABLE shop.event_2025 ALTER kind SET DEFAULT 'older'", "table shop.event_2025: column kind default is 'older'::text, declared 'old'::text"},
		{"ALTER TABLE shop.event_rest ALTER kind SET NOT NULL", "table shop.event_rest: column kind is not declared"},
		{"DROP INDEX shop.event_rest_kind_idx", "table shop.event_rest: index event_rest_kind_idx is missing"},
		{"ALTER TABLE shop.event_rest ADD CONSTRAINT own CHECK (id > 0)", "table shop.event_rest: constraint own is not declared"},
		{
			"DROP TABLE shop.event_2025; CREATE TABLE shop.event_2025 PARTITION OF shop.event (kind DEFAULT 'old') FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2025-07-01 00:00+00')",
			"table shop.event_2025: partition bound is FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2025-07-01 00:00:00+00'), declared FOR VALUES FROM ('2025-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')",
		},
		{"DROP TABLE plain; CREATE TABLE plain (id integer) PARTITION BY HASH (id)", "table public.plain: partitioning is HASH (id), declared none"},
	}
}

func viewDrifts() []drift {
	return []drift{
		{"DROP VIEW shop.open_invoice", "view shop.open_invoice is missing"},
		{"CREATE VIEW v AS SELECT 1 AS a", "view public.v is not declared"},
		{"CREATE OR REPLACE VIEW one AS SELECT 2 AS n", "view public.one: definition is SELECT 2 AS n;, declared SELECT 1 AS n;"},
		{"CREATE OR REPLACE VIEW two AS SELECT 1 AS n UNION SELECT 3 AS n", `view public.two: definition differs: - declared, + actual
			    -  SELECT 2 AS n;
			    +  SELECT 3 AS n;`},
		{"ALTER VIEW shop.open_invoice RESET (security_barrier)", "view shop.open_invoice: options are none, declared security_barrier=true"},
		{"ALTER VIEW shop.open_invoice ALTER amount SET DEFAULT 8", "view shop.open_invoice: column amount default is 8, declared 7"},
		{"DROP MATERIALIZED VIEW shop.per_customer; CREATE VIEW shop.per_customer AS SELECT 1 AS a", "materialized view shop.per_customer is missing\nview shop.per_customer is not declared"},
		{"REFRESH MATERIALIZED VIEW shop.per_customer", ""},
	}
}

func sequenceDrifts() []drift {
	return []drift{
		{"DROP SEQUENCE shop.number", "sequence shop.number is missing"},
		{"ALTER SEQUENCE shop.number INCREMENT 1 NO CYCLE", "sequence shop.number: options are START 10 INCREMENT 1 MINVALUE 10 MAXVALUE 1000 CACHE 3 NO CYCLE, declared START 10 INCREMENT 5 MINVALUE 10 MAXVALUE 1000 CACHE 3 CYCLE"},
		{"ALTER SEQUENCE shop.number AS bigint", "sequence shop.number: type is bigint, declared integer"},
		{"ALTER SEQUENCE shop.number OWNED BY shop.cache.key", "sequence shop.number: owning column is shop.cache.key, declared none"},
		{"ALTER SEQUENCE shop.invoice_id_seq OWNED BY NONE", "sequence shop.invoice_id_seq: owning column is none, declared shop.invoice.id"},
		{"SELECT nextval('shop.number'), setval('shop.invoice_id_seq', 1000)", ""},
	}
}

func typeDrifts() []drift {
	return []drift{
		{"ALTER TYPE shop.mood ADD VALUE 'angry' BEFORE 'happy'", "enum shop.mood: values are 'sad', 'it''s ok', 'angry', 'happy', declared 'sad', 'it''s ok', 'happy'"},
		{"ALTER TYPE shop.mood RENAME VALUE 'sad' TO 'blue'", "enum shop.mood: values are 'blue', 'it''s ok', 'happy', declared 'sad', 'it''s ok', 'happy'"},
		{"ALTER DOMAIN shop.email DROP NOT NULL", "domain shop.email: null is NULL, declared NOT NULL"},
		{"ALTER DOMAIN shop.email DROP DEFAULT", "domain shop.email: default is none, declared 'nobody@example.com'::text"},
		{"ALTER DOMAIN shop.email DROP CONSTRAINT has_at", "domain shop.email: constraint has_at is missing"},
		{"ALTER DOMAIN shop.email ADD CONSTRAINT short CHECK (length(VALUE) < 100)", "domain shop.email: constraint short is not declared"},
		{"DROP DOMAIN shop.email CASCADE; CREATE DOMAIN shop.email AS varchar(9)", `domain shop.email: collation is none, declared "C"
			domain shop.email: default is none, declared 'nobody@example.com'::text
			domain shop.email: null is NULL, declared NOT NULL
			domain shop.email: type is character varying(9), declared text
			domain shop.email: constraint has_at is missing
			table shop.customer: column mail is missing
			table shop.customer: constraint customer_name_key is missing`},
		{"DROP TABLE shop.home_of; ALTER TYPE shop.address ADD ATTRIBUTE \"Zip\" varchar(9) COLLATE \"C\"", `composite type shop.address: attributes are street text, number integer, "Zip" character varying(9) COLLATE "C", declared street text, number integer
			table shop.home_of is missing`},
		{"DROP TYPE shop.money_range", "range shop.money_range is missing"},
		{"DROP TYPE shop.money_range; CREATE TYPE shop.money_range AS RANGE (subtype = float8, subtype_diff = float8mi)", `range shop.money_range: difference is float8mi(double precision,double precision), declared none
			range shop.money_range: operator class is pg_catalog.float8_ops, declared pg_catalog.numeric_ops
			range shop.money_range: subtype is double precision, declared numeric`},
		{"DROP TYPE shop.unborn", "base type shop.unborn is missing"},
		{"DROP COLLATION shop.german; CREATE COLLATION shop.german (provider = libc, locale = 'POSIX')", `collation shop.german: ctype is POSIX, declared C
			collation shop.german: locale is POSIX, declared C`},
	}
}

func routineDrifts() []drift {
	return []drift{
		{"DROP FUNCTION shop.total(text)", "function shop.total(text) is missing"},
		{"CREATE FUNCTION shop.total(uuid) RETURNS text LANGUAGE sql AS 'SELECT $1::text'", "function shop.total(uuid) is not declared"},
		{"CREATE OR REPLACE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  NEW.note := 'again';\n  RETURN NEW;\nEND $$", `function shop.touch(): definition differs: - declared, + actual
			    -   NEW.note := 'touched';
			    +   NEW.note := 'again';`},
		{"ALTER FUNCTION shop.total(text) STABLE SECURITY DEFINER SET search_path = pg_catalog, shop", `function shop.total(text): definition differs: - declared, + actual
			    +  STABLE SECURITY DEFINER
			    +  SET search_path TO 'pg_catalog', 'shop'`},
		{"CREATE OR REPLACE FUNCTION shop.total(integer, tax numeric DEFAULT 0.20) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1 * (1 + $2) $$", `function shop.total(integer, numeric): definition differs: - declared, + actual
			    - CREATE OR REPLACE FUNCTION shop.total(integer, tax numeric DEFAULT 0.19)
			    + CREATE OR REPLACE FUNCTION shop.total(integer, tax numeric DEFAULT 0.20)`},
		{"DROP PROCEDURE shop.tidy(integer)", "procedure shop.tidy(integer) is missing"},
		{"DROP AGGREGATE shop.product(numeric)", "aggregate shop.product(numeric) is missing"},
		{"DROP AGGREGATE shop.product(numeric); CREATE AGGREGATE shop.product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '2', parallel = safe)", `aggregate shop.product(numeric): initial is 2, declared 1
			aggregate shop.product(numeric): parallel is safe, declared unsafe`},
	}
}

func otherDrifts() []drift {
	return []drift{
		{"ALTER OPERATOR shop.=== (shop.address, shop.address) SET (restrict = eqsel)", "operator shop.===(shop.address, shop.address): restrict is eqsel(internal,oid,internal,integer), declared none"},
		{"DROP CAST (shop.address AS text)", "cast (shop.address AS text) is missing"},
		{"DROP CAST (shop.address AS text); CREATE CAST (shop.address AS text) WITH INOUT AS IMPLICIT", `cast (shop.address AS text): context is implicit, declared assignment
			cast (shop.address AS text): method is input and output, declared shop.as_text(shop.address)`},
		{"DROP OPERATOR CLASS shop.int_lengths USING btree", "operator class shop.int_lengths USING btree is missing\n" +
			"operator family shop.lengths USING btree: functions are none, declared 1 btint4cmp(integer,integer)\n" +
			"operator family shop.lengths USING btree: operators are none, declared 1 <(integer,integer), 2 <=(integer,integer), 3 =(integer,integer), 4 >=(integer,integer), 5 >(integer,integer)"},
		{"DROP CONVERSION shop.latin", "conversion shop.latin is missing"},
		{"ALTER TEXT SEARCH DICTIONARY shop.plain (ACCEPT = true)", "text search dictionary shop.plain: options are accept = 'true', declared accept = 'false'"},
		{
			"DROP TEXT SEARCH CONFIGURATION shop.search; CREATE TEXT SEARCH CONFIGURATION shop.search (PARSER = default); ALTER TEXT SEARCH CONFIGURATION shop.search ADD MAPPING FOR word, int WITH shop.plain, simple",
			"text search configuration shop.search: dictionaries are word: shop.plain, word: simple, int: shop.plain, int: simple, declared asciiword: simple, word: simple, numword: simple, email: simple, url: simple, host: simple, sfloat: simple, version: simple, hword_numpart: simple, hword_part: simple, hword_asciipart: simple, numhword: simple, asciihword: simple, hword: simple, url_path: simple, file: simple, float: simple, int: simple, uint: simple",
		},
		{"DROP EXTENSION plpgsql CASCADE", `extension plpgsql is missing
			function shop.touch() is missing
			procedure shop.tidy(integer) is missing
			table shop.customer: trigger touch is missing
			table shop.event: trigger nothing is missing`},
	}
}
