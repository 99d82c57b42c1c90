//! DataFusion's `min` and `max` of floats depend on the order of the rows where one of them is not a number: in groups the next number takes
//! its place. And the statistics of Parquet files, which answer them, leave such values out. Here they are the ends of the order that
//! floats are sorted in, and in PostgreSQL: what is not a number is above all numbers.

use std::hash::Hash;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, ReversedUDAF, Signature,
};

use super::floats::is_float;

/// What is computed in place of `min` or `max`, where it is one of them and over floats.
pub(super) fn extreme_of_floats(
    func: &Arc<AggregateUDF>,
    args: &[Expr],
    schema: &DFSchema,
) -> Option<Arc<AggregateUDF>> {
    let [arg] = args else { return None };
    let is_new = is_extreme(func) && func.inner().downcast_ref::<FloatExtreme>().is_none();
    let is_wanted = is_new && is_float(arg, schema);
    is_wanted.then(|| Arc::new(AggregateUDF::new_from_impl(FloatExtreme { inner: Arc::clone(func) })))
}

pub(super) fn is_extreme(func: &AggregateUDF) -> bool {
    matches!(func.name(), "min" | "max")
}

/// `min` or `max` of floats, which are carried as integers of the same order.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatExtreme {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for FloatExtreme {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, self.name()), DataType::Int64, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(Ranked { inner: self.inner.accumulator(of_ranks(args))?, data_type }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(Ranked { inner: self.inner.create_sliding_accumulator(of_ranks(args))?, data_type }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = args.return_field.data_type().clone();
        Ok(Box::new(Ranked { inner: self.inner.create_groups_accumulator(of_ranks(args))?, data_type }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn of_ranks(args: AccumulatorArgs<'_>) -> AccumulatorArgs<'_> {
    let field = args.return_field.as_ref().clone().with_data_type(DataType::Int64);
    AccumulatorArgs { return_field: Arc::new(field), ..args }
}

/// An accumulator of [`ranks`] that takes and gives floats.
struct Ranked<A: ?Sized> {
    data_type: DataType,
    inner: Box<A>,
}

impl std::fmt::Debug for Ranked<dyn Accumulator> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ranked").field("data_type", &self.data_type).finish_non_exhaustive()
    }
}

impl Accumulator for Ranked<dyn Accumulator> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&ranks(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&ranks(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let rank = self.inner.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&floats(&rank, &self.data_type)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}

impl GroupsAccumulator for Ranked<dyn GroupsAccumulator> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.inner.update_batch(&ranks(values)?, groups, filter, total)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.inner.merge_batch(states, groups, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        floats(&self.inner.evaluate(emit)?, &self.data_type)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&ranks(values)?, filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}

/// Integers in the order of floats. The two zeros are one, and so is all that is not a number.
fn ranks(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let rank = |value: f64| {
        let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
        in_order(i64::from_ne_bytes(value.to_ne_bytes()))
    };
    let ranks = values.iter().map(|values| {
        let ranks: Int64Array = cast(values, &DataType::Float64)?.as_primitive::<Float64Type>().unary(rank);
        Ok(Arc::new(ranks) as ArrayRef)
    });
    ranks.collect()
}

/// The floats that have these ranks.
fn floats(ranks: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let float = |rank: i64| f64::from_ne_bytes(in_order(rank).to_ne_bytes());
    let floats: Float64Array = ranks.as_primitive::<Int64Type>().unary(float);
    Ok(cast(&floats, data_type)?)
}

/// Turns the bits of negative floats around, and back: they are an absolute value after a sign.
fn in_order(bits: i64) -> i64 {
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_in_the_order_of_floats_and_lead_back_to_them() {
        let sorted = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -f64::MIN_POSITIVE,
            -5e-324,
            0.0,
            5e-324,
            0.1,
            1.5,
            f64::MAX,
            f64::INFINITY,
        ];
        let array = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let found = ranks(&[array(&sorted)]).unwrap().remove(0);
        let numbers = found.as_primitive::<Int64Type>().values().to_vec();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert_eq!(&floats(&found, &DataType::Float64).unwrap(), &array(&sorted));
        let same = ranks(&[array(&[f64::NAN, -f64::NAN, 0.0, -0.0])]).unwrap().remove(0);
        let same = same.as_primitive::<Int64Type>().values();
        assert!(same[0] == same[1] && same[2] == same[3] && same[0] > *numbers.last().unwrap(), "{same:?}");
    }
}
