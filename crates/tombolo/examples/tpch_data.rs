//! Writes the tables of TPC-H into files: all of them in Parquet, and what a server loads in CSV as well.
//!
//! ```sh
//! cargo run --release -p tombolo --example tpch_data -- 0.1 target/tpch
//! ```
//!
//! `lake/lineitem` gets several files, in the order of the generator, so that a date or a key is spread over all of them as in
//! the benchmark's own files. The other tables are one file each, in `tables` and in `csv`, where no file has a header.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use arrow::array::RecordBatchReader;
use arrow::csv::WriterBuilder;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

/// Rows in a row group, as DuckDB writes them.
const ROW_GROUP: usize = 122_880;

/// Files of `lineitem` at scale 1: about a million rows in each.
const FILES: f64 = 6.0;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [scale, folder] = arguments.as_slice() else {
        return Err("give the scale and a folder".into());
    };
    let (scale, folder) = (scale.parse::<f64>()?, Path::new(folder));
    let lake = folder.join("lake/lineitem");
    fs::create_dir_all(&lake)?;
    let files = (scale * FILES).ceil().max(2.0) as i32;
    for file in 1..=files {
        let rows = LineItemArrow::new(LineItemGenerator::new(scale, file, files));
        write_parquet(&lake.join(format!("{file:04}.parquet")), rows)?;
    }
    write(folder, "customer", || CustomerArrow::new(CustomerGenerator::new(scale, 1, 1)))?;
    write(folder, "nation", || NationArrow::new(NationGenerator::new(scale, 1, 1)))?;
    write(folder, "orders", || OrderArrow::new(OrderGenerator::new(scale, 1, 1)))?;
    write(folder, "part", || PartArrow::new(PartGenerator::new(scale, 1, 1)))?;
    write(folder, "partsupp", || PartSuppArrow::new(PartSuppGenerator::new(scale, 1, 1)))?;
    write(folder, "region", || RegionArrow::new(RegionGenerator::new(scale, 1, 1)))?;
    write(folder, "supplier", || SupplierArrow::new(SupplierGenerator::new(scale, 1, 1)))
}

fn write<R: RecordBatchReader>(folder: &Path, table: &str, rows: impl Fn() -> R) -> Outcome {
    let (tables, csv) = (folder.join("tables"), folder.join("csv"));
    fs::create_dir_all(&tables)?;
    fs::create_dir_all(&csv)?;
    write_parquet(&tables.join(format!("{table}.parquet")), rows())?;
    write_csv(&csv.join(format!("{table}.csv")), rows())
}

fn write_parquet(path: &Path, rows: impl RecordBatchReader) -> Outcome {
    // Statistics of row groups, and none of pages: what most programs write, and all of the peers can read.
    let properties = WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_compression(Compression::SNAPPY)
        .build();
    // Arrow's own schema is left out: not every reader knows the newest of its types.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(File::create(path)?, rows.schema(), options)?;
    for batch in rows {
        writer.write(&batch?)?;
    }
    writer.close()?;
    Ok(())
}

fn write_csv(path: &Path, rows: impl RecordBatchReader) -> Outcome {
    let mut writer = WriterBuilder::new().with_header(false).build(BufWriter::new(File::create(path)?));
    for batch in rows {
        writer.write(&batch?)?;
    }
    Ok(())
}
