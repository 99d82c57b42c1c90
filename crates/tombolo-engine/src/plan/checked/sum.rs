use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::{cast, sum as sum_of};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};

use super::distinct::DistinctSum;
use super::groups::GroupSums;

/// What sums are carried in between operators: 128 bits, so that only the end result has to fit.
pub(super) const CARRIER: DataType = DataType::Decimal128(38, 0);

/// `sum` whose integers and decimals do not wrap. Everything else is DataFusion's.
pub(crate) fn checked_sum() -> AggregateUDF {
    AggregateUDF::new_from_impl(CheckedSum { inner: sum_udaf() })
}

#[derive(Debug, PartialEq, Eq)]
struct CheckedSum {
    inner: Arc<AggregateUDF>,
}

impl Hash for CheckedSum {
    fn hash<H: Hasher>(&self, state: &mut H) {
        "checked_sum".hash(state);
    }
}

fn is_checked(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..))
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let data_type = args.return_field.data_type();
        Ok(match (is_checked(data_type), args.is_distinct) {
            (true, true) => Box::new(DistinctSum::new(data_type.clone())),
            (true, false) => Box::new(Sum::new(data_type.clone())),
            (false, _) => return self.inner.accumulator(args),
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if is_checked(args.return_field.data_type()) {
            // Both can take values back.
            return self.accumulator(args);
        }
        self.inner.create_sliding_accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if !is_checked(args.return_type()) {
            return self.inner.state_fields(args);
        }
        Ok(vec![Arc::new(if args.is_distinct {
            Field::new_list(format_state_name(args.name, "sum distinct"), Field::new_list_field(CARRIER, true), false)
        } else {
            Field::new(format_state_name(args.name, "sum"), CARRIER, true)
        })])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match args.return_field.data_type() {
            data_type if is_checked(data_type) => Ok(Box::new(GroupSums::new(data_type.clone()))),
            _ => self.inner.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.inner.inner().value_from_stats(statistics)
    }
}

/// The values of a batch in 128 bits.
pub(super) fn carried(array: &ArrayRef) -> Result<Decimal128Array> {
    Ok(match array.data_type() {
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().clone(),
        DataType::Int64 => array.as_primitive::<Int64Type>().unary(i128::from),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().unary(i128::from),
        integer if integer.is_signed_integer() => carried(&cast(array, &DataType::Int64)?)?,
        integer if integer.is_unsigned_integer() => carried(&cast(array, &DataType::UInt64)?)?,
        other => return internal_err!("a checked sum was given {other}"),
    })
}

/// The sum in its own type, or the error that it does not fit.
pub(super) fn in_type(sum: i128, data_type: &DataType) -> Result<ScalarValue> {
    let fits = match data_type {
        DataType::Int64 => i64::try_from(sum).ok().map(|sum| ScalarValue::Int64(Some(sum))),
        DataType::UInt64 => u64::try_from(sum).ok().map(|sum| ScalarValue::UInt64(Some(sum))),
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.checked_pow(u32::from(*precision)).unwrap_or(i128::MAX);
            let fits = sum.unsigned_abs() < limit.unsigned_abs();
            fits.then_some(ScalarValue::Decimal128(Some(sum), *precision, *scale))
        }
        other => return internal_err!("a checked sum was asked for {other}"),
    };
    match fits {
        Some(sum) => Ok(sum),
        None => Err(overflow(&crate::plan::type_text(data_type))),
    }
}

fn overflow(place: &str) -> DataFusionError {
    ArrowError::ArithmeticOverflow(format!("the result of sum does not fit into {place}")).into()
}

/// Adds where 128 bits are not enough for it either.
pub(super) fn added(sum: i128, value: i128) -> Result<i128> {
    match sum.checked_add(value) {
        Some(sum) => Ok(sum),
        None => Err(overflow("128 bits")),
    }
}

/// The sum of a group, or of a window's frame.
#[derive(Debug)]
struct Sum {
    data_type: DataType,
    sum: i128,
    values: u64,
}

impl Sum {
    fn new(data_type: DataType) -> Self {
        Self { data_type, sum: 0, values: 0 }
    }

    fn add(&mut self, values: &Decimal128Array) -> Result<()> {
        // A batch of 64-bit values cannot leave 128 bits; decimals can.
        if let (DataType::Int64 | DataType::UInt64, Some(sum)) = (&self.data_type, sum_of(values)) {
            self.sum = added(self.sum, sum)?;
        } else {
            for value in values.iter().flatten() {
                self.sum = added(self.sum, value)?;
            }
        }
        self.values += (values.len() - values.null_count()) as u64;
        Ok(())
    }
}

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&carried(&values[0])?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = carried(&values[0])?;
        for value in values.iter().flatten() {
            self.sum = added(self.sum, -value)?;
        }
        self.values -= (values.len() - values.null_count()) as u64;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values == 0 {
            return ScalarValue::try_new_null(&self.data_type);
        }
        in_type(self.sum, &self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Decimal128((self.values > 0).then_some(self.sum), 38, 0)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.add(states[0].as_primitive::<Decimal128Type>())
    }
}
