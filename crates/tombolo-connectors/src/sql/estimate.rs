use arrow::datatypes::Field;
use datafusion::common::JoinType;
use datafusion::logical_expr::Expr;
use tombolo_connector::{RowCount, Scan, ScanJoin, ScanStatistics};

use super::selectivity::shares;

/// What is known of a tree's size: exact where it is a table as it stands.
pub(crate) fn estimate(scan: &Scan) -> ScanStatistics {
    let rows = estimated_rows(scan);
    let width: Option<f64> = scan.schema().fields().iter().map(|field| width(scan, field)).sum();
    let bytes = rows.value().zip(width).map(|(rows, width)| (rows as f64 * width) as u64);
    ScanStatistics { rows, bytes }
}

fn estimated_rows(scan: &Scan) -> RowCount {
    let guess = |rows: Option<u64>| rows.map_or(RowCount::Unknown, RowCount::Estimated);
    match scan {
        // A count is as old as the description, so it is an estimate by now.
        Scan::Table(table) => guess(table.description.statistics.rows.value()),
        Scan::Project { input, .. } | Scan::Alias { input, .. } | Scan::Window { input, .. } => estimated_rows(input),
        Scan::Filter { input, predicates } => {
            let share = shares(scan, predicates);
            guess(estimated_rows(input).value().map(|rows| (rows as f64 * share).ceil() as u64))
        }
        Scan::Sort { input, fetch, .. } => limited(estimated_rows(input), 0, *fetch),
        Scan::Limit { input, skip, fetch } => limited(estimated_rows(input), *skip, *fetch),
        Scan::Aggregate(aggregate) if aggregate.group.is_empty() => RowCount::Exact(1),
        Scan::Aggregate(aggregate) => {
            let rows = estimated_rows(&aggregate.input).value();
            let of_key = |at| {
                let (table, column) = scan.column_origin(at)?;
                let known = table.description.statistics.columns.get(column.field.name())?.distinct?;
                Some(known.max(1))
            };
            let groups =
                (0..aggregate.group.len()).map(of_key).try_fold(1_u64, |all, one| Some(all.saturating_mul(one?)));
            guess(rows.map(|rows| groups.map_or(rows.div_ceil(5), |groups| groups.min(rows))))
        }
        Scan::Join(join) => {
            let (left, right) = (estimated_rows(&join.left).value(), estimated_rows(&join.right).value());
            guess(left.zip(right).map(|(left, right)| joined(join, left as f64, right as f64).ceil() as u64))
        }
        Scan::Union { inputs, .. } => guess(inputs.iter().map(|input| estimated_rows(input).value()).sum()),
    }
}

/// The rows of a join of so many rows of each side.
fn joined(join: &ScanJoin, left: f64, right: f64) -> f64 {
    let values = values(join);
    // Where nothing is known of the keys, one side refers to the other, and each of its rows has one there.
    let pairs = values.map_or(left.max(right), |values| left * right / values);
    let matched = |of: f64, others: f64| values.map_or(of, |values| of * (others / values).min(1.0));
    match join.join_type {
        JoinType::Inner => pairs,
        JoinType::Left => pairs.max(left),
        JoinType::Right => pairs.max(right),
        JoinType::Full => pairs.max(left).max(right),
        JoinType::LeftSemi => matched(left, right),
        JoinType::RightSemi => matched(right, left),
        // Those without a match may be all, as far as is known.
        JoinType::LeftAnti | JoinType::LeftMark => left,
        JoinType::RightAnti | JoinType::RightMark => right,
    }
}

/// How many values the keys of a join have: those of the side that has each of them once, or the more of both.
fn values(join: &ScanJoin) -> Option<f64> {
    let stored = |scan: &Scan| scan.tables().iter().filter_map(|table| table.description.statistics.rows.value()).max();
    let most = stored(&join.left)?.max(stored(&join.right)?) as f64;
    let of_pair = |(left, right): &(Expr, Expr)| {
        let of = |scan: &Scan, key: &Expr| {
            let Expr::Column(column) = key else { return None };
            let (table, column) = scan.column_origin(scan.schema().maybe_index_of_column(column)?)?;
            let (table, name) = (&table.description, column.field.name());
            Some((table.distinct(name)?, table.has_key_among(|other| other == name)))
        };
        match (of(&join.left, left), of(&join.right, right)) {
            (Some((values, true)), Some((_, false))) | (Some((_, false)), Some((values, true))) => Some(values),
            (one, other) => [one, other].into_iter().flatten().map(|(values, _)| values).reduce(f64::max),
        }
    };
    let values = join.on.iter().map(of_pair).try_fold(1.0, |all, one| Some(all * one?))?;
    (!join.on.is_empty()).then(|| values.clamp(1.0, most.max(1.0)))
}

fn limited(rows: RowCount, skip: usize, fetch: Option<usize>) -> RowCount {
    let skip = skip as u64;
    match (rows.value().map(|rows| rows.saturating_sub(skip)), fetch) {
        (Some(rows), Some(fetch)) => RowCount::Estimated(rows.min(fetch as u64)),
        (Some(rows), None) => RowCount::Estimated(rows),
        (None, Some(fetch)) => RowCount::Estimated(fetch as u64),
        (None, None) => RowCount::Unknown,
    }
}

/// Mean bytes of a column in Arrow: by its type, or by what was seen in the stored column of that name.
fn width(scan: &Scan, field: &Field) -> Option<f64> {
    let fixed = field.data_type().primitive_width().map(|bytes| bytes as f64);
    fixed.or_else(|| {
        let tables = scan.tables();
        let known = tables.iter().find_map(|table| table.description.statistics.columns.get(field.name())?.width);
        Some(known.unwrap_or(32.0) + 4.0)
    })
}
