// What a process plugin of bbmd needs, in one file without dependencies.
//
//   const bbmd = require("./bbmd");
//   bbmd.serve({ normalize: (batch) => bbmd.statement("UPDATE … WHERE " + batch.where, batch.args) });
//
// A function, async or not, gets a batch and returns the number of rows it changed, a
// statement or a list of them that bbmd is to run. Standard output is bbmd's: console.log
// goes to standard error, and from there to bbmd's log.
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");

class Retry extends Error {} // throw it for what is nobody's fault, such as a service that is busy
class Unverifiable extends Error {} // throw it in verify where the arguments leave nothing to verify
class SQLError extends Error {} // a statement failed; code is PostgreSQL's; the batch cannot go on

const statement = (sql, args = []) => ({ sql, args });
const text = (value) => (value == null ? null : typeof value === "string" ? value : JSON.stringify(value));
const stdout = process.stdout.write.bind(process.stdout);
const write = (message) => stdout(JSON.stringify(message) + "\n");
process.stdout.write = (...args) => process.stderr.write(...args);

let waiting = null; // who waits for the answer to a statement

// Batch has the fields of docs/plugin-protocol.md.
class Batch {
  #seq = 0;

  constructor(message) {
    Object.assign(this, message);
  }

  // query returns the rows as objects of texts and nulls.
  async query(sql, args = [], maxRows = 0) {
    const answer = await this.#ask({ type: "query", sql, args: args.map(text), max_rows: maxRows });
    const names = answer.columns.map((column) => column.name);
    return answer.rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
  }

  // execute returns how many rows the statement has changed.
  async execute(sql, args = []) {
    return (await this.#ask({ type: "exec", sql, args: args.map(text) })).affected;
  }

  async #ask(message) {
    const answered = new Promise((resolve) => (waiting = resolve));
    write({ ...message, id: this.id, seq: ++this.#seq });
    const answer = await answered;
    if (answer.type === "cancel") throw new Retry("cancelled");
    if (answer.type === "error") throw Object.assign(new SQLError(answer.message), { code: answer.code });
    return answer;
  }
}

// serve does what bbmd asks for, until it closes standard input.
function serve(works, { verify = {}, check = {} } = {}) {
  const functions = { batch: works, verify, check };
  const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
  lines.on("close", () => process.exit(0));
  lines.on("line", (line) => {
    const message = JSON.parse(line);
    if (message.type === "shutdown") process.exit(0);
    else if (message.type === "init") hello(Object.keys(works));
    else if (message.type in functions) answer(functions[message.type], message).then((done) => write({ id: message.id, ...done }));
    else if (waiting) {
      const resolve = waiting;
      waiting = null;
      resolve(message);
    }
  });
}

function hello(works) {
  const { name, version = "" } = JSON.parse(fs.readFileSync("plugin.json", "utf8"));
  write({ type: "hello", protocol: 1, name, version, works });
}

async function answer(functions, message) {
  try {
    const result = await functions[message.work](new Batch(message));
    if (message.type === "verify") return { type: "done", wrong: Number(result) };
    const statements = typeof result === "number" || result == null ? [] : [].concat(result);
    return {
      type: "done",
      affected: typeof result === "number" ? result : null,
      statements: statements.map((s) => ({ sql: s.sql, args: s.args.map(text) })),
    };
  } catch (error) {
    if (error instanceof Unverifiable) return { type: "unverifiable", message: error.message };
    return { type: "fail", retryable: error instanceof Retry, message: String(error) };
  }
}

module.exports = { serve, statement, Retry, Unverifiable };
