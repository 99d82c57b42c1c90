use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Functions that fall or are not defined somewhere, and look there for an order.
const FUNCTIONS: &[&str] = &["abs", "acos", "acosh", "asin", "atanh", "cosh", "ln", "log10", "log2", "sqrt"];

/// Puts functions that can be sorted by in place of DataFusion's.
///
/// Theirs ask whether the values of their argument are all above zero, which is an error where nothing is known of them: above a CASE
/// and most functions. A plan that sorts several streams by `abs(nullif(a, 3))` was refused for it, since its own order was not found.
///
/// # Errors
/// Those of the registry.
pub(in crate::plan) fn register(session: &mut SessionState) -> Result<()> {
    for name in FUNCTIONS {
        let inner = session.udf(name)?;
        session.register_udf(Arc::new(ScalarUDF::new_from_impl(Function(inner))))?;
    }
    Ok(())
}

/// A function of DataFusion's that has no order where it cannot tell one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Function(Arc<ScalarUDF>);

impl ScalarUDFImpl for Function {
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(self.0.output_ordering(inputs).unwrap_or(SortProperties::Unordered))
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.0.evaluate_bounds(inputs).or_else(|_| Interval::make_unbounded(&DataType::Null))
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.0.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.0.return_field_from_args(arguments)
    }

    fn is_strict(&self) -> bool {
        self.0.is_strict()
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.0.invoke_with_args(arguments)
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.0.simplify(arguments, context)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.0.preserves_lex_ordering(inputs)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}
