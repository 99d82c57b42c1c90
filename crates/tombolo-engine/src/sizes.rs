//! The façade's care for tables of which their sources know no size, such as views: their rows are counted, as far as that is
//! quick, before a plan over several sources is put in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use tokio::time::Instant;
use tombolo_connector::{Result, RowCount, TableDescription, TableKind};

use crate::catalog::{Source, SourceTable};
use crate::engine::Engine;
use crate::error::from_datafusion;

/// The most rows that are counted.
const MOST_ROWS: u64 = 10_000;

/// A table by its source's name and its own.
type Name = (String, String, String);

/// A table of unknown size.
struct Unknown {
    source: Arc<Source>,
    description: Arc<TableDescription>,
}

impl Engine {
    /// Gives tables of unknown size the rows that were counted of them, now or by an earlier query. One that has many or that is
    /// slow is left as it is.
    pub(crate) async fn with_sizes(&self, plan: LogicalPlan, user: &str) -> Result<LogicalPlan> {
        let (tables, sources) = unknown_tables(&plan)?;
        if tables.is_empty() || sources < 2 || !self.settings().observed_statistics {
            return Ok(plan);
        }
        let counted = |table: &Unknown| table.source.observed()?.counted(&table.description.table);
        let mut rows: BTreeMap<Name, u64> = BTreeMap::new();
        let mut asked: Vec<(&Name, &Unknown)> = Vec::new();
        for (name, table) in &tables {
            match counted(table) {
                Some(count) => {
                    rows.insert(name.clone(), count);
                }
                None => asked.push((name, table)),
            }
        }
        let statements = asked.iter().map(|(name, _)| statement(name)).collect();
        let deadline = Instant::now() + self.settings().counting_time;
        // What is slow is not tried again for a while either.
        let mut counts = vec![MOST_ROWS + 1; asked.len()];
        for (at, values) in self.read_values(statements, user, deadline).await {
            if let Some(count) = values.first().and_then(|count| count.parse().ok()) {
                counts[at] = count;
            }
        }
        let mut observers = BTreeMap::new();
        for ((name, table), count) in asked.into_iter().zip(counts) {
            if let Some(observed) = table.source.observed() {
                observed.count(&table.description.table, count);
                observers.insert(table.source.name(), observed);
            }
            rows.insert(name.clone(), count);
        }
        observers.values().for_each(|observed| observed.save());
        rows.retain(|_, count| *count <= MOST_ROWS);
        if rows.is_empty() { Ok(plan) } else { with_rows(plan, &rows) }
    }
}

fn statement((source, schema, table): &Name) -> String {
    let name = [source, schema, table].map(|part| format!("\"{}\"", part.replace('"', "\"\""))).join(".");
    format!("SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {}) AS counted", MOST_ROWS + 1)
}

fn name_of(table: &SourceTable) -> Name {
    let own = &table.description().table;
    (table.source().name().to_owned(), own.schema.clone(), own.table.clone())
}

/// The tables of unknown size, and how many sources there are. What a native query gives is not counted: its text is run once.
fn unknown_tables(plan: &LogicalPlan) -> Result<(BTreeMap<Name, Unknown>, usize)> {
    let (mut tables, mut sources) = (BTreeMap::new(), BTreeSet::new());
    let visited = plan.apply_with_subqueries(|plan| {
        if let LogicalPlan::TableScan(scan) = plan
            && let Some(table) = SourceTable::of(scan)
        {
            sources.insert(table.source().name().to_owned());
            let description = table.description();
            if description.statistics.rows == RowCount::Unknown && description.kind != TableKind::Query {
                let (source, description) = (Arc::clone(table.source()), Arc::clone(description));
                tables.insert(name_of(table), Unknown { source, description });
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(from_datafusion)?;
    Ok((tables, sources.len()))
}

fn with_rows(plan: LogicalPlan, rows: &BTreeMap<Name, u64>) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|plan| {
        let LogicalPlan::TableScan(mut scan) = plan else { return Ok(Transformed::no(plan)) };
        let counted = SourceTable::of(&scan).and_then(|table| Some((table, *rows.get(&name_of(table))?)));
        let Some((table, count)) = counted else { return Ok(Transformed::no(LogicalPlan::TableScan(scan))) };
        let mut description = table.description().as_ref().clone();
        description.statistics.rows = RowCount::Estimated(count);
        scan.source = Arc::new(SourceTable::new(Arc::clone(table.source()), Arc::new(description)));
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    });
    Ok(changed.map_err(from_datafusion)?.data)
}
