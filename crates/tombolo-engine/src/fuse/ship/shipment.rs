use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{and, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use tombolo_connector::KeyBatch;

use super::collect::KeyCollector;
use super::convert::WayBack;
use crate::cost::KeyTarget;
use crate::execute::{KeyChoice, KeyOutcome, KeyRange, KeyReport, KeySupply, least_and_greatest};
use crate::fuse::count_exec::Reduced;
use crate::plan::is_text;
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
    /// What became of the keys so far.
    pub(super) outcome: Mutex<Option<KeyOutcome>>,
}

#[async_trait]
impl KeySupply for Shipment {
    async fn choose(&self) -> Result<KeyChoice> {
        let found = self.collector.wait().await?;
        let (reason, ranges) = match &found.keys {
            Err(reason) => (reason.clone(), self.between(&found.ends)?),
            Ok(keys) => {
                let keys = self.brought_to_columns(keys)?;
                match self.ship(&keys) {
                    Ok((batches, share)) => return Ok(KeyChoice::Batches { batches, share }),
                    Err(reason) => (reason, self.of_all(&keys)?),
                }
            }
        };
        if ranges.is_empty() || self.limits.ranges == Strategy::Never {
            return Ok(KeyChoice::ReadAll { reason });
        }
        Ok(KeyChoice::Ranges { ranges, reason, always: self.limits.ranges == Strategy::Always })
    }

    fn settle(&self, outcome: KeyOutcome) {
        if !matches!(outcome, KeyOutcome::ReadAll(_)) {
            self.reduced.iter().for_each(Reduced::mark);
        }
        let mut known = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(match (outcome, &*known) {
            // Streams take batches side by side.
            (KeyOutcome::Sent(sent), Some(KeyOutcome::Sent(before))) => KeyOutcome::Sent(sent.max(*before)),
            (outcome, _) => outcome,
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
            batches: match outcome {
                Some(KeyOutcome::Sent(sent)) => Some(sent),
                _ => None,
            },
            is_range: matches!(outcome, Some(KeyOutcome::Ranges(_))),
            reason: match outcome {
                Some(KeyOutcome::Ranges(reason) | KeyOutcome::ReadAll(reason)) => Some(reason),
                _ => None,
            },
            answered: 0,
        }
    }
}

/// The keys in batches and the share of rows that is expected to match; or why it is better to read everything.
type Chosen = std::result::Result<(Vec<KeyBatch>, f64), String>;

impl Shipment {
    /// Decides between the keys and everything, now that the number of keys is known.
    fn ship(&self, keys: &RecordBatch) -> Chosen {
        let count = keys.num_rows();
        if self.limits.ranges == Strategy::Always && count > 0 {
            return Err("`key_ranges` is always".to_owned());
        }
        let share = self.target.share(count as f64);
        if self.limits.strategy == Strategy::Adaptive {
            let (ship, read_all) = (self.target.ship(count as f64), self.target.read_all());
            if ship > read_all {
                return Err(format!(
                    "{count} keys would take about {ship:.0} ms to ship, and all rows about {read_all:.0} ms to read"
                ));
            }
        }
        let columns: Vec<usize> = self.wanted.iter().map(|wanted| wanted.at).collect();
        let size = self.target.request_keys;
        let batches = (0..count)
            .step_by(size.min(count).max(1))
            .map(|from| KeyBatch { columns: columns.clone(), keys: keys.slice(from, size.min(count - from)) });
        Ok((batches.collect(), share))
    }

    /// The ranges that all of these values of the columns are in.
    fn of_all(&self, keys: &RecordBatch) -> Result<Vec<KeyRange>> {
        let mut ranges = Vec::new();
        for (taken, values) in self.wanted.iter().zip(keys.columns()) {
            if let Some([least, greatest]) = least_and_greatest(values)?.filter(|_| has_ranges(values.data_type())) {
                ranges.push(KeyRange { at: taken.at, least: Some(least), greatest: Some(greatest) });
            }
        }
        Ok(ranges)
    }

    /// The ranges of the columns whose values become keys between these.
    fn between(&self, ends: &[[ScalarValue; 2]]) -> Result<Vec<KeyRange>> {
        let mut ranges = Vec::new();
        for taken in &self.wanted {
            let Some([least, greatest]) = ends.get(taken.key) else { continue };
            if !taken.way_back.keeps_order() || !has_ranges(&least.data_type()) {
                continue;
            }
            // An end that the column cannot hold is no end of its values.
            let held = |end: &ScalarValue| -> Result<Option<ScalarValue>> {
                let (value, is_held) = taken.way_back.follow(&end.to_array()?)?;
                let is_held = is_held.is_none_or(|held| held.value(0));
                if is_held { ScalarValue::try_from_array(&value, 0).map(Some) } else { Ok(None) }
            };
            ranges.push(KeyRange { at: taken.at, least: held(least)?, greatest: held(greatest)? });
        }
        Ok(ranges)
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

/// Whether values of a type are in one order only. Floats have two zeros, and numbers that are none.
fn has_ranges(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_decimal()
        || is_text(data_type)
        || (data_type.is_temporal() && !matches!(data_type, DataType::Interval(_) | DataType::Duration(_)))
}

fn distinct(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut values = new_group_values(batch.schema(), &GroupOrdering::None)?;
    values.intern(batch.columns(), &mut Vec::new())?;
    Ok(RecordBatch::try_new(batch.schema(), values.emit(EmitTo::All)?)?)
}
