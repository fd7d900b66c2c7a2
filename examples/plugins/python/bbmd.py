"""What a process plugin of bbmd needs, in one file without dependencies.

    bbmd.serve({"normalize": lambda b: bbmd.Statement("UPDATE ... WHERE " + b.where, b.args)})

A function gets a batch and returns the number of rows it changed, a Statement or
a list of them that bbmd is to run. Standard output is bbmd's: print() goes to
standard error, and from there to bbmd's log.
"""
import json
import sys
from collections import namedtuple

Statement = namedtuple("Statement", "sql args")


class Retry(Exception):
    """Raise it for what is nobody's fault, such as a service that is busy."""


class Unverifiable(Exception):
    """Raise it in verify where the arguments leave nothing to verify."""


class SQLError(Exception):
    """A statement failed: PostgreSQL's message, and its code. The batch cannot go on."""


class Batch:
    """A batch; its attributes are the fields of docs/plugin-protocol.md."""

    def __init__(self, message):
        self.__dict__.update(message)
        self._seq = 0

    def query(self, sql, args=(), max_rows=0):
        """Return the rows as dicts of texts; None is null."""
        answer = self._ask({"type": "query", "sql": sql, "args": _texts(args), "max_rows": max_rows})
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row)) for row in answer["rows"]]

    def execute(self, sql, args=()):
        """Return how many rows the statement has changed."""
        return self._ask({"type": "exec", "sql": sql, "args": _texts(args)})["affected"]

    def _ask(self, message):
        self._seq += 1
        _write({**message, "id": self.id, "seq": self._seq})
        answer = _read()
        if answer["type"] == "cancel":
            raise Retry("cancelled")
        if answer["type"] == "error":
            raise SQLError(answer["message"], answer["code"])
        return answer


def serve(works, verify=None, check=None):
    """Do what bbmd asks for, until it closes standard input."""
    while (message := _read())["type"] != "shutdown":
        if message["type"] == "init":
            with open("plugin.json", encoding="utf-8") as file:
                manifest = json.load(file)
            _write({"type": "hello", "protocol": 1, "name": manifest["name"],
                    "version": manifest.get("version", ""), "works": list(works)})
        elif message["type"] in ("batch", "verify", "check"):
            functions = {"batch": works, "verify": verify or {}, "check": check or {}}[message["type"]]
            _write({"id": message["id"], **_answer(functions, message)})


def _answer(functions, message):
    try:
        result = functions[message["work"]](Batch(message))
    except Unverifiable as error:
        return {"type": "unverifiable", "message": str(error)}
    except Exception as error:  # whatever it is, bbmd is to know
        text = f"{type(error).__name__}: {error}"
        return {"type": "fail", "retryable": isinstance(error, Retry), "message": text}
    if message["type"] == "verify":
        return {"type": "done", "wrong": int(result)}
    statements = [result] if isinstance(result, Statement) else result if isinstance(result, list) else []
    return {"type": "done", "affected": result if isinstance(result, int) else None,
            "statements": [{"sql": s.sql, "args": _texts(s.args)} for s in statements]}


def _texts(args):
    return [None if a is None else a if isinstance(a, str) else json.dumps(a) for a in args]


def _read():
    line = sys.stdin.buffer.readline()
    return json.loads(line) if line else {"type": "shutdown"}


def _write(message, out=sys.stdout.buffer):
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()


sys.stdout = sys.stderr
