mod work;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tombolo_connector::{RowCount, Scan, ScanStatistics, TableRef};

use super::cache::{read_json, source_file, write_json};
use crate::cost::Speed;
use work::Work;
pub(crate) use work::{HereCost, has_work, is_work};

/// Sub-queries of one source that are remembered; of more, those are forgotten that were read longest ago.
const MOST_READS: usize = 500;
/// Reads from which a source's speed is taken, newest last.
const MOST_SAMPLES: usize = 16;
/// With fewer, the guesses for a source on the same network hold.
const LEAST_SAMPLES: usize = 3;
/// A read of fewer rows says nothing of how fast rows come.
const LEAST_ROWS: u64 = 20_000;
/// Only what is clearly not on the same network is held to be far or slow: this machine may have been busy with other things.
const FAR_MS: f64 = 5.0;
const SLOW: f64 = 3.0;
/// How long a count of rows is believed.
const COUNT_TTL: TimeDelta = TimeDelta::hours(1);
/// What differs by less from what is known is the same.
const SAME: f64 = 0.1;

/// What earlier queries have seen of one source: how many rows its sub-queries gave, and how fast it answered.
///
/// Sources estimate, and this corrects them. No answer depends on it.
#[derive(Debug)]
pub(crate) struct Observed {
    path: Option<PathBuf>,
    key: String,
    facts: OnceLock<Mutex<Facts>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Facts {
    /// Ties the facts to the options of their source.
    key: String,
    /// By the hash of a sub-query.
    reads: HashMap<String, Seen>,
    /// The rows that were counted of tables of unknown size, by the hash of their names.
    #[serde(default)]
    counts: HashMap<String, Counted>,
    /// What sources needed for work on their own tables, by the hash of the sub-query.
    #[serde(default)]
    works: HashMap<String, Work>,
    /// Milliseconds to the first row of a table.
    first_row_ms: Vec<f64>,
    /// The time that the rows of a table took to come, as a multiple of what was expected.
    slowness: Vec<f64>,
}

/// The rows that a sub-query gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    rows: u64,
    /// What its source had estimated.
    estimated: Option<u64>,
    at: DateTime<Utc>,
}

/// Rows that were counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Counted {
    rows: u64,
    at: DateTime<Utc>,
}

/// A sub-query without keys that was read to its end.
#[derive(Debug)]
pub(crate) struct WholeRead<'a> {
    pub(crate) scan: &'a Scan,
    /// What its source estimates.
    pub(crate) estimate: ScanStatistics,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Whether the source's own reader was read, of which the first row comes when the source sends it.
    pub(crate) is_direct: bool,
    pub(crate) first_row_ms: Option<f64>,
    /// The time in which the source was waited for or its rows were decoded.
    pub(crate) reading_ms: f64,
}

impl Observed {
    /// What is kept in `folder` of a source; without a folder, nothing is kept. `key` ties it to the source's options.
    pub(super) fn new(folder: Option<&Path>, source: &str, key: String) -> Self {
        let path = folder.map(|folder| source_file(folder, source, "observed.json"));
        Self { path, key, facts: OnceLock::new() }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        let facts = self.facts.get_or_init(|| {
            let kept = self.path.as_deref().and_then(read_json::<Facts>).filter(|facts| facts.key == self.key);
            Mutex::new(kept.unwrap_or_else(|| Facts { key: self.key.clone(), ..Facts::default() }))
        });
        facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a source estimates of a sub-query, corrected by what the same sub-query gave before: by as much as the source
    /// was wrong then, since its tables may have grown.
    pub(crate) fn corrected(&self, scan: &Scan, estimate: ScanStatistics) -> ScanStatistics {
        if matches!(estimate.rows, RowCount::Exact(_)) {
            return estimate;
        }
        let Some(seen) = self.facts().reads.get(&hash(scan)).cloned() else { return estimate };
        let now = estimate.rows.value();
        let rows = match (seen.estimated, now) {
            (Some(then), Some(now)) if then > 0 => (seen.rows as f64 * (now as f64 / then as f64)).round(),
            _ => seen.rows as f64,
        };
        let bytes = estimate.bytes.zip(now.filter(|now| *now > 0));
        let bytes = bytes.map(|(bytes, now)| (bytes as f64 / now as f64 * rows) as u64);
        ScanStatistics { rows: RowCount::Estimated(rows as u64), bytes }
    }

    /// How fast the source answers, as far as that was seen.
    pub(crate) fn speed(&self) -> Speed {
        let facts = self.facts();
        let mut speed = Speed::default();
        if facts.first_row_ms.len() >= LEAST_SAMPLES {
            // The least is nearest to the way there and back; others have waited for a connection or a lock too.
            let least = facts.first_row_ms.iter().copied().fold(f64::INFINITY, f64::min);
            if least > FAR_MS {
                speed.request_ms = least.min(5_000.0);
            }
        }
        if facts.slowness.len() >= LEAST_SAMPLES {
            let mut slowness = facts.slowness.clone();
            slowness.sort_by(f64::total_cmp);
            let median = slowness[slowness.len() / 2];
            if median > SLOW {
                speed.slowness = median.min(200.0);
            }
        }
        speed
    }

    /// Takes note of a read. Gives whether that is news, and has to be kept.
    pub(crate) fn note(&self, read: &WholeRead<'_>) -> bool {
        let mut facts = self.facts();
        let is_table = read.is_direct && is_table(read.scan);
        let mut is_news = false;
        if is_table && let Some(first_row_ms) = read.first_row_ms {
            is_news |= push(&mut facts.first_row_ms, first_row_ms);
        }
        if is_table && read.rows >= LEAST_ROWS {
            let bytes = read.bytes as f64 / read.rows as f64;
            let expected = crate::cost::moved(read.rows as f64, Some(bytes));
            let taken = (read.reading_ms - read.first_row_ms.unwrap_or(0.0)).max(0.0);
            is_news |= push(&mut facts.slowness, taken / expected);
        }
        is_news | facts.seen(read)
    }

    /// The rows that were counted of a table not long ago.
    pub(crate) fn counted(&self, table: &TableRef) -> Option<u64> {
        let facts = self.facts();
        let counted = facts.counts.get(&hash_of(table))?;
        let age = Utc::now() - counted.at;
        (age >= TimeDelta::zero() && age < COUNT_TTL).then_some(counted.rows)
    }

    /// Takes note of the rows of a table.
    pub(crate) fn count(&self, table: &TableRef, rows: u64) {
        self.facts().counts.insert(hash_of(table), Counted { rows, at: Utc::now() });
    }

    /// Keeps what is known. A failure costs only speed, so it is logged and passed over.
    pub(crate) fn save(&self) {
        if let Some(path) = &self.path
            && let Err(error) = write_json(path, &*self.facts())
        {
            tracing::warn!(path = %path.display(), %error, "could not keep what was seen of a source");
        }
    }
}

impl Facts {
    fn seen(&mut self, read: &WholeRead<'_>) -> bool {
        let estimated = read.estimate.rows.value();
        let hash = hash(read.scan);
        let known = self.reads.get(&hash);
        if matches!(read.estimate.rows, RowCount::Exact(_)) || is_same(estimated, read.rows) {
            // The source is right; what was seen before it knew better is no longer of use.
            return self.reads.remove(&hash).is_some();
        }
        let is_known = known.is_some_and(|known| known.estimated == estimated && is_same(Some(known.rows), read.rows));
        self.reads.insert(hash, Seen { rows: read.rows, estimated, at: Utc::now() });
        while self.reads.len() > MOST_READS {
            let Some(oldest) = self.reads.iter().min_by_key(|(_, seen)| seen.at).map(|(hash, _)| hash.clone()) else {
                break;
            };
            self.reads.remove(&oldest);
        }
        !is_known
    }
}

/// Adds a sample; gives whether it says something new.
fn push(samples: &mut Vec<f64>, sample: f64) -> bool {
    let is_news = samples.len() < LEAST_SAMPLES
        || samples.iter().all(|known| (known - sample).abs() > SAME * known.abs().max(f64::EPSILON));
    samples.push(sample);
    if samples.len() > MOST_SAMPLES {
        samples.remove(0);
    }
    is_news
}

fn is_same(known: Option<u64>, rows: u64) -> bool {
    known.is_some_and(|known| (known as f64 - rows as f64).abs() <= SAME * (known.max(rows) as f64))
}

/// Whether a sub-query gives a table as it stands, so that nothing but the way there takes time before its first row.
fn is_table(scan: &Scan) -> bool {
    match scan {
        Scan::Table(_) => true,
        Scan::Project { input, .. } | Scan::Alias { input, .. } => is_table(input),
        _ => false,
    }
}

fn hash_of(value: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Tells apart sub-queries that may give different numbers of rows. Which columns come makes no difference.
fn hash(scan: &Scan) -> String {
    let mut text = String::new();
    shape(scan, &mut text);
    hash_of(&text)
}

fn shape(scan: &Scan, text: &mut String) {
    let list = |items: Vec<String>| items.join("\u{1}");
    let line = match scan {
        // A window adds columns, and no rows.
        Scan::Project { input, .. } | Scan::Alias { input, .. } | Scan::Window { input, .. } => {
            return shape(input, text);
        }
        Scan::Table(table) => format!("{:?}", (&table.table().schema, &table.table().table)),
        // Its position among others makes no difference either.
        Scan::Filter { predicates, .. } => {
            let mut predicates: Vec<String> = predicates.iter().map(ToString::to_string).collect();
            predicates.sort();
            list(predicates)
        }
        Scan::Join(join) => {
            let on = join.on.iter().map(|(left, right)| format!("{left}={right}")).collect();
            format!("{} {} {:?}", join.join_type, list(on), join.condition.as_ref().map(ToString::to_string))
        }
        Scan::Aggregate(aggregate) => list(aggregate.group.iter().map(ToString::to_string).collect()),
        Scan::Sort { fetch, .. } => format!("{fetch:?}"),
        Scan::Limit { skip, fetch, .. } => format!("{skip} {fetch:?}"),
        Scan::Union { .. } => String::new(),
    };
    let _ = write!(text, "({} {line}", scan.operator());
    scan.inputs().into_iter().for_each(|input| shape(input, text));
    text.push(')');
}

#[cfg(test)]
mod tests;
