"""Engines that run on Java, for the scripts beside this one. `cargo xtask bench` says where they are, in the environment:
TRINO_PORT for a server of Trino that it has started, JAVA_HOME and SPARK_JARS for Spark.
"""

import atexit
import os
import tempfile
import time

# Seconds for Trino to start in. It takes 17 on two idle cores.
PATIENCE = 170


class Trino:
    """A connection to Trino, with the catalogs `pg`, `maria`, `lake` and `memory`."""

    def __init__(self):
        import trino

        port = int(os.environ["TRINO_PORT"])
        self.connection = trino.dbapi.connect(host="127.0.0.1", port=port, user="bench", catalog="memory")
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                # It says that it has started some time before it answers.
                self.rows("SELECT count(*) FROM tpch.tiny.nation")
                break
            except Exception:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.5)
        self.name = "Trino " + self.rows("SELECT node_version FROM system.runtime.nodes")[0][0]

    def cursor(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        return cursor

    def rows(self, sql):
        return self.cursor(sql).fetchall()

    def moved(self, sql):
        """How many rows came from which table: in the plan, a scan is a line with `table = CATALOG:TABLE`, and the rows that
        it got are some lines below."""
        counts = []
        for line in self.rows("EXPLAIN ANALYZE " + sql)[0][0].splitlines():
            # Lines of a tree stand beside its branches.
            line = line.strip(" │├└─")
            if "[table = " in line:
                counts.append([line.split("[table = ")[1].split()[0].rstrip(",]"), 0])
            elif line.startswith("Input: ") and counts:
                counts[-1][1] = int(line.split()[1])
        return sorted(counts)


class Spark:
    """Spark in this process and one of Java, on two cores."""

    def __init__(self):
        from pyspark.sql import SparkSession

        self.folder = tempfile.TemporaryDirectory()
        builder = SparkSession.builder.master("local[2]").appName("bench")
        for name, value in {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "2g",
            "spark.jars": os.environ["SPARK_JARS"],
            "spark.local.dir": self.folder.name,
            # As many as cores. Its default of 200 is for a cluster.
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": self.folder.name,
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }.items():
            builder = builder.config(name, value)
        self.session = builder.getOrCreate()
        atexit.register(self.close)
        self.session.sparkContext.setLogLevel("ERROR")
        self.name = f"Spark {self.session.version}"

    def add_postgres(self, name, place, table):
        url = f"jdbc:postgresql://{place.host}:{place.port}/{place.database}"
        self.add(name, place, table, url, "org.postgresql.Driver")

    def add_mariadb(self, name, place, table):
        # Under the scheme of MariaDB, Spark quotes names as MariaDB quotes text.
        url = f"jdbc:mysql://{place.host}:{place.port}/{place.database}?permitMysqlScheme"
        self.add(name, place, table, url, "org.mariadb.jdbc.Driver")

    def add(self, name, place, table, url, driver):
        options = {
            "url": url,
            "dbtable": table,
            "user": place.user,
            "password": place.password,
            "driver": driver,
            # Otherwise the drivers read a whole table into memory first.
            "fetchsize": "10000",
        }
        options = ", ".join(f"{option} '{value}'" for option, value in options.items())
        self.session.sql(f"CREATE TABLE {name} USING jdbc OPTIONS ({options})")

    def rows(self, sql):
        self.last = self.session.sql(sql)
        return self.last.collect()

    def moved(self):
        """How many rows of which table came for the last question, as the plan that was executed has counted them."""
        counts = []

        def walk(plan):
            kind = plan.getClass().getSimpleName()
            if kind == "AdaptiveSparkPlanExec":
                return walk(plan.executedPlan())
            if kind.endswith("QueryStageExec"):
                return walk(plan.plan())
            if "JDBCRelation" in plan.nodeName():
                counts.append((plan.nodeName().split()[-1], plan.metrics().apply("numOutputRows").value()))
            children = plan.children()
            for child in range(children.size()):
                walk(children.apply(child))

        walk(self.last._jdf.queryExecution().executedPlan())
        return sorted(counts)

    def close(self):
        self.session.stop()
        self.folder.cleanup()
