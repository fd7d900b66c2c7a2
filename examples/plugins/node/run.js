#!/usr/bin/env node
// Fills phone_e164 with phone in international form.
"use strict";
const bbmd = require("./bbmd");

function international(phone, country) {
  const digits = phone.replace(/[^0-9]/g, "");
  if (phone.trim().startsWith("+")) return "+" + digits;
  if (digits.startsWith("00")) return "+" + digits.slice(2);
  return country + digits.replace(/^0/, "");
}

async function normalize(batch) {
  // Locked, so that nobody changes a number between reading and writing it.
  const rows = await batch.query(
    `SELECT id, phone FROM ${batch.table} WHERE ${batch.where} AND phone IS NOT NULL ORDER BY id FOR NO KEY UPDATE`,
    batch.args,
  );
  const phones = rows.map((row) => ({ id: row.id, phone: international(row.phone, batch.arguments.country) }));
  return bbmd.statement(
    `UPDATE ${batch.table} t SET phone_e164 = n.phone FROM jsonb_to_recordset($1::jsonb) n (id bigint, phone text) WHERE t.id = n.id`,
    [JSON.stringify(phones)],
  );
}

async function verify(batch) {
  const rows = await batch.query(
    `SELECT count(*) AS wrong FROM ${batch.table} WHERE ${batch.where} AND phone IS NOT NULL AND phone_e164 IS NULL`,
    batch.args,
  );
  return rows[0].wrong;
}

async function check(migration) {
  if (!migration.arguments.country.startsWith("+")) throw new Error('country has to begin with +, such as "+49"');
  await migration.query(`SELECT id, phone, phone_e164 FROM ${migration.table} LIMIT 0`);
}

const name = "normalize_phone_node";
bbmd.serve({ [name]: normalize }, { verify: { [name]: verify }, check: { [name]: check } });
