use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{Expr, OrderByKind, Statement as Ast};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// A query as text, with what decides how much of its answer is determined.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: String,
    /// The same without its own limit, where it has one.
    pub unlimited: Option<String>,
    /// The names of its ORDER BY; an expression has none.
    keys: Vec<Option<String>>,
}

impl Statement {
    /// Reads a query.
    pub fn new(sql: &str) -> Self {
        let plain = Self { sql: sql.to_owned(), unlimited: None, keys: Vec::new() };
        let Ok(mut statements) = Parser::parse_sql(&GenericDialect {}, sql) else { return plain };
        let Some(Ast::Query(query)) = statements.first_mut() else { return plain };
        let keys = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(keys)) => keys.iter().map(|key| match &key.expr {
                Expr::Identifier(name) => Some(name.value.clone()),
                _ => None,
            }),
            _ => return Self { unlimited: unlimited(statements), ..plain },
        };
        Self { keys: keys.collect(), unlimited: unlimited(statements), ..plain }
    }

    /// Whether the limit may cut between rows that are equal in the order and different elsewhere.
    pub fn is_tied(&self, schema: &Schema) -> bool {
        let is_key = |name: &String| self.keys.iter().flatten().any(|key| key == name);
        self.unlimited.is_some() && !schema.fields().iter().all(|field| is_key(field.name()))
    }
}

fn unlimited(mut statements: Vec<Ast>) -> Option<String> {
    let Some(Ast::Query(query)) = statements.first_mut() else { return None };
    let limit = query.limit_clause.take();
    let fetch = query.fetch.take();
    (limit.is_some() || fetch.is_some()).then(|| query.to_string())
}
