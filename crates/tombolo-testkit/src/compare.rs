//! Whether two answers are the same.
//!
//! The same columns in the same order, with the same names and types; the same rows, as often. Where the statement has an
//! ORDER BY, the columns that it sorts by come in the same order too; rows that are equal in them may come in any. Text is
//! the same whether its Arrow type is plain, large or a view, and dictionaries are the same as their values. Numbers with
//! fractions in binary may differ by [`Rules::float_bound`].

use std::cmp::Ordering;
use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::sql::sqlparser::ast::{Expr, OrderByKind, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// What counts as the same.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// By how much floats may differ, relative to the larger one: sums depend on the order of their rows.
    pub float_bound: f64,
    /// Whether integers of different widths are the same, and decimals of different precisions, which follow from them where
    /// the two are multiplied. A store such as SQLite has one width only.
    pub any_width: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { float_bound: 1e-9, any_width: false }
    }
}

#[derive(Debug, Clone)]
enum Cell {
    Null,
    Float(f64),
    Other(String),
}

/// Compares an answer with the one that is wanted.
///
/// # Errors
/// The first difference, as text.
pub fn same(
    statement: &str,
    (schema, batches): (&Schema, &[RecordBatch]),
    (wanted_schema, wanted_batches): (&Schema, &[RecordBatch]),
    rules: Rules,
) -> Result<(), String> {
    same_columns(schema, wanted_schema, rules)?;
    let (given, wanted) = (cells(batches), cells(wanted_batches));
    if given.len() != wanted.len() {
        return Err(format!("{} rows in place of {}", given.len(), wanted.len()));
    }
    same_order(statement, wanted_schema, &given, &wanted, rules)?;
    for (given, wanted) in sorted(given).iter().zip(&sorted(wanted)) {
        if !given.iter().zip(wanted).all(|(given, wanted)| given.is(wanted, rules)) {
            return Err(format!("the row {} is not {}", text(given), text(wanted)));
        }
    }
    Ok(())
}

/// Compares an answer whose limit may cut between rows that its order holds to be equal. Then it has as many rows as are
/// wanted, with the same columns of the order, and each is one of `all` that there are without the limit.
///
/// # Errors
/// The first difference, as text.
pub fn same_up_to_ties(
    statement: &str,
    (schema, batches): (&Schema, &[RecordBatch]),
    (wanted_schema, wanted_batches): (&Schema, &[RecordBatch]),
    all: &[RecordBatch],
    rules: Rules,
) -> Result<(), String> {
    same_columns(schema, wanted_schema, rules)?;
    let (given, wanted, mut all) = (cells(batches), cells(wanted_batches), cells(all));
    if given.len() != wanted.len() {
        return Err(format!("{} rows in place of {}", given.len(), wanted.len()));
    }
    same_order(statement, wanted_schema, &given, &wanted, rules)?;
    for row in &given {
        let is_row = |known: &Vec<Cell>| row.iter().zip(known).all(|(given, known)| given.is(known, rules));
        match all.iter().position(is_row) {
            Some(found) => drop(all.swap_remove(found)),
            None => return Err(format!("the row {} is not one of those without the limit", text(row))),
        }
    }
    Ok(())
}

/// Whether the columns that the statement's ORDER BY names come in the same order.
fn same_order(
    statement: &str,
    schema: &Schema,
    given: &[Vec<Cell>],
    wanted: &[Vec<Cell>],
    rules: Rules,
) -> Result<(), String> {
    for column in sorted_columns(statement, schema) {
        for (row, (given, wanted)) in given.iter().zip(wanted).enumerate() {
            if !given[column].is(&wanted[column], rules) {
                let name = schema.field(column).name();
                return Err(format!("row {row} has {name} {} in place of {}", given[column], wanted[column]));
            }
        }
    }
    Ok(())
}

fn same_columns(schema: &Schema, wanted: &Schema, rules: Rules) -> Result<(), String> {
    let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if names(schema) != names(wanted) {
        return Err(format!("the columns are {:?} in place of {:?}", names(schema), names(wanted)));
    }
    for (field, wanted) in schema.fields().iter().zip(wanted.fields()) {
        let (given, wanted) = (plain(field.data_type(), rules), plain(wanted.data_type(), rules));
        if given != wanted {
            return Err(format!("column {} is {given} in place of {wanted}", field.name()));
        }
    }
    Ok(())
}

/// A type without what does not count.
fn plain(data_type: &DataType, rules: Rules) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values, rules),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        integer if rules.any_width && integer.is_integer() => DataType::Int64,
        DataType::Decimal128(_, scale) if rules.any_width => DataType::Decimal128(38, *scale),
        other => other.clone(),
    }
}

fn cells(batches: &[RecordBatch]) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    let options = FormatOptions::default();
    for batch in batches {
        let first = rows.len();
        rows.resize_with(first + batch.num_rows(), Vec::new);
        for array in batch.columns() {
            let floats = array.data_type().is_floating().then(|| cast(array, &DataType::Float64).unwrap());
            let formatter = ArrayFormatter::try_new(array, &options).unwrap();
            for row in 0..array.len() {
                rows[first + row].push(match &floats {
                    _ if array.is_null(row) => Cell::Null,
                    Some(floats) => Cell::Float(floats.as_primitive::<Float64Type>().value(row)),
                    None => Cell::Other(formatter.value(row).to_string()),
                });
            }
        }
    }
    rows
}

/// Rows in an order that depends on the floats last, so that small differences in them do not part equal rows.
fn sorted(mut rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    let by = |a: &[Cell], b: &[Cell], floats: bool| {
        let mut pairs = a.iter().zip(b).map(|(a, b)| a.order(b, floats));
        pairs.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    rows.sort_by(|a, b| by(a, b, false).then_with(|| by(a, b, true)));
    rows
}

impl Cell {
    fn is(&self, other: &Self, rules: Rules) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Float(a), Self::Float(b)) => {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= rules.float_bound * a.abs().max(b.abs())
            }
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }

    fn order(&self, other: &Self, floats: bool) -> Ordering {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) if floats => a.total_cmp(b),
            (Self::Other(a), Self::Other(b)) => a.cmp(b),
            (Self::Null, Self::Float(_) | Self::Other(_)) => Ordering::Less,
            (Self::Float(_) | Self::Other(_), Self::Null) => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Other(value) => f.write_str(value),
        }
    }
}

fn text(row: &[Cell]) -> String {
    let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
    format!("({})", cells.join(", "))
}

/// The output columns that the statement's own ORDER BY names. A key that is not one of them by name says nothing that could
/// be seen in the answer.
pub(crate) fn sorted_columns(statement: &str, schema: &Schema) -> Vec<usize> {
    let Ok(statements) = Parser::parse_sql(&GenericDialect {}, statement) else { return Vec::new() };
    let Some(Statement::Query(query)) = statements.first() else { return Vec::new() };
    let Some(order) = &query.order_by else { return Vec::new() };
    let OrderByKind::Expressions(keys) = &order.kind else { return (0..schema.fields().len()).collect() };
    let items: Vec<Option<Expr>> = match query.body.as_ref() {
        SetExpr::Select(select) => select.projection.iter().map(written).collect(),
        _ => Vec::new(),
    };
    let position = |expr: &Expr| match expr {
        Expr::Identifier(name) => schema.index_of(&name.value).ok(),
        // Another table's column of that name may be in the answer.
        Expr::CompoundIdentifier(_) => items.iter().position(|item| item.as_ref() == Some(expr)),
        Expr::Value(value) => value.to_string().parse::<usize>().ok()?.checked_sub(1),
        _ => None,
    };
    // What follows a key that cannot be seen is only sorted among rows that are equal in that one.
    let seen = keys.iter().map_while(|key| position(&key.expr)).collect();
    if matches!(query.body.as_ref(), SetExpr::Values(_)) { Vec::new() } else { seen }
}

/// What an item of a select list is made of, where that is one column.
fn written(item: &SelectItem) -> Option<Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
        _ => None,
    }
}
