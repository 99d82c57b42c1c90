//! The rules about predicates, held against a plan whose sub-queries are cut: which columns of each table its source restricts, and
//! whether it reads a table whole.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, JoinType, Result};
use datafusion::logical_expr::{Expr, FetchType, LogicalPlan, SkipType};
use tombolo_connector::{Error, ErrorCode, Scan, ScanAggregate, ScanJoin, ScanTable, TableDescription, nearest_name};

use super::node::SourceScan;
use super::restricts::restricted;
use super::shared::Shared;
use crate::catalog::guardrails::{TableRules, grouped, refused};

/// Refuses a plan that breaks a rule about predicates.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    visit(plan, None)
}

/// `fetch` is how many rows are read of the plan at the most.
fn visit(plan: &LogicalPlan, fetch: Option<usize>) -> Result<()> {
    if let Some(scan) = SourceScan::of(plan) {
        let held = Held { columns: BTreeSet::new(), fetch };
        return held.walk(&scan.scan, &|table, held| check_table(scan, table, held));
    }
    if let Some(shared) = Shared::of(plan) {
        return visit(&shared.plan, None);
    }
    let below = match plan {
        LogicalPlan::Limit(limit) => match (limit.get_skip_type()?, limit.get_fetch_type()?) {
            (SkipType::Literal(skip), FetchType::Literal(own)) => cut(fetch, skip, own),
            _ => None,
        },
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => fetch,
        _ => None,
    };
    for input in plan.inputs() {
        visit(input, below)?;
    }
    plan.apply_subqueries(|plan| visit(plan, None).map(|()| TreeNodeRecursion::Continue))?;
    Ok(())
}

/// How many rows are read below a limit of which so many are read.
fn cut(above: Option<usize>, skip: usize, own: Option<usize>) -> Option<usize> {
    let taken = match (above, own) {
        (Some(above), Some(own)) => Some(above.min(own)),
        (above, own) => above.or(own),
    };
    taken.map(|taken| taken.saturating_add(skip))
}

/// What holds of the rows that are wanted of a tree.
#[derive(Debug, Clone)]
struct Held {
    /// Its output columns that are restricted to constants.
    columns: BTreeSet<usize>,
    /// How many rows are read of it at the most.
    fetch: Option<usize>,
}

impl Held {
    /// Follows what holds down to the tables of a tree.
    fn walk(mut self, scan: &Scan, found: &dyn Fn(&ScanTable, &Held) -> Result<()>) -> Result<()> {
        match scan {
            Scan::Table(table) => found(table, &self),
            Scan::Filter { input, predicates } => {
                self.restrict(predicates, input.schema());
                // Whoever looks for so many rows that pass may have to look at all.
                self.fetch = None;
                self.walk(input, found)
            }
            Scan::Alias { input, .. } => self.walk(input, found),
            Scan::Project { input, exprs, .. } => self.mapped(|at| position(input, exprs.get(at)?)).walk(input, found),
            Scan::Aggregate(ScanAggregate { input, group, .. }) => {
                self.fetch = None;
                self.mapped(|at| position(input, group.get(at)?)).walk(input, found)
            }
            // A window looks at rows that a condition on its own rows leaves out.
            Scan::Window { input, .. } => Held { columns: BTreeSet::new(), fetch: None }.walk(input, found),
            Scan::Sort { input, fetch, .. } => {
                self.fetch = None;
                if fetch.is_some() {
                    self.columns.clear();
                }
                self.walk(input, found)
            }
            Scan::Limit { input, skip, fetch } => {
                // A condition on the rows that a limit leaves is none on those below it.
                Held { columns: BTreeSet::new(), fetch: cut(self.fetch, *skip, *fetch) }.walk(input, found)
            }
            Scan::Union { inputs, .. } => inputs.iter().try_for_each(|input| self.clone().walk(input, found)),
            Scan::Join(join) => {
                let [left, right] = self.sides(join);
                left.walk(&join.left, found)?;
                right.walk(&join.right, found)
            }
        }
    }

    fn restrict(&mut self, predicates: &[Expr], schema: &DFSchema) {
        self.columns.extend(predicates.iter().flat_map(|predicate| restricted(predicate, schema)));
    }

    /// The same of the operator's input, in which columns have other positions.
    fn mapped(self, below: impl Fn(usize) -> Option<usize>) -> Self {
        Self { columns: self.columns.into_iter().filter_map(below).collect(), ..self }
    }

    /// What holds of the sides of a join: of those rows alone that can come out of it.
    fn sides(&self, join: &ScanJoin) -> [Self; 2] {
        use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
        let width = join.left.schema().fields().len();
        let mut sides = [BTreeSet::new(), BTreeSet::new()];
        // A row that an outer join fills with nulls is there because rows of that side are not: a condition on it restricts
        // the other side only.
        for at in &self.columns {
            match join.join_type {
                Inner if *at >= width => sides[1].insert(at - width),
                Inner | Left | LeftSemi | LeftAnti | LeftMark if *at < width => sides[0].insert(*at),
                Right if *at >= width => sides[1].insert(at - width),
                RightSemi | RightAnti | RightMark => sides[1].insert(*at),
                _ => false,
            };
        }
        if let Some(condition) = &join.condition
            && let Ok(schema) = join.left.schema().join(join.right.schema())
        {
            for at in restricted(condition, &schema) {
                match join.join_type {
                    Inner | LeftSemi | RightSemi | Right | RightAnti | RightMark if at < width => sides[0].insert(at),
                    Inner | LeftSemi | RightSemi | Left | LeftAnti | LeftMark if at >= width => {
                        sides[1].insert(at - width)
                    }
                    _ => false,
                };
            }
        }
        sides.map(|columns| Self { columns, fetch: None })
    }
}

/// Where in a tree's output an expression is a bare column of it.
fn position(input: &Scan, expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        Expr::Alias(alias) => position(input, &alias.expr),
        _ => None,
    }
}

fn check_table(scan: &SourceScan, table: &ScanTable, held: &Held) -> Result<()> {
    let source = scan.source.name();
    let guardrails = scan.source.guardrails();
    if table.table().is_query() {
        let is_refused = guardrails.asks_for_predicates() && !guardrails.allow_native;
        return if is_refused { Err(native(source).into()) } else { Ok(()) };
    }
    let rules = guardrails.of(table.table());
    let description = &table.description;
    let restricted: BTreeSet<usize> = held.columns.iter().filter_map(|at| table.columns.get(*at).copied()).collect();
    for name in rules.require() {
        let column = column_of(description, name).ok_or_else(|| unknown_column(source, description, &rules, name))?;
        if !restricted.contains(&column) {
            return Err(not_restricted(scan, description, &rules, column).into());
        }
    }
    let rows = description.statistics.rows.value();
    // A limit above the number of rows is none.
    let is_cut = held.fetch.is_some_and(|fetch| match rows {
        Some(rows) => (fetch as u64) < rows,
        None => fetch as u64 <= rules.limit_of_unknown(),
    });
    if restricted.is_empty() && !is_cut && rules.denies_full_scan(rows) {
        return Err(read_whole(scan, description, &rules).into());
    }
    Ok(())
}

fn column_of(description: &TableDescription, name: &str) -> Option<usize> {
    let position =
        |is_meant: &dyn Fn(&str) -> bool| description.columns.iter().position(|column| is_meant(column.field.name()));
    position(&|column| column == name).or_else(|| position(&|column| column.to_lowercase() == name.to_lowercase()))
}

fn native(source: &str) -> Error {
    refused(source, format!("a query in the own language of source `{source}` cannot be checked by its guardrails"))
        .with_detail("the source has rules about predicates on its tables, which its own language hides")
        .with_hint(format!(
            "Ask its tables by name; whoever keeps the config can set `sources.{source}.guardrails.allow_native = true`."
        ))
}

fn unknown_column(source: &str, description: &TableDescription, rules: &TableRules<'_>, name: &str) -> Error {
    let columns = description.columns.iter().map(|column| column.field.name().as_str());
    let key = require_key(source, rules);
    let hint = match nearest_name(name, columns) {
        Some(near) => format!("Did you mean `{near}`? Correct `{key}`."),
        None => format!("Correct `{key}`."),
    };
    let message = format!("a guardrail requires column `{name}`, which {} does not have", named(source, description));
    Error::new(ErrorCode::ConfigInvalid, message).with_hint(hint).with_source_name(source)
}

fn not_restricted(scan: &SourceScan, description: &TableDescription, rules: &TableRules<'_>, column: usize) -> Error {
    let source = scan.source.name();
    let name = description.columns[column].field.name();
    let message = format!("{} may only be read with a predicate on `{name}`", named(source, description));
    let (key, example) = (require_key(source, rules), example(description, column));
    let error = refused(source, message);
    match withheld(scan, Some(name)) {
        Some(reason) => error
            .with_detail(format!("`{key}` asks for one that the source evaluates; {reason}"))
            .with_hint(format!("Write it in a form that the source evaluates, where it has one, such as {example}.")),
        None => error
            .with_detail(format!(
                "`{key}` asks for one that compares the column with constants; keys of a join, `<>` and conditions in only one \
                 branch of an OR are none"
            ))
            .with_hint(format!("Add a condition such as {example}.")),
    }
}

fn read_whole(scan: &SourceScan, description: &TableDescription, rules: &TableRules<'_>) -> Error {
    let source = scan.source.name();
    let key = rules.key(source, "deny_full_scan", |own| own.deny_full_scan.is_some());
    let rows = description.statistics.rows.value();
    let size = rows.map_or_else(|| "an unknown number of rows".to_owned(), |rows| format!("{} rows", grouped(rows)));
    let leading = description
        .primary_key
        .first()
        .or_else(|| description.indexes.first().and_then(|index| index.columns.first()))
        .and_then(|name| column_of(description, name))
        .unwrap_or_default();
    let example = description.columns.get(leading).map(|_| example(description, leading));
    let (detail, hint) = match (withheld(scan, None), example) {
        (None, Some(example)) => (String::new(), format!("Add a condition such as {example}")),
        (reason, _) => (
            reason.map(|reason| format!("; {reason}")).unwrap_or_default(),
            "Add a condition that the source evaluates".to_owned(),
        ),
    };
    let limit = match rows {
        Some(_) => "or a LIMIT".to_owned(),
        None => format!("or a LIMIT of {} at the most", grouped(rules.limit_of_unknown())),
    };
    refused(source, format!("{} would be read whole", named(source, description)))
        .with_detail(format!("`{key}` forbids that; it has {size}{detail}"))
        .with_hint(format!("{hint}, {limit}. Keys of a join do not count."))
}

fn require_key(source: &str, rules: &TableRules<'_>) -> String {
    rules.key(source, "require", |own| !own.require.is_empty())
}

fn named(source: &str, description: &TableDescription) -> String {
    format!("table `{}` of source `{source}`", description.table)
}

/// Why a filter was not given to the source: one that names this column, or any.
fn withheld(scan: &SourceScan, column: Option<&str>) -> Option<String> {
    let filters = scan.not_pushed.iter().filter(|part| part.operator == "filter");
    let mut filters = filters.filter(|part| column.is_none_or(|column| names(&part.part, column)));
    filters.find_map(|part| Some(format!("`{}` is evaluated here: {}", part.part, part.reason.as_ref()?)))
}

/// Whether the text of a predicate names a column.
fn names(text: &str, column: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == column)
        || text.contains(&format!("\"{column}\""))
}

/// A predicate on a column as it could stand in a statement.
fn example(description: &TableDescription, column: usize) -> String {
    let field = &description.columns[column].field;
    let name = field.name();
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    let name = if is_plain { name.clone() } else { format!("\"{}\"", name.replace('"', "\"\"")) };
    let condition = match field.data_type() {
        DataType::Date32 | DataType::Date64 => format!("{name} >= DATE '2026-01-01'"),
        DataType::Timestamp(..) => format!("{name} >= TIMESTAMP '2026-01-01 00:00:00'"),
        DataType::Boolean => format!("{name} = true"),
        number if number.is_numeric() => format!("{name} = 1"),
        _ => format!("{name} = '…'"),
    };
    format!("`{condition}`")
}
