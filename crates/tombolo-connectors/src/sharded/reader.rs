use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tombolo_connector::{Error, KeyBatch, ReadSnapshot, Result, ScanReader};

/// Reads the same tree from several servers: all streams of the first, then those of the next.
#[derive(Debug)]
pub(super) struct ShardReader {
    readers: Vec<(String, Arc<dyn ScanReader>)>,
    schema: SchemaRef,
}

impl ShardReader {
    pub(super) fn try_new(readers: Vec<(String, Arc<dyn ScanReader>)>) -> Result<Self> {
        let first = readers.first().ok_or_else(|| Error::internal("a sub-query of no shard"))?;
        let schema = first.1.schema();
        Ok(Self { schema, readers })
    }
}

impl ScanReader for ShardReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn partitions(&self) -> usize {
        self.readers.iter().map(|(_, reader)| reader.partitions()).sum()
    }

    fn streams(&self) -> Option<String> {
        let told = self.readers.iter().filter_map(|(place, reader)| Some(format!("{place}: {}", reader.streams()?)));
        Some(told.collect::<Vec<_>>().join("; ")).filter(|told| !told.is_empty())
    }

    fn expect_readings(&self, more: usize) {
        self.readers.iter().for_each(|(_, reader)| reader.expect_readings(more));
    }

    fn snapshot(&self) -> Option<ReadSnapshot> {
        let mut names = Vec::new();
        for (place, reader) in &self.readers {
            match reader.snapshot() {
                None => {}
                Some(ReadSnapshot::Shared(name)) => names.push(format!("{name} of {place}")),
                Some(ReadSnapshot::Own(reason)) => return Some(ReadSnapshot::Own(format!("on {place} {reason}"))),
            }
        }
        (!names.is_empty()).then(|| ReadSnapshot::Shared(names.join(", ")))
    }

    fn key_partitions(&self) -> usize {
        self.readers.iter().map(|(_, reader)| reader.key_partitions()).sum()
    }

    fn takes_keys(&self, keys: &KeyBatch) -> bool {
        self.readers.iter().all(|(_, reader)| reader.takes_keys(keys))
    }

    fn open(
        &self,
        mut partition: usize,
        keys: Option<&KeyBatch>,
        task: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        for (place, reader) in &self.readers {
            let streams = if keys.is_some() { reader.key_partitions() } else { reader.partitions() };
            if partition < streams {
                let stream = reader.open(partition, keys, task).map_err(|error| on_shard(error, place))?;
                let place = place.clone();
                let named = stream.map(move |batch| batch.map_err(|error| named(error, &place)));
                return Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), named)));
            }
            partition -= streams;
        }
        Err(Error::internal("a stream that there is not"))
    }
}

fn named(error: DataFusionError, place: &str) -> DataFusionError {
    match error {
        DataFusionError::External(error) => match error.downcast::<Error>() {
            Ok(error) => on_shard(*error, place).into(),
            Err(error) => DataFusionError::External(error),
        },
        other => other,
    }
}

/// Says of an error which server it is from.
pub(crate) fn on_shard(error: Error, place: &str) -> Error {
    let detail = match error.detail() {
        Some(detail) => format!("on {place}; {detail}"),
        None => format!("on {place}"),
    };
    error.with_detail(detail)
}
