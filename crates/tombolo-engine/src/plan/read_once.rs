//! Groups of a table that are joined with rows of the same table, computed over those rows.
//!
//! `WHERE l.quantity < (SELECT 0.2 * avg(quantity) FROM lineitem WHERE part = p.part)` reads `lineitem` twice: once for its rows, and
//! once for the groups that they are joined with. Where the rows have each group of theirs whole, a window over them gives the same,
//! and the table is read once. (Zuzarte et al., "WinMagic: Subquery Elimination Using Window Aggregation", SIGMOD 2003.)
//!
//! The rows have a group whole if nothing but the group's key decides which of the table's rows there are: what joins and filters
//! them looks at their key alone, but for conditions that the groups have too. Each row of a group may then stand there several times,
//! as often as every other of that group, which leaves `min`, `max` and `avg` as they are.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, TableScan, WindowFrame,
    WindowFunctionDefinition,
};

use super::origin::BaseTable;

/// Sums of so many digits cannot overflow in an average, however often each row stands there.
const MOST_DIGITS: u8 = 18;

/// The plan in which such groups are computed over the rows beside them; `None` where there are none. Whether that pays is not asked.
pub(crate) fn read_once(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let rewritten = plan.clone().transform_up(|node| {
        let LogicalPlan::Join(join) = &node else { return Ok(Transformed::no(node)) };
        Ok(match over_rows(join)? {
            Some(over_rows) => Transformed::yes(over_rows),
            None => Transformed::no(node),
        })
    })?;
    if !rewritten.transformed {
        return Ok(None);
    }
    let made = rewritten.data.transform_up(|node| Ok(Transformed::yes(node.recompute_schema()?)))?.data;
    Ok(made.schema().logically_equivalent_names_and_types(plan.schema()).then_some(made))
}

fn over_rows(join: &Join) -> Result<Option<LogicalPlan>> {
    if join.join_type != JoinType::Inner || join.null_equality != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    for (rows, groups, groups_are_left) in [(&join.left, &join.right, false), (&join.right, &join.left, true)] {
        let Some(groups) = Groups::of(groups) else { continue };
        let Some(found) = Rows::of(rows, &groups) else { continue };
        let pairs = join.on.iter().map(|(left, right)| if groups_are_left { (right, left) } else { (left, right) });
        let Some((keys, equal)) = groups.matched(pairs, &found, &join.schema) else { continue };
        let filter = equal.into_iter().chain(join.filter.clone()).reduce(Expr::and);
        return groups.over(&join.schema, filter, rows, &found, &keys);
    }
    Ok(None)
}

/// Groups of a table by some of its columns, as they are.
struct Groups<'a> {
    base: BaseTable,
    /// The conditions on its rows, with columns by their names alone.
    conditions: Vec<Expr>,
    /// The names of the columns that are grouped by.
    keys: Vec<String>,
    calls: Vec<&'a AggregateFunction>,
    /// What each column that comes out is made of.
    outputs: Vec<(Column, Expr)>,
}

/// How the value of a key, or of an aggregate, is written in [`Groups::outputs`].
fn stand_in(kind: char, index: usize) -> Expr {
    Expr::Column(Column::new_unqualified(format!("\0{kind}{index}")))
}

impl<'a> Groups<'a> {
    fn of(plan: &'a LogicalPlan) -> Option<Self> {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => {
                let inner = Self::of(&alias.input)?;
                let columns = plan.schema().columns();
                Some(Self {
                    outputs: columns.into_iter().zip(inner.outputs.into_iter().map(|(_, made)| made)).collect(),
                    ..inner
                })
            }
            LogicalPlan::Projection(projection) => {
                let inner = Self::of(&projection.input)?;
                let made = projection.expr.iter().map(|expr| replaced(expr.clone().unalias(), &inner.outputs));
                let outputs = plan.schema().columns().into_iter().zip(made.collect::<Option<Vec<_>>>()?).collect();
                Some(Self { outputs, ..inner })
            }
            LogicalPlan::Aggregate(aggregate) => Self::of_aggregate(aggregate),
            _ => None,
        }
    }

    fn of_aggregate(aggregate: &'a Aggregate) -> Option<Self> {
        let (scan, conditions) = whole_table(&aggregate.input)?;
        let schema = aggregate.input.schema();
        let calls = aggregate.aggr_expr.iter().map(|expr| repeatable(expr, schema)).collect::<Option<Vec<_>>>()?;
        let keys = aggregate.group_expr.iter().map(|key| match key {
            Expr::Column(column) => Some(column.name.clone()),
            _ => None,
        });
        let keys = keys.collect::<Option<Vec<_>>>()?;
        // Of groups alone there is nothing that a window would compute.
        if keys.is_empty() || calls.is_empty() {
            return None;
        }
        let made = (0..keys.len()).map(|index| stand_in('k', index));
        let made = made.chain((0..calls.len()).map(|index| stand_in('a', index)));
        let outputs = aggregate.schema.columns().into_iter().zip(made).collect();
        Some(Self { base: BaseTable::of(scan)?, conditions, keys, calls, outputs })
    }

    /// The column of the rows that each key equals, where the pairs of a join are of all keys, and what else they want to be equal.
    fn matched<'e>(
        &self,
        pairs: impl Iterator<Item = (&'e Expr, &'e Expr)>,
        rows: &Rows,
        schema: &DFSchema,
    ) -> Option<(Vec<Column>, Vec<Expr>)> {
        let mut keys = vec![None; self.keys.len()];
        let mut equal = Vec::new();
        for (of_rows, of_groups) in pairs {
            let made = replaced(of_groups.clone(), &self.outputs)?;
            if let Some(index) = (0..keys.len()).find(|index| made == stand_in('k', *index)) {
                let column = of_rows.try_as_col().filter(|column| rows.keys[index].contains(column))?;
                keys[index] = Some(column.clone());
            } else if of_rows.get_type(schema).ok()?.is_floating() {
                // A join has its own notion of equal floats.
                return None;
            } else {
                equal.push(of_rows.clone().eq(of_groups.clone()));
            }
        }
        Some((keys.into_iter().collect::<Option<Vec<_>>>()?, equal))
    }

    /// The rows with what a join of this schema, of their keys and with this filter, adds to them.
    fn over(
        &self,
        joined: &DFSchema,
        filter: Option<Expr>,
        plan: &LogicalPlan,
        rows: &Rows,
        keys: &[Column],
    ) -> Result<Option<LogicalPlan>> {
        let partition: Vec<Expr> = keys.iter().cloned().map(Expr::Column).collect();
        let own: Vec<(Column, Expr)> = rows
            .columns
            .iter()
            .map(|(name, column)| (Column::new_unqualified(name), Expr::Column(column.clone())))
            .collect();
        let mut windows = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let args = call.params.args.iter().map(|arg| replaced(by_name(arg.clone()), &own));
            let Some(args) = args.collect::<Option<Vec<_>>>() else { return Ok(None) };
            windows.push(Expr::from(WindowFunction {
                fun: WindowFunctionDefinition::AggregateUDF(call.func.clone()),
                params: WindowFunctionParams {
                    args,
                    partition_by: partition.clone(),
                    order_by: Vec::new(),
                    window_frame: WindowFrame::new(None),
                    filter: None,
                    null_treatment: call.params.null_treatment,
                    distinct: false,
                },
            }));
        }
        let width = plan.schema().fields().len();
        // A null is the partner of nothing.
        let nulls =
            keys.iter().filter(|key| plan.schema().field_from_column(key).is_ok_and(|field| field.is_nullable()));
        let present = nulls.map(|key| Expr::Column(key.clone()).is_not_null()).reduce(Expr::and);
        let mut builder = LogicalPlanBuilder::from(plan.clone());
        if let Some(present) = present {
            builder = builder.filter(present)?;
        }
        let windowed = builder.window(windows)?.build()?;
        let results = windowed.schema().columns().into_iter().skip(width).map(Expr::Column);
        let values = partition.into_iter().enumerate().map(|(index, key)| (stand_in('k', index), key));
        let results = results.enumerate().map(|(index, result)| (stand_in('a', index), result));
        let values: Vec<(Column, Expr)> = values
            .chain(results)
            .filter_map(|(stand_in, value)| Some((stand_in.try_as_col()?.clone(), value)))
            .collect();
        let groups = self.outputs.iter().map(|(column, made)| Some((column.clone(), replaced(made.clone(), &values)?)));
        let Some(groups) = groups.collect::<Option<Vec<_>>>() else { return Ok(None) };

        let mut known: Vec<(Column, Expr)> =
            plan.schema().columns().into_iter().map(|column| (column.clone(), Expr::Column(column))).collect();
        known.extend(groups);
        let mut builder = LogicalPlanBuilder::from(windowed);
        if let Some(filter) = filter {
            let Some(filter) = replaced(filter, &known) else { return Ok(None) };
            builder = builder.filter(filter)?;
        }
        let columns = joined.columns().into_iter().map(|column| {
            let (_, made) = known.iter().find(|(known, _)| *known == column)?;
            Some(match made {
                Expr::Column(own) if *own == column => made.clone(),
                made => made.clone().alias_qualified(column.relation.clone(), column.name.clone()),
            })
        });
        let Some(columns) = columns.collect::<Option<Vec<_>>>() else { return Ok(None) };
        Ok(Some(builder.project(columns)?.build()?))
    }
}

/// The rows of a plan, seen as those of a table each of whose groups they have whole.
struct Rows {
    /// The table's columns, by their names there.
    columns: HashMap<String, Column>,
    /// What equals each key.
    keys: Vec<Vec<Column>>,
    /// Columns that tell rows of one group apart.
    others: HashSet<Column>,
    /// The conditions on the table's rows, with columns by their names alone.
    conditions: Vec<Expr>,
}

impl Rows {
    fn of(plan: &LogicalPlan, groups: &Groups<'_>) -> Option<Self> {
        let rows = Self::found(plan, groups)?;
        let looks_at_keys =
            |condition: &Expr| condition.column_refs().iter().all(|column| groups.keys.contains(&column.name));
        let same = groups.conditions.iter().all(|condition| rows.conditions.contains(condition))
            && rows
                .conditions
                .iter()
                .all(|condition| groups.conditions.contains(condition) || looks_at_keys(condition));
        same.then_some(rows)
    }

    fn found(plan: &LogicalPlan, groups: &Groups<'_>) -> Option<Self> {
        match plan {
            LogicalPlan::TableScan(scan) => Self::of_table(scan, groups),
            LogicalPlan::SubqueryAlias(alias) => {
                let renamed: Vec<(Column, Column)> =
                    alias.input.schema().columns().into_iter().zip(plan.schema().columns()).collect();
                Some(Self::found(&alias.input, groups)?.renamed(&renamed))
            }
            LogicalPlan::Projection(projection) => {
                let rows = Self::found(&projection.input, groups)?;
                let outputs = plan.schema().columns();
                let made = projection.expr.iter().map(|expr| expr.clone().unalias());
                let renamed = made.clone().zip(&outputs).filter_map(|(made, output)| match made {
                    Expr::Column(column) => Some((column, output.clone())),
                    _ => None,
                });
                let renamed: Vec<_> = renamed.collect();
                let others: Vec<Column> =
                    made.zip(outputs).filter(|(made, _)| rows.tells_apart(made)).map(|(_, output)| output).collect();
                let mut rows = rows.renamed(&renamed);
                rows.others = others.into_iter().collect();
                Some(rows)
            }
            LogicalPlan::Filter(filter) => {
                let mut rows = Self::found(&filter.input, groups)?;
                for condition in split_conjunction(&filter.predicate) {
                    rows.restrict(condition)?;
                }
                Some(rows)
            }
            LogicalPlan::Join(join) => {
                let left = || Self::found(&join.left, groups)?.joined(join, false);
                let right = || Self::found(&join.right, groups)?.joined(join, true);
                match join.join_type {
                    JoinType::Inner => left().or_else(right),
                    JoinType::LeftSemi | JoinType::LeftAnti => left(),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn of_table(scan: &TableScan, groups: &Groups<'_>) -> Option<Self> {
        if scan.fetch.is_some() || !BaseTable::of(scan)?.is(&groups.base) {
            return None;
        }
        let columns = scan.projected_schema.columns();
        let columns: HashMap<String, Column> =
            columns.into_iter().map(|column| (column.name.clone(), column)).collect();
        let keys = groups.keys.iter().map(|key| Some(vec![columns.get(key)?.clone()])).collect::<Option<Vec<_>>>()?;
        let others =
            columns.iter().filter(|(name, _)| !groups.keys.contains(name)).map(|(_, column)| column.clone()).collect();
        let mut rows = Self { columns, keys, others, conditions: Vec::new() };
        for condition in &scan.filters {
            // Its columns need not be among those that are read.
            rows.conditions.push(settled(condition).then(|| by_name(condition.clone()))?);
        }
        Some(rows)
    }

    fn renamed(self, renamed: &[(Column, Column)]) -> Self {
        let all = |column: &Column| -> Vec<Column> {
            renamed.iter().filter(|(from, _)| from == column).map(|(_, to)| to.clone()).collect()
        };
        Self {
            columns: self
                .columns
                .into_iter()
                .filter_map(|(name, column)| Some((name, all(&column).into_iter().next()?)))
                .collect(),
            keys: self.keys.iter().map(|equal| equal.iter().flat_map(all).collect()).collect(),
            others: self.others.iter().flat_map(all).collect(),
            conditions: self.conditions,
        }
    }

    /// Whether a value may differ between rows of one group.
    fn tells_apart(&self, expr: &Expr) -> bool {
        !settled(expr) || expr.column_refs().into_iter().any(|column| self.others.contains(column))
    }

    /// Takes a condition in; `None` where it leaves groups in parts.
    fn restrict(&mut self, condition: &Expr) -> Option<()> {
        if !settled(condition) {
            return None;
        }
        let own: Vec<(Column, Expr)> = self
            .columns
            .iter()
            .map(|(name, column)| (column.clone(), Expr::Column(Column::new_unqualified(name))))
            .collect();
        match replaced(condition.clone(), &own) {
            Some(condition) => self.conditions.push(condition),
            None if self.tells_apart(condition) => return None,
            None => {}
        }
        Some(())
    }

    /// The rows with those of another side, on the left if it is the `right` side that these are.
    fn joined(mut self, join: &Join, right: bool) -> Option<Self> {
        for (of_left, of_right) in &join.on {
            let (own, other) = if right { (of_right, of_left) } else { (of_left, of_right) };
            if self.tells_apart(own) || !settled(other) {
                return None;
            }
            let (Expr::Column(own), Expr::Column(other)) = (own, other) else { continue };
            // Only what comes out can be told to be equal.
            if join.join_type != JoinType::Inner || join.null_equality != NullEquality::NullEqualsNothing {
                continue;
            }
            for equal in self.keys.iter_mut().filter(|equal| equal.contains(own)) {
                equal.push(other.clone());
            }
        }
        if join.filter.as_ref().is_some_and(|filter| self.tells_apart(filter)) {
            return None;
        }
        Some(self)
    }
}

/// The table that a plan reads whole, but for conditions on its rows.
fn whole_table(plan: &LogicalPlan) -> Option<(&TableScan, Vec<Expr>)> {
    match plan {
        LogicalPlan::TableScan(scan) if scan.fetch.is_none() => {
            let conditions = scan.filters.iter().map(|filter| settled(filter).then(|| by_name(filter.clone())));
            Some((scan, conditions.collect::<Option<Vec<_>>>()?))
        }
        LogicalPlan::SubqueryAlias(alias) => whole_table(&alias.input),
        LogicalPlan::Filter(filter) => {
            let (scan, mut conditions) = whole_table(&filter.input)?;
            for condition in split_conjunction(&filter.predicate) {
                conditions.push(settled(condition).then(|| by_name(condition.clone()))?);
            }
            Some((scan, conditions))
        }
        LogicalPlan::Projection(projection) => projection
            .expr
            .iter()
            .all(|expr| matches!(expr, Expr::Column(_)))
            .then(|| whole_table(&projection.input))?,
        _ => None,
    }
}

/// The aggregate that an expression is, if it stays as it is where all of its rows stand there several times.
fn repeatable<'a>(expr: &'a Expr, schema: &DFSchema) -> Option<&'a AggregateFunction> {
    let call = match expr {
        Expr::Alias(alias) => return repeatable(&alias.expr, schema),
        Expr::AggregateFunction(call) => call,
        _ => return None,
    };
    let params = &call.params;
    let [argument] = params.args.as_slice() else { return None };
    if params.distinct || params.filter.is_some() || !params.order_by.is_empty() || !settled(argument) {
        return None;
    }
    let data_type = argument.get_type(schema).ok()?;
    let is_repeatable = match call.func.name() {
        "min" | "max" => !data_type.is_floating(),
        // Those of floats are rounded with each row.
        "avg" => matches!(data_type, DataType::Decimal128(digits, _) if digits <= MOST_DIGITS),
        _ => false,
    };
    is_repeatable.then_some(call)
}

/// Whether a value is the same for the same row, and of that row alone.
fn settled(expr: &Expr) -> bool {
    let is_unsettled = |expr: &Expr| {
        matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        )
    };
    !expr.is_volatile() && !expr.exists(|expr| Ok(is_unsettled(expr))).unwrap_or(true)
}

/// An expression with its columns by their names alone.
fn by_name(expr: Expr) -> Expr {
    let named = expr.clone().transform_up(|expr| {
        Ok(match expr {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    });
    named.map_or(expr, |named| named.data)
}

/// An expression with other values in place of its columns; `None` where one of them is not known.
fn replaced(expr: Expr, values: &[(Column, Expr)]) -> Option<Expr> {
    let is_known = expr.column_refs().into_iter().all(|column| values.iter().any(|(known, _)| known == column));
    let replaced = is_known.then(|| {
        expr.transform_down(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            let value = values.iter().find(|(known, _)| known == column).map(|(_, value)| value.clone());
            // What is put in is not looked at again.
            Ok(value.map_or(Transformed::no(expr), |value| {
                Transformed::new(value, true, datafusion::common::tree_node::TreeNodeRecursion::Jump)
            }))
        })
    })?;
    replaced.ok().map(|replaced| replaced.data)
}
