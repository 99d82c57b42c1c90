use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::normalize_float_zero_scalar;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, Case, InList, Sort as SortExpr, WindowFunction,
};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Sort, WindowFunctionDefinition,
};
use datafusion::physical_expr::{PhysicalExpr, expressions as physical};

use super::float_extremes::{extreme_of_floats, is_extreme};
use super::rule::each_expression;

/// Has floats be told apart, sorted and compared in what is left of a plan as they are in sources: there is one zero, and what is not a
/// number is above all numbers.
///
/// DataFusion compares, joins and groups by floats so that a negative zero is a zero, but keeps lists of constants, the branches of a simple
/// CASE, what DISTINCT aggregates have seen, `nullif`, and the keys of sorts and windows by their bits: `round(-0.2) IN (0, 1, 2, 3, 4)` is
/// false there, and `ORDER BY f, id` has all negative zeros before all others. Of `min` and `max` see [`extreme_of_floats`].
///
/// A sort of rows that have its order as they come is left as it is, by which it is known to be needless.
///
/// # Errors
/// Where a type cannot be found out.
pub fn floats(plan: LogicalPlan, comes_in_order: fn(&LogicalPlan) -> bool) -> Result<Transformed<LogicalPlan>> {
    let is_sort = matches!(plan, LogicalPlan::Sort(_));
    let tells_apart = |expr: &Expr| expr.exists(|expr| Ok(tells_apart(expr))).unwrap_or_default();
    if !is_sort && !plan.expressions().iter().any(tells_apart) {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let rewritten = each_expression(plan, |expr| rewrite(expr, &schema))?;
    rewritten.transform_data(|plan| match plan {
        LogicalPlan::Sort(sort) if !comes_in_order(&sort.input) => sorted(sort, &schema),
        other => Ok(Transformed::no(other)),
    })
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::InList(InList { expr, list, negated }) if list.iter().any(may_be_zero) && is_float(&expr, schema) => {
            let expr = plus_zero(*expr, schema)?.data;
            let list = each(list, |item| plus_zero(item, schema))?.data;
            Transformed::yes(Expr::InList(InList { expr: Box::new(expr), list, negated }))
        }
        Expr::Case(Case { expr: Some(value), when_then_expr, else_expr })
            if when_then_expr.iter().any(|(when, _)| may_be_zero(when)) && is_float(&value, schema) =>
        {
            let value = plus_zero(*value, schema)?.data;
            let when_then_expr = each(when_then_expr, |(when, then)| {
                Ok(plus_zero(*when, schema)?.update_data(|when| (Box::new(when), then)))
            })?;
            let (expr, when_then_expr) = (Some(Box::new(value)), when_then_expr.data);
            Transformed::yes(Expr::Case(Case { expr, when_then_expr, else_expr }))
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" => match <[Expr; 2]>::try_from(call.args.clone()) {
            Ok([value, none]) if is_steady_float(&value, schema) => {
                let null = Expr::Literal(ScalarValue::try_from(value.get_type(schema)?)?, None);
                let when_then_expr = vec![(Box::new(value.clone().eq(none)), Box::new(null))];
                Transformed::yes(Expr::Case(Case { expr: None, when_then_expr, else_expr: Some(Box::new(value)) }))
            }
            _ => Transformed::no(Expr::ScalarFunction(call)),
        },
        Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = params;
            // The least and the greatest are the same of distinct values and of all.
            let is_told_apart = distinct && !is_extreme(&func);
            let args = if is_told_apart { each(args, |arg| plus_zero(arg, schema))? } else { Transformed::no(args) };
            let order_by = each(order_by, |key| key_plus_zero(key, schema))?;
            let extreme = extreme_of_floats(&func, &args.data, schema);
            let is_changed = args.transformed || order_by.transformed || extreme.is_some();
            let (func, args, order_by) = (extreme.unwrap_or(func), args.data, order_by.data);
            let params = AggregateFunctionParams { args, distinct, filter, order_by, null_treatment };
            Transformed::new_transformed(Expr::AggregateFunction(AggregateFunction { func, params }), is_changed)
        }
        Expr::WindowFunction(call) => {
            let WindowFunction { mut fun, mut params } = *call;
            let partition_by = each(params.partition_by, |key| plus_zero(key, schema))?;
            let order_by = each(params.order_by, |key| key_plus_zero(key, schema))?;
            let extreme = match &fun {
                WindowFunctionDefinition::AggregateUDF(func) => extreme_of_floats(func, &params.args, schema),
                WindowFunctionDefinition::WindowUDF(_) => None,
            };
            let is_changed = partition_by.transformed || order_by.transformed || extreme.is_some();
            fun = extreme.map_or(fun, WindowFunctionDefinition::AggregateUDF);
            (params.partition_by, params.order_by) = (partition_by.data, order_by.data);
            Transformed::new_transformed(Expr::from(WindowFunction { fun, params }), is_changed)
        }
        other => Transformed::no(other),
    })
}

/// Among equals of the last key any may come first.
fn sorted(sort: Sort, schema: &DFSchema) -> Result<Transformed<LogicalPlan>> {
    let Sort { mut expr, input, fetch } = sort;
    let last = expr.pop();
    let expr = each(expr, |key| key_plus_zero(key, schema))?;
    Ok(expr.update_data(|mut expr| {
        expr.extend(last);
        LogicalPlan::Sort(Sort { expr, input, fetch })
    }))
}

/// Whether an expression is of a kind that is rewritten where floats are in it.
fn tells_apart(expr: &Expr) -> bool {
    match expr {
        Expr::InList(list) => list.list.iter().any(may_be_zero),
        Expr::Case(case) => case.expr.is_some(),
        Expr::ScalarFunction(call) => call.name() == "nullif",
        Expr::AggregateFunction(call) => {
            call.params.distinct || !call.params.order_by.is_empty() || is_extreme(&call.func)
        }
        Expr::WindowFunction(_) => true,
        _ => false,
    }
}

/// Whether a value may be a zero, as far as can be seen without its type.
fn may_be_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => is_zero(value),
        _ => true,
    }
}

fn is_zero(value: &ScalarValue) -> bool {
    ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == normalize_float_zero_scalar(value.clone()))
}

pub(super) fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|kind| kind.is_floating())
}

/// Whether it is a float that is the same each time that it is computed.
fn is_steady_float(expr: &Expr, schema: &DFSchema) -> bool {
    is_float(expr, schema) && !expr.is_volatile()
}

/// A float without negative zeros: added to a zero, a negative zero is one.
fn plus_zero(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Literal(value, metadata) => {
            let zero = normalize_float_zero_scalar(value);
            Ok(Transformed::yes(Expr::Literal(zero, metadata)))
        }
        expr if !is_float(&expr, schema) => Ok(Transformed::no(expr)),
        expr => {
            let zero = Expr::Literal(ScalarValue::new_zero(&expr.get_type(schema)?)?, None);
            match &expr {
                Expr::BinaryExpr(BinaryExpr { op: Operator::Plus, right, .. }) if **right == zero => {
                    Ok(Transformed::no(expr))
                }
                _ => Ok(Transformed::yes(expr + zero)),
            }
        }
    }
}

/// What a zero was added to, for a person who reads a physical plan.
pub(in crate::plan) fn without_plus_zero(expr: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
    let sum = expr.downcast_ref::<physical::BinaryExpr>().filter(|sum| *sum.op() == Operator::Plus)?;
    let zero = sum.right().downcast_ref::<physical::Literal>()?.value();
    (zero.data_type().is_floating() && is_zero(zero)).then(|| Arc::clone(sum.left()))
}

fn key_plus_zero(key: SortExpr, schema: &DFSchema) -> Result<Transformed<SortExpr>> {
    let SortExpr { expr, asc, nulls_first } = key;
    Ok(plus_zero(expr, schema)?.update_data(|expr| SortExpr { expr, asc, nulls_first }))
}

fn each<T>(items: Vec<T>, rewrite: impl Fn(T) -> Result<Transformed<T>>) -> Result<Transformed<Vec<T>>> {
    let mut is_changed = false;
    let items = items.into_iter().map(|item| {
        let rewritten = rewrite(item)?;
        is_changed |= rewritten.transformed;
        Ok(rewritten.data)
    });
    let items = items.collect::<Result<_>>()?;
    Ok(Transformed::new_transformed(items, is_changed))
}
