use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, Statement, TableWithJoins,
    VisitMut, VisitorMut,
};

use super::scope::{Match, Names, Scope, outputs_of, scope_of_body, scope_of_select};
use super::using::join_on_names;
use crate::catalog::SourceTable;

/// Makes unquoted column names match whatever their case.
///
/// DataFusion folds unquoted names to lower case and then compares exactly. So an unquoted name that is a column in scope, of a
/// table, a common table expression or a derived table, but not in lower case there, is replaced by that column's own name in
/// quotes. A name that fits exactly in lower case stays as it is, and so does one that fits several columns or none.
pub(super) fn match_column_case(statement: &mut Statement, tables: &[(TableReference, Arc<SourceTable>)]) {
    let columns = |table: &SourceTable| {
        table.description().columns.iter().map(|column| column.field.name().clone()).collect::<Vec<_>>()
    };
    let tables: HashMap<TableReference, Vec<String>> =
        tables.iter().map(|(reference, table)| (reference.clone(), columns(table))).collect();
    let mut matcher = Matcher { names: Names::new(tables), scopes: Vec::new() };
    let _ = VisitMut::visit(statement, &mut matcher);
}

struct Matcher {
    names: Names,
    /// The innermost last.
    scopes: Vec<Scope>,
}

impl Matcher {
    /// Replaces an unqualified name, looking from the innermost scope outwards.
    fn rename_unqualified(&self, ident: &mut Ident) {
        if ident.quote_style.is_some() {
            return;
        }
        for scope in self.scopes.iter().rev() {
            match scope.find(&ident.value.to_lowercase()) {
                Match::Exact | Match::Several => return,
                Match::Renamed(name) => return replace(ident, name),
                Match::None => {}
            }
        }
    }

    fn rename_qualified(&self, idents: &mut [Ident]) {
        // The qualifier is the longest beginning that names a table; what follows the column is a field of it.
        for split in (1..idents.len()).rev() {
            let (qualifier, rest) = idents.split_at_mut(split);
            let Some(column) = rest.first_mut() else { continue };
            let Some(table) = self.scopes.iter().rev().find_map(|scope| scope.table(qualifier)) else { continue };
            if column.quote_style.is_none()
                && let Match::Renamed(name) = table.find(&column.value.to_lowercase())
            {
                replace(column, name);
            }
            return;
        }
        if let Some(first) = idents.first_mut() {
            self.rename_unqualified(first);
        }
    }

    fn rename_using(&self, item: &mut TableWithJoins) {
        for join in &mut item.joins {
            if let Some(JoinConstraint::Using(names)) = constraint(&mut join.join_operator) {
                for ObjectName(parts) in names {
                    if let [ObjectNamePart::Identifier(ident)] = parts.as_mut_slice() {
                        self.rename_unqualified(ident);
                    }
                }
            }
        }
    }
}

fn replace(ident: &mut Ident, name: String) {
    ident.value = name;
    ident.quote_style = Some('"');
}

/// The condition of a join that can have USING or NATURAL.
pub(super) fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}

impl VisitorMut for Matcher {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.names.enter(query);
        let mut scope = Scope::default();
        // What ORDER BY names is an output column first.
        scope.push(Vec::new(), outputs_of(&self.names, &query.body));
        scope_of_body(&self.names, &query.body, &mut scope);
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        self.names.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.from {
            join_on_names(&self.names, item);
        }
        self.scopes.push(scope_of_select(&self.names, select));
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

/// The reference of a table's name, as the statement's tables are known by.
pub(super) fn reference(name: &ObjectName) -> Option<TableReference> {
    object_name_to_table_reference(name.clone(), true).ok()
}
