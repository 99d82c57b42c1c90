use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The bits of one chunk of row ids.
const CHUNK_ROWS: u64 = 1 << 16;
const CHUNK_WORDS: usize = (CHUNK_ROWS / 64) as usize;

/// What one join has seen so far: the rows that entered on each side, and which of them came out in a pair.
#[derive(Debug, Default)]
pub struct JoinTally {
    left: Side,
    right: Side,
    output_rows: AtomicU64,
    pairs: AtomicU64,
}

/// The rows of one side. Each gets a number when it enters the join; a bit for each number says whether it was matched.
#[derive(Debug, Default)]
pub(super) struct Side {
    next_row: AtomicU64,
    streams: AtomicUsize,
    unfinished: AtomicUsize,
    started: AtomicBool,
    reduced: AtomicBool,
    matched: Mutex<Vec<Option<Box<[u64; CHUNK_WORDS]>>>>,
}

/// Which side of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
pub enum Which {
    /// The left one.
    Left,
    /// The right one.
    Right,
}

/// A join's counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinCounts {
    /// The left side.
    pub left: SideCounts,
    /// The right side.
    pub right: SideCounts,
    /// Rows that came out.
    pub output_rows: u64,
    /// Pairs of a left and a right row among them.
    pub pairs: u64,
}

/// One side's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideCounts {
    /// Rows that entered.
    pub rows: u64,
    /// Rows that were seen in a pair.
    pub matched: u64,
    /// Whether the side was read to its end.
    pub complete: bool,
    /// Whether only rows were read that have one of the keys that were shipped, so that nothing is known of others.
    pub reduced: bool,
}

impl JoinTally {
    pub(super) fn side(&self, which: Which) -> &Side {
        match which {
            Which::Left => &self.left,
            Which::Right => &self.right,
        }
    }

    /// Counts a batch that came out of the join: the row ids of both sides, null where a row has no partner.
    pub(super) fn output(&self, left: &arrow::array::UInt64Array, right: &arrow::array::UInt64Array) {
        use arrow::array::Array;
        self.output_rows.fetch_add(left.len() as u64, Ordering::Relaxed);
        let both = arrow::buffer::NullBuffer::union(left.nulls(), right.nulls());
        let pairs = left.len() - both.as_ref().map_or(0, arrow::buffer::NullBuffer::null_count);
        self.pairs.fetch_add(pairs as u64, Ordering::Relaxed);
        let valid = |row: usize| both.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        self.left.mark((0..left.len()).filter(|row| valid(*row)).map(|row| left.value(row)));
        self.right.mark((0..right.len()).filter(|row| valid(*row)).map(|row| right.value(row)));
    }

    /// Counts a batch of a join that puts out rows of one side only.
    pub(super) fn output_rows(&self, rows: usize) {
        self.output_rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Reads all counts.
    pub fn counts(&self) -> JoinCounts {
        JoinCounts {
            left: self.left.counts(),
            right: self.right.counts(),
            output_rows: self.output_rows.load(Ordering::Relaxed),
            pairs: self.pairs.load(Ordering::Relaxed),
        }
    }
}

impl Side {
    pub(super) fn open(&self) {
        self.started.store(true, Ordering::Relaxed);
        self.streams.fetch_add(1, Ordering::Relaxed);
        self.unfinished.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reduce(&self) {
        self.reduced.store(true, Ordering::Relaxed);
    }

    pub(super) fn finish(&self) {
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
    }

    /// Numbers `rows` rows that enter, and gives the first number.
    pub(super) fn enter(&self, rows: usize) -> u64 {
        self.next_row.fetch_add(rows as u64, Ordering::Relaxed)
    }

    fn mark(&self, rows: impl Iterator<Item = u64>) {
        let mut chunks = self.matched.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            // Row numbers are dense, so there are as many chunks as the rows need and no more.
            let chunk = (row / CHUNK_ROWS) as usize;
            if chunk >= chunks.len() {
                chunks.resize(chunk + 1, None);
            }
            let bits = chunks[chunk].get_or_insert_with(|| Box::new([0; CHUNK_WORDS]));
            let bit = row % CHUNK_ROWS;
            bits[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    fn counts(&self) -> SideCounts {
        let chunks = self.matched.lock().unwrap_or_else(PoisonError::into_inner);
        let ones = |word: &u64| u64::from(word.count_ones());
        SideCounts {
            rows: self.next_row.load(Ordering::Relaxed),
            matched: chunks.iter().flatten().flat_map(|chunk| chunk.iter()).map(ones).sum(),
            complete: self.started.load(Ordering::Relaxed) && self.unfinished.load(Ordering::Relaxed) == 0,
            reduced: self.reduced.load(Ordering::Relaxed),
        }
    }
}
