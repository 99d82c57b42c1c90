use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::spill::{SpillManager, get_record_batch_memory_size};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

/// Rows that are kept until they are read: in memory as far as it is granted, and before that in files.
pub struct Buffer {
    files: VecDeque<Arc<dyn SpillFile>>,
    batches: VecDeque<RecordBatch>,
    reservation: MemoryReservation,
    spill: SpillManager,
}

/// The rows of a buffer, which lets them go as they are read.
pub struct Draining {
    left: Buffer,
    reading: Option<SendableRecordBatchStream>,
}

impl Buffer {
    /// A buffer without rows, which reserves memory by `reservation` and makes files by `spill`.
    pub fn new(reservation: MemoryReservation, spill: SpillManager) -> Self {
        Self { files: VecDeque::new(), batches: VecDeque::new(), reservation, spill }
    }

    /// Keeps a batch behind those that it has.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let size = get_record_batch_memory_size(&batch);
        if self.reservation.try_grow(size).is_err() {
            self.write()?;
            if self.reservation.try_grow(size).is_err() {
                self.batches.push_back(batch);
                return self.write();
            }
        }
        self.batches.push_back(batch);
        Ok(())
    }

    /// Moves what is in memory to a file.
    fn write(&mut self) -> Result<()> {
        let batches: Vec<RecordBatch> = self.batches.drain(..).collect();
        if !batches.is_empty() {
            self.files.extend(self.spill.spill_record_batch_and_finish(&batches, "rows that are kept")?);
        }
        self.reservation.free();
        Ok(())
    }

    /// Takes all rows out; what is left has none.
    pub fn drain(&mut self) -> Draining {
        let left = Self {
            files: std::mem::take(&mut self.files),
            batches: std::mem::take(&mut self.batches),
            reservation: self.reservation.take(),
            spill: self.spill.clone(),
        };
        Draining { left, reading: None }
    }

    /// All rows in the order in which they came, for one of several readers.
    pub fn read(&self) -> BoxStream<'static, Result<RecordBatch>> {
        let spill = self.spill.clone();
        let files =
            stream::iter(self.files.clone().into_iter().map(move |file| spill.read_spill_as_stream(file, None)));
        files.try_flatten().chain(stream::iter(self.batches.clone().into_iter().map(Ok))).boxed()
    }
}

impl Draining {
    /// The next batch, in the order in which they came.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Self { left, reading } = self;
        loop {
            if let Some(stream) = reading {
                if let Some(batch) = stream.next().await {
                    return batch.map(Some);
                }
                *reading = None;
            }
            if let Some(file) = left.files.pop_front() {
                *reading = Some(left.spill.read_spill_as_stream(file, None)?);
                continue;
            }
            let Some(batch) = left.batches.pop_front() else {
                left.reservation.free();
                return Ok(None);
            };
            let size = get_record_batch_memory_size(&batch).min(left.reservation.size());
            left.reservation.shrink(size);
            return Ok(Some(batch));
        }
    }
}
