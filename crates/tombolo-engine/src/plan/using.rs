use datafusion::sql::sqlparser::ast::{
    Ident, JoinConstraint, ObjectName, ObjectNamePart, Query, SetExpr, TableAlias, TableFactor, TableWithJoins,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::case::constraint;
use super::scope::{Match, Names, Scope, add_factor};
use crate::parse::TomboloDialect;

/// Lets USING and NATURAL join columns whose names differ by case alone.
///
/// DataFusion joins columns of one name. So the table on the right of such a join is wrapped in a SELECT that gives its column
/// the name of the left one.
pub(super) fn join_on_names(names: &Names, item: &mut TableWithJoins) {
    let mut left = Scope::default();
    add_factor(names, &item.relation, &mut left);
    for join in &mut item.joins {
        let mut right = Scope::default();
        add_factor(names, &join.relation, &mut right);
        let columns = right.columns();
        let wanted: Vec<String> = match constraint(&mut join.join_operator) {
            Some(JoinConstraint::Using(names)) => names.iter().filter_map(unquoted).collect(),
            Some(JoinConstraint::Natural) => columns.iter().map(|column| column.to_lowercase()).collect(),
            _ => Vec::new(),
        };
        let left_columns = left.columns();
        let left_name = |column: &String| {
            let lower = column.to_lowercase();
            if !wanted.contains(&lower) || left_columns.contains(column) {
                return None;
            }
            match left.find(&lower) {
                Match::Exact => Some(lower),
                Match::Renamed(name) => Some(name),
                Match::Several | Match::None => None,
            }
        };
        let renamed: Vec<(String, Option<String>)> =
            columns.iter().map(|column| (column.clone(), left_name(column))).collect();
        if renamed.iter().any(|(_, name)| name.is_some())
            && let Some(wrapped) = wrapped(&join.relation, &renamed)
        {
            join.relation = wrapped;
        }
        add_factor(names, &join.relation, &mut left);
    }
}

fn unquoted(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] if ident.quote_style.is_none() => Some(ident.value.to_lowercase()),
        _ => None,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The same table with some columns under other names, as a derived table of the same name.
fn wrapped(factor: &TableFactor, columns: &[(String, Option<String>)]) -> Option<TableFactor> {
    let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
    if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
        return None;
    }
    let alias_name = match alias {
        Some(alias) => alias.name.clone(),
        None => name.0.last().and_then(ObjectNamePart::as_ident).cloned()?,
    };
    let items: Vec<String> = columns
        .iter()
        .map(|(column, renamed)| match renamed {
            Some(renamed) => format!("{} AS {}", quoted(column), quoted(renamed)),
            None => quoted(column),
        })
        .collect();
    let sql = format!("SELECT {} FROM {name}", items.join(", "));
    let query: Box<Query> = Parser::new(&TomboloDialect).try_with_sql(&sql).ok()?.parse_query().ok()?;
    debug_assert!(matches!(query.body.as_ref(), SetExpr::Select(_)));
    let alias = TableAlias { explicit: true, name: Ident::clone(&alias_name), columns: Vec::new(), at: None };
    Some(TableFactor::Derived { lateral: false, subquery: query, alias: Some(alias), sample: None })
}
