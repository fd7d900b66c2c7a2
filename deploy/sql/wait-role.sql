-- What `bbmd wait` and `bbmd verify` need, and no more: to connect, and to read bbmd's own tables and the
-- version table of the migration tool. Run it in each database, as its owner or a superuser:
--
--   psql -v role=shop_wait -v migrator=shop_owner -f wait-role.sql "$DATABASE_URL"
--
-- role      the role that waits. It has to be there: CREATE ROLE shop_wait LOGIN PASSWORD '…'.
-- migrator  the role that migrates, to which new tables belong.
-- control   the control schema, where it is not bbm.
-- future    on: the role may read every table that the migrator makes in the schema public from now on. Without it, a database
--           that was never migrated needs this script once more after its first migration, or in
--           that migration: GRANT SELECT ON goose_db_version TO shop_wait.
--
-- It can be run any number of times.
\set ON_ERROR_STOP on
\if :{?control}
\else
\set control bbm
\endif
\if :{?future}
\else
\set future off
\endif

BEGIN;
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role') \gexec

CREATE SCHEMA IF NOT EXISTS :"control" AUTHORIZATION :"migrator";
GRANT USAGE ON SCHEMA :"control" TO :"role";
GRANT SELECT ON ALL TABLES IN SCHEMA :"control" TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" IN SCHEMA :"control" GRANT SELECT ON TABLES TO :"role";

-- The version tables that are there.
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, :'role'), format('GRANT SELECT ON %I.%I TO %I', n.nspname, c.relname, :'role')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', :'control')
  AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname IN ('version_num', 'version_id')) \gexec

\if :future
GRANT USAGE ON SCHEMA public TO :"role";
ALTER DEFAULT PRIVILEGES FOR ROLE :"migrator" IN SCHEMA public GRANT SELECT ON TABLES TO :"role";
\endif
COMMIT;
