use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Statement, TableAlias, TableFactor, Value, VisitMut,
    VisitorMut,
};
use tombolo_connector::{Error, ErrorCode, Result};

const FUNCTION: &str = "query";

/// Puts the name of a table in place of each `query('source', 'text')` of a FROM clause: `source.""."text"`, which the catalog
/// takes for a query in the source's own language. Where the statement gives it no other name, it is called `query`.
///
/// # Errors
/// [`ErrorCode::SyntaxError`] where the function has other arguments.
pub(super) fn name_queries(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Queries;

impl VisitorMut for Queries {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, alias, args, .. } = factor else { return ControlFlow::Continue(()) };
        let is_meant = matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(is_function));
        let Some(call) = args.take_if(|_| is_meant) else { return ControlFlow::Continue(()) };
        let texts: Vec<&str> = call.args.iter().filter_map(text).collect();
        let ([source, text], 2) = (texts.as_slice(), call.args.len()) else {
            return ControlFlow::Break(
                Error::new(ErrorCode::SyntaxError, "`query` takes the name of a source and a text in its own language")
                    .with_hint("For example: SELECT * FROM query('orders-db', 'SELECT 1 AS one')."),
            );
        };
        let text = text.trim().trim_end_matches(';').trim_end();
        if text.is_empty() {
            return ControlFlow::Break(Error::new(ErrorCode::SyntaxError, "the text of `query` is empty"));
        }
        let quoted = |text: &str| Ident::with_quote('"', text);
        *name = ObjectName::from(vec![quoted(source), quoted(""), quoted(text)]);
        alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: Ident::new(FUNCTION),
            columns: Vec::new(),
            at: None,
        });
        ControlFlow::Continue(())
    }
}

fn is_function(ident: &Ident) -> bool {
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case(FUNCTION)
}

fn text(argument: &FunctionArg) -> Option<&str> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else { return None };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        Value::DollarQuotedString(text) => Some(&text.value),
        _ => None,
    }
}
