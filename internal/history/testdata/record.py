"""Records what Alembic and Python make of the files in this directory, for the tests to compare with.

Needs PostgreSQL, and Alembic with psycopg2 (Debian: apt install alembic python3-psycopg2). From the repository's root:

    go run ./testing/pgtest/serve /usr/bin/python3 internal/history/testdata/record.py

It writes alembic/PROJECT.golden.json, random.golden.json and python.golden.json anew.
"""
import contextlib
import graphlib
import io
import json
import os
import pathlib
import random
import re
import sys
import warnings

import alembic
import psycopg2
from alembic import command, util
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import Revision, RevisionMap

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).parent
SERVER = os.environ["BBMD_TEST_SERVER"]

# What is done to a database, one after the other.
COMMANDS = {
    "branches": ["upgrade a1b2c3d4e5f6", "upgrade b2c3d4e5f6a7", "upgrade c3d4e5f6a7b8", "upgrade d4e5f6a7b8c9",
                 "upgrade e5f6a7b8c9d0", "upgrade head", "downgrade -1", "downgrade b2c3d4e5f6a7", "downgrade base",
                 "stamp head", "stamp heads", "stamp b2c3d4e5f6a7", "stamp b2c3d4e5f6a7 d4e5f6a7b8c9", "stamp billing",
                 "stamp billing@head", "stamp f6a7", "stamp c3", "stamp bill", "stamp billing@d4e5", "stamp billing@b2c3",
                 "stamp base", "stamp nothing", "stamp b2c3d4e5f6a7 f6a7b8c9d0e1"],
    "twoheads": ["stamp heads", "stamp head", "stamp a2", "stamp a2 b2", "stamp a1 a2", "stamp base"],
    "depends": ["upgrade c1", "upgrade c2", "upgrade heads", "stamp heads", "stamp head", "stamp c2", "stamp b1", "stamp c2 b1",
                "stamp core", "stamp core@head", "stamp billing@heads", "stamp billing"],
    "dependslabel": ["upgrade b1", "upgrade heads", "stamp heads", "stamp b1", "stamp b1 c2", "stamp core@head"],
    "places": ["upgrade p1", "upgrade plugin@head", "upgrade heads", "stamp heads", "stamp plugin", "stamp main@head", "stamp p2 x1"],
}

TABLE = """
SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
FROM pg_attribute a WHERE a.attrelid = 'alembic_version'::regclass AND a.attnum > 0
UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'alembic_version'::regclass AND contype <> 'n'"""


def database(name):
    with contextlib.closing(psycopg2.connect(SERVER)) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}")
    return re.sub(r"/[^/?]*(\?|$)", rf"/{name}\1", SERVER, count=1) if "?" in SERVER else SERVER.rsplit("/", 1)[0] + "/" + name


def column(url, sql):
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return []
        cursor.execute(sql)
        return sorted(row[0] for row in cursor.fetchall())


def config(project):
    cfg = Config(str(HERE / "alembic" / project / "alembic.ini"), stdout=io.StringIO())
    root = HERE / "alembic" / project / "migrations"
    cfg.set_main_option("script_location", str(root))
    if project == "places" and tuple(int(n) for n in alembic.__version__.split(".")[:2]) < (1, 10):  # not recursive yet
        directories = [root / "versions", root / "plugin", root / "plugin/more", root / "plugin/more/deeper"]
        cfg.set_main_option("version_locations", os.pathsep.join(map(str, directories)))
    return cfg


def run(cfg, line):
    name, *arguments = line.split()
    try:
        if name == "stamp":
            command.stamp(cfg, arguments, purge=True)
        else:
            getattr(command, name)(cfg, *arguments)
    except util.CommandError as e:
        return str(e)
    return None


def record(project):
    cfg = config(project)
    url = database("record_" + project)
    os.environ["DATABASE_URL"] = url.replace("postgres://", "postgresql://")
    script = ScriptDirectory.from_config(cfg)
    revisions = script.revision_map
    done = []
    for line in COMMANDS[project]:
        error = run(cfg, line)
        rows = column(url, "SELECT version_num FROM alembic_version")
        stage = {"command": line, "rows": rows}
        if error:
            stage["error"] = error
        try:
            stage["pending"] = pending(revisions, rows)
        except Exception as e:
            stage["refused"] = str(e)
        done.append(stage)
    return {
        "heads": sorted(script.get_heads()),
        "rows": sorted(revisions._real_heads),
        "titles": {r.revision: " ".join(r.doc.split()) for r in script.walk_revisions()},
        "table": column(url, TABLE),
        "commands": done,
    }


def pending(revisions, rows):
    return sorted(r.revision for r in revisions.iterate_revisions("heads", tuple(rows) or None, implicit_base=True))


def random_graphs():
    chance = random.Random(20260105)
    for number in range(120):
        nodes = []
        labels = []
        for i in range(chance.randint(1, 12)):
            older = [n["id"] for n in nodes]
            node = {"id": f"r{number:03}x{i:02}", "down": [], "deps": [], "labels": []}
            if older and chance.random() < 0.85:
                node["down"] = sorted(chance.sample(older, min(len(older), chance.choice([1, 1, 1, 1, 2, 3]))))
            rest = [o for o in older if o not in node["down"]] + labels
            if rest and chance.random() < 0.3:
                node["deps"] = sorted(chance.sample(rest, min(len(rest), chance.choice([1, 1, 2]))))
            if chance.random() < 0.15:
                node["labels"] = [f"label{number:03}x{i:02}"]
                labels.append(node["labels"][0])
            nodes.append(node)
        if chance.random() < 0.1:  # a reference to what comes later: a circle, often
            chance.choice(nodes)["down"] = [chance.choice(nodes)["id"]]
        chance.shuffle(nodes)
        yield nodes


def record_graph(nodes):
    def generate():
        for n in nodes:
            yield Revision(n["id"], tuple(n["down"]) or None, tuple(n["deps"]) or None, tuple(n["labels"]))

    result = {"revisions": nodes, "circle": has_circle(nodes)}
    try:
        revisions = RevisionMap(generate)
        result["heads"] = sorted(revisions.heads)
    except Exception as e:
        result["error"] = str(e)
        return result
    result["rows"] = sorted(revisions._real_heads)
    result["stages"] = []
    ids = sorted(n["id"] for n in nodes)
    for size in (0, 1, 1, 2, 2, 3):
        rows = sorted(random.Random(ids[0] + str(size)).sample(ids, min(size, len(ids))))
        stage = {"rows": rows}
        try:
            stage["pending"] = pending(revisions, rows)
        except Exception as e:
            stage["error"] = str(e)
        if stage not in result["stages"]:
            result["stages"].append(stage)
    return result


def has_circle(nodes):
    """Alembic does not see all of them."""
    labels = {label: n["id"] for n in nodes for label in n["labels"]}
    needs = {n["id"]: [labels.get(d, d) for d in n["down"] + n["deps"]] for n in nodes}
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError:
        return True
    return False


def record_python():
    """Runs every module of python.txt, and says what it sets: the files are split at lines -- NAME --."""
    parts = re.split(r"(?m)^-- (.+) --\n", (HERE / "python.txt").read_text())
    for name, source in zip(parts[1::2], parts[2::2]):
        module = {"__name__": "revision_file"}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(compile(source, name, "exec"), module)
        except Exception as e:
            yield name, {"error": f"{type(e).__name__}: {e}"}
            continue
        values = {}
        for key in ("revision", "down_revision", "branch_labels", "depends_on"):
            if key in module:
                value = module[key]
                values[key] = value if value is None or isinstance(value, (str, int)) else list(value)
        values["title"] = " ".join(((module.get("__doc__") or "").strip().split("\n\n")[0]).split())
        yield name, values


def write(name, content):
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r",\s+", ", ", m.group(1)) + "]", text)
    (HERE / name).write_text(text + "\n")


for project in COMMANDS:
    write(f"alembic/{project}.golden.json", {"alembic": alembic.__version__, **record(project)})
write("random.golden.json", [record_graph(nodes) for nodes in random_graphs()])
write("python.golden.json", dict(record_python()))
