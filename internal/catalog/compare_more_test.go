package catalog_test

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
