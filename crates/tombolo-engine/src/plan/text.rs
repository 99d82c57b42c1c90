use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::Expr;
use datafusion::sql::unparser::Unparser;
use datafusion::sql::unparser::dialect::Dialect;

use super::checked::plain;

/// An expression as a person would write it in SQL. For people to read; no source is ever sent it.
pub(crate) fn expr_text(expr: &Expr) -> String {
    // Names of derived tables that the optimizer made up say nothing to a reader.
    let plain = plain(expr).transform_up(|expr| match expr {
        Expr::Column(Column { relation: Some(TableReference::Bare { table }), name, .. })
            if table.starts_with("__") =>
        {
            Ok(Transformed::yes(Expr::Column(Column::new_unqualified(name))))
        }
        other => Ok(Transformed::no(other)),
    });
    let plain = plain.map_or_else(|_| expr.clone(), |plain| plain.data);
    let text = Unparser::new(&Readable).expr_to_sql(&plain).map_or_else(|_| plain.to_string(), |sql| sql.to_string());
    let text =
        text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).filter(|text| balanced(text)).unwrap_or(&text);
    text.replace("count(1)", "count(*)")
}

/// A join's condition: each pair of keys, then what else has to hold.
pub(crate) fn join_texts(on: &[(Expr, Expr)], condition: Option<&Expr>) -> Vec<String> {
    let on = on.iter().map(|(left, right)| format!("{} = {}", expr_text(left), expr_text(right)));
    on.chain(condition.map(expr_text)).collect()
}

/// SQL for people: a name is quoted only where it would be no name without.
struct Readable;

impl Dialect for Readable {
    fn identifier_quote_style(&self, name: &str) -> Option<char> {
        let is_plain =
            name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_numeric());
        (!is_plain).then_some('"')
    }
}

/// Whether every bracket is closed before another one would be closed too many.
fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for c in text.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// A type in a word that people use.
pub(crate) fn type_text(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => "integer".to_owned(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => "unsigned integer".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        other => other.to_string().to_lowercase(),
    }
}
