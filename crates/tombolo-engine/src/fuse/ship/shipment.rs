use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{and, filter_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use tombolo_connector::KeyBatch;

use super::collect::KeyCollector;
use super::convert::WayBack;
use crate::cost::KeyTarget;
use crate::execute::{KeyChoice, KeyReport, KeySupply};
use crate::fuse::count_exec::Reduced;
use crate::settings::{KeyShipping, Strategy};

/// An output column of a scan that takes keys.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// Its position in the output.
    pub(super) at: usize,
    /// The key, as the position among those of the join.
    pub(super) key: usize,
    /// How a key becomes a value of the column.
    pub(super) way_back: WayBack,
}

/// The keys of one join on their way to one scan.
#[derive(Debug)]
pub(super) struct Shipment {
    pub(super) collector: Arc<KeyCollector>,
    /// The output columns of the scan, and the keys that they are compared with.
    pub(super) wanted: Vec<Taken>,
    /// The output of the scan.
    pub(super) schema: SchemaRef,
    pub(super) target: KeyTarget,
    pub(super) limits: KeyShipping,
    /// Keys that are expected.
    pub(super) estimated_keys: f64,
    /// The join counters that do not see every row where keys are shipped.
    pub(super) reduced: Vec<Reduced>,
    pub(super) from: String,
    pub(super) to: String,
    /// In how many requests the keys were sent so far, or why they were not.
    pub(super) outcome: Mutex<Option<std::result::Result<usize, String>>>,
}

#[async_trait]
impl KeySupply for Shipment {
    async fn choose(&self) -> Result<KeyChoice> {
        let found = self.collector.wait().await?;
        let choice = match &found.keys {
            Err(reason) => Err(reason.clone()),
            Ok(keys) => self.ship(keys)?,
        };
        Ok(match choice {
            Ok((batches, share)) => KeyChoice::Batches { batches, share },
            Err(reason) => {
                self.settle(Err(&reason));
                KeyChoice::ReadAll
            }
        })
    }

    fn settle(&self, outcome: std::result::Result<usize, &str>) {
        if outcome.is_ok() {
            self.reduced.iter().for_each(Reduced::mark);
        }
        let mut known = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(match (outcome, &*known) {
            // Streams take batches side by side.
            (Ok(sent), Some(Ok(before))) => Ok(sent.max(*before)),
            (outcome, _) => outcome.map_err(ToOwned::to_owned),
        });
    }

    async fn cost(&self) -> Result<f64> {
        let found = self.collector.wait().await?;
        if self.target.spared.is_some() {
            // It is read all the same.
            return Ok(f64::INFINITY);
        }
        let read_all = self.target.read_all();
        Ok(if found.keys.is_ok() { self.target.ship(found.count as f64).min(read_all) } else { read_all })
    }

    fn let_go(&self) {
        self.collector.let_go();
    }

    fn report(&self) -> KeyReport {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone();
        KeyReport {
            from: self.from.clone(),
            to: self.to.clone(),
            columns: self.wanted.iter().map(|wanted| wanted.at).collect(),
            estimated_keys: self.estimated_keys as u64,
            ship_ms: self.target.ship(self.estimated_keys),
            read_all_ms: self.target.read_all(),
            is_here: self.target.spared.is_some(),
            keys: self.collector.count(),
            batches: outcome.as_ref().and_then(|outcome| outcome.as_ref().ok()).copied(),
            reason: outcome.and_then(std::result::Result::err),
            ..KeyReport::default()
        }
    }
}

type Chosen = std::result::Result<(Vec<KeyBatch>, f64), String>;

impl Shipment {
    /// The keys in batches and the share of rows that is expected to match; or why it is better to read everything.
    fn ship(&self, keys: &[ArrayRef]) -> Result<Chosen> {
        let keys = self.brought_to_columns(keys)?;
        let count = keys.num_rows();
        let share = self.target.share(count as f64);
        if self.limits.strategy == Strategy::Adaptive {
            let (ship, read_all) = (self.target.ship(count as f64), self.target.read_all());
            if ship > read_all {
                return Ok(Err(format!(
                    "{count} keys would take about {ship:.0} ms to ship, and all rows about {read_all:.0} ms to read"
                )));
            }
        }
        let columns: Vec<usize> = self.wanted.iter().map(|wanted| wanted.at).collect();
        let size = self.target.request_keys;
        let batches = (0..count)
            .step_by(size.min(count).max(1))
            .map(|from| KeyBatch { columns: columns.clone(), keys: keys.slice(from, size.min(count - from)) });
        Ok(Ok((batches.collect(), share)))
    }

    /// The keys as values of the scan's columns. A key that a column cannot hold matches none of its rows, and is left out.
    fn brought_to_columns(&self, keys: &[ArrayRef]) -> Result<RecordBatch> {
        let mut fields = Vec::with_capacity(self.wanted.len());
        let mut arrays = Vec::with_capacity(self.wanted.len());
        let mut held: Option<BooleanArray> = None;
        for taken in &self.wanted {
            let key = keys.get(taken.key).ok_or_else(|| internal_datafusion_err!("there is no such key"))?;
            let field = self.schema.field(taken.at);
            let (array, has_value) = taken.way_back.follow(key)?;
            held = match (held, has_value) {
                (Some(held), Some(has_value)) => Some(and(&held, &has_value)?),
                (held, has_value) => held.or(has_value),
            };
            fields.push(Field::new(field.name(), field.data_type().clone(), true));
            arrays.push(array);
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        let batch = match held {
            Some(held) => filter_record_batch(&batch, &held)?,
            None => batch,
        };
        // Some of the columns of distinct keys may be alike in several keys.
        if self.wanted.len() == keys.len() { Ok(batch) } else { distinct(&batch) }
    }
}

fn distinct(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut values = new_group_values(batch.schema(), &GroupOrdering::None)?;
    values.intern(batch.columns(), &mut Vec::new())?;
    Ok(RecordBatch::try_new(batch.schema(), values.emit(EmitTo::All)?)?)
}
