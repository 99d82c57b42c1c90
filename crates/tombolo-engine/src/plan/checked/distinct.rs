use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::sum::{CARRIER, added, carried, in_type};

/// The sum of distinct values; of each, how often it is there, so that a window's frame can leave it behind.
#[derive(Debug)]
pub(super) struct DistinctSum {
    data_type: DataType,
    values: HashMap<i128, u64>,
}

impl DistinctSum {
    pub(super) fn new(data_type: DataType) -> Self {
        Self { data_type, values: HashMap::new() }
    }

    fn add(&mut self, values: &Decimal128Array) {
        for value in values.iter().flatten() {
            *self.values.entry(value).or_default() += 1;
        }
    }
}

impl Accumulator for DistinctSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&carried(&values[0])?);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in carried(&values[0])?.iter().flatten() {
            if let Some(count) = self.values.get_mut(&value) {
                *count -= 1;
                if *count == 0 {
                    self.values.remove(&value);
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return ScalarValue::try_new_null(&self.data_type);
        }
        // Negative and positive ones in turn would never leave 128 bits where their sum does not; in any order they may.
        let sum = self.values.keys().try_fold(0, |sum, value| added(sum, *value))?;
        in_type(sum, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * (size_of::<(i128, u64)>() + 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<ScalarValue> =
            self.values.keys().map(|value| ScalarValue::Decimal128(Some(*value), 38, 0)).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &CARRIER, true))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.add(Arc::clone(&values).as_primitive::<Decimal128Type>());
        }
        Ok(())
    }
}
