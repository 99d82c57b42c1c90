"""Answers the question of `cargo xtask bench join` by one of its peers, as often as standard input asks.

usage: join.py PEER POSTGRES_URL MARIADB_URL

Says `{"ready": NAME}` when it is connected. Then each line of standard input is a number: customers with a lower `pick` are
asked for. Each answer is a line: milliseconds, the rows, and, where the peer can tell, how many rows came from which table.
Loading modules and connecting are not measured, where the peer lets its connections stay open.
"""

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from importlib.metadata import version
from urllib.parse import urlsplit

import engines

# Customers have a `pick` below this.
EVERYONE = 10_000


def question(customers, orders, pick):
    return (
        "SELECT c.region, count(*) AS orders, sum(o.amount) AS amount "
        f"FROM {customers} c JOIN {orders} o ON o.customer_id = c.id "
        f"WHERE c.pick < {pick} GROUP BY c.region ORDER BY c.region"
    )


class Place:
    """What a URL says."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.url, self.host, self.port = url, parts.hostname, parts.port
        self.user, self.password, self.database = parts.username, parts.password, parts.path[1:]


class Floor:
    """What a person would write who knows where the rows are: two native queries, and a hash map."""

    def __init__(self, postgres, mariadb):
        import asyncmy
        import psycopg

        self.postgres = psycopg.connect(postgres.url, autocommit=True)
        # With less, PostgreSQL groups a million rows by their index, which takes three times as long.
        self.postgres.execute("SET work_mem = '64MB'")
        self.loop = asyncio.new_event_loop()
        account = {"user": mariadb.user, "password": mariadb.password, "database": mariadb.database}
        connecting = asyncmy.connect(host=mariadb.host, port=mariadb.port, autocommit=True, **account)
        self.mariadb = self.loop.run_until_complete(connecting)
        self.threads = ThreadPoolExecutor()
        self.name = f"psycopg {psycopg.__version__}, asyncmy {version('asyncmy')}"

    async def fetch(self, query):
        async with self.mariadb.cursor() as cursor:
            await cursor.execute(query)
            return await cursor.fetchall()

    def customers(self, pick):
        return dict(self.loop.run_until_complete(self.fetch(f"SELECT id, region FROM customers WHERE pick < {pick}")))

    def orders(self, keys):
        column = "SELECT customer_id, count(*), sum(amount) FROM orders"
        if keys is None:
            result = self.postgres.pgconn.exec_params(f"{column} GROUP BY customer_id".encode(), None)
        else:
            shipped = "{" + ",".join(map(str, keys)) + "}"
            where = f"{column} WHERE customer_id = ANY($1::bigint[]) GROUP BY customer_id"
            result = self.postgres.pgconn.exec_params(where.encode(), [shipped.encode()])
        if result.error_message:
            raise RuntimeError(result.error_message.decode())
        return result

    def ask(self, pick):
        if pick < EVERYONE:
            regions = self.customers(pick)
            orders = self.orders(regions.keys())
        else:
            # Nothing of one query is needed for the other.
            orders = self.threads.submit(self.orders, None)
            regions = self.customers(pick)
            orders = orders.result()
        sums = {}
        # Values as the server sends them, in bytes: decimal numbers of Python cost more than the query.
        value = orders.get_value
        for row in range(orders.ntuples):
            region = regions.get(int(value(row, 0)))
            if region is not None:
                count, cents = sums.get(region, (0, 0))
                sums[region] = (count + int(value(row, 1)), cents + int(value(row, 2).replace(b".", b"")))
        self.counts = [("customers", len(regions)), ("orders", orders.ntuples)]
        return [(region, count, Decimal(cents) / 100) for region, (count, cents) in sorted(sums.items())]

    def moved(self, _pick):
        return self.counts


class DuckDb:
    """DuckDB with its scanners."""

    def __init__(self, postgres, mariadb):
        import duckdb
        from duckdb_extensions import extension_importer

        self.connection = duckdb.connect()
        for extension, kind, place, database in [
            ("postgres_scanner", "postgres", postgres, "dbname"),
            ("mysql_scanner", "mysql", mariadb, "database"),
        ]:
            extension_importer.import_extension(extension)
            self.connection.execute(f"LOAD {extension}")
            address = f"host={place.host} port={place.port} user={place.user} password={place.password}"
            self.connection.execute(f"ATTACH '{address} {database}={place.database}' AS {kind} (TYPE {kind}, READ_ONLY)")
        self.tables = (f"mysql.{mariadb.database}.customers", "postgres.public.orders")
        self.name = f"DuckDB {duckdb.__version__}"

    def ask(self, pick):
        return self.connection.execute(question(*self.tables, pick)).fetchall()

    def moved(self, pick):
        plan = self.connection.execute("EXPLAIN (ANALYZE, FORMAT json) " + question(*self.tables, pick)).fetchall()
        counts = []

        def walk(node):
            if node.get("operator_type") == "TABLE_SCAN":
                table = "orders" if "orders" in json.dumps(node["extra_info"]) else "customers"
                counts.append((table, node["operator_cardinality"]))
            for child in node.get("children", []):
                walk(child)

        walk(json.loads(plan[0][1]))
        return sorted(counts)


class PostgresHub:
    """The PostgreSQL that has the orders, with mysql_fdw for the customers."""

    def __init__(self, postgres, mariadb):
        import psycopg

        self.connection = psycopg.connect(postgres.url, autocommit=True)
        self.connection.execute("CREATE EXTENSION mysql_fdw")
        self.connection.execute(
            "CREATE SERVER there FOREIGN DATA WRAPPER mysql_fdw "
            f"OPTIONS (host '{mariadb.host}', port '{mariadb.port}')"
        )
        self.connection.execute(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER there "
            f"OPTIONS (username '{mariadb.user}', password '{mariadb.password}')"
        )
        self.connection.execute(
            "CREATE FOREIGN TABLE customers (id bigint NOT NULL, name varchar(40) NOT NULL, segment varchar(10) NOT NULL, "
            "region varchar(12) NOT NULL, pick integer NOT NULL) SERVER there "
            f"OPTIONS (dbname '{mariadb.database}', table_name 'customers')"
        )
        release = self.connection.execute("SELECT mysql_fdw_version()").fetchone()[0]
        self.name = f"mysql_fdw {release // 10000}.{release // 100 % 100}.{release % 100}"

    def ask(self, pick):
        return self.connection.execute(question("customers", "orders", pick)).fetchall()

    def moved(self, pick):
        plan = self.connection.execute("EXPLAIN (ANALYZE, FORMAT json) " + question("customers", "orders", pick))
        count = 0

        def walk(node):
            nonlocal count
            if node["Node Type"] == "Foreign Scan":
                count += round(node["Actual Rows"] * node["Actual Loops"])
            for child in node.get("Plans", []):
                walk(child)

        walk(plan.fetchone()[0][0]["Plan"])
        return [("customers", count)]


class ChDb:
    """ClickHouse in the process, with its table functions."""

    def __init__(self, postgres, mariadb):
        from chdb import session

        self.session = session.Session()

        def table(function, place, name):
            return f"{function}('{place.host}:{place.port}', '{place.database}', '{name}', '{place.user}', '{place.password}')"

        self.tables = (table("mysql", mariadb, "customers"), table("postgresql", postgres, "orders"))
        self.name = f"chDB {version('chdb')}"

    def ask(self, pick):
        answer = self.session.query(question(*self.tables, pick), "JSONCompactStrings")
        return json.loads(str(answer))["data"]


class GlareDb:
    """GlareDB in the process."""

    def __init__(self, postgres, mariadb):
        import glaredb

        self.connection = glaredb.connect()
        for kind, name, place in [("postgres", "postgres_orders", postgres), ("mysql", "mysql_customers", mariadb)]:
            self.connection.execute(
                f"CREATE EXTERNAL DATABASE {name} FROM {kind} OPTIONS (host = '{place.host}', port = '{place.port}', "
                f"user = '{place.user}', password = '{place.password}', database = '{place.database}')"
            )
        self.tables = (f"mysql_customers.{mariadb.database}.customers", "postgres_orders.public.orders")
        self.name = f"GlareDB {version('glaredb')}"

    def ask(self, pick):
        table = self.connection.sql(question(*self.tables, pick)).to_arrow()
        return list(zip(*(column.to_pylist() for column in table.columns)))


class Polars:
    """Polars, with ConnectorX for the two queries: the filter is in the query of customers, and all orders come."""

    def __init__(self, postgres, mariadb):
        import connectorx
        import polars

        self.polars, self.postgres, self.mariadb = polars, postgres.url, mariadb.url.replace("mariadb://", "mysql://")
        self.name = f"Polars {polars.__version__}, ConnectorX {connectorx.__version__}"

    def ask(self, pick):
        polars = self.polars
        customers = polars.read_database_uri(f"SELECT id, region FROM customers WHERE pick < {pick}", self.mariadb)
        orders = polars.read_database_uri("SELECT customer_id, amount FROM orders", self.postgres)
        self.counts = [("customers", customers.height), ("orders", orders.height)]
        joined = orders.lazy().join(customers.lazy(), left_on="customer_id", right_on="id")
        sums = joined.group_by("region").agg(polars.len().alias("orders"), polars.col("amount").sum())
        return sums.sort("region").collect().rows()

    def moved(self, _pick):
        return self.counts


class Trino:
    """Trino, with a catalog for each server."""

    def __init__(self, _postgres, mariadb):
        self.engine = engines.Trino()
        self.tables = (f"maria.{mariadb.database}.customers", "pg.public.orders")
        self.name = self.engine.name

    def ask(self, pick):
        return self.engine.rows(question(*self.tables, pick))

    def moved(self, pick):
        return self.engine.moved(question(*self.tables, pick))


class Spark:
    """Spark, with both tables by JDBC."""

    def __init__(self, postgres, mariadb):
        self.engine = engines.Spark()
        self.engine.add_mariadb("customers", mariadb, "customers")
        self.engine.add_postgres("orders", postgres, "orders")
        self.name = self.engine.name

    def ask(self, pick):
        return self.engine.rows(question("customers", "orders", pick))

    def moved(self, _pick):
        return self.engine.moved()


PEERS = {
    "floor": Floor,
    "duckdb": DuckDb,
    "postgres-hub": PostgresHub,
    "chdb": ChDb,
    "glaredb": GlareDb,
    "polars": Polars,
    "trino": Trino,
    "spark": Spark,
}


def say(line):
    print(json.dumps(line), flush=True)


def main():
    name, postgres, mariadb = sys.argv[1:]
    peer = PEERS[name](Place(postgres), Place(mariadb))
    say({"ready": peer.name})
    counts = {}
    for line in sys.stdin:
        pick = int(line)
        begun = time.perf_counter()
        rows = peer.ask(pick)
        ms = (time.perf_counter() - begun) * 1000
        # Sums in cents: some readers make floating-point numbers of decimals.
        rows = [[region, str(orders), f"{Decimal(str(amount)):.2f}"] for region, orders, amount in rows]
        answer = {"ms": round(ms, 1), "rows": rows}
        if hasattr(peer, "moved"):
            # Some peers have to run the question once more for that.
            counts[pick] = counts.get(pick) or peer.moved(pick)
            answer["moved"] = counts[pick]
        say(answer)


try:
    main()
except Exception as error:
    say({"error": f"{type(error).__name__}: {error}"})
    sys.exit(1)
