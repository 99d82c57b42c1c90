use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::filter;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::utils::normalize_float_zero;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use futures::future::{BoxFuture, Shared, WeakShared};
use futures::{FutureExt, StreamExt};

use crate::execute::{Buffer, least_and_greatest};

/// The distinct keys of one side of a join, between the operator that reads that side and the scans that wait for them.
pub(super) struct KeyCollector {
    /// The keys, over the rows of the side.
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
    max_keys: usize,
    /// The reading of the side, driven by whoever waits for it. It ends when nobody does.
    running: Mutex<Option<WeakShared<Reading>>>,
    found: Mutex<Option<Arc<Found>>>,
    /// How many keys were found, also when they are gone.
    count: OnceLock<u64>,
}

type Reading = BoxFuture<'static, std::result::Result<Arc<Found>, Arc<DataFusionError>>>;

/// What one side of a join has.
#[derive(Debug)]
pub(super) struct Found {
    /// The distinct keys without nulls, a column for each expression; or why they are not known.
    pub(super) keys: std::result::Result<Vec<ArrayRef>, String>,
    /// How many distinct keys there are, or were when counting ended.
    pub(super) count: u64,
    /// The least and the greatest of each key, where the keys themselves are not known; empty where there are none.
    pub(super) ends: Vec<[ScalarValue; 2]>,
    _memory: Option<MemoryReservation>,
}

impl KeyCollector {
    pub(super) fn try_new(exprs: Vec<Arc<dyn PhysicalExpr>>, input: &Schema, max_keys: usize) -> Result<Self> {
        let fields = (0..).zip(&exprs).map(|(at, expr)| {
            let data_type = expr.data_type(input)?;
            Ok(Field::new(format!("key_{at}"), data_type, true))
        });
        let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?));
        Ok(Self { exprs, schema, max_keys, running: Mutex::default(), found: Mutex::default(), count: OnceLock::new() })
    }

    /// How many distinct keys were found, once the side is read.
    pub(super) fn count(&self) -> Option<u64> {
        self.count.get().copied()
    }

    /// Forgets the keys.
    pub(super) fn let_go(&self) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Begins to read the side; the rows go into the buffer.
    pub(super) fn start(
        self: &Arc<Self>,
        input: SendableRecordBatchStream,
        buffer: Arc<Mutex<Buffer>>,
        memory: MemoryReservation,
    ) -> Shared<Reading> {
        let collector = Arc::clone(self);
        let reading = async move {
            let found = Arc::new(collector.read(input, &buffer, memory).await.map_err(Arc::new)?);
            *collector.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&found));
            // A plan runs once, so that nothing was counted before.
            let _ = collector.count.set(found.count);
            Ok(found)
        };
        let shared = reading.boxed().shared();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = shared.downgrade();
        shared
    }

    /// Waits until the side is read.
    pub(super) async fn wait(&self) -> Result<Arc<Found>> {
        let reading =
            self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(WeakShared::upgrade);
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (reading, found) {
            (_, Some(found)) => Ok(found),
            (Some(reading), None) => reading.await.map_err(DataFusionError::Shared),
            // Nobody takes the rows of that side, so nobody will take those of this one; to read them all is right in any case.
            (None, None) => {
                let keys = Err("the side that has them is not read".to_owned());
                Ok(Arc::new(Found { keys, count: 0, ends: Vec::new(), _memory: None }))
            }
        }
    }

    async fn read(
        &self,
        mut input: SendableRecordBatchStream,
        buffer: &Mutex<Buffer>,
        memory: MemoryReservation,
    ) -> Result<Found> {
        let mut keys = Keys {
            values: Ok(new_group_values(Arc::clone(&self.schema), &GroupOrdering::None)?),
            memory,
            count: 0,
            ends: Vec::new(),
        };
        let mut groups = Vec::new();
        while let Some(batch) = input.next().await {
            let batch = batch?;
            keys.add(without_nulls(evaluated(&self.exprs, &batch)?)?, self.max_keys, &mut groups)?;
            buffer.lock().unwrap_or_else(PoisonError::into_inner).push(batch)?;
        }
        keys.found()
    }
}

/// The values of keys over the rows of a batch. A negative zero is a zero, as it is for the join.
pub(super) fn evaluated(exprs: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let values = exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows()));
    values.map(|values| Ok(normalize_float_zero(&values?))).collect()
}

/// Keys without those that have a null: they match nothing.
pub(super) fn without_nulls(keys: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
    let nulls = keys.iter().fold(None, |nulls, key| NullBuffer::union(nulls.as_ref(), key.logical_nulls().as_ref()));
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return Ok(keys) };
    let kept = BooleanArray::new(nulls.into_inner(), None);
    Ok(keys.iter().map(|key| filter(key, &kept)).collect::<std::result::Result<_, _>>()?)
}

/// The distinct keys so far, or why they are no longer kept.
struct Keys {
    values: std::result::Result<Box<dyn GroupValues>, String>,
    memory: MemoryReservation,
    count: u64,
    ends: Vec<[ScalarValue; 2]>,
}

impl Keys {
    fn add(&mut self, arrays: Vec<ArrayRef>, max_keys: usize, groups: &mut Vec<usize>) -> Result<()> {
        let Ok(values) = &mut self.values else { return self.widen(&arrays) };
        values.intern(&arrays, groups)?;
        self.count = values.len() as u64;
        let reason = if values.len() > max_keys {
            format!("there are more than {max_keys} distinct keys (`max_keys`)")
        } else if self.memory.try_resize(values.size()).is_err() {
            "the distinct keys do not fit into max_memory".to_owned()
        } else {
            return Ok(());
        };
        let kept = values.emit(EmitTo::All)?;
        self.values = Err(reason);
        self.memory.free();
        self.widen(&kept)
    }

    /// Takes these keys between the least and the greatest.
    fn widen(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        for (at, array) in arrays.iter().enumerate() {
            let Some([least, greatest]) = least_and_greatest(array)? else { return Ok(()) };
            match self.ends.get_mut(at) {
                None => self.ends.push([least, greatest]),
                Some(known) => {
                    if least < known[0] {
                        known[0] = least;
                    }
                    if greatest > known[1] {
                        known[1] = greatest;
                    }
                }
            }
        }
        Ok(())
    }

    fn found(self) -> Result<Found> {
        let keys = match self.values {
            Ok(mut values) => {
                let keys = values.emit(EmitTo::All)?;
                drop(values);
                self.memory.try_resize(keys.iter().map(Array::get_array_memory_size).sum())?;
                Ok(keys)
            }
            Err(reason) => Err(reason),
        };
        Ok(Found { keys, count: self.count, ends: self.ends, _memory: Some(self.memory) })
    }
}

impl fmt::Debug for KeyCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCollector").field("exprs", &self.exprs).finish_non_exhaustive()
    }
}
