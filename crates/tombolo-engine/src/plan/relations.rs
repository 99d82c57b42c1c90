use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Statement, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};
use tombolo_connector::{Error, ErrorCode, Result};

use crate::catalog::NamePart;
use crate::error::from_datafusion;

/// A table that a statement names: as DataFusion will ask for it, and as it was written.
pub(super) struct Relation {
    pub(super) reference: TableReference,
    pub(super) parts: Vec<NamePart>,
}

/// All tables that the statement names, each once; common table expressions and table functions are not among them.
pub(super) fn relations(statement: &Statement) -> Result<Vec<Relation>> {
    let mut written = Written::default();
    let _ = statement.visit(&mut written);
    if let Some(name) = written.too_long {
        return Err(Error::new(ErrorCode::SyntaxError, format!("a name of `{name}` has too many parts"))
            .with_hint("A table is source.table, source.schema.table or source.database.schema.table."));
    }
    let wrapped = DfStatement::Statement(Box::new(statement.clone()));
    let (references, _) = resolve_table_references(&wrapped, true).map_err(from_datafusion)?;
    let relation = |reference: TableReference| {
        let parts = written.names.get(&reference)?.clone();
        Some(Relation { reference, parts })
    };
    Ok(references.into_iter().filter(|reference| !written.functions.contains(reference)).filter_map(relation).collect())
}

#[derive(Default)]
struct Written {
    names: HashMap<TableReference, Vec<NamePart>>,
    functions: HashSet<TableReference>,
    /// The first part of a name that has more parts than any table's.
    too_long: Option<String>,
}

impl Visitor for Written {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        if relation.0.len() > 4 {
            self.too_long = relation.0.first().map(ToString::to_string);
        }
        if let Ok(reference) = object_name_to_table_reference(relation.clone(), true) {
            self.names.insert(reference, name_parts(relation));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } = factor
            && let Ok(reference) = object_name_to_table_reference(name.clone(), true)
        {
            self.functions.insert(reference);
        }
        ControlFlow::Continue(())
    }
}

fn name_parts(name: &ObjectName) -> Vec<NamePart> {
    name.0
        .iter()
        .filter_map(ObjectNamePart::as_ident)
        .map(|ident| NamePart { text: ident.value.clone(), quoted: ident.quote_style.is_some() })
        .collect()
}

/// Brings `source.database.schema.table` to three parts, `source."database.schema".table`, which is the most that
/// DataFusion's names have; columns qualified with all four parts follow.
pub(super) fn shorten_long_names(statement: &mut Statement) {
    let mut long = LongNames::default();
    let _ = VisitMut::visit(statement, &mut long);
}

#[derive(Default)]
struct LongNames {
    seen: Vec<Vec<String>>,
}

fn joined(database: &Ident, schema: &Ident) -> Ident {
    Ident::with_quote('"', format!("{}.{}", database.value, schema.value))
}

fn lowered(idents: &[Ident]) -> Vec<String> {
    idents.iter().map(|ident| ident.value.to_lowercase()).collect()
}

impl VisitorMut for LongNames {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
        // The names are found first, since a select list stands before its FROM.
        struct Find<'a>(&'a mut Vec<Vec<String>>);
        impl Visitor for Find<'_> {
            type Break = ();
            fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
                let idents: Vec<Ident> = relation.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
                if idents.len() == 4 {
                    self.0.push(lowered(&idents));
                }
                ControlFlow::Continue(())
            }
        }
        Visit::visit(statement, &mut Find(&mut self.seen))
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        let idents: Vec<Ident> = relation.0.iter().filter_map(ObjectNamePart::as_ident).cloned().collect();
        if let [source, database, schema, table] = idents.as_slice() {
            *relation = ObjectName::from(vec![source.clone(), joined(database, schema), table.clone()]);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(idents) = expr
            && idents.len() > 4
            && self.seen.contains(&lowered(&idents[..4]))
        {
            let middle = joined(&idents[1], &idents[2]);
            idents.splice(1..3, [middle]);
        }
        ControlFlow::Continue(())
    }
}
