use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::sum::{CARRIER, added, carried, in_type};

/// The sums of many groups at once.
#[derive(Debug)]
pub(super) struct GroupSums {
    data_type: DataType,
    sums: Vec<i128>,
    /// Which groups have had a value: the sum of none is NULL.
    seen: Vec<bool>,
}

impl GroupSums {
    pub(super) fn new(data_type: DataType) -> Self {
        Self { data_type, sums: Vec::new(), seen: Vec::new() }
    }

    fn add(
        &mut self,
        values: &Decimal128Array,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.sums.resize(total, 0);
        self.seen.resize(total, false);
        let counts = |row: usize| values.is_valid(row) && filter.is_none_or(|filter| is_true(filter, row));
        if values.null_count() == 0 && filter.is_none() {
            for (group, value) in groups.iter().zip(values.values()) {
                self.sums[*group] = added(self.sums[*group], *value)?;
                self.seen[*group] = true;
            }
            return Ok(());
        }
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| counts(*row)) {
            self.sums[*group] = added(self.sums[*group], values.value(row))?;
            self.seen[*group] = true;
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> (Vec<i128>, NullBuffer) {
        (emit_to.take_needed(&mut self.sums), NullBuffer::from(emit_to.take_needed(&mut self.seen)))
    }
}

fn is_true(filter: &BooleanArray, row: usize) -> bool {
    filter.is_valid(row) && filter.value(row)
}

fn carrier(values: Vec<i128>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(Decimal128Array::new(values.into(), nulls).with_data_type(CARRIER))
}

impl GroupsAccumulator for GroupSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.add(&carried(&values[0])?, groups, filter, total)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.add(states[0].as_primitive::<Decimal128Type>(), groups, None, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, nulls) = self.take(emit_to);
        // One that does not fit says so; then each of them is known to fit.
        for sum in &sums {
            in_type(*sum, &self.data_type)?;
        }
        let nulls = Some(nulls);
        Ok(match &self.data_type {
            DataType::Int64 => Arc::new(Int64Array::new(sums.iter().map(|sum| *sum as i64).collect(), nulls)),
            DataType::UInt64 => Arc::new(UInt64Array::new(sums.iter().map(|sum| *sum as u64).collect(), nulls)),
            decimal => Arc::new(Decimal128Array::new(sums.into(), nulls).with_data_type(decimal.clone())),
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, nulls) = self.take(emit_to);
        Ok(vec![carrier(sums, Some(nulls))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let values = carried(&values[0])?;
        let passes = filter.map(|filter| NullBuffer::from_iter((0..filter.len()).map(|row| is_true(filter, row))));
        let nulls = NullBuffer::union(values.nulls(), passes.as_ref());
        Ok(vec![carrier(values.values().to_vec(), nulls)])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.seen.capacity()
    }
}
