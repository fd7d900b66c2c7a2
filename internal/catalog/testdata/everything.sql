-- One of each kind of object that a schema can hold, in schemas public, shop and "Odd Schema".
CREATE SCHEMA shop;
CREATE SCHEMA "Odd Schema";

CREATE TYPE shop.mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE TYPE shop.money_range AS RANGE (subtype = numeric);
CREATE TYPE shop.address AS (street text, number integer);
CREATE DOMAIN shop.email AS text COLLATE "C" DEFAULT 'nobody@example.com' NOT NULL CONSTRAINT has_at CHECK (VALUE LIKE '%@%');
CREATE TYPE shop.unborn;
CREATE COLLATION shop.german (provider = libc, locale = 'C');
CREATE SEQUENCE shop.number AS integer START 10 INCREMENT 5 MINVALUE 10 MAXVALUE 1000 CACHE 3 CYCLE;

CREATE FUNCTION shop.total(integer, tax numeric DEFAULT 0.19) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1 * (1 + $2) $$;
CREATE FUNCTION shop.total(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.note := 'touched';
  RETURN NEW;
END $$;
CREATE PROCEDURE shop.tidy(INOUT days integer) LANGUAGE plpgsql AS $$ BEGIN days := days + 1; END $$;
CREATE AGGREGATE shop.product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '1');
CREATE FUNCTION shop.same(shop.address, shop.address) RETURNS boolean LANGUAGE sql AS 'SELECT $1.street = $2.street';
CREATE OPERATOR shop.=== (leftarg = shop.address, rightarg = shop.address, function = shop.same, commutator = OPERATOR(shop.===));
CREATE FUNCTION shop.as_text(shop.address) RETURNS text LANGUAGE sql AS 'SELECT $1.street';
CREATE CAST (shop.address AS text) WITH FUNCTION shop.as_text(shop.address) AS ASSIGNMENT;
CREATE OPERATOR FAMILY shop.lengths USING btree;
CREATE OPERATOR CLASS shop.int_lengths FOR TYPE integer USING btree FAMILY shop.lengths AS
  OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);
CREATE CONVERSION shop.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY shop.plain (TEMPLATE = simple, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION shop.search (COPY = simple);

CREATE TABLE shop.customer (
  id bigint GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY,
  mail shop.email,
  name text COLLATE "C" NOT NULL DEFAULT 'nobody',
  upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
  mood shop.mood NOT NULL DEFAULT 'happy',
  home shop.address,
  note varchar(20),
  CONSTRAINT customer_name_key UNIQUE (name, mail),
  CONSTRAINT name_not_empty CHECK (name <> '')
);
CREATE INDEX customer_lower_idx ON shop.customer (lower(name), id DESC NULLS LAST) INCLUDE (note) WHERE note IS NOT NULL;
CREATE TRIGGER touch BEFORE UPDATE OF name ON shop.customer FOR EACH ROW WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION shop.touch();
CREATE RULE quiet AS ON DELETE TO shop.customer WHERE (OLD.id < 0) DO INSTEAD NOTHING;
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customer FOR SELECT TO PUBLIC USING (name = CURRENT_USER);
CREATE STATISTICS shop.customer_stats (dependencies) ON name, note FROM shop.customer;

CREATE TABLE shop.invoice (
  id serial PRIMARY KEY,
  customer_id bigint NOT NULL CONSTRAINT invoice_customer_fk REFERENCES shop.customer ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  amount numeric(10, 2) NOT NULL DEFAULT shop.total(1),
  valid tstzrange NOT NULL,
  CONSTRAINT invoice_no_overlap EXCLUDE USING gist (valid WITH &&)
);
CREATE UNLOGGED TABLE shop.cache (key text PRIMARY KEY, value jsonb);
CREATE TABLE shop.home_of OF shop.address (PRIMARY KEY (street));

CREATE TABLE shop.event (id bigint NOT NULL, at timestamptz NOT NULL, kind text DEFAULT 'none') PARTITION BY RANGE (at);
CREATE INDEX event_at_idx ON shop.event (at);
CREATE TRIGGER nothing AFTER INSERT ON shop.event FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TABLE shop.event_2025 PARTITION OF shop.event (kind DEFAULT 'old') FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2026-01-01 00:00+00');
CREATE TABLE shop.event_rest PARTITION OF shop.event DEFAULT;
CREATE INDEX event_rest_kind_idx ON shop.event_rest (kind);

CREATE TABLE shop.animal (name text CHECK (name <> 'nobody'));
CREATE TABLE shop.dog (breed text) INHERITS (shop.animal);

CREATE VIEW shop.open_invoice WITH (security_barrier = true) AS SELECT id, amount FROM shop.invoice WHERE amount > 0;
ALTER VIEW shop.open_invoice ALTER COLUMN amount SET DEFAULT 7;
CREATE VIEW one AS SELECT 1 AS n;
CREATE VIEW two AS SELECT 1 AS n UNION SELECT 2 AS n;
CREATE MATERIALIZED VIEW shop.per_customer AS SELECT customer_id, sum(amount) AS amount FROM shop.invoice GROUP BY customer_id;
CREATE UNIQUE INDEX per_customer_idx ON shop.per_customer (customer_id);

CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE shop.remote (id integer OPTIONS (column_name 'ID') NOT NULL) SERVER nowhere OPTIONS (table_name 'there');

CREATE TABLE "Odd Schema"."Odd "" Table" ("Odd Column" integer, "select" text);
CREATE TABLE plain (id integer);
