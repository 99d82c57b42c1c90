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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::DataType;
    use datafusion::common::{DFSchema, NullEquality, TableReference};
    use datafusion::logical_expr::{col, lit};
    use tombolo_connector::{ColumnDescription, ScanTable, TableDescription, TableKind, TableRef};

    use super::*;

    /// A table with the keys `id`, each once, `other`, of which there are 100, and `word`, of which nothing is known.
    fn table(name: &str, rows: u64) -> Arc<Scan> {
        let column = |name: &str| ColumnDescription::new(Arc::new(Field::new(name, DataType::Int64, true)), "bigint");
        let columns = ["id", "other", "word"].map(column).to_vec();
        let mut description = TableDescription::new(TableRef::new("main", name), TableKind::Table, columns);
        description.primary_key = vec!["id".to_owned()];
        description.statistics.rows = RowCount::Estimated(rows);
        description.statistics.columns.entry("other".to_owned()).or_default().distinct = Some(100);
        let name = TableReference::bare(name);
        let schema = Arc::new(DFSchema::try_from_qualified_schema(name, &description.arrow_schema()).unwrap());
        Arc::new(Scan::Table(ScanTable { description: Arc::new(description), columns: vec![0, 1, 2], schema }))
    }

    fn rows(join_type: JoinType, pairs: &[(&str, &str)]) -> u64 {
        // A fifth of 5,000.
        let (facts, few) = (table("facts", 20_000), table("few", 5_000));
        let few = Arc::new(Scan::Filter { predicates: vec![col("few.word").eq(lit(1_i64))], input: few });
        let schema = Arc::new(facts.schema().join(few.schema()).unwrap());
        let on =
            pairs.iter().map(|(left, right)| (col(format!("facts.{left}")), col(format!("few.{right}")))).collect();
        let join = ScanJoin {
            left: facts,
            right: few,
            join_type,
            on,
            condition: None,
            null_equality: NullEquality::NullEqualsNothing,
            null_aware: false,
            schema,
        };
        estimated_rows(&Scan::Join(join)).value().unwrap()
    }

    #[test]
    fn a_join_has_its_rows_by_the_values_of_its_keys() {
        for (join_type, pairs, wanted) in [
            // One that refers to the other: a fifth of these is there.
            (JoinType::Inner, [("other", "id")].as_slice(), 4_000),
            (JoinType::Left, &[("other", "id")], 20_000),
            (JoinType::LeftSemi, &[("other", "id")], 4_000),
            (JoinType::LeftAnti, &[("other", "id")], 20_000),
            // Both have each value more than once.
            (JoinType::Inner, &[("other", "other")], 200_000),
            (JoinType::RightSemi, &[("other", "other")], 1_000),
            // Two keys have more values, and no more than there are rows.
            (JoinType::Inner, &[("other", "other"), ("id", "id")], 1_000),
            // Where nothing is known, it is the larger side.
            (JoinType::Inner, &[("word", "word")], 20_000),
            (JoinType::LeftSemi, &[("word", "word")], 20_000),
        ] {
            assert_eq!(rows(join_type, pairs), wanted, "{join_type} {pairs:?}");
        }
    }
}
