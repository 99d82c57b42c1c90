//! How many rows a plan is held to give, by what the sources say of their tables: for the sizes that are told of Cartesian
//! products, and for the order of joins.

mod share;

use std::any::Any;
use std::fmt;

use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::datasource::DefaultTableSource;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, Filter, Join, Limit, LogicalPlan, SkipType, TableScan,
};
use tombolo_connector::{RowCount, TableDescription};

use super::origin::{BaseColumn, base_column, tables_read};
use crate::catalog::SourceTable;
use share::{fixed_column, share};

/// Up to so many rows of a series are counted; a longer one is of unknown size.
const COUNTED_SERIES: usize = 1_000_000;

/// What a stored value takes at the least, as a rule: the number of rows is held to be too great rather than too small.
const BYTES_OF_A_VALUE: usize = 4;

/// What one value of a list column is held to unnest to.
const ROWS_OF_A_LIST: f64 = 10.0;

/// What a recursion without an end in sight is held to make.
const ROWS_OF_A_RECURSION: f64 = 1000.0;

/// A number of rows and how it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size {
    pub(crate) rows: f64,
    pub(crate) how: How,
}

/// How a number of rows is known, the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Exact,
    About,
    AtMost,
}

impl Size {
    pub(super) const ONE: Self = Self { rows: 1.0, how: How::Exact };

    pub(super) fn exact(rows: f64) -> Self {
        Self { rows, how: How::Exact }
    }

    fn about(self) -> Self {
        Self { how: self.how.max(How::About), ..self }
    }

    fn at_most(self) -> Self {
        Self { how: How::AtMost, ..self }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self { rows: self.rows * other.rows, how: self.how.max(other.how) }
    }

    fn plus(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, how: self.how.max(other.how) }
    }

    /// The size of a part of it.
    fn part(self, share: f64) -> Self {
        Self { rows: (self.rows * share).ceil(), how: How::About }
    }

    fn max(self, other: Self) -> Self {
        if self.rows >= other.rows { self } else { other }
    }

    /// No more than so many rows, whatever is known of it.
    fn capped(size: Option<Self>, most: f64) -> Self {
        match size {
            Some(size) if size.rows <= most => size,
            _ => Self { rows: most, how: How::AtMost },
        }
    }

    /// Whether it can be no more than one row.
    pub(super) fn is_one_row(self) -> bool {
        self.rows <= 1.0 && self.how != How::About
    }
}

impl fmt::Display for Size {
    /// As it stands behind a table's name: `3.2M`, `about 850k`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.how.word())?;
        f.write_str(&short(self.rows))
    }
}

impl How {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::About => "about ",
            Self::AtMost => "at most ",
        }
    }
}

/// A number of rows in few letters: `812`, `8,120`, `3.2M`.
fn short(rows: f64) -> String {
    for (unit, letter) in [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")] {
        // 9,999 is shown whole, and 999.96 thousand would print as a thousand thousands.
        if rows >= unit * 0.999_95 && rows >= 9_999.5 {
            return format!("{}{letter}", trimmed(rows / unit));
        }
    }
    whole(rows)
}

/// A number of rows in words: `8,120`, `39.7 trillion`.
pub(super) fn long(rows: f64) -> String {
    if rows >= 999.95e18 {
        return format!("{rows:.1e}");
    }
    for (unit, word) in
        [(1e18, "quintillion"), (1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion"), (1e6, "million")]
    {
        if rows >= unit * 0.999_95 {
            return format!("{} {word}", trimmed(rows / unit));
        }
    }
    whole(rows)
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn whole(rows: f64) -> String {
    let digits = format!("{rows:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The number alone of [`estimate`].
pub(crate) fn estimated_rows(plan: &LogicalPlan) -> Option<f64> {
    estimate(plan).map(|size| size.rows)
}

/// How many rows a plan is held to give; `None` where nothing is known.
pub(super) fn estimate(plan: &LogicalPlan) -> Option<Size> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let size = table(scan);
            scan.fetch.map_or(size, |fetch| Some(Size::capped(size, fetch as f64)))
        }
        LogicalPlan::Filter(filter) => filtered(filter),
        LogicalPlan::Aggregate(aggregate) => aggregated(aggregate),
        LogicalPlan::Distinct(Distinct::All(input)) => Some(groups(estimate(input)?)),
        LogicalPlan::Distinct(Distinct::On(on)) => Some(groups(estimate(&on.input)?)),
        LogicalPlan::Limit(limit) => limited(limit),
        LogicalPlan::Sort(sort) => {
            let size = estimate(&sort.input);
            sort.fetch.map_or(size, |fetch| Some(Size::capped(size, fetch as f64)))
        }
        LogicalPlan::Join(join) => joined(join),
        LogicalPlan::Union(union) => {
            union.inputs.iter().try_fold(Size::exact(0.0), |sum, input| Some(sum.plus(estimate(input)?)))
        }
        LogicalPlan::Values(values) => Some(Size::exact(values.values.len() as f64)),
        LogicalPlan::EmptyRelation(empty) => Some(Size::exact(if empty.produce_one_row { 1.0 } else { 0.0 })),
        LogicalPlan::Unnest(unnest) => {
            let size = estimate(&unnest.input)?;
            Some(if unnest.list_type_columns.is_empty() {
                size
            } else {
                size.times(Size::exact(ROWS_OF_A_LIST)).about()
            })
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Subquery(_) => estimate(plan.inputs().first()?),
        LogicalPlan::RecursiveQuery(_) if tables_read(plan).is_empty() => Some(RECURSION),
        _ => None,
    }
}

const RECURSION: Size = Size { rows: ROWS_OF_A_RECURSION, how: How::About };

fn table(scan: &TableScan) -> Option<Size> {
    if let Some(table) = SourceTable::of(scan) {
        let TableDescription { statistics, columns, .. } = table.description().as_ref();
        return match statistics.rows {
            RowCount::Exact(rows) => Some(Size::exact(rows as f64)),
            RowCount::Estimated(rows) => Some(Size { rows: rows as f64, how: How::About }),
            RowCount::Unknown => {
                let width = (columns.len().max(1) * BYTES_OF_A_VALUE) as f64;
                statistics.bytes.map(|bytes| Size { rows: (bytes as f64 / width).ceil(), how: How::About })
            }
        };
    }
    let source = (scan.source.as_ref() as &dyn Any).downcast_ref::<DefaultTableSource>()?;
    let provider = source.table_provider.as_ref() as &dyn Any;
    if provider.is::<CteWorkTable>() {
        return Some(RECURSION);
    }
    series(provider.downcast_ref::<GenerateSeriesTable>()?)
}

/// The length of a series whose ends stand in the statement.
fn series(series: &GenerateSeriesTable) -> Option<Size> {
    let generator = series.as_generator(8192).ok()?;
    let mut generator = generator.write();
    let mut rows = 0;
    while let Some(batch) = generator.generate_next_batch().ok()? {
        rows += batch.num_rows();
        if rows > COUNTED_SERIES {
            return None;
        }
    }
    Some(Size::exact(rows as f64))
}

fn filtered(filter: &Filter) -> Option<Size> {
    let parts = split_conjunction(&filter.predicate);
    let fixed: Vec<BaseColumn> =
        parts.iter().filter_map(|part| base_column(&filter.input, fixed_column(part)?)).collect();
    if is_unique(&filter.input, &fixed) {
        return Some(Size::ONE.at_most());
    }
    let share: f64 = parts.iter().map(|part| share(part, &filter.input)).product();
    let size = estimate(&filter.input)?;
    Some(if share < 1.0 { size.part(share) } else { size.about() })
}

/// No more groups than rows, and one where there is one row.
fn groups(input: Size) -> Size {
    if input.rows <= 1.0 { input } else { input.at_most() }
}

fn aggregated(aggregate: &Aggregate) -> Option<Size> {
    let keys = match aggregate.group_expr.as_slice() {
        [] => return Some(Size::ONE),
        [Expr::GroupingSet(sets)] => {
            let sets = match sets {
                datafusion::logical_expr::GroupingSet::Rollup(keys) => keys.len() as f64 + 1.0,
                datafusion::logical_expr::GroupingSet::Cube(keys) => (keys.len() as f64).exp2(),
                datafusion::logical_expr::GroupingSet::GroupingSets(sets) => sets.len() as f64,
            };
            return Some(estimate(&aggregate.input)?.times(Size::exact(sets)).at_most());
        }
        keys => keys,
    };
    let input = estimate(&aggregate.input);
    let distinct: Option<f64> = keys.iter().map(|key| distinct(key, &aggregate.input)).product();
    match (input, distinct) {
        (Some(input), Some(distinct)) if distinct < input.rows => Some(Size { rows: distinct, how: How::About }),
        (Some(input), _) => Some(groups(input)),
        (None, Some(distinct)) => Some(Size { rows: distinct, how: How::About }),
        (None, None) => None,
    }
}

/// How many values an expression takes, nulls counted as one.
fn distinct(expr: &Expr, input: &LogicalPlan) -> Option<f64> {
    match expr.clone().unalias() {
        Expr::Literal(..) => Some(1.0),
        Expr::Column(column) => base_column(input, &column)?.distinct().map(|distinct| distinct + 1.0),
        _ => None,
    }
}

fn limited(limit: &Limit) -> Option<Size> {
    let input = estimate(&limit.input);
    let skip = match limit.get_skip_type() {
        Ok(SkipType::Literal(skip)) => skip as f64,
        _ => 0.0,
    };
    let left = input.map(|input| Size { rows: (input.rows - skip).max(0.0), ..input });
    match limit.get_fetch_type() {
        Ok(FetchType::Literal(Some(fetch))) => Some(Size::capped(left, fetch as f64)),
        _ => left,
    }
}

fn joined(join: &Join) -> Option<Size> {
    let (left, right) = (estimate(&join.left), estimate(&join.right));
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => return left.map(groups),
        JoinType::RightSemi | JoinType::RightAnti => return right.map(groups),
        JoinType::LeftMark => return left,
        JoinType::RightMark => return right,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
    }
    let (left, right) = (left?, right?);
    let matched = if !join.on.is_empty() {
        equi_joined(join, left, right)
    } else if relates(join) {
        left.times(right).part(join.filter.as_ref().map_or(1.0, |filter| share(filter, &join.left)))
    } else {
        left.times(right)
    };
    Some(match join.join_type {
        JoinType::Left => matched.max(left),
        JoinType::Right => matched.max(right),
        JoinType::Full => matched.max(left).max(right).about(),
        _ => matched,
    })
}

/// A row finds one partner where the other side's key is unique; else as many as there are to a value.
fn equi_joined(join: &Join, left: Size, right: Size) -> Size {
    let keys = |side: &LogicalPlan, pick: fn(&(Expr, Expr)) -> &Expr| {
        let column = |key| match pick(key) {
            Expr::Column(column) => base_column(side, column),
            _ => None,
        };
        join.on.iter().filter_map(column).collect::<Vec<_>>()
    };
    let (left_keys, right_keys) = (keys(&join.left, |(left, _)| left), keys(&join.right, |(_, right)| right));
    match (is_unique(&join.left, &left_keys), is_unique(&join.right, &right_keys)) {
        (true, true) => Size { rows: left.rows.min(right.rows), how: How::AtMost },
        (_, true) => left.at_most(),
        (true, _) => right.at_most(),
        (false, false) => {
            let distinct = |keys: &[BaseColumn]| keys.iter().filter_map(BaseColumn::distinct).fold(0.0, f64::max);
            match distinct(&left_keys).max(distinct(&right_keys)) {
                values if values >= 1.0 => left.times(right).part(1.0 / values),
                _ => left.max(right).about(),
            }
        }
    }
}

/// Whether each row of a plan has other values in these columns.
fn is_unique(plan: &LogicalPlan, columns: &[BaseColumn]) -> bool {
    columns.first().is_some_and(|first| first.table.has_unique_key_among(columns)) && is_of_one_table(plan)
}

/// Whether each row of a plan is one of a table, and none is there twice.
pub(crate) fn is_of_one_table(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Filter(_)
        | LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_) => plan.inputs().into_iter().all(is_of_one_table),
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => is_of_one_table(&join.left),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => is_of_one_table(&join.right),
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => false,
        },
        _ => false,
    }
}

/// Whether an expression is a literal `true`.
pub(super) fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// The only column of an expression, where it is a column alone.
pub(super) fn bare(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => bare(&alias.expr),
        Expr::Cast(cast) => bare(&cast.expr),
        _ => None,
    }
}

/// Whether some condition of a join, of whatever kind, is about both of its sides.
pub(super) fn relates(join: &Join) -> bool {
    let about =
        |expr: &Expr, side: &LogicalPlan| expr.column_refs().into_iter().any(|column| side.schema().has_column(column));
    let both = |expr: &&Expr| about(expr, &join.left) && about(expr, &join.right);
    let filter = join.filter.as_ref().filter(|filter| !is_true(filter));
    !join.on.is_empty() || filter.is_some_and(|filter| split_conjunction(filter).iter().any(both))
}
