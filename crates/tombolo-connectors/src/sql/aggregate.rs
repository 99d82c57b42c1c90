use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use tombolo_connector::ScanAggregate;

use super::block::{Block, RowSource};
use super::compile::{Compiler, retype};
use super::dialect::{AggregateCall, Comparison};
use super::expression::Scope;
use super::value::{Facts, Level, Shipped, Value};
use arrow::datatypes::DataType;

/// What an aggregate is given.
pub(super) struct Arguments<'a> {
    pub(super) args: &'a [Expr],
    pub(super) distinct: bool,
    pub(super) filter: Option<&'a Expr>,
}

impl<'a> Arguments<'a> {
    fn of(params: &'a AggregateFunctionParams) -> Self {
        Self { args: &params.args, distinct: params.distinct, filter: params.filter.as_deref() }
    }
}

impl Compiler<'_> {
    pub(super) fn aggregate(&mut self, block: Block, aggregate: &ScanAggregate) -> Shipped<Block> {
        let mut block = block;
        if block.group.is_some()
            || block.is_windowed()
            || block.is_limited()
            || matches!(block.source, RowSource::Union(_))
        {
            block = self.wrap(block, false);
        }
        block.order.clear();
        let scope = Scope::new(aggregate.input.schema(), &block.items);
        let keys = aggregate.group.iter().map(|key| self.group_key(key, &scope)).collect::<Shipped<Vec<_>>>()?;
        let types = aggregate.schema.fields().iter().skip(keys.len()).map(|field| field.data_type().clone());
        let results = aggregate
            .aggregates
            .iter()
            .zip(types)
            .map(|(expr, data_type)| self.aggregate_call(expr, data_type, &scope))
            .collect::<Shipped<Vec<_>>>()?;
        block.group = Some(keys.iter().map(|key| key.sql.clone()).collect());
        block.items = keys.into_iter().chain(results).collect();
        retype(&mut block.items, &aggregate.schema);
        block.items.iter().try_for_each(|item| self.dialect.reads(&item.facts.data_type))?;
        Ok(block)
    }

    /// Prints a group expression; what is selected is the same text that is grouped by.
    pub(super) fn group_key(&self, expr: &Expr, scope: &Scope<'_>) -> Shipped {
        if let Expr::GroupingSet(_) = expr {
            return Err("grouping sets are computed here".to_owned());
        }
        let value = self.printer().expression(expr, scope)?;
        // A number in GROUP BY would mean the position of a column.
        if value.literal.is_some() {
            return Err("a constant is grouped by here".to_owned());
        }
        let text = self.sorting_text(&value, Comparison::Equality)?;
        if text == value.sql {
            return Ok(value);
        }
        // A key that is printed otherwise than its column is no longer that column, and compares as the engine does.
        let facts = Facts { collation: None, converts: false, ..value.facts.clone() };
        Ok(Value { sql: text, level: Level::Atom, column: None, facts, ..value })
    }

    pub(super) fn aggregate_call(&self, expr: &Expr, data_type: DataType, scope: &Scope<'_>) -> Shipped {
        let call = match expr {
            Expr::Alias(alias) => return self.aggregate_call(&alias.expr, data_type, scope),
            Expr::AggregateFunction(call) => call,
            other => return Err(format!("`{other}` is not an aggregate")),
        };
        let AggregateFunction { func, params } = call;
        if !params.order_by.is_empty() {
            return Err(format!("the order within `{}` is kept here", func.name()));
        }
        if params.null_treatment.is_some() {
            return Err(format!("`{}` with a treatment of nulls is computed here", func.name()));
        }
        self.aggregate_over(func.name(), &Arguments::of(params), data_type, None, scope)
    }

    /// Prints an aggregate of a group, or over a window where one is given.
    pub(super) fn aggregate_over(
        &self,
        name: &str,
        given: &Arguments<'_>,
        data_type: DataType,
        over: Option<String>,
        scope: &Scope<'_>,
    ) -> Shipped {
        let filter = given.filter.map(|filter| self.printer().truth(filter, scope)).transpose()?;
        let filter = filter.map(|filter| filter.sql);
        let counts_rows = name == "count"
            && !given.distinct
            && matches!(given.args, [] | [Expr::Literal(..)])
            && !matches!(given.args, [Expr::Literal(scalar, _)] if scalar.is_null());
        let arguments = if counts_rows {
            Vec::new()
        } else {
            given.args.iter().map(|argument| self.printer().expression(argument, scope)).collect::<Shipped<Vec<_>>>()?
        };
        let (distinct, has_filter_clause) = (given.distinct, self.dialect.has_aggregate_filter());
        let call = AggregateCall { name, arguments, distinct, filter, has_filter_clause, over, data_type };
        match (call.name, call.arguments.as_slice()) {
            ("count", []) => Ok(Value::atom(call.standard("*"), Facts::new(DataType::Int64))),
            ("count", [argument]) if !call.distinct => {
                Ok(Value::atom(call.standard(&argument.sql), Facts::new(DataType::Int64)))
            }
            ("count", [argument]) => {
                let text = self.sorting_text(argument, Comparison::Equality)?;
                Ok(Value::atom(call.standard(&text), Facts::new(DataType::Int64)))
            }
            ("min" | "max", [argument]) => {
                let text = self.grouping_text(argument, Comparison::Order)?;
                let (text, facts) = self.dialect.extreme(&call, argument, &text)?;
                Ok(Value::atom(text, facts))
            }
            (_, arguments) => {
                for argument in arguments {
                    argument.trusted()?;
                }
                self.dialect.aggregate(&call)
            }
        }
    }
}
