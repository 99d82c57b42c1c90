use std::collections::BTreeSet;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use serde::{Deserialize, Serialize};
use tombolo_connector::{Error, ErrorCode, Fingerprint, Result, RowCount, TableDescription, TableRef};

use crate::sql::{is_text, scalar_text};

/// Servers are bits of a number.
pub(super) const MAX_SHARDS: usize = 64;

/// Where the tables' rows are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    in_parts: Vec<(String, Spread)>,
    whole: BTreeSet<String>,
}

/// Where the rows of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spread {
    /// All on each server.
    Whole,
    /// Each on one server; nobody says on which.
    Anywhere,
    /// On the server whose number from 0 is the column's remainder by the number of servers, never below zero.
    Modulo(String),
    /// On the first server those below the first bound, on the next those from there to the second bound.
    Range(String, Vec<String>),
    /// On each server those with one of its values.
    List(String, Vec<Vec<String>>),
}

impl Layout {
    /// Reads `shard_tables`, such as `orders by customer_id modulo; events by at range 2024-01-01, 2025-01-01; users by region
    /// list eu, uk | us; logs`, and `replicated_tables`, such as `countries, currencies`.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] with the entry that cannot be read.
    pub(crate) fn parse(in_parts: &str, whole: &str, shards: usize) -> Result<Self> {
        let invalid = |message: String| {
            Error::new(ErrorCode::ConfigInvalid, message).with_hint(
                "Write each table as `table`, `table by column modulo`, `table by column range BOUND, BOUND` or \
                 `table by column list VALUE, VALUE | VALUE`, with `;` between tables.",
            )
        };
        let mut layout = Self::default();
        for entry in in_parts.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let mut words = entry.split_whitespace();
            let (table, by, column) = (words.next().unwrap_or_default(), words.next(), words.next());
            let (kind, rest) = (words.next(), words.collect::<Vec<_>>().join(" "));
            let values = |text: &str| -> Vec<String> { text.split(',').map(|value| value.trim().to_owned()).collect() };
            let spread = match (by, column, kind) {
                (None, ..) => Spread::Anywhere,
                (Some("by"), Some(column), Some("modulo")) if rest.is_empty() => Spread::Modulo(column.to_owned()),
                (Some("by"), Some(column), Some("range")) => Spread::Range(column.to_owned(), values(&rest)),
                (Some("by"), Some(column), Some("list")) => {
                    Spread::List(column.to_owned(), rest.split('|').map(values).collect())
                }
                _ => return Err(invalid(format!("`shard_tables` has `{entry}` in it"))),
            };
            let parts = match &spread {
                Spread::Range(_, bounds) => Some(bounds.len() + 1),
                Spread::List(_, lists) => Some(lists.len()),
                _ => None,
            };
            if let Some(parts) = parts.filter(|parts| *parts != shards) {
                return Err(invalid(format!(
                    "`{entry}` in `shard_tables` has {parts} parts, and there are {shards} servers"
                )));
            }
            layout.in_parts.push((table.to_owned(), spread));
        }
        layout.whole = whole.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if let Some((table, _)) = layout.in_parts.iter().find(|(table, _)| layout.whole.contains(table)) {
            return Err(invalid(format!("`{table}` stands in `shard_tables` and in `replicated_tables`")));
        }
        Ok(layout)
    }

    /// Where a table's rows are; none where nothing says so.
    pub(super) fn spread(&self, table: &TableRef) -> Option<&Spread> {
        let full = table.to_string();
        let is_meant = |name: &String| *name == table.table || *name == full;
        if self.whole.iter().any(is_meant) {
            return Some(&Spread::Whole);
        }
        self.in_parts.iter().find(|(name, _)| is_meant(name)).map(|(_, spread)| spread)
    }
}

impl Spread {
    fn column(&self) -> Option<&str> {
        match self {
            Self::Modulo(column) | Self::Range(column, _) | Self::List(column, _) => Some(column),
            Self::Whole | Self::Anywhere => None,
        }
    }

    /// The servers that may have a row for which a predicate is true, as bits.
    pub(super) fn possible(&self, predicate: &Expr, shards: usize) -> u64 {
        let all = u64::MAX >> (MAX_SHARDS - shards.clamp(1, MAX_SHARDS));
        let Some(name) = self.column() else { return all };
        let is_column = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == name);
        let compared = |operator: Operator, value: &Expr| match value {
            Expr::Literal(value, _) => self.holds(operator, value, shards).unwrap_or(all),
            _ => all,
        };
        match predicate {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.possible(left, shards) & self.possible(right, shards)
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                self.possible(left, shards) | self.possible(right, shards)
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_column(left) => compared(*op, right),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_column(right) => {
                op.swap().map_or(all, |op| compared(op, left))
            }
            Expr::InList(list) if is_column(&list.expr) && !list.negated => {
                list.list.iter().map(|value| compared(Operator::Eq, value)).fold(0, |mask, one| mask | one)
            }
            Expr::Between(Between { expr, negated: false, low, high }) if is_column(expr) => {
                compared(Operator::GtEq, low) & compared(Operator::LtEq, high)
            }
            _ => all,
        }
    }

    /// The servers that may have a row whose column compares so with a value; none where that cannot be told.
    fn holds(&self, operator: Operator, value: &ScalarValue, shards: usize) -> Option<u64> {
        if value.is_null() {
            return matches!(
                operator,
                Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::NotEq
            )
            .then_some(0);
        }
        match self {
            Self::Modulo(_) if operator == Operator::Eq => {
                let number = integer(value)?;
                u32::try_from(number.rem_euclid(shards as i128)).ok().map(|shard| 1 << shard)
            }
            Self::Range(_, bounds) => {
                let bounds: Vec<ScalarValue> = bounds
                    .iter()
                    .map(|bound| ScalarValue::try_from_string(bound.clone(), &value.data_type()).ok())
                    .collect::<Option<_>>()?;
                let mut mask = 0;
                for shard in 0..shards {
                    let lower = shard.checked_sub(1).and_then(|at| bounds.get(at));
                    let upper = bounds.get(shard);
                    let ordering = |bound: Option<&ScalarValue>| bound.map(|bound| bound.partial_cmp(value));
                    let (lower, upper) = (ordering(lower), ordering(upper));
                    if lower == Some(None) || upper == Some(None) {
                        return None;
                    }
                    let from_below = lower.flatten().is_none_or(|lower| lower.is_le());
                    let strictly_below = lower.flatten().is_none_or(|lower| lower.is_lt());
                    let reaches = upper.flatten().is_none_or(|upper| upper.is_gt());
                    let holds = match operator {
                        Operator::Eq => from_below && reaches,
                        Operator::LtEq => from_below,
                        Operator::Lt => strictly_below,
                        Operator::Gt | Operator::GtEq => reaches,
                        _ => return None,
                    };
                    mask |= u64::from(holds) << shard;
                }
                Some(mask)
            }
            Self::List(_, lists) if operator == Operator::Eq => {
                let text = scalar_text(value)
                    .map_or_else(|| integer(value).map(|number| number.to_string()), |text| Some(text.to_owned()))?;
                let shard = lists.iter().position(|list| list.contains(&text))?;
                Some(1 << shard)
            }
            _ => None,
        }
    }
}

fn integer(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Int8(Some(number)) => Some(i128::from(*number)),
        ScalarValue::Int16(Some(number)) => Some(i128::from(*number)),
        ScalarValue::Int32(Some(number)) => Some(i128::from(*number)),
        ScalarValue::Int64(Some(number)) => Some(i128::from(*number)),
        ScalarValue::Decimal128(Some(number), _, 0) => Some(*number),
        _ => None,
    }
}

/// The servers' own descriptions, kept in the fingerprint of the one for all.
#[derive(Debug, Serialize, Deserialize)]
struct Own(Vec<TableDescription>);

/// Makes one description of those of all servers.
pub(super) fn together(
    descriptions: Vec<TableDescription>,
    spread: &Spread,
    places: &[&str],
) -> Result<TableDescription> {
    let own = Own(descriptions);
    let Some(first) = own.0.first() else { return Err(Error::internal("a table of no shard")) };
    let columns = |table: &TableDescription| -> Vec<_> {
        let column = |column: &tombolo_connector::ColumnDescription| {
            (column.field.name().clone(), column.field.data_type().clone())
        };
        table.columns.iter().map(column).collect()
    };
    for (table, place) in own.0.iter().zip(places) {
        if columns(table) != columns(first) {
            let message =
                format!("`{}` has other columns on {place} than on {}", table.table, places.first().unwrap_or(&""));
            return Err(Error::new(ErrorCode::SchemaChanged, message).with_hint(
                "Give the table the same columns, in the same order and of the same types, on all servers.",
            ));
        }
    }
    let mut merged = first.clone();
    for (at, column) in merged.columns.iter_mut().enumerate() {
        let all = || own.0.iter().filter_map(|table| table.columns.get(at));
        let is_nullable = all().any(|column| column.field.is_nullable());
        column.field = std::sync::Arc::new(column.field.as_ref().clone().with_nullable(is_nullable));
        column.uniform = all().all(|column| column.uniform);
        if let Some(other) = all().find(|other| other.collation != column.collation) {
            column.collation = other.collation.clone();
        }
    }
    if let Some(name) = spread.column() {
        let Some(column) = merged.column(name) else {
            return Err(Error::new(ErrorCode::ConfigInvalid, format!("`{}` has no column `{name}`", merged.table))
                .with_hint("Name the column in `shard_tables` as the table has it."));
        };
        let data_type = column.field.data_type();
        let fits = match spread {
            Spread::Modulo(_) => {
                data_type.is_integer() || matches!(data_type, arrow::datatypes::DataType::Decimal128(_, 0))
            }
            // Whose order of texts counts, nobody says.
            Spread::Range(_, bounds) => {
                !is_text(data_type)
                    && bounds.iter().all(|bound| ScalarValue::try_from_string(bound.clone(), data_type).is_ok())
            }
            _ => true,
        };
        if !fits {
            let message = format!("`{}` cannot be spread so by `{name}`, which is {data_type}", merged.table);
            return Err(Error::new(ErrorCode::ConfigInvalid, message)
                .with_hint("`modulo` takes integers, `range` bounds of the column's type, which is no text."));
        }
    }
    if *spread != Spread::Whole {
        merged.statistics.rows = sum(own.0.iter().map(|table| table.statistics.rows));
        merged.statistics.bytes = own.0.iter().map(|table| table.statistics.bytes).sum();
        merged.statistics.columns.clear();
        // Keys are kept by each server alone.
        merged.primary_key.clear();
        merged.unique_keys.clear();
        merged.indexes.iter_mut().for_each(|index| index.unique = false);
    }
    merged.fingerprint = Some(Fingerprint::try_new(&own)?);
    Ok(merged)
}

/// The description that a server has made itself.
pub(super) fn description_of(shard: usize, merged: &TableDescription) -> Result<TableDescription> {
    let own = merged.fingerprint.as_ref().and_then(Fingerprint::read::<Own>);
    let own = own.and_then(|own| own.0.get(shard).cloned());
    own.ok_or_else(|| Error::internal("a description without those of its servers"))
}

/// The sum of counts, as exact as the least exact of them.
pub(super) fn sum(counts: impl Iterator<Item = RowCount>) -> RowCount {
    counts.fold(RowCount::Exact(0), |sum, count| match (sum, count) {
        (RowCount::Exact(a), RowCount::Exact(b)) => RowCount::Exact(a.saturating_add(b)),
        (RowCount::Unknown, _) | (_, RowCount::Unknown) => RowCount::Unknown,
        (a, b) => RowCount::Estimated(a.value().unwrap_or(0).saturating_add(b.value().unwrap_or(0))),
    })
}
