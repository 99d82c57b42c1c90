//! The tables and queries of TPC-H, a benchmark of the Transaction Processing Performance Council.
//!
//! The queries are those of the specification's section 2.4 with their validation parameters. In them `customer`, `orders`,
//! `supplier`, `nation` and `region` are tables of a source `shop`, and `lineitem`, `part` and `partsupp` of a source `lake`.

use arrow::array::{RecordBatch, RecordBatchReader};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

/// One table of the benchmark.
#[derive(Debug)]
pub struct TpchTable {
    /// Its name.
    pub name: &'static str,
    /// The source that has it in the queries.
    pub source: &'static str,
    /// Its primary key.
    pub primary_key: &'static [&'static str],
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

/// Generates all eight tables; at scale 1 they are about one gigabyte.
pub fn tables(scale: f64) -> Vec<TpchTable> {
    let batches = |reader: &mut dyn RecordBatchReader| reader.map(Result::unwrap).collect();
    let table = |name, source, primary_key, reader: &mut dyn RecordBatchReader| TpchTable {
        name,
        source,
        primary_key,
        batches: batches(reader),
    };
    vec![
        table("customer", "shop", &["c_custkey"], &mut CustomerArrow::new(CustomerGenerator::new(scale, 1, 1))),
        table("orders", "shop", &["o_orderkey"], &mut OrderArrow::new(OrderGenerator::new(scale, 1, 1))),
        table("supplier", "shop", &["s_suppkey"], &mut SupplierArrow::new(SupplierGenerator::new(scale, 1, 1))),
        table("nation", "shop", &["n_nationkey"], &mut NationArrow::new(NationGenerator::new(scale, 1, 1))),
        table("region", "shop", &["r_regionkey"], &mut RegionArrow::new(RegionGenerator::new(scale, 1, 1))),
        table(
            "lineitem",
            "lake",
            &["l_orderkey", "l_linenumber"],
            &mut LineItemArrow::new(LineItemGenerator::new(scale, 1, 1)),
        ),
        table("part", "lake", &["p_partkey"], &mut PartArrow::new(PartGenerator::new(scale, 1, 1))),
        table(
            "partsupp",
            "lake",
            &["ps_partkey", "ps_suppkey"],
            &mut PartSuppArrow::new(PartSuppGenerator::new(scale, 1, 1)),
        ),
    ]
}

macro_rules! queries {
    ($($number:literal),+ $(,)?) => {
        &[$(include_str!(concat!("../queries/tpch/q", $number, ".sql"))),+]
    };
}

/// The 22 queries, the first at index 0.
pub const QUERIES: &[&str] = queries![
    "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19",
    "20", "21", "22",
];
