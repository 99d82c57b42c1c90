use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::spill::{SpillManager, get_record_batch_memory_size};
use futures::StreamExt;

/// The rows of one side of a join, from when they are read until the join takes them: in memory as far as it is granted, and
/// before that in files.
pub(super) struct Buffer {
    files: VecDeque<Arc<dyn SpillFile>>,
    batches: VecDeque<RecordBatch>,
    reservation: MemoryReservation,
    spill: SpillManager,
    reading: Option<SendableRecordBatchStream>,
}

impl Buffer {
    pub(super) fn new(reservation: MemoryReservation, spill: SpillManager) -> Self {
        Self { files: VecDeque::new(), batches: VecDeque::new(), reservation, spill, reading: None }
    }

    /// Takes all rows out; what is left has none.
    pub(super) fn take(&mut self) -> Self {
        Self {
            files: std::mem::take(&mut self.files),
            batches: std::mem::take(&mut self.batches),
            reservation: self.reservation.take(),
            spill: self.spill.clone(),
            reading: self.reading.take(),
        }
    }

    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<()> {
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
            self.files.extend(self.spill.spill_record_batch_and_finish(&batches, "the rows of a join's side")?);
        }
        self.reservation.free();
        Ok(())
    }

    /// The next batch, in the order in which they came.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reading) = &mut self.reading {
                if let Some(batch) = reading.next().await {
                    return batch.map(Some);
                }
                self.reading = None;
            }
            if let Some(file) = self.files.pop_front() {
                self.reading = Some(self.spill.read_spill_as_stream(file, None)?);
                continue;
            }
            let Some(batch) = self.batches.pop_front() else {
                self.reservation.free();
                return Ok(None);
            };
            let size = get_record_batch_memory_size(&batch).min(self.reservation.size());
            self.reservation.shrink(size);
            return Ok(Some(batch));
        }
    }
}
