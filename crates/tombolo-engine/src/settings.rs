use std::path::PathBuf;
use std::time::Duration;

/// The engine's limits and wishes; the `federation` table of the config.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The longest that a query may take; `None` is without limit.
    pub max_query_time: Option<Duration>,
    /// Bytes that the operators of all running queries may reserve. What can spill then spills; what cannot, fails.
    pub max_memory: u64,
    /// Bytes that temporary files may take.
    pub max_temp_bytes: u64,
    /// Where temporary files go; `None` is the system's folder.
    pub temp_dir: Option<PathBuf>,
    /// Rows in a batch.
    pub batch_size: usize,
    /// How many streams and operators run side by side.
    pub parallel: usize,
    /// How old the description of a table may be before the source is asked again.
    pub catalog_ttl: Duration,
    /// Whether joins that run here count matched and unmatched rows for the receipt.
    pub join_counts: bool,
    /// Whether work is pushed into sources at all. Off, every source is read table by table: the same answer, slower.
    pub pushdown: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_query_time: Some(Duration::from_secs(300)),
            max_memory: 2 << 30,
            max_temp_bytes: 100 << 30,
            temp_dir: None,
            batch_size: 8192,
            parallel: std::thread::available_parallelism().map_or(1, usize::from),
            catalog_ttl: Duration::from_secs(300),
            join_counts: true,
            pushdown: true,
        }
    }
}
