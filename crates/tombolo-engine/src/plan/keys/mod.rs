//! Values of two sources that are compared by `=`, and what they are compared as where their types differ.
//!
//! DataFusion would bring text to a number, which fails for text that is none, lets several texts be one number so that no index
//! finds them, and takes large integers for the nearest float. Here each pair of types has a rule that is exact, is told of, and can
//! be undone, so that keys are shipped through it; or it is refused by name. `type_mappings` in the config say otherwise.
//!
//! This comes before DataFusion's analyzer, so that what a statement casts by itself stays as it is written.

mod conversion;
mod correlated;
mod kinds;
mod side;
mod widening;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result};
use datafusion::logical_expr::expr::{InList, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Operator, Projection, Subquery,
    binary_expr, lit,
};
use tombolo_connector::{Error, ErrorCode, TextFormat, nearest_name};

#[cfg(test)]
pub(crate) use conversion::conversion_to;
pub(crate) use conversion::{KeyConversion, is_text, safely};
use conversion::{Target, told};
use kinds::{Means, meet};
use side::Side;
pub(crate) use widening::widens;

use super::origin::{Origin, origin, scalar_subqueries};
use super::text::expr_text;
use crate::catalog::SourceTable;
use crate::error::from_datafusion;
use crate::type_mapping::{KeyType, TypeMapping};

/// Says of each comparison of values of two sources what they are compared as, and gives what a reader should know of it.
///
/// # Errors
/// [`TypeMismatch`](tombolo_connector::ErrorCode::TypeMismatch) for values that are not compared unless it is said how.
pub(crate) fn compare_keys(
    plan: LogicalPlan,
    mappings: &[TypeMapping],
) -> tombolo_connector::Result<(LogicalPlan, Vec<String>)> {
    if sources_read(&plan, mappings).map_err(from_datafusion)?.len() < 2 {
        return Ok((plan, Vec::new()));
    }
    let mut walk = Walk { mappings, notices: Vec::new() };
    let plan = walk.plan(plan, &[]).map_err(from_datafusion)?;
    Ok((plan, walk.notices))
}

/// Whether an expression over one plan and an expression over another are of different sources.
pub(crate) fn is_across(left: (&Expr, &LogicalPlan), right: (&Expr, &LogicalPlan)) -> bool {
    let of = |(expr, plan): (&Expr, &LogicalPlan)| expr_origin(expr, &[plan], &[]);
    are_apart(&of(left), &of(right))
}

/// Whether an expression, which may be computed again for each of them, is of another source than one of these.
fn is_across_any(expr: &Expr, others: &[Expr], scope: &Scope<'_>) -> bool {
    let origin = |expr: &Expr| expr_origin(expr, scope.inputs, scope.outer);
    let own = origin(expr);
    !expr.is_volatile() && others.iter().any(|other| are_apart(&own, &origin(other)))
}

fn are_apart(left: &Origin, right: &Origin) -> bool {
    let all: BTreeSet<&str> = left.sources().chain(right.sources()).collect();
    all.len() > 1 && left.sources().next().is_some() && right.sources().next().is_some()
}

/// The sources that a plan reads. What the config says of a column of theirs must be said of one that is there.
fn sources_read(plan: &LogicalPlan, mappings: &[TypeMapping]) -> Result<BTreeSet<String>> {
    let mut sources = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = SourceTable::of(scan)
        {
            let (source, description) = (table.source().name(), table.description());
            sources.insert(source.to_owned());
            for mapping in mappings.iter().filter(|mapping| mapping.is_of_table(source, &description.table)) {
                let mut columns = description.columns.iter().map(|column| column.field.name().as_str());
                if !columns.clone().any(|column| mapping.is_of_column(column)) {
                    let named = mapping.column();
                    let message = format!(
                        "`type_mappings` names a column `{named}` of {source}.{}, which has none of this name",
                        description.table
                    );
                    let hint = match nearest_name(named, columns.by_ref()) {
                        Some(near) => format!("Did you mean `{near}`?"),
                        None => "Correct it in `federation.type_mappings`, or take it out there.".to_owned(),
                    };
                    return Err(external(Error::new(ErrorCode::ConfigInvalid, message).with_hint(hint)));
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(sources)
}

/// Where an expression over plans came from. `outer` are the plans of the queries around it, the nearest first.
fn expr_origin(expr: &Expr, inputs: &[&LogicalPlan], outer: &[&LogicalPlan]) -> Origin {
    let find = |plans: &[&LogicalPlan], column: &Column| {
        plans
            .iter()
            .find_map(|plan| Some(origin(plan, plan.schema().maybe_index_of_column(column)?)))
            .unwrap_or_default()
    };
    match expr {
        Expr::Alias(alias) => expr_origin(&alias.expr, inputs, outer),
        Expr::Column(column) => find(inputs, column),
        Expr::OuterReferenceColumn(_, column) => find(outer, column),
        Expr::ScalarSubquery(subquery) => origin(&subquery.subquery, 0),
        other => {
            let mut parts = scalar_subqueries(other);
            let _ = other.apply(|expr| {
                match expr {
                    Expr::Column(column) => parts.push(find(inputs, column)),
                    Expr::OuterReferenceColumn(_, column) => parts.push(find(outer, column)),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            });
            Origin::computed(parts)
        }
    }
}

struct Walk<'a> {
    mappings: &'a [TypeMapping],
    notices: Vec<String>,
}

/// The plans that the expressions of a node are over.
struct Scope<'a> {
    inputs: &'a [&'a LogicalPlan],
    outer: &'a [&'a LogicalPlan],
    schema: &'a DFSchema,
}

impl Walk<'_> {
    fn plan(&mut self, plan: LogicalPlan, outer: &[&LogicalPlan]) -> Result<LogicalPlan> {
        let plan = match plan {
            LogicalPlan::Join(mut join) => {
                join.left = Arc::new(self.plan(Arc::unwrap_or_clone(join.left), outer)?);
                // A lateral sub-select may name columns of the left side.
                let around = [&[join.left.as_ref()], outer].concat();
                join.right = Arc::new(self.plan(Arc::unwrap_or_clone(join.right), &around)?);
                LogicalPlan::Join(join)
            }
            other => other.map_children(|child| Ok(Transformed::yes(self.plan(child, outer)?)))?.data,
        };
        let inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
        let inputs: Vec<&LogicalPlan> = inputs.iter().collect();
        let around = [inputs.as_slice(), outer].concat();
        let plan = plan.map_subqueries(|subquery| {
            let LogicalPlan::Subquery(mut subquery) = subquery else { return Ok(Transformed::no(subquery)) };
            subquery.subquery = Arc::new(self.plan(Arc::unwrap_or_clone(subquery.subquery), &around)?);
            Ok(Transformed::yes(LogicalPlan::Subquery(subquery)))
        })?;
        let schema = merge_schema(&inputs);
        let scope = Scope { inputs: &inputs, outer, schema: &schema };
        let plan = match plan.data {
            LogicalPlan::Join(join) => LogicalPlan::Join(self.join(join, outer)?),
            other => other,
        };
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let compared = expr.transform_up(|expr| self.comparison(expr, &scope))?;
            Ok(compared.update_data(|expr| name.restore(expr)))
        })?;
        match plan.data {
            LogicalPlan::Filter(filter) if !outer.is_empty() => correlated::converted_below(filter),
            plan => Ok(plan),
        }
    }

    /// The keys that USING and NATURAL name.
    fn join(&mut self, mut join: Join, outer: &[&LogicalPlan]) -> Result<Join> {
        let mut on = Vec::with_capacity(join.on.len());
        for (left, right) in join.on {
            let (sides, types) = (
                (expr_origin(&left, &[&join.left], outer), expr_origin(&right, &[&join.right], outer)),
                (left.get_type(join.left.schema()), right.get_type(join.right.schema())),
            );
            let ((Ok(left_type), Ok(right_type)), true) = (types, are_apart(&sides.0, &sides.1)) else {
                on.push((left, right));
                continue;
            };
            let left_side = self.side(&sides.0, left_type, || expr_text(&left))?;
            let right_side = self.side(&sides.1, right_type, || expr_text(&right))?;
            let (left_means, right_means) = self.met(left_side, right_side)?;
            if !left_means.is_empty() || !right_means.is_empty() {
                // What is joined by USING are columns.
                join.join_constraint = JoinConstraint::On;
            }
            on.push((apply(left_means, left), apply(right_means, right)));
        }
        join.on = on;
        Ok(join)
    }

    fn comparison(&mut self, expr: Expr, scope: &Scope<'_>) -> Result<Transformed<Expr>> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_equality(op) => {
                let origins =
                    (expr_origin(&left, scope.inputs, scope.outer), expr_origin(&right, scope.inputs, scope.outer));
                let types = (left.get_type(scope.schema), right.get_type(scope.schema));
                let ((Ok(left_type), Ok(right_type)), true) = (types, are_apart(&origins.0, &origins.1)) else {
                    return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
                };
                let left_side = self.side(&origins.0, left_type, || expr_text(&left))?;
                let right_side = self.side(&origins.1, right_type, || expr_text(&right))?;
                let (left_means, right_means) = self.met(left_side, right_side)?;
                let (left, right) = (Box::new(apply(left_means, *left)), Box::new(apply(right_means, *right)));
                Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
            }
            Expr::InSubquery(membership) => self.membership(membership, scope).map(Transformed::yes),
            Expr::InList(InList { expr, list, negated }) if is_across_any(&expr, &list, scope) => {
                let (op, join): (_, fn(Expr, Expr) -> Expr) =
                    if negated { (Operator::NotEq, Expr::and) } else { (Operator::Eq, Expr::or) };
                let one = |item: Expr| self.comparison(binary_expr(expr.as_ref().clone(), op, item), scope);
                let all = list.into_iter().map(one).map(|compared| Ok(compared?.data)).collect::<Result<Vec<_>>>()?;
                Ok(Transformed::yes(all.into_iter().reduce(join).unwrap_or_else(|| lit(negated))))
            }
            Expr::Case(mut case) => {
                let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref().clone()).collect::<Vec<_>>();
                let Some(base) = case.expr.take_if(|base| is_across_any(base, &whens, scope)) else {
                    return Ok(Transformed::no(Expr::Case(case)));
                };
                for (when, _) in &mut case.when_then_expr {
                    let compared = binary_expr(base.as_ref().clone(), Operator::Eq, *std::mem::take(when));
                    **when = self.comparison(compared, scope)?.data;
                }
                Ok(Transformed::yes(Expr::Case(case)))
            }
            other => Ok(Transformed::no(other)),
        }
    }

    /// `x IN (SELECT y …)`, which compares by `=` too.
    fn membership(&mut self, membership: InSubquery, scope: &Scope<'_>) -> Result<Expr> {
        let InSubquery { expr, mut subquery, negated } = membership;
        let list = &subquery.subquery;
        let origins = (expr_origin(&expr, scope.inputs, scope.outer), origin(list, 0));
        if let (Ok(data_type), true) = (expr.get_type(scope.schema), are_apart(&origins.0, &origins.1)) {
            let field = Arc::clone(&list.schema().fields()[0]);
            let side = self.side(&origins.0, data_type, || expr_text(&expr))?;
            let list_side = self.side(&origins.1, field.data_type().clone(), || field.name().clone())?;
            let (means, list_means) = self.met(side, list_side)?;
            if !list_means.is_empty() {
                subquery = listed(subquery, list_means)?;
            }
            return Ok(Expr::InSubquery(InSubquery { expr: Box::new(apply(means, *expr)), subquery, negated }));
        }
        Ok(Expr::InSubquery(InSubquery { expr, subquery, negated }))
    }

    /// A side as the config says that it is compared, with what brings it to that.
    fn side(
        &mut self,
        origin: &Origin,
        data_type: DataType,
        text: impl FnOnce() -> String,
    ) -> Result<(Side, Vec<Conversion>)> {
        let mut side = Side::new(origin, data_type, text);
        let Some(key_type) = Side::mapping(origin, self.mappings) else { return Ok((side, Vec::new())) };
        let column = side.to_string();
        let means = mapped(&side, key_type).ok_or_else(|| {
            let error = Error::new(ErrorCode::TypeMismatch, format!("{column} cannot be compared as {key_type}"));
            external(error.with_hint("Correct it in `federation.type_mappings`, or take it out there."))
        })?;
        side.is_mapped = true;
        if *key_type == KeyType::Uuid {
            side.format = TextFormat::Uuid;
        }
        let Some(means) = means else { return Ok((side, Vec::new())) };
        let conversion = Conversion { means, column: column.clone() };
        let from = side.data_type.clone();
        side.data_type = conversion.output(&from);
        let effect = match &conversion.means {
            Means::Cast(_) => "",
            Means::Convert(_) if is_text(&from) => told(key_type),
            Means::Convert(_) => ", and a value that is none is an error",
        };
        self.note(format!("{column} is compared as {key_type}, as `type_mappings` says{effect}"));
        Ok((side, vec![conversion]))
    }

    /// What two sides are brought to, one step after the other.
    fn met(
        &mut self,
        left: (Side, Vec<Conversion>),
        right: (Side, Vec<Conversion>),
    ) -> Result<(Vec<Conversion>, Vec<Conversion>)> {
        let ((left, mut left_steps), (right, mut right_steps)) = (left, right);
        let meeting = meet(&left, &right).map_err(external)?;
        left_steps.extend(meeting.left.map(|means| Conversion { means, column: left.to_string() }));
        right_steps.extend(meeting.right.map(|means| Conversion { means, column: right.to_string() }));
        meeting.notices.into_iter().for_each(|notice| self.note(notice));
        Ok((left_steps, right_steps))
    }

    fn note(&mut self, notice: String) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }
}

/// One step of bringing a side to the type that both are compared in.
struct Conversion {
    means: Means,
    column: String,
}

impl Conversion {
    fn output(&self, from: &DataType) -> DataType {
        match &self.means {
            Means::Cast(to) => to.clone(),
            Means::Convert(target) => KeyConversion::new(target.clone(), String::new()).output(from),
        }
    }
}

fn apply(steps: Vec<Conversion>, expr: Expr) -> Expr {
    steps.into_iter().fold(expr, |expr, Conversion { means, column }| match means {
        Means::Cast(to) => Expr::Cast(Cast::new(Box::new(expr), to)),
        Means::Convert(target) => KeyConversion::new(target, column).over(expr),
    })
}

/// The same list of values, converted.
fn listed(subquery: Subquery, steps: Vec<Conversion>) -> Result<Subquery> {
    let plan = Arc::unwrap_or_clone(subquery.subquery);
    let name = plan.schema().field(0).name().clone();
    let (expr, input) = match plan {
        LogicalPlan::Projection(Projection { mut expr, input, .. }) if expr.len() == 1 => {
            (expr.swap_remove(0).unalias(), input)
        }
        plan => (Expr::Column(Column::from(plan.schema().qualified_field(0))), Arc::new(plan)),
    };
    let list = Projection::try_new(vec![apply(steps, expr).alias(name)], input)?;
    Ok(Subquery { subquery: Arc::new(LogicalPlan::Projection(list)), ..subquery })
}

/// How a column is brought to what the config says: not at all where it is that already, and none where it cannot be.
fn mapped(side: &Side, key_type: &KeyType) -> Option<Option<Means>> {
    use DataType::{Binary, BinaryView, Boolean, Date32, FixedSizeBinary, LargeBinary, Timestamp, Utf8};
    let from = &side.data_type;
    let convert = || Some(Some(Means::Convert(Target::Mapped(key_type.clone()))));
    let is_decimal = from.is_decimal();
    match (key_type, from) {
        (KeyType::Integer, from) if from.is_integer() => Some(None),
        (KeyType::Integer, from) if is_text(from) || is_decimal || from.is_floating() || *from == Boolean => convert(),
        (KeyType::Text, from) if is_text(from) => Some(None),
        (KeyType::Text, from) if widens(from, &Utf8) => Some(Some(Means::Cast(Utf8))),
        (KeyType::Uuid, from) if is_text(from) && side.format == TextFormat::Uuid => Some(None),
        (KeyType::Uuid, Binary | LargeBinary | BinaryView | FixedSizeBinary(16)) => convert(),
        (KeyType::Uuid, from) if is_text(from) => convert(),
        (KeyType::Decimal { precision, scale }, from) if is_decimal || from.is_integer() => {
            let to = conversion::decimal(*precision, *scale);
            if *from == to {
                Some(None)
            } else if widens(from, &to) {
                Some(Some(Means::Cast(to)))
            } else {
                convert()
            }
        }
        (KeyType::Decimal { .. }, from) if is_text(from) => convert(),
        (KeyType::Timestamp { zone: None }, Timestamp(_, None)) => Some(None),
        (KeyType::Timestamp { zone: Some(_) }, Timestamp(_, Some(_))) => Some(None),
        (KeyType::Timestamp { zone: None }, Date32) => Some(Some(Means::Cast(Timestamp(TimeUnit::Microsecond, None)))),
        (KeyType::Timestamp { zone: Some(_) }, Timestamp(_, None)) => convert(),
        (KeyType::Timestamp { .. }, from) if is_text(from) => convert(),
        _ => None,
    }
}

fn is_equality(op: Operator) -> bool {
    matches!(op, Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
