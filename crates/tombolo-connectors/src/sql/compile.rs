use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::{DFSchema, TableReference};
use datafusion::logical_expr::{Expr, SortExpr};
use tombolo_connector::{Error, KeyBatch, Result, Scan, ScanTable};

use super::block::{Block, From, OrderKey, Relation, RowSource};
use super::dialect::{Comparison, Dialect};
use super::expression::{Printer, Scope};
use super::value::{Facts, Form, Level, OF_FLOAT_SUMS, Shipped, Value};

/// A computed column whose text is longer than this is computed once, in a derived table, and then named.
const LONGEST_REPEATED_TEXT: usize = 400;

/// A tree in a source's language.
#[derive(Debug, Clone)]
pub struct Printed {
    /// The text.
    pub text: String,
    /// How the source stores the values of each output column.
    pub forms: Vec<Form>,
    /// The stored column that each output column comes from, as errors name it.
    pub origins: Vec<Option<Arc<str>>>,
}

/// Prints an accepted tree, around it the keys that arrived at run time.
///
/// # Errors
/// [`tombolo_connector::ErrorCode::Internal`] where the tree was not accepted.
pub fn print(dialect: &dyn Dialect, scan: &Scan, keys: Option<&KeyBatch>) -> Result<Printed> {
    let mut compiler = Compiler::new(dialect);
    let printed = compiler.block(scan, None).and_then(|block| match keys {
        Some(keys) => compiler.with_keys(block, keys),
        None => Ok(block),
    });
    let mut block = printed.map_err(|reason| {
        Error::internal(format!("a tree that {} does not take was to be printed", dialect.name())).with_detail(reason)
    })?;
    // What a union puts out is said in its selects.
    if matches!(block.source, RowSource::Union(_)) && block.items.iter().any(|item| dialect.output(item) != item.sql) {
        block = compiler.wrap(block, true);
    }
    let names: Vec<Option<String>> = scan.schema().fields().iter().map(|field| readable_name(field.name())).collect();
    let outputs: Vec<Value> = block.items.iter().map(|item| output(dialect, item)).collect();
    let items: Vec<(&Value, Option<&str>)> =
        outputs.iter().zip(&names).map(|(item, name)| (item, name.as_deref())).collect();
    let forms = block.items.iter().map(|item| item.facts.form).collect();
    let origins = block.items.iter().map(|item| item.facts.origin.clone()).collect();
    Ok(Printed { text: block.select(dialect, &items), forms, origins })
}

/// A value as it is put out; where that is not its own text, it is no bare column any more.
fn output(dialect: &dyn Dialect, item: &Value) -> Value {
    let sql = dialect.output(item);
    let column = item.column.clone().filter(|_| sql == item.sql);
    Value { sql, column, ..item.clone() }
}

/// Turns trees into blocks.
#[derive(Debug)]
pub struct Compiler<'d> {
    pub(super) dialect: &'d dyn Dialect,
    aliases: HashSet<String>,
    generated: usize,
}

impl<'d> Compiler<'d> {
    pub(super) fn new(dialect: &'d dyn Dialect) -> Self {
        Self { dialect, aliases: HashSet::new(), generated: 0 }
    }

    pub(super) fn printer(&self) -> Printer<'d> {
        Printer { dialect: self.dialect }
    }

    /// Builds the block of a tree; `alias` is the name that the statement has for it, if any.
    pub(super) fn block(&mut self, scan: &Scan, alias: Option<&str>) -> Shipped<Block> {
        match scan {
            Scan::Table(table) => Ok(self.table(table, alias)),
            Scan::Filter { input, predicates } => {
                let block = self.block(input, alias)?;
                self.filter(block, input.schema(), predicates)
            }
            Scan::Project { input, exprs, schema } => {
                let block = self.block(input, alias)?;
                self.project(block, input.schema(), exprs, schema)
            }
            Scan::Alias { input, schema } => {
                let alias = schema.iter().find_map(|(qualifier, _)| qualifier.map(TableReference::table));
                self.block(input, alias)
            }
            Scan::Join(join) => self.join(join),
            Scan::Aggregate(aggregate) => {
                let block = self.block(&aggregate.input, alias)?;
                self.aggregate(block, aggregate)
            }
            Scan::Window { input, windows, schema } => {
                let block = self.block(input, alias)?;
                self.window(block, input.schema(), windows, schema)
            }
            Scan::Sort { input, keys, fetch } => {
                let block = self.block(input, alias)?;
                self.sort(block, input.schema(), keys, *fetch)
            }
            Scan::Limit { input, skip, fetch } => {
                let mut block = self.block(input, alias)?;
                let left = block.fetch.map(|rows| rows.saturating_sub(*skip));
                block.fetch = match (left, *fetch) {
                    (Some(left), Some(fetch)) => Some(left.min(fetch)),
                    (left, fetch) => left.or(fetch),
                };
                block.skip = block.skip.saturating_add(*skip);
                Ok(block)
            }
            Scan::Union { inputs, schema } => self.union(inputs, schema),
        }
    }

    fn table(&mut self, table: &ScanTable, alias: Option<&str>) -> Block {
        let qualifier = table.schema.iter().find_map(|(qualifier, _)| qualifier.map(TableReference::table));
        let name = if table.table().is_query() { "query" } else { &table.table().table };
        // The optimizer's own names, such as `__correlated_sq_1`, tell a reader nothing.
        let given = |alias: &&str| !alias.starts_with("__") && *alias != table.table().table;
        let wanted = alias.or(qualifier).filter(given).unwrap_or(name);
        let alias = self.alias(wanted);
        let text = match table.table() {
            // It may end in a comment.
            query if query.is_query() => format!("({}\n) AS {}", query.table, self.dialect.identifier(&alias)),
            table => self.dialect.relation(table, &alias),
        };
        let items = table
            .columns
            .iter()
            .filter_map(|index| Some((*index, table.description.columns.get(*index)?)))
            .map(|(index, column)| self.column(&alias, column.field.name(), self.dialect.column(table, index)))
            .map(|column| self.dialect.stored(column))
            .collect();
        let mut block = Block::new(RowSource::From(From::new(Relation { text })), items);
        block.filters.extend(self.dialect.part(table.table(), &alias).map(|text| Value::predicate(text, Level::And)));
        block
    }

    fn column(&self, alias: &str, name: &str, facts: Facts) -> Value {
        let text = format!("{}.{}", self.dialect.identifier(alias), self.dialect.identifier(name));
        Value { column: Some(name.to_owned()), ..Value::atom(text, facts) }
    }

    /// A name for a relation that no other in the statement has: the one wanted, or a generated one.
    fn alias(&mut self, wanted: &str) -> String {
        // Sources fold case in different ways, so no two aliases may differ by case alone.
        if self.aliases.insert(wanted.to_lowercase()) {
            return wanted.to_owned();
        }
        self.generated_alias()
    }

    fn generated_alias(&mut self) -> String {
        loop {
            self.generated += 1;
            let alias = format!("t{}", self.generated);
            if self.aliases.insert(alias.clone()) {
                return alias;
            }
        }
    }

    /// Makes a block a derived table of a new one. Its output columns get names that are unique within it, and its order
    /// goes on outside.
    pub(super) fn wrap(&mut self, mut block: Block, keep_order: bool) -> Block {
        let alias = self.generated_alias();
        if let RowSource::Union(_) = block.source {
            let items: Vec<Value> = (1..)
                .zip(&block.items)
                .map(|(at, item)| self.column(&alias, &format!("c{at}"), item.facts.clone()))
                .collect();
            let text = format!("({}) AS {}", block.select(self.dialect, &[]), self.dialect.identifier(&alias));
            return Block::new(RowSource::From(From::new(Relation { text })), items);
        }
        if !keep_order && !block.is_limited() {
            block.order.clear();
        }
        let mut taken = HashSet::new();
        // MariaDB, which brings conditions into a derived table, takes the key of another relation's column for the output column
        // of its name.
        let keeps_names = !block.is_grouped_join();
        let columns = block.items.iter().chain(block.order.iter().map(|key| &key.value));
        let named: Vec<(&Value, String)> = (1..)
            .zip(columns)
            .map(|(at, item)| {
                let wanted = item.column.clone().filter(|name| keeps_names && taken.insert(name.to_lowercase()));
                let name = wanted.unwrap_or_else(|| unique(&mut taken, at));
                (item, name)
            })
            .collect();
        let list: Vec<(&Value, Option<&str>)> = named.iter().map(|(item, name)| (*item, Some(name.as_str()))).collect();
        let text = format!("({}) AS {}", block.select(self.dialect, &list), self.dialect.identifier(&alias));
        let mut outside: Vec<Value> =
            named.iter().map(|(item, name)| self.column(&alias, name, item.facts.clone())).collect();
        let order_values = outside.split_off(block.items.len());
        let order =
            block.order.iter().zip(order_values).map(|(key, value)| OrderKey { value, ..key.clone() }).collect();
        let mut wrapped = Block::new(RowSource::From(From::new(Relation { text })), outside);
        if keep_order {
            wrapped.order = order;
        }
        wrapped
    }

    /// Wraps the block unless its rows are not yet cut off, so that a further condition may join its own.
    pub(super) fn open_for_rows(&mut self, block: Block) -> Block {
        let is_closed = block.is_limited() || block.is_windowed() || matches!(block.source, RowSource::Union(_));
        if is_closed || (block.group.is_some() && !self.dialect.has_having()) { self.wrap(block, true) } else { block }
    }

    fn filter(&mut self, block: Block, schema: &DFSchema, predicates: &[Expr]) -> Shipped<Block> {
        let mut block = self.open_for_rows(block);
        if block.group.as_ref().is_some_and(Vec::is_empty) || block.is_grouped_by_a_condition() {
            block = self.wrap(block, true);
        }
        let conditions = {
            let scope = Scope::new(schema, &block.items);
            predicates.iter().map(|predicate| self.printer().truth(predicate, &scope)).collect::<Shipped<Vec<_>>>()?
        };
        if block.group.is_some() {
            block.having.extend(conditions)
        } else {
            block.filters.extend(conditions)
        }
        Ok(block)
    }

    fn project(&mut self, block: Block, schema: &DFSchema, exprs: &[Expr], output: &DFSchema) -> Shipped<Block> {
        let mut block = block;
        let is_computed = |column| {
            let item = schema.maybe_index_of_column(column).and_then(|index| block.items.get(index));
            item.is_some_and(|item| item.literal.is_none())
        };
        let counts_on_aggregates = exprs.iter().flat_map(Expr::column_refs).any(is_computed);
        let repeats = block.items.iter().any(|item| item.sql.len() > LONGEST_REPEATED_TEXT && item.column.is_none());
        // Without an aggregate in its list, a select without GROUP BY would give a row for each of its input's.
        if matches!(block.source, RowSource::Union(_))
            || (block.group.as_ref().is_some_and(Vec::is_empty) && !counts_on_aggregates)
            || (block.is_grouped_by_a_condition() && !exprs.iter().all(is_plain))
            || (repeats && !exprs.iter().all(is_plain))
            // A window call that stands twice may number equal rows in two ways.
            || (block.is_windowed() && !is_each_once(exprs))
        {
            block = self.wrap(block, true);
        }
        let items = {
            let scope = Scope::new(schema, &block.items);
            exprs.iter().map(|expr| self.printer().expression(expr, &scope)).collect::<Shipped<Vec<_>>>()?
        };
        block.items = items;
        retype(&mut block.items, output);
        block.items.iter().try_for_each(|item| self.dialect.reads(&item.facts.data_type))?;
        Ok(block)
    }

    fn sort(&mut self, block: Block, schema: &DFSchema, keys: &[SortExpr], fetch: Option<usize>) -> Shipped<Block> {
        let is_closed = block.is_limited() || block.is_windowed() || matches!(block.source, RowSource::Union(_));
        let mut block = if is_closed { self.wrap(block, true) } else { block };
        let order = {
            let scope = Scope::new(schema, &block.items);
            keys.iter().map(|key| self.sort_key(key, &scope)).collect::<Shipped<Vec<_>>>()?
        };
        // A constant sorts nothing, and a number in ORDER BY would mean the position of a column.
        block.order = order.into_iter().filter(|key| key.value.literal.is_none()).collect();
        block.fetch = fetch;
        Ok(block)
    }

    pub(super) fn sort_key(&self, key: &SortExpr, scope: &Scope<'_>) -> Shipped<OrderKey> {
        let value = self.printer().expression(&key.expr, scope)?;
        let text = self.sorting_text(&value, Comparison::Order)?;
        // What is sorted by in another form is no column, which has its own name.
        let column = value.column.clone().filter(|_| text == value.sql);
        let value = Value { sql: text, level: Level::Atom, column, ..value };
        Ok(OrderKey { value, ascending: key.asc, nulls_first: key.nulls_first })
    }

    /// The text of a value where equal values fall together: in GROUP BY, ORDER BY and DISTINCT.
    pub(super) fn grouping_text(&self, value: &Value, comparison: Comparison) -> Shipped<String> {
        if value.facts.is_float_sum {
            return Err(OF_FLOAT_SUMS.to_owned());
        }
        self.dialect.comparable(value, comparison)
    }

    /// The same, where the source sorts by it.
    pub(super) fn sorting_text(&self, value: &Value, comparison: Comparison) -> Shipped<String> {
        self.dialect.sortable(value, comparison)?;
        self.grouping_text(value, comparison)
    }

    fn union(&mut self, inputs: &[Arc<Scan>], schema: &DFSchema) -> Shipped<Block> {
        let mut facts: Option<Vec<Facts>> = None;
        let mut selects = Vec::with_capacity(inputs.len());
        let mut columns: Vec<Vec<Value>> = Vec::new();
        for input in inputs {
            let mut block = self.block(input, None)?;
            if block.is_limited() || matches!(block.source, RowSource::Union(_)) {
                block = self.wrap(block, false);
            }
            block.order.clear();
            let found = block.items.iter().map(|item| item.facts.clone());
            facts = Some(match facts {
                None => found.collect(),
                Some(known) if known.len() != block.items.len() => {
                    return Err("the inputs of a union have different columns".to_owned());
                }
                Some(known) => known.iter().zip(found).map(|(a, b)| a.either(&b)).collect::<Shipped<Vec<_>>>()?,
            });
            let names: Vec<String> = (1..=block.items.len()).map(|at| format!("c{at}")).collect();
            let list: Vec<(&Value, Option<&str>)> =
                block.items.iter().zip(&names).map(|(item, name)| (item, Some(name.as_str()))).collect();
            selects.push(block.select(self.dialect, &list));
            columns.resize(block.items.len(), Vec::new());
            columns.iter_mut().zip(block.items).for_each(|(column, item)| column.push(item));
        }
        for column in &columns {
            self.dialect.unites(&column.iter().collect::<Vec<_>>())?;
        }
        let facts = facts.ok_or_else(|| "a union has no inputs".to_owned())?;
        let mut items: Vec<Value> = facts.into_iter().map(|facts| Value::atom("", facts)).collect();
        retype(&mut items, schema);
        Ok(Block::new(RowSource::Union(selects), items))
    }
}

/// Gives values the types that the engine's schema says, which the walk knows only nearly.
pub(super) fn retype(items: &mut [Value], schema: &DFSchema) {
    for (item, field) in items.iter_mut().zip(schema.fields()) {
        item.facts.data_type = field.data_type().clone();
    }
}

fn unique(taken: &mut HashSet<String>, at: usize) -> String {
    let mut name = format!("c{at}");
    while !taken.insert(name.clone()) {
        name.push('_');
    }
    name
}

fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_plain(&alias.expr),
        other => matches!(other, Expr::Column(_)),
    }
}

/// Whether these are columns, none of them twice.
fn is_each_once(exprs: &[Expr]) -> bool {
    let mut seen = HashSet::new();
    exprs.iter().all(|expr| is_plain(expr) && seen.insert(expr.clone().unalias_nested().data))
}

/// The name of an output column, where it is one that a person would write.
fn readable_name(name: &str) -> Option<String> {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (plain && !name.is_empty() && name.len() <= 64).then(|| name.to_owned())
}
