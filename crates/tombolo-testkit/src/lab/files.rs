use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;

/// A folder in which each file is a table.
#[derive(Debug)]
pub struct FileFolder {
    path: PathBuf,
}

impl FileFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a Parquet file of row groups of up to so many rows, in place of one of the same name.
    pub fn parquet(&self, table: &str, rows_in_group: usize, batches: &[RecordBatch]) -> PathBuf {
        self.try_parquet(table, rows_in_group, batches).unwrap()
    }

    /// Writes a Parquet file; for tables of which it is not known whether Parquet has their types.
    ///
    /// # Errors
    /// What the writer says of a type.
    pub fn try_parquet(&self, table: &str, rows_in_group: usize, batches: &[RecordBatch]) -> Result<PathBuf> {
        let schema = batches.first().expect("a table takes its columns from its first batch").schema();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows_in_group))
            .set_compression(Compression::SNAPPY)
            .build();
        let path = self.path.join(format!("{table}.parquet"));
        let written =
            ArrowWriter::try_new(File::create(&path).unwrap(), schema, Some(properties)).and_then(|mut writer| {
                batches.iter().try_for_each(|batch| writer.write(batch))?;
                writer.close()
            });
        if let Err(error) = written {
            std::fs::remove_file(&path).unwrap();
            return Err(error);
        }
        Ok(path)
    }

    /// Writes a CSV file with a header line.
    pub fn csv(&self, table: &str, batches: &[RecordBatch]) -> PathBuf {
        let path = self.path.join(format!("{table}.csv"));
        let mut writer = arrow::csv::Writer::new(File::create(&path).unwrap());
        for batch in batches {
            writer.write(batch).unwrap();
        }
        path
    }

    /// Writes a file of JSON lines. Nulls are left out of their lines.
    pub fn json_lines(&self, table: &str, batches: &[RecordBatch]) -> PathBuf {
        let path = self.path.join(format!("{table}.jsonl"));
        let mut writer = arrow::json::LineDelimitedWriter::new(File::create(&path).unwrap());
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    /// Writes a file as it is.
    pub fn text(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path.join(file);
        std::fs::write(&path, text).unwrap();
        path
    }
}
