use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tombolo_connector::Scan;

use super::{Facts, Observed, hash_of, shape};

/// Reads after which a source's work is judged: the first may have found nothing in the source's memory.
const LEAST_READS: u32 = 2;
/// Work is done here that is slower in its source by so much, as a factor and in milliseconds: clearly, as long as what it takes here is an
/// estimate, and once it was seen, by enough to go on.
const THAN_EXPECTED: (f64, f64) = (1.25, 200.0);
const THAN_SEEN: (f64, f64) = (1.1, 50.0);
/// How long what was seen is believed.
const TTL: TimeDelta = TimeDelta::days(1);
/// Works of one source that are remembered; of more, those are forgotten that were done longest ago.
const MOST_WORKS: usize = 200;

/// Work of a source on tables of its own, such as joins and groups, and what the same takes here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Work {
    /// The fewest milliseconds that the source took.
    source_ms: f64,
    /// How often it was done there.
    reads: u32,
    /// What it takes to read the tables and to do it here, as it is expected or as it was seen.
    here: HereCost,
    is_seen: bool,
    /// The hashes of the work and of all work within it.
    parts: Vec<String>,
    at: DateTime<Utc>,
}

/// What it takes to read the tables of a sub-query and to do its work here.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct HereCost {
    pub(crate) ms: f64,
    pub(crate) bytes: u64,
}

/// Work that a source was seen to be slow at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlowWork {
    /// Its hash.
    pub(crate) hash: String,
    pub(crate) source_ms: f64,
    pub(crate) here_ms: f64,
}

impl Work {
    fn is_slow(&self, most_bytes: u64) -> bool {
        let age = Utc::now() - self.at;
        let (factor, more_ms) = if self.is_seen { THAN_SEEN } else { THAN_EXPECTED };
        self.reads >= LEAST_READS
            && self.here.bytes <= most_bytes
            && self.source_ms > factor * self.here.ms + more_ms
            && (TimeDelta::zero()..TTL).contains(&age)
    }
}

impl Observed {
    /// The work that a source was seen to be slow at, of which this sub-query is all or a part. Its tables have to fit into so many
    /// bytes.
    pub(crate) fn slow_work(&self, scan: &Scan, most_bytes: u64) -> Option<SlowWork> {
        let facts = self.facts();
        let mut slow = facts.works.iter().filter(|(_, work)| work.is_slow(most_bytes)).peekable();
        slow.peek()?;
        let part = hash(scan);
        let (hash, work) = slow.find(|(_, work)| work.parts.contains(&part))?;
        Some(SlowWork { hash: hash.clone(), source_ms: work.source_ms, here_ms: work.here.ms })
    }

    /// Takes note of how long a source was at work, and of what is expected of the same here. Gives whether that is news.
    pub(crate) fn note_work(&self, scan: &Scan, source_ms: f64, expected: HereCost) -> bool {
        let mut facts = self.facts();
        let now = Utc::now();
        let new = || Work { source_ms, reads: 0, here: expected, is_seen: false, parts: parts(scan), at: now };
        let work = facts.works.entry(hash(scan)).or_insert_with(new);
        let was_slow = work.is_slow(u64::MAX);
        if now - work.at >= TTL {
            *work = new();
        }
        (work.source_ms, work.reads, work.at) = (work.source_ms.min(source_ms), work.reads.saturating_add(1), now);
        if !work.is_seen {
            work.here = expected;
        }
        let is_news = work.reads <= LEAST_READS || was_slow != work.is_slow(u64::MAX);
        facts.forget_works();
        is_news
    }

    /// Takes note of how long it took to read the tables of slow work and to do it here. Gives whether that is news.
    pub(crate) fn note_work_here(&self, hash: &str, seen: HereCost) -> bool {
        let mut facts = self.facts();
        let Some(work) = facts.works.get_mut(hash) else { return false };
        let was_slow = work.is_slow(u64::MAX);
        // One slow moment says nothing: the least of what was seen holds.
        let ms = if work.is_seen { work.here.ms.min(seen.ms) } else { seen.ms };
        let is_first = !work.is_seen;
        (work.here, work.is_seen) = (HereCost { ms, ..seen }, true);
        is_first || was_slow != work.is_slow(u64::MAX)
    }
}

impl Facts {
    fn forget_works(&mut self) {
        while self.works.len() > MOST_WORKS {
            let Some(oldest) = self.works.iter().min_by_key(|(_, work)| work.at).map(|(hash, _)| hash.clone()) else {
                break;
            };
            self.works.remove(&oldest);
        }
    }
}

/// Whether an operator is work that can be done here in the source's place.
pub(crate) fn is_work(scan: &Scan) -> bool {
    matches!(scan, Scan::Join(_) | Scan::Aggregate(_) | Scan::Window { .. })
}

/// Whether there is any work in a sub-query.
pub(crate) fn has_work(scan: &Scan) -> bool {
    is_work(scan) || scan.inputs().into_iter().any(has_work)
}

fn parts(scan: &Scan) -> Vec<String> {
    let mut found = Vec::new();
    if is_work(scan) {
        found.push(hash(scan));
    }
    scan.inputs().into_iter().for_each(|input| found.extend(parts(input)));
    found
}

/// Tells work apart: unlike rows, time depends on what is computed of them.
fn hash(scan: &Scan) -> String {
    let mut text = String::new();
    shape(scan, &mut text);
    computed(scan, &mut text);
    hash_of(&text)
}

fn computed(scan: &Scan, text: &mut String) {
    let exprs = match scan {
        Scan::Aggregate(aggregate) => aggregate.aggregates.as_slice(),
        Scan::Window { windows, .. } => windows.as_slice(),
        _ => &[],
    };
    for expr in exprs {
        text.push_str(&expr.to_string());
        text.push('\u{1}');
    }
    scan.inputs().into_iter().for_each(|input| computed(input, text));
}
