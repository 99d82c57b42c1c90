use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement,
    TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use crate::catalog::SourceTable;

/// Makes unquoted column names match whatever their case.
///
/// DataFusion folds unquoted names to lower case and then compares exactly. So an unquoted name that is a column of a table
/// in scope, but not in lower case there, is replaced by that column's own name in quotes. A name that fits exactly in
/// lower case stays as it is, and so does one that fits several columns or none.
pub(super) fn match_column_case(statement: &mut Statement, tables: &[(TableReference, Arc<SourceTable>)]) {
    let mixed = |table: &SourceTable| {
        let columns = &table.description().columns;
        columns.iter().any(|column| column.field.name().chars().any(char::is_uppercase))
    };
    if !tables.iter().any(|(_, table)| mixed(table)) {
        return;
    }
    let by_reference = tables.iter().cloned().collect();
    let mut matcher = Matcher { tables: by_reference, scopes: Vec::new(), renamed: HashMap::new() };
    // The second pass knows the names that derived tables and common table expressions took from the first.
    for _ in 0..2 {
        let _ = VisitMut::visit(statement, &mut matcher);
    }
}

struct Matcher {
    tables: HashMap<TableReference, Arc<SourceTable>>,
    scopes: Vec<Scope>,
    /// Lower-case names of columns that were replaced anywhere, to the name that replaced them.
    renamed: HashMap<String, String>,
}

#[derive(Default)]
struct Scope {
    tables: Vec<ScopeTable>,
    /// Whether names may come from derived tables, whose columns are not known here.
    has_derived: bool,
}

struct ScopeTable {
    /// The qualifier that columns may carry, its last part last.
    qualifier: Vec<String>,
    table: Arc<SourceTable>,
}

enum Match {
    Exact,
    Renamed(String),
    None,
}

impl ScopeTable {
    fn find(&self, lower: &str) -> Match {
        let mut found = None;
        for column in &self.table.description().columns {
            let name = column.field.name();
            if name == lower {
                return Match::Exact;
            }
            if name.to_lowercase() == lower && found.replace(name.clone()).is_some() {
                return Match::None;
            }
        }
        found.map_or(Match::None, Match::Renamed)
    }

    fn is_named(&self, idents: &[Ident]) -> bool {
        let name: Vec<String> = idents.iter().map(fold).collect();
        self.qualifier.ends_with(&name)
    }
}

fn fold(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

impl Matcher {
    fn scope_of(&self, select: &Select, scope: &mut Scope) {
        for item in &select.from {
            self.add_joined(item, scope);
        }
    }

    fn add_joined(&self, item: &TableWithJoins, scope: &mut Scope) {
        self.add_factor(&item.relation, scope);
        for join in &item.joins {
            self.add_factor(&join.relation, scope);
        }
    }

    fn add_factor(&self, factor: &TableFactor, scope: &mut Scope) {
        match factor {
            TableFactor::Table { name, alias, .. } => {
                let reference = object_name_to_table_reference(name.clone(), true).ok();
                match reference.and_then(|reference| self.tables.get(&reference)) {
                    Some(table) => {
                        let qualifier = match alias {
                            Some(alias) => vec![fold(&alias.name)],
                            None => name.0.iter().filter_map(ObjectNamePart::as_ident).map(fold).collect(),
                        };
                        scope.tables.push(ScopeTable { qualifier, table: Arc::clone(table) });
                    }
                    None => scope.has_derived = true,
                }
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.add_joined(table_with_joins, scope),
            _ => scope.has_derived = true,
        }
    }

    fn scope_of_body(&self, body: &SetExpr, scope: &mut Scope) {
        match body {
            SetExpr::Select(select) => self.scope_of(select, scope),
            SetExpr::SetOperation { left, right, .. } => {
                self.scope_of_body(left, scope);
                self.scope_of_body(right, scope);
            }
            _ => scope.has_derived = true,
        }
    }

    /// Replaces an unqualified name, looking from the innermost scope outwards.
    fn rename_unqualified(&mut self, ident: &mut Ident) {
        if ident.quote_style.is_some() {
            return;
        }
        let lower = ident.value.to_lowercase();
        for scope in self.scopes.iter().rev() {
            let mut renamed: Option<String> = None;
            for table in &scope.tables {
                match table.find(&lower) {
                    Match::Exact => return,
                    Match::Renamed(name) if renamed.as_ref().is_some_and(|known| *known != name) => return,
                    Match::Renamed(name) => renamed = Some(name),
                    Match::None => {}
                }
            }
            let derived = || scope.has_derived.then(|| self.renamed.get(&lower).cloned()).flatten();
            if let Some(name) = renamed.or_else(derived) {
                self.replace(ident, lower, name);
                return;
            }
        }
    }

    fn rename_qualified(&mut self, idents: &mut [Ident]) {
        // The qualifier is the longest beginning that names a table; what follows the column is a field of it.
        for split in (1..idents.len()).rev() {
            let (qualifier, rest) = idents.split_at_mut(split);
            let Some(column) = rest.first_mut().filter(|column| column.quote_style.is_none()) else { continue };
            let lower = column.value.to_lowercase();
            let known =
                self.scopes.iter().rev().flat_map(|scope| &scope.tables).find(|table| table.is_named(qualifier));
            match known.map(|table| table.find(&lower)) {
                Some(Match::Renamed(name)) => return self.replace(column, lower, name),
                Some(_) => return,
                None => {
                    let derived = self.scopes.iter().any(|scope| scope.has_derived);
                    if split == 1
                        && derived
                        && let Some(name) = self.renamed.get(&lower).cloned()
                    {
                        return self.replace(column, lower, name);
                    }
                }
            }
        }
        if let Some(first) = idents.first_mut() {
            self.rename_unqualified(first);
        }
    }

    fn replace(&mut self, ident: &mut Ident, lower: String, name: String) {
        ident.value.clone_from(&name);
        ident.quote_style = Some('"');
        self.renamed.insert(lower, name);
    }

    fn rename_using(&mut self, item: &mut TableWithJoins) {
        for join in &mut item.joins {
            let constraint = match &mut join.join_operator {
                JoinOperator::Join(c)
                | JoinOperator::Inner(c)
                | JoinOperator::Left(c)
                | JoinOperator::LeftOuter(c)
                | JoinOperator::Right(c)
                | JoinOperator::RightOuter(c)
                | JoinOperator::FullOuter(c) => c,
                _ => continue,
            };
            if let JoinConstraint::Using(names) = constraint {
                for ObjectName(parts) in names {
                    if let [ObjectNamePart::Identifier(ident)] = parts.as_mut_slice() {
                        self.rename_unqualified(ident);
                    }
                }
            }
        }
    }
}

impl VisitorMut for Matcher {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut scope = Scope::default();
        self.scope_of_body(&query.body, &mut scope);
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut scope = Scope::default();
        self.scope_of(select, &mut scope);
        self.scopes.push(scope);
        for item in &mut select.from {
            self.rename_using(item);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.rename_unqualified(ident),
            Expr::CompoundIdentifier(idents) => self.rename_qualified(idents),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
