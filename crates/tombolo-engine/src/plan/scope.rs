use std::collections::HashMap;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableFactor, TableWithJoins,
};

use super::case::reference;

/// The columns of everything that a name after FROM can mean.
pub(super) struct Names {
    tables: HashMap<TableReference, Vec<String>>,
    /// The common table expressions of each query around, the innermost last.
    expressions: Vec<Vec<(String, Vec<String>)>>,
}

/// What the names of a query's expressions can mean.
#[derive(Default)]
pub(super) struct Scope {
    tables: Vec<ScopeTable>,
}

/// A table, under the name that it has in its query.
pub(super) struct ScopeTable {
    /// The qualifier that columns may carry, its last part last.
    qualifier: Vec<String>,
    pub(super) columns: Vec<String>,
}

/// What a lower-case name is found to mean.
pub(super) enum Match {
    /// A column of just this name.
    Exact,
    /// The only column that differs by case alone.
    Renamed(String),
    /// Several columns that differ by case alone.
    Several,
    None,
}

pub(super) fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

impl ScopeTable {
    pub(super) fn find(&self, lower: &str) -> Match {
        find(&self.columns, lower)
    }
}

fn find(columns: &[String], lower: &str) -> Match {
    if columns.iter().any(|column| column == lower) {
        return Match::Exact;
    }
    let mut fitting = columns.iter().filter(|column| column.to_lowercase() == lower);
    match (fitting.next(), fitting.next()) {
        (None, _) => Match::None,
        (Some(one), Some(two)) if one != two => Match::Several,
        (Some(one), _) => Match::Renamed(one.clone()),
    }
}

impl Scope {
    pub(super) fn push(&mut self, qualifier: Vec<String>, columns: Vec<String>) {
        self.tables.push(ScopeTable { qualifier, columns });
    }

    /// What an unqualified name means among all tables.
    pub(super) fn find(&self, lower: &str) -> Match {
        let mut renamed: Option<String> = None;
        for table in &self.tables {
            match table.find(lower) {
                Match::Exact => return Match::Exact,
                Match::Several => return Match::Several,
                Match::Renamed(name) if renamed.as_ref().is_some_and(|known| *known != name) => return Match::Several,
                Match::Renamed(name) => renamed = Some(name),
                Match::None => {}
            }
        }
        renamed.map_or(Match::None, Match::Renamed)
    }

    /// The table that a qualifier names.
    pub(super) fn table(&self, qualifier: &[Ident]) -> Option<&ScopeTable> {
        let name: Vec<String> = qualifier.iter().map(fold).collect();
        self.tables.iter().find(|table| table.qualifier.ends_with(&name))
    }

    pub(super) fn columns(&self) -> Vec<String> {
        self.tables.iter().flat_map(|table| table.columns.iter().cloned()).collect()
    }
}

impl Names {
    pub(super) fn new(tables: HashMap<TableReference, Vec<String>>) -> Self {
        Self { tables, expressions: Vec::new() }
    }

    /// Adds the common table expressions of a query.
    pub(super) fn enter(&mut self, query: &Query) {
        self.expressions.push(Vec::new());
        for expression in query.with.iter().flat_map(|with| &with.cte_tables) {
            let mut columns = outputs(self, &expression.query);
            rename(&mut columns, &expression.alias);
            if let Some(known) = self.expressions.last_mut() {
                known.push((fold(&expression.alias.name), columns));
            }
        }
    }

    /// Drops what the latest `enter` added.
    pub(super) fn leave(&mut self) {
        self.expressions.pop();
    }

    /// The columns of what stands after FROM under this name.
    fn columns(&self, name: &ObjectName) -> Option<&Vec<String>> {
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() {
            let name = fold(ident);
            let known = self.expressions.iter().rev().flatten();
            // Of two by one name in a row of scopes the inner one is meant.
            if let Some((_, columns)) = known.clone().find(|(known, _)| *known == name) {
                return Some(columns);
            }
        }
        self.tables.get(&reference(name)?)
    }
}

/// Column aliases take the place of the first columns.
fn rename(columns: &mut Vec<String>, alias: &TableAlias) {
    for (index, column) in alias.columns.iter().enumerate() {
        let name = fold(&column.name);
        match columns.get_mut(index) {
            Some(known) => *known = name,
            None => columns.push(name),
        }
    }
}

/// What the expressions of one SELECT can name.
pub(super) fn scope_of_select(names: &Names, select: &Select) -> Scope {
    let mut scope = Scope::default();
    for item in &select.from {
        add_joined(names, item, &mut scope);
    }
    scope
}

/// Adds what a body has after FROM.
pub(super) fn scope_of_body(names: &Names, body: &SetExpr, scope: &mut Scope) {
    // Of a set operation only the outputs have names.
    if let SetExpr::Select(select) = body {
        scope.tables.extend(scope_of_select(names, select).tables);
    }
}

pub(super) fn add_joined(names: &Names, item: &TableWithJoins, scope: &mut Scope) {
    add_factor(names, &item.relation, scope);
    for join in &item.joins {
        add_factor(names, &join.relation, scope);
    }
}

pub(super) fn add_factor(names: &Names, factor: &TableFactor, scope: &mut Scope) {
    match factor {
        TableFactor::Table { name, alias, .. } => {
            let mut columns = names.columns(name).cloned().unwrap_or_default();
            let qualifier = match alias {
                Some(alias) => {
                    rename(&mut columns, alias);
                    vec![fold(&alias.name)]
                }
                None => name.0.iter().filter_map(ObjectNamePart::as_ident).map(fold).collect(),
            };
            scope.push(qualifier, columns);
        }
        TableFactor::Derived { subquery, alias, .. } => {
            let mut columns = outputs(names, subquery);
            let mut qualifier = Vec::new();
            if let Some(alias) = alias {
                rename(&mut columns, alias);
                qualifier.push(fold(&alias.name));
            }
            scope.push(qualifier, columns);
        }
        TableFactor::NestedJoin { table_with_joins, .. } => add_joined(names, table_with_joins, scope),
        _ => {}
    }
}

/// The names of a query's output columns, where they have one.
fn outputs(names: &Names, query: &Query) -> Vec<String> {
    if query.with.is_none() {
        return outputs_of(names, &query.body);
    }
    let mut inner = Names { tables: names.tables.clone(), expressions: names.expressions.clone() };
    inner.enter(query);
    outputs_of(&inner, &query.body)
}

/// The names of a body's output columns, as they will be when its own names were replaced.
pub(super) fn outputs_of(names: &Names, body: &SetExpr) -> Vec<String> {
    match body {
        SetExpr::Select(select) => {
            let scope = scope_of_select(names, select);
            select.projection.iter().flat_map(|item| output(&scope, item)).collect()
        }
        SetExpr::SetOperation { left, .. } => outputs_of(names, left),
        SetExpr::Query(query) => outputs(names, query),
        _ => Vec::new(),
    }
}

fn output(scope: &Scope, item: &SelectItem) -> Vec<String> {
    let named = |ident: &Ident, found: Match| match found {
        Match::Renamed(name) if ident.quote_style.is_none() => name,
        _ => fold(ident),
    };
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => {
            vec![named(ident, scope.find(&ident.value.to_lowercase()))]
        }
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => match idents.split_last() {
            Some((column, qualifier)) => {
                let table = scope.table(qualifier);
                let found = table.map_or(Match::None, |table| table.find(&column.value.to_lowercase()));
                vec![named(column, found)]
            }
            None => Vec::new(),
        },
        SelectItem::ExprWithAlias { alias, .. } => vec![fold(alias)],
        SelectItem::Wildcard(_) => scope.columns(),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            let idents: Vec<Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
            scope.table(&idents).map(|table| table.columns.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}
