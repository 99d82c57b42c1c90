use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter_record_batch, interleave_record_batch, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::spill::get_record_batch_memory_size;

use crate::fuse::ship::collect::evaluated;

/// Rows of answers in a batch that is made of them.
const BATCH: usize = 8192;
/// What is kept for each key beside its bytes and its rows.
const KEY_BYTES: usize = 96;

type Key = Box<[u8]>;
/// A row, as the batch of its part and the place in it.
type Place = (u32, u32);

/// The rows that the source of a join's looked-up side has given for keys, so that no key is asked for twice.
///
/// They are kept as far as memory is granted; then the oldest are forgotten, and their keys are asked for again. A key is known when
/// all of its rows have come, and only then; a key without rows is known too.
pub(super) struct Answers {
    /// The keys of the looked-up side's rows.
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    converter: RowConverter,
    known: HashMap<Key, Known>,
    parts: VecDeque<Kept>,
    /// The keys that are being asked for, and the rows that have come for them.
    asked: HashMap<Key, Vec<Place>>,
    /// The rows of these; none where they do not fit.
    current: Option<Kept>,
    next_part: u64,
    memory: MemoryReservation,
    max_bytes: usize,
}

struct Known {
    part: u64,
    rows: Vec<Place>,
}

/// What came for the keys of one part.
struct Kept {
    part: u64,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

/// The keys of a part of the outer side.
pub(super) struct Split {
    /// Those that must be asked for, each once.
    pub(super) new: Vec<ArrayRef>,
    /// How many are known.
    pub(super) known: u64,
    /// The rows of these.
    pub(super) rows: Vec<RecordBatch>,
}

impl Answers {
    /// Makes a memory of keys of these types, which takes no more than so many bytes.
    pub(super) fn try_new(
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        types: &[DataType],
        memory: MemoryReservation,
        max_bytes: usize,
    ) -> Result<Self> {
        let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
        Ok(Self {
            exprs,
            converter: RowConverter::new(fields)?,
            known: HashMap::new(),
            parts: VecDeque::new(),
            asked: HashMap::new(),
            current: None,
            next_part: 0,
            memory,
            max_bytes,
        })
    }

    /// Tells keys without nulls into those that are known and those that are not; the latter are then asked for.
    pub(super) fn split(&mut self, keys: &[ArrayRef]) -> Result<Split> {
        let rows = self.converter.convert_columns(keys)?;
        self.asked.clear();
        self.forget_current();
        let (mut new, mut seen, mut places) = (Vec::new(), HashSet::new(), Vec::new());
        for (at, key) in (0u64..).zip(rows.iter()) {
            let key = key.as_ref();
            if let Some(known) = self.known.get(key) {
                if seen.insert(key.to_vec()) {
                    places.extend(known.rows.iter().map(|place| (known.part, *place)));
                }
            } else if !self.asked.contains_key(key) {
                self.asked.insert(key.into(), Vec::new());
                new.push(at);
            }
        }
        let rows = self.gathered(&places)?;
        let new = UInt64Array::from(new);
        let new = keys.iter().map(|keys| take(keys, &new, None)).collect::<std::result::Result<_, _>>()?;
        if !self.asked.is_empty() {
            self.current = Some(Kept { part: self.next_part, batches: Vec::new(), bytes: 0 });
            self.next_part += 1;
        }
        Ok(Split { new, known: seen.len() as u64, rows })
    }

    /// The rows at places of parts.
    fn gathered(&self, places: &[(u64, Place)]) -> Result<Vec<RecordBatch>> {
        let (mut first, mut batches) = (HashMap::new(), Vec::new());
        for part in &self.parts {
            first.insert(part.part, batches.len());
            batches.extend(part.batches.iter());
        }
        let at = |(part, (batch, row)): &(u64, Place)| {
            let first = first.get(part).copied().unwrap_or_default();
            (first + *batch as usize, *row as usize)
        };
        let places: Vec<(usize, usize)> = places.iter().map(at).collect();
        Ok(places
            .chunks(BATCH)
            .map(|places| interleave_record_batch(&batches, places))
            .collect::<std::result::Result<_, _>>()?)
    }

    /// The rows of a batch that have one of the keys that are being asked for.
    ///
    /// A source may compare more loosely than the join does, and send rows of other keys. They match nothing now, and they would
    /// come twice if their key were asked for too.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let keys = evaluated(&self.exprs, batch)?;
        let rows = self.converter.convert_columns(&keys)?;
        let is_asked: Vec<bool> = rows.iter().map(|key| self.asked.contains_key(key.as_ref())).collect();
        let asked = if is_asked.iter().all(|asked| *asked) {
            batch.clone()
        } else {
            filter_record_batch(batch, &BooleanArray::from(is_asked.clone()))?
        };
        let bytes = get_record_batch_memory_size(&asked) + asked.num_rows() * size_of::<Place>();
        if self.current.is_none() || !self.reserve(bytes) {
            self.forget_current();
            return Ok(asked);
        }
        let Some(current) = &mut self.current else { return Ok(asked) };
        let batch = current.batches.len() as u32;
        let keys = rows.iter().zip(is_asked).filter(|(_, is_asked)| *is_asked);
        for (row, (key, _)) in (0u32..).zip(keys) {
            if let Some(places) = self.asked.get_mut(key.as_ref()) {
                places.push((batch, row));
            }
        }
        current.batches.push(asked.clone());
        current.bytes += bytes;
        Ok(asked)
    }

    /// Takes note that all rows of the keys that were asked for have come.
    pub(super) fn complete(&mut self) {
        let bytes = self.asked.keys().map(|key| key.len() + KEY_BYTES).sum();
        if self.current.is_none() || !self.reserve(bytes) {
            self.forget_current();
            return;
        }
        let Some(mut current) = self.current.take() else { return };
        current.bytes += bytes;
        let part = current.part;
        self.known.extend(self.asked.drain().map(|(key, rows)| (key, Known { part, rows })));
        self.parts.push_back(current);
    }

    /// Makes room, by forgetting the oldest parts where there is none; false where that is not enough.
    fn reserve(&mut self, bytes: usize) -> bool {
        loop {
            if self.memory.size() + bytes <= self.max_bytes && self.memory.try_grow(bytes).is_ok() {
                return true;
            }
            let Some(oldest) = self.parts.pop_front() else { return false };
            self.known.retain(|_, known| known.part != oldest.part);
            self.memory.shrink(oldest.bytes);
        }
    }

    /// Keeps no more rows of the keys that are being asked for.
    fn forget_current(&mut self) {
        if let Some(current) = self.current.take() {
            self.memory.shrink(current.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::record_batch::RecordBatch;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};
    use datafusion::physical_expr::expressions::Column;

    use super::*;

    fn answers(max_bytes: usize) -> Answers {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(usize::MAX));
        let memory = MemoryConsumer::new("test").register(&pool);
        Answers::try_new(vec![Arc::new(Column::new("k", 0))], &[DataType::Int64], memory, max_bytes).unwrap()
    }

    fn keys(keys: &[i64]) -> Vec<ArrayRef> {
        vec![Arc::new(Int64Array::from(keys.to_vec()))]
    }

    fn batch(rows: &[(Option<i64>, i64)]) -> RecordBatch {
        let keys: Int64Array = rows.iter().map(|row| row.0).collect();
        let values: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
        RecordBatch::try_from_iter([("k", Arc::new(keys) as ArrayRef), ("v", Arc::new(values) as ArrayRef)]).unwrap()
    }

    fn numbers(array: &ArrayRef) -> Vec<i64> {
        array.as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
    }

    fn values(batches: &[RecordBatch]) -> Vec<i64> {
        let mut values: Vec<i64> = batches.iter().flat_map(|batch| numbers(batch.column(1))).collect();
        values.sort_unstable();
        values
    }

    #[test]
    fn a_key_is_asked_for_once_whether_it_has_rows_or_none() {
        let mut answers = answers(1 << 20);
        let split = answers.split(&keys(&[1, 2, 1, 3])).unwrap();
        assert_eq!((numbers(&split.new[0]), split.known), (vec![1, 2, 3], 0));
        answers.add(&batch(&[(Some(1), 10), (Some(3), 30)])).unwrap();
        answers.add(&batch(&[(Some(1), 11)])).unwrap();
        answers.complete();
        let split = answers.split(&keys(&[4, 1, 2, 1])).unwrap();
        assert_eq!((numbers(&split.new[0]), split.known, values(&split.rows)), (vec![4], 2, vec![10, 11]));
    }

    #[test]
    fn keys_whose_rows_have_not_all_come_are_asked_for_again() {
        let mut answers = answers(1 << 20);
        answers.split(&keys(&[1])).unwrap();
        answers.add(&batch(&[(Some(1), 10)])).unwrap();
        let split = answers.split(&keys(&[1])).unwrap();
        assert_eq!((numbers(&split.new[0]), split.known), (vec![1], 0));
        answers.add(&batch(&[(Some(1), 10)])).unwrap();
        answers.complete();
        assert_eq!(values(&answers.split(&keys(&[1])).unwrap().rows), [10]);
    }

    #[test]
    fn rows_of_keys_that_were_not_asked_for_are_left_out() {
        let mut answers = answers(1 << 20);
        answers.split(&keys(&[1])).unwrap();
        let given = answers.add(&batch(&[(Some(1), 10), (Some(2), 20), (None, 30)])).unwrap();
        assert_eq!(values(&[given]), [10]);
        answers.complete();
        let split = answers.split(&keys(&[1, 2])).unwrap();
        assert_eq!((numbers(&split.new[0]), values(&split.rows)), (vec![2], vec![10]));
    }

    #[test]
    fn the_oldest_are_forgotten_where_memory_ends() {
        let ask = |answers: &mut Answers, key: i64| {
            let split = answers.split(&keys(&[key])).unwrap();
            if split.known == 0 {
                answers.add(&batch(&[(Some(key), key * 10)])).unwrap();
                answers.complete();
            } else {
                assert_eq!(values(&split.rows), [key * 10]);
            }
            split.known == 1
        };
        let mut sized = answers(usize::MAX);
        ask(&mut sized, 1);
        let bytes = sized.memory.size();
        // Two fit.
        let mut answers = answers(2 * bytes);
        assert!(![1, 2, 3].map(|key| ask(&mut answers, key)).contains(&true));
        assert_eq!([3, 2, 1].map(|key| ask(&mut answers, key)), [true, true, false]);
        assert!(answers.memory.size() <= 2 * bytes && answers.memory.size() > 0);
        let mut none = self::answers(bytes / 2);
        assert_eq!([1, 1].map(|key| ask(&mut none, key)), [false, false]);
        assert_eq!(none.memory.size(), 0);
    }
}
