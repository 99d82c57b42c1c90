use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, DFSchema, JoinType, Result, TableReference, internal_err};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::logical_plan::builder::build_join_schema;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection, binary_expr, cast, lit, when,
};

use super::candidate::Candidate;
use super::expressions::{is_movable, renamed};
use crate::cost::{distinct, grouped, largest_table};
use crate::plan::checked_sum;

/// An aggregate over a join of two sources in two steps: the source of one side groups its rows by the columns that the join and
/// the groups need, and what it has put together is put together further here, after the join.
///
/// Each row of the one side meets the same rows of the other side as all rows of its group do, since the columns that decide it
/// are those of the group; and for the same reason every row of a group goes into the same groups after the join. So sums, counts
/// and extremes of the groups, met as often as their rows would be, are those of the rows.
pub(super) struct Split {
    /// The grouped side.
    pub(super) side: usize,
    /// The partial aggregate over it.
    pub(super) partial: Aggregate,
    /// The columns of its groups.
    pub(super) columns: Vec<Column>,
    pub(super) join: Join,
    group: Vec<Expr>,
    finals: Vec<Final>,
}

/// How an aggregate is made of parts.
struct Final {
    /// The aggregates of the parts.
    parts: Vec<Expr>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Sum,
    Min,
    Max,
    Average,
}

impl Split {
    /// The ways to split an aggregate, one for each side of the join that could be grouped.
    pub(super) fn ways(aggregate: &Aggregate) -> Result<Vec<Self>> {
        let Some((join, group, aggregates)) = over_join(aggregate)? else { return Ok(Vec::new()) };
        let sides: &[usize] = match join.join_type {
            JoinType::Inner => &[0, 1],
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => &[0],
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => &[1],
            JoinType::Full | JoinType::LeftMark | JoinType::RightMark => &[],
        };
        let mut ways = Vec::new();
        for side in sides {
            ways.extend(Self::of_side(aggregate, &join, *side, &group, &aggregates)?);
        }
        Ok(ways)
    }

    fn of_side(
        aggregate: &Aggregate,
        join: &Join,
        side: usize,
        group: &[Expr],
        aggregates: &[Expr],
    ) -> Result<Option<Self>> {
        let input = if side == 0 { &join.left } else { &join.right };
        let schema = input.schema();
        let mut columns: Vec<Column> = Vec::new();
        let mut add = |column: &Column| {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        };
        for (left, right) in &join.on {
            // Equal columns make equal keys, whatever is computed of them.
            let key = if side == 0 { left } else { right };
            let mut own: Vec<&Column> = key.column_refs().into_iter().collect();
            own.sort();
            own.into_iter().for_each(&mut add);
        }
        for expr in group.iter().chain(&join.filter) {
            let refs = expr.column_refs();
            let mut own: Vec<&Column> = refs.into_iter().filter(|column| schema.has_column(column)).collect();
            own.sort();
            own.into_iter().for_each(&mut add);
        }
        if columns.is_empty() {
            return Ok(None);
        }
        let types = aggregate.schema.fields().iter().skip(group.len());
        let finals = aggregates.iter().zip(types).map(|(expr, field)| Final::of(expr, schema, field.data_type()));
        let Some(mut finals) = finals.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let mut parts: Vec<Expr> = Vec::new();
        for part in finals.iter_mut().flat_map(|one| &mut one.parts) {
            let known = parts.iter().position(|known| known.clone().unalias() == *part);
            let at = known.unwrap_or_else(|| {
                let name = part.schema_name().to_string();
                // A cast does not show in a name: sums of an integer and of it as a float would have one.
                let is_taken = parts.iter().any(|known| known.schema_name().to_string() == name);
                parts.push(if is_taken {
                    part.clone().alias(format!("{name} #{}", parts.len()))
                } else {
                    part.clone()
                });
                parts.len() - 1
            });
            part.clone_from(&parts[at]);
        }
        let keys = columns.iter().cloned().map(Expr::Column).collect();
        let partial = Aggregate::try_new(Arc::clone(input), keys, parts)?;
        Ok(Some(Self { side, partial, columns, join: join.clone(), group: group.to_vec(), finals }))
    }

    /// The milliseconds that may be saved where groups are moved and not the rows of `own`, if there are few of them.
    pub(super) fn gain(&self, own: &Candidate) -> f64 {
        let statistics = own.estimate();
        let rows = statistics.rows.value().map_or_else(|| largest_table(&own.scan), |rows| rows as f64);
        let schema = own.scan.schema();
        let known = |column: &Column| distinct(&own.scan, schema.maybe_index_of_column(column)?);
        let of_column = |column: &Column| known(column).unwrap_or(rows / 10.0).max(1.0);
        let groups = self.columns.iter().map(of_column).product::<f64>().min(rows);
        let bytes = statistics.bytes.filter(|_| rows > 0.0).map(|bytes| bytes as f64 / rows);
        let speed = own.source.speed();
        speed.moved(rows, bytes) - grouped(rows, 0.0) - speed.moved(groups, bytes)
    }

    /// The whole of it over the finished sides of the join, with the columns of the aggregate that it stands for.
    pub(super) fn joined(self, left: LogicalPlan, right: LogicalPlan, aggregate: &Aggregate) -> Result<LogicalPlan> {
        let schema = build_join_schema(left.schema(), right.schema(), &self.join.join_type)?;
        let join = Join { left: Arc::new(left), right: Arc::new(right), schema: Arc::new(schema), ..self.join };
        let mut totals: Vec<Expr> = Vec::new();
        let outputs = self.finals.iter().map(|one| one.output(&mut totals)).collect::<Result<Vec<_>>>()?;
        let keys = self.group.len();
        let total = Aggregate::try_new(Arc::new(LogicalPlan::Join(join)), self.group, totals)?;
        let groups = (0..keys).map(|at| Expr::Column(Column::from(total.schema.qualified_field(at))));
        let named = |(output, (qualifier, field)): (Expr, (Option<&TableReference>, &FieldRef))| {
            // The total of decimals has more digits than the sum.
            let is_same = output.get_type(total.schema.as_ref())? == *field.data_type();
            let output = if is_same { output } else { cast(output, field.data_type().clone()) };
            Ok(output.alias_qualified(qualifier.cloned(), field.name()))
        };
        let outputs = groups.chain(outputs).zip(aggregate.schema.iter()).map(named).collect::<Result<Vec<_>>>()?;
        let input = Arc::new(LogicalPlan::Aggregate(total));
        Projection::try_new_with_schema(outputs, input, Arc::clone(&aggregate.schema)).map(LogicalPlan::Projection)
    }
}

impl Final {
    fn of(expr: &Expr, schema: &DFSchema, data_type: &DataType) -> Option<Self> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = expr.clone().unalias() else { return None };
        let is_own = expr.column_refs().into_iter().all(|column| schema.has_column(column));
        let AggregateFunctionParams { args, distinct, order_by, .. } = &params;
        if !is_own || args.len() != 1 || !order_by.is_empty() {
            return None;
        }
        let kind = match func.name() {
            "min" => Kind::Min,
            "max" => Kind::Max,
            _ if *distinct => return None,
            "count" => Kind::Count,
            "sum" => Kind::Sum,
            // Of decimals, an average is rounded in a way of its own.
            "avg" if *data_type == DataType::Float64 => Kind::Average,
            _ => return None,
        };
        let call = |func| Expr::AggregateFunction(AggregateFunction { func, params: params.clone() });
        let parts = match kind {
            Kind::Average => vec![call(Arc::new(checked_sum())), call(count_udaf())],
            _ => vec![call(Arc::clone(&func))],
        };
        Some(Self { parts, kind })
    }

    /// The value of the aggregate, made of totals over the parts.
    fn output(&self, totals: &mut Vec<Expr>) -> Result<Expr> {
        let mut total = |part: &Expr| {
            let Expr::AggregateFunction(AggregateFunction { func, .. }) = part.clone().unalias() else {
                return internal_err!("a part of an aggregate is none");
            };
            let is_extreme = matches!(self.kind, Kind::Min | Kind::Max);
            let func = if is_extreme { func } else { Arc::new(checked_sum()) };
            let args = vec![Expr::Column(Column::from_name(part.schema_name().to_string()))];
            let params = AggregateFunctionParams {
                args,
                distinct: false,
                filter: None,
                order_by: Vec::new(),
                null_treatment: None,
            };
            let total = Expr::AggregateFunction(AggregateFunction { func, params });
            let name = Expr::Column(Column::from_name(total.schema_name().to_string()));
            if !totals.contains(&total) {
                totals.push(total);
            }
            Ok(name)
        };
        let values = self.parts.iter().map(&mut total).collect::<Result<Vec<_>>>()?;
        match (self.kind, values.as_slice()) {
            // Without any row there is no total, and the count is 0.
            (Kind::Count, [total]) => when(total.clone().is_not_null(), total.clone()).otherwise(lit(0_i64)),
            (Kind::Average, [sum, count]) => {
                let count = cast(count.clone(), DataType::Float64);
                Ok(binary_expr(sum.clone(), Operator::Divide, count))
            }
            (_, [total]) => Ok(total.clone()),
            _ => internal_err!("an aggregate of no parts"),
        }
    }
}

type OverJoin = (Join, Vec<Expr>, Vec<Expr>);

/// The join below an aggregate, with the groups and the aggregates over its columns, where nothing but a choice of columns is
/// between them.
fn over_join(aggregate: &Aggregate) -> Result<Option<OverJoin>> {
    let (mut group, mut aggregates) = (aggregate.group_expr.clone(), aggregate.aggr_expr.clone());
    if group.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return Ok(None);
    }
    let mut input = aggregate.input.as_ref();
    loop {
        match input {
            LogicalPlan::Join(join) => {
                // A column that is grouped by under two names would be there once.
                let is_twice = (1..group.len()).any(|at| group[..at].contains(&group[at]));
                // What is computed for a group of rows must be what would be computed for each of them.
                let keys = join.on.iter().flat_map(|(left, right)| [left, right]);
                let is_movable = keys.chain(&join.filter).chain(&group).chain(&aggregates).all(is_movable);
                return Ok((is_movable && !is_twice).then(|| (join.clone(), group, aggregates)));
            }
            LogicalPlan::Projection(projection) => {
                let mut columns = HashMap::new();
                for (at, expr) in projection.expr.iter().enumerate() {
                    let Expr::Column(column) = expr.clone().unalias() else { return Ok(None) };
                    columns.insert(Column::from(projection.schema.qualified_field(at)), column);
                }
                for expr in group.iter_mut().chain(&mut aggregates) {
                    let renamed = renamed(expr, |column| columns.get(column).cloned().map(Expr::Column))?;
                    let Some(renamed) = renamed else { return Ok(None) };
                    *expr = renamed;
                }
                input = projection.input.as_ref();
            }
            _ => return Ok(None),
        }
    }
}
