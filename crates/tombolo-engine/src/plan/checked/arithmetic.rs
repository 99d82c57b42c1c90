use arrow::array::{Array, Scalar};
use arrow::compute::kernels::numeric::{add, mul, neg, sub};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr_common::datum::apply;

use super::plain;

/// An operation on integers that can leave its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

impl Operation {
    pub(super) fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract | Self::Negate => Operator::Minus,
            Self::Multiply => Operator::Multiply,
        }
    }

    /// The operation as SQL has it, over these arguments.
    pub(super) fn over(self, args: Vec<Expr>) -> Expr {
        let op = self.operator();
        let mut args = args.into_iter().map(Box::new);
        match (args.next(), args.next()) {
            (Some(left), Some(right)) => Expr::BinaryExpr(BinaryExpr { left, op, right }),
            (Some(inner), None) => Expr::Negative(inner),
            (None, _) => Expr::Literal(ScalarValue::Null, None),
        }
    }
}

/// An operation on two integers of one type, or on one, whose result has that type or is an error.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CheckedArithmetic {
    operation: Operation,
    signature: Signature,
}

impl CheckedArithmetic {
    pub(super) fn new(operation: Operation) -> Self {
        let arguments = if operation == Operation::Negate { 1 } else { 2 };
        Self { operation, signature: Signature::any(arguments, Volatility::Immutable) }
    }

    pub(super) fn operation(&self) -> Operation {
        self.operation
    }
}

impl ScalarUDFImpl for CheckedArithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
        }
    }

    // The names are made in one go for all operations below, which may be thousands.

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(plain(&self.operation.over(args.to_vec())).to_string())
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(plain(&self.operation.over(args.to_vec())).schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Field::new(self.name(), self.return_type(&types)?, nullable).into())
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// Null where one argument is, as DataFusion's own operations are folded.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let null = args.iter().find(|arg| matches!(arg, Expr::Literal(value, _) if value.is_null())).cloned();
        Ok(null.map_or(ExprSimplifyResult::Original(args), ExprSimplifyResult::Simplified))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (self.operation, args.args.as_slice()) {
            (Operation::Add, [left, right]) => apply(left, right, add),
            (Operation::Subtract, [left, right]) => apply(left, right, sub),
            (Operation::Multiply, [left, right]) => apply(left, right, mul),
            (Operation::Negate, [ColumnarValue::Array(array)]) => Ok(ColumnarValue::Array(negated(array.as_ref())?)),
            (Operation::Negate, [ColumnarValue::Scalar(scalar)]) => {
                let negated = negated(scalar.to_array()?.as_ref())?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(negated.as_ref(), 0)?))
            }
            (_, arguments) => {
                datafusion::common::internal_err!("{} was given {} arguments", self.name(), arguments.len())
            }
        }
    }
}

/// Unsigned integers have no negative, which Arrow's kernel says as an unsupported type; here zero has one, and the rest is out
/// of range.
fn negated(array: &dyn Array) -> Result<arrow::array::ArrayRef> {
    if array.data_type().is_unsigned_integer() {
        let zero = ScalarValue::new_zero(array.data_type())?.to_array()?;
        return Ok(sub(&Scalar::new(zero), &array)?);
    }
    Ok(neg(array)?)
}
