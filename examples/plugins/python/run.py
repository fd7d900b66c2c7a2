#!/usr/bin/env python3
"""Fills phone_e164 with phone in international form."""
import json
import re

import bbmd


def international(phone, country):
    digits = re.sub(r"[^0-9]", "", phone)
    if phone.strip().startswith("+"):
        return "+" + digits
    if digits.startswith("00"):
        return "+" + digits[2:]
    return country + digits.removeprefix("0")


def normalize(batch):
    # Locked, so that nobody changes a number between reading and writing it.
    rows = batch.query(f"SELECT id, phone FROM {batch.table} WHERE {batch.where} AND phone IS NOT NULL"
                       " ORDER BY id FOR NO KEY UPDATE", batch.args)
    country = batch.arguments["country"]
    phones = [{"id": row["id"], "phone": international(row["phone"], country)} for row in rows]
    return bbmd.Statement(f"UPDATE {batch.table} t SET phone_e164 = n.phone"
                          " FROM jsonb_to_recordset($1::jsonb) n (id bigint, phone text) WHERE t.id = n.id",
                          [json.dumps(phones)])


def verify(batch):
    rows = batch.query(f"SELECT count(*) AS wrong FROM {batch.table} WHERE {batch.where}"
                       " AND phone IS NOT NULL AND phone_e164 IS NULL", batch.args)
    return rows[0]["wrong"]


def check(migration):
    if not migration.arguments["country"].startswith("+"):
        raise ValueError('country has to begin with +, such as "+49"')
    migration.query(f"SELECT id, phone, phone_e164 FROM {migration.table} LIMIT 0")


NAME = "normalize_phone_python"
bbmd.serve({NAME: normalize}, verify={NAME: verify}, check={NAME: check})
