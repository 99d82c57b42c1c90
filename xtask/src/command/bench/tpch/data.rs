//! The tables of TPC-H: made once, then loaded into the servers, and what is asked of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::super::server::Servers;
use crate::output::complain;
use crate::{cargo, workspace};

/// Which source has a table. A name that another one begins with stands after it.
const PLACES: [(&str, &str); 8] = [
    ("customer", "pg"),
    ("lineitem", "lake"),
    ("nation", "pg"),
    ("orders", "pg"),
    ("partsupp", "maria"),
    ("part", "maria"),
    ("region", "maria"),
    ("supplier", "maria"),
];

/// What the tests' query 11 compares with at every scale; the specification divides its own by the scale.
const FRACTION_OF_TESTS: &str = "* 0.001\n";

/// The last thing that is made, so that what a broken run has left is not taken for whole.
const COMPLETE: &str = "complete";

/// Files in a folder of their own for each scale.
pub(super) struct Data {
    pub(super) folder: PathBuf,
    scale: f64,
}

impl Data {
    /// Takes what is there, or makes it.
    pub(super) fn make(scale: f64) -> Result<Self> {
        let folder = workspace::target_dir()?.join(format!("bench-tpch/scale-{scale}"));
        let data = Self { folder, scale };
        if !data.folder.join(COMPLETE).exists() {
            data.generate()?;
        }
        data.write_queries()?;
        Ok(data)
    }

    fn generate(&self) -> Result<()> {
        complain!("generating TPC-H at scale {} …", self.scale);
        self.remove()?;
        let mut command = cargo::command()?;
        command.args(["run", "--release", "-p", "tombolo", "--example", "tpch_data", "--"]);
        command.arg(self.scale.to_string()).arg(&self.folder);
        if !command.status().context("cannot run cargo")?.success() {
            bail!("the tables could not be generated");
        }
        self.write(COMPLETE, "")
    }

    /// Writes the queries of the tests as they are asked here.
    fn write_queries(&self) -> Result<()> {
        let folder = workspace::root()?.join("crates/tombolo-testkit/queries/tpch");
        let target = self.folder.join("queries");
        fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
        for number in super::ALL {
            let name = format!("q{number:02}.sql");
            let path = folder.join(&name);
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            self.write(&format!("queries/{name}"), &placed(&text, self.scale))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Loads the servers, unless they have the tables already.
    pub(super) fn load(&self, servers: &Servers) -> Result<()> {
        let ask = format!("SELECT count(*) FROM {COMPLETE};");
        if servers.run_sql(&ask, &ask).is_ok() {
            return Ok(());
        }
        complain!("loading PostgreSQL and MariaDB …");
        let end = format!("CREATE TABLE {COMPLETE} (nothing integer);");
        let csv = self.folder.join("csv");
        servers.fill(&(postgres(&csv) + &end), &(mariadb(&csv) + &end))
    }
}

/// Returns the name of the database, one for each scale.
pub(super) fn database(scale: f64) -> String {
    format!("bench_tpch_{}", scale.to_string().replace('.', "_"))
}

/// Returns a query with its tables where they are here, and with the specification's fraction in query 11.
fn placed(query: &str, scale: f64) -> String {
    let fraction = format!("{:.10}", 0.0001 / scale);
    let mut text = query.replace(FRACTION_OF_TESTS, &format!("* {}\n", fraction.trim_end_matches('0')));
    for (table, source) in PLACES {
        for tests in ["shop", "lake"] {
            text = text.replace(&format!("{tests}.{table}"), &format!("{source}.{table}"));
        }
    }
    // Comments tell of the tests.
    text.split_inclusive('\n').filter(|line| !line.starts_with("--")).collect()
}

/// Keys and indexes come after the rows: that is how much is loaded, and it takes half the time.
fn postgres(csv: &Path) -> String {
    let copy = |table: &str| format!("\\copy {table} from '{}' with (format csv);", csv_of(csv, table));
    [
        "CREATE TABLE nation (n_nationkey bigint NOT NULL, n_name varchar(25) NOT NULL, n_regionkey bigint NOT NULL, \
         n_comment varchar(152) NOT NULL);\
         CREATE TABLE customer (c_custkey bigint NOT NULL, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, \
         c_nationkey bigint NOT NULL, c_phone varchar(15) NOT NULL, c_acctbal numeric(15, 2) NOT NULL, \
         c_mktsegment varchar(10) NOT NULL, c_comment varchar(117) NOT NULL);\
         CREATE TABLE orders (o_orderkey bigint NOT NULL, o_custkey bigint NOT NULL, o_orderstatus varchar(1) NOT NULL, \
         o_totalprice numeric(15, 2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority varchar(15) NOT NULL, \
         o_clerk varchar(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL);",
        &copy("nation"),
        &copy("customer"),
        &copy("orders"),
        "ALTER TABLE nation ADD PRIMARY KEY (n_nationkey);\
         ALTER TABLE customer ADD PRIMARY KEY (c_custkey), ADD FOREIGN KEY (c_nationkey) REFERENCES nation;\
         ALTER TABLE orders ADD PRIMARY KEY (o_orderkey), ADD FOREIGN KEY (o_custkey) REFERENCES customer;\
         CREATE INDEX ON customer (c_nationkey);\
         CREATE INDEX ON orders (o_custkey);\
         VACUUM (FREEZE, ANALYZE) nation;\
         VACUUM (FREEZE, ANALYZE) customer;\
         VACUUM (FREEZE, ANALYZE) orders;",
    ]
    .concat()
}

/// The rows come in the order of the primary keys. A foreign key makes its own index where no other serves.
fn mariadb(csv: &Path) -> String {
    let load = |table: &str| {
        format!(
            "LOAD DATA LOCAL INFILE '{}' INTO TABLE {table} FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' \
             ESCAPED BY '';ANALYZE TABLE {table};",
            csv_of(csv, table)
        )
    };
    [
        "SET unique_checks = 0, foreign_key_checks = 0;\
         CREATE TABLE region (r_regionkey bigint PRIMARY KEY, r_name varchar(25) NOT NULL, r_comment varchar(152) NOT NULL);\
         CREATE TABLE supplier (s_suppkey bigint PRIMARY KEY, s_name varchar(25) NOT NULL, s_address varchar(40) NOT NULL, \
         s_nationkey bigint NOT NULL, s_phone varchar(15) NOT NULL, s_acctbal decimal(15, 2) NOT NULL, \
         s_comment varchar(101) NOT NULL, INDEX (s_nationkey));\
         CREATE TABLE part (p_partkey bigint PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr varchar(25) NOT NULL, \
         p_brand varchar(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL, \
         p_container varchar(10) NOT NULL, p_retailprice decimal(15, 2) NOT NULL, p_comment varchar(23) NOT NULL);\
         CREATE TABLE partsupp (ps_partkey bigint NOT NULL, ps_suppkey bigint NOT NULL, ps_availqty integer NOT NULL, \
         ps_supplycost decimal(15, 2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey), \
         FOREIGN KEY (ps_partkey) REFERENCES part (p_partkey), FOREIGN KEY (ps_suppkey) REFERENCES supplier (s_suppkey));",
        &load("region"),
        &load("supplier"),
        &load("part"),
        &load("partsupp"),
    ]
    .concat()
}

fn csv_of(csv: &Path, table: &str) -> String {
    csv.join(format!("{table}.csv")).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::{FRACTION_OF_TESTS, database, placed};
    use crate::workspace;

    #[test]
    fn every_query_finds_its_tables_here() {
        for number in super::super::ALL {
            let folder = workspace::root().unwrap().join("crates/tombolo-testkit/queries/tpch");
            let text = std::fs::read_to_string(folder.join(format!("q{number:02}.sql"))).unwrap();
            assert_eq!(text.contains(FRACTION_OF_TESTS), number == 11);
            let text = placed(&text, 1.0);
            assert!(!text.contains("shop."), "{text}");
            assert!(text.split("lake.").skip(1).all(|rest| rest.starts_with("lineitem")), "{text}");
        }
        assert_eq!(
            placed("-- x\nSELECT * FROM lake.part, lake.partsupp, shop.orders", 1.0),
            "SELECT * FROM maria.part, maria.partsupp, pg.orders"
        );
    }

    #[test]
    fn the_fraction_of_query_11_goes_with_the_scale() {
        assert_eq!(placed("sum(x) * 0.001\n", 1.0), "sum(x) * 0.0001\n");
        assert_eq!(placed("sum(x) * 0.001\n", 0.1), "sum(x) * 0.001\n");
        assert_eq!(placed("sum(x) * 0.001\n", 10.0), "sum(x) * 0.00001\n");
    }

    #[test]
    fn each_scale_has_a_database() {
        assert_eq!([database(1.0), database(0.1)], ["bench_tpch_1", "bench_tpch_0_1"]);
    }
}
