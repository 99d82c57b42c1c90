"""Answers the queries of `cargo xtask bench tpch` by one of its peers, as often as standard input asks.

usage: tpch.py PEER POSTGRES_URL MARIADB_URL DATA

DATA is the folder of the Parquet files (`lake`, and `tables` for the right answers) and of the queries (`queries`), which name
their tables by source: `pg.orders`, `maria.part`, `lake.lineitem`. Every peer gets its tables under these names.

Says `{"ready": NAME}` when it is connected. Then each line of standard input is the number of a query, and each answer a line:
milliseconds and the rows as text. What fails is a line with an error. Loading modules and connecting are not measured.
"""

import json
import sys
import time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import engines

POSTGRES_TABLES = ["customer", "nation", "orders"]
MARIADB_TABLES = ["part", "partsupp", "region", "supplier"]

# For an engine that has to be told what is in the files.
LINEITEM = (
    "l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber integer, l_quantity decimal(15, 2), "
    "l_extendedprice decimal(15, 2), l_discount decimal(15, 2), l_tax decimal(15, 2), l_returnflag varchar, "
    "l_linestatus varchar, l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct varchar, "
    "l_shipmode varchar, l_comment varchar"
)


class Place:
    """What a URL says."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.user, self.password, self.database = parts.username, parts.password, parts.path[1:]


class DuckDb:
    """DuckDB with its scanners, and its own reader of Parquet."""

    def __init__(self, postgres, mariadb, data):
        import duckdb
        from duckdb_extensions import extension_importer

        self.connection = duckdb.connect()
        for extension, kind, name, place, database in [
            ("postgres_scanner", "postgres", "pg", postgres, "dbname"),
            ("mysql_scanner", "mysql", "maria", mariadb, "database"),
        ]:
            extension_importer.import_extension(extension)
            self.connection.execute(f"LOAD {extension}")
            address = f"host={place.host} port={place.port} user={place.user} password={place.password}"
            self.connection.execute(f"ATTACH '{address} {database}={place.database}' AS {name} (TYPE {kind}, READ_ONLY)")
        view(self.connection, "lake", "lineitem", f"read_parquet('{data}/lake/lineitem/*.parquet')")
        self.name = f"DuckDB {duckdb.__version__}"

    def ask(self, sql):
        return self.connection.execute(sql).fetchall()


class Reference(DuckDb):
    """DuckDB over files alone: its answers are the right ones."""

    def __init__(self, _postgres, _mariadb, data):
        import duckdb

        self.connection = duckdb.connect()
        for schema, tables in [("pg", POSTGRES_TABLES), ("maria", MARIADB_TABLES)]:
            for table in tables:
                view(self.connection, schema, table, f"read_parquet('{data}/tables/{table}.parquet')")
        view(self.connection, "lake", "lineitem", f"read_parquet('{data}/lake/lineitem/*.parquet')")
        self.name = f"DuckDB {duckdb.__version__}"


def view(connection, schema, table, what):
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(f"CREATE VIEW {schema}.{table} AS SELECT * FROM {what}")


class ChDb:
    """ClickHouse in the process, with its table functions."""

    def __init__(self, postgres, mariadb, data):
        from chdb import session

        self.session = session.Session()
        for schema in ["pg", "maria", "lake"]:
            self.session.query(f"CREATE DATABASE {schema}")
        for schema, function, place, tables in [
            ("pg", "postgresql", postgres, POSTGRES_TABLES),
            ("maria", "mysql", mariadb, MARIADB_TABLES),
        ]:
            address = f"'{place.host}:{place.port}', '{place.database}'"
            for table in tables:
                of = f"{function}({address}, '{table}', '{place.user}', '{place.password}')"
                self.session.query(f"CREATE TABLE {schema}.{table} AS {of}")
        self.session.query(f"CREATE TABLE lake.lineitem AS file('{data}/lake/lineitem/*.parquet', Parquet)")
        # As standard SQL has it: an outer join gives nulls.
        self.session.query("SET join_use_nulls = 1")
        self.name = f"chDB {version('chdb')}"

    def ask(self, sql):
        answer = json.loads(str(self.session.query(sql, "JSONCompactStrings")))
        return [[None if cell == "ᴺᵁᴸᴸ" else cell for cell in row] for row in answer["data"]]


class GlareDb:
    """GlareDB in the process."""

    def __init__(self, postgres, mariadb, data):
        import glaredb

        self.connection = glaredb.connect()
        for kind, name, place, schema, tables in [
            ("postgres", "pg", postgres, "public", POSTGRES_TABLES),
            ("mysql", "maria", mariadb, mariadb.database, MARIADB_TABLES),
        ]:
            self.connection.execute(
                f"CREATE EXTERNAL DATABASE {name}_server FROM {kind} OPTIONS (host = '{place.host}', "
                f"port = '{place.port}', user = '{place.user}', password = '{place.password}', "
                f"database = '{place.database}')"
            )
            self.connection.execute(f"CREATE SCHEMA {name}")
            for table in tables:
                self.connection.execute(f"CREATE VIEW {name}.{table} AS SELECT * FROM {name}_server.{schema}.{table}")
        self.connection.execute("CREATE SCHEMA lake")
        files = f"parquet_scan('{data}/lake/lineitem/*.parquet')"
        self.connection.execute(f"CREATE VIEW lake.lineitem AS SELECT * FROM {files}")
        self.name = f"GlareDB {version('glaredb')}"

    def ask(self, sql):
        table = self.connection.sql(sql).to_arrow()
        return list(zip(*(column.to_pylist() for column in table.columns)))


class Trino:
    """Trino, with a catalog for each source, and views for the names of the queries."""

    def __init__(self, _postgres, mariadb, data):
        self.engine = engines.Trino()
        self.engine.rows("CREATE SCHEMA lake.lake")
        files = f"external_location = 'local://{data}/lake/lineitem', format = 'PARQUET'"
        self.engine.rows(f"CREATE TABLE lake.lake.lineitem ({LINEITEM}) WITH ({files})")
        self.engine.rows("ANALYZE lake.lake.lineitem")
        for name, schema, tables in [
            ("pg", "public", POSTGRES_TABLES),
            ("maria", mariadb.database, MARIADB_TABLES),
            ("lake", "lake", ["lineitem"]),
        ]:
            self.engine.rows(f"CREATE SCHEMA memory.{name}")
            for table in tables:
                self.engine.rows(f"CREATE VIEW memory.{name}.{table} AS SELECT * FROM {name}.{schema}.{table}")
        self.name = self.engine.name

    def ask(self, sql):
        return self.engine.rows(sql)


class Spark:
    """Spark, with the tables of servers by JDBC, and its own reader of Parquet."""

    def __init__(self, postgres, mariadb, data):
        self.engine = engines.Spark()
        for name in ["pg", "maria", "lake"]:
            self.engine.rows(f"CREATE DATABASE {name}")
        for table in POSTGRES_TABLES:
            self.engine.add_postgres(f"pg.{table}", postgres, table)
        for table in MARIADB_TABLES:
            self.engine.add_mariadb(f"maria.{table}", mariadb, table)
        self.engine.rows(f"CREATE TABLE lake.lineitem USING parquet LOCATION '{data}/lake/lineitem'")
        self.name = self.engine.name

    def ask(self, sql):
        return self.engine.rows(sql)


PEERS = {
    "reference": Reference,
    "duckdb": DuckDb,
    "chdb": ChDb,
    "glaredb": GlareDb,
    "trino": Trino,
    "spark": Spark,
}


def text(cell):
    if cell is None:
        return ""
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def say(line):
    print(json.dumps(line), flush=True)


def complaint(error):
    """The error in one line."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:300]}"


def main():
    name, postgres, mariadb, data = sys.argv[1:]
    peer = PEERS[name](Place(postgres), Place(mariadb), data)
    say({"ready": peer.name})
    for line in sys.stdin:
        sql = Path(data, "queries", f"q{int(line):02}.sql").read_text()
        try:
            begun = time.perf_counter()
            rows = peer.ask(sql)
            ms = (time.perf_counter() - begun) * 1000
        except BaseException as error:  # a panic of GlareDB is no Exception
            say({"error": complaint(error)})
            continue
        say({"ms": round(ms, 1), "rows": [[text(cell) for cell in row] for row in rows]})


try:
    main()
except Exception as error:
    say({"error": complaint(error)})
    sys.exit(1)
