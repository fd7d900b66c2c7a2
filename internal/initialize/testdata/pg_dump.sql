--
-- PostgreSQL database dump
--

\restrict 0123456789abcdefghijklmnopqrstuvwxyz

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: shop; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA shop;


--
-- Name: kind; Type: TYPE; Schema: shop; Owner: -
--

CREATE TYPE shop.kind AS ENUM (
    'a',
    'b;c'
);


--
-- Name: more_of(integer, integer); Type: FUNCTION; Schema: shop; Owner: -
--

CREATE FUNCTION shop.more_of(a integer, b integer) RETURNS integer
    LANGUAGE plpgsql
    AS $_$
BEGIN
  RETURN $1 + $2; -- here's one
END $_$;


--
-- Name: sum_of(integer, integer); Type: FUNCTION; Schema: shop; Owner: -
--

CREATE FUNCTION shop.sum_of(a integer, b integer) RETURNS integer
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT 1;
 SELECT
         CASE
             WHEN (a > 0) THEN (a + b)
             ELSE NULL::integer
         END AS "case";
END;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: item; Type: TABLE; Schema: shop; Owner: -
--

CREATE TABLE shop.item (
    id integer NOT NULL,
    name text NOT NULL,
    note text,
    more text DEFAULT 'x'::text,
    kind shop.kind DEFAULT 'b;c'::shop.kind
);


--
-- Name: TABLE item; Type: COMMENT; Schema: shop; Owner: -
--

COMMENT ON TABLE shop.item IS 'it''s; a comment';


--
-- Name: item_id_seq; Type: SEQUENCE; Schema: shop; Owner: -
--

ALTER TABLE shop.item ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME shop.item_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: log; Type: TABLE; Schema: shop; Owner: -
--

CREATE TABLE shop.log (
    item integer,
    at timestamp with time zone DEFAULT now()
);


--
-- Name: names; Type: VIEW; Schema: shop; Owner: -
--

CREATE VIEW shop.names AS
 SELECT item.name
   FROM shop.item
  WHERE (item.name <> ';'::text);


--
-- Data for Name: item; Type: TABLE DATA; Schema: shop; Owner: -
--

COPY shop.item (id, name, note, more, kind) FROM stdin;
1	one	back\\slash	\N	b;c
2	two;	tab\there	x	b;c
\.


--
-- Data for Name: log; Type: TABLE DATA; Schema: shop; Owner: -
--

COPY shop.log (item, at) FROM stdin;
\.


--
-- Name: item_id_seq; Type: SEQUENCE SET; Schema: shop; Owner: -
--

SELECT pg_catalog.setval('shop.item_id_seq', 2, true);


--
-- Name: item item_pkey; Type: CONSTRAINT; Schema: shop; Owner: -
--

ALTER TABLE ONLY shop.item
    ADD CONSTRAINT item_pkey PRIMARY KEY (id);


--
-- Name: item_name; Type: INDEX; Schema: shop; Owner: -
--

CREATE INDEX item_name ON shop.item USING btree (lower(name));


--
-- Name: log keep; Type: RULE; Schema: shop; Owner: -
--

CREATE RULE keep AS
    ON DELETE TO shop.log DO INSTEAD ( SELECT 1 AS "?column?";
 SELECT 2 AS "?column?";
);


--
-- Name: log log_item_fkey; Type: FK CONSTRAINT; Schema: shop; Owner: -
--

ALTER TABLE ONLY shop.log
    ADD CONSTRAINT log_item_fkey FOREIGN KEY (item) REFERENCES shop.item(id);


--
-- PostgreSQL database dump complete
--

\unrestrict 0123456789abcdefghijklmnopqrstuvwxyz

