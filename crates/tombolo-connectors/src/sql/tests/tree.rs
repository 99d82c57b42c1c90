//! Turns DataFusion's optimized plans into trees, so that tests can be written in SQL. The engine's own way is in its
//! `pushdown`; a connector's tests must not need the engine.

use std::sync::Arc;

use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{FetchType, LogicalPlan, SkipType};
use tombolo_connector::{Connector, Scan, ScanAggregate, ScanJoin, ScanTable, TableDescription};

/// The tree of a whole plan, or what in it has none.
pub(crate) fn scan_of(plan: &LogicalPlan, tables: &[Arc<TableDescription>]) -> Result<Scan, String> {
    let below = |plan: &Arc<LogicalPlan>| scan_of(plan, tables).map(Arc::new);
    Ok(match plan {
        LogicalPlan::TableScan(scan) => {
            let name = scan.table_name.table();
            let description =
                tables.iter().find(|table| table.table.table == name).ok_or(format!("no table {name}"))?;
            assert!(scan.filters.is_empty(), "filters were pushed into the scan of {name}");
            let all = (0..description.columns.len()).collect();
            let table = Scan::Table(ScanTable {
                description: Arc::clone(description),
                columns: scan.projection.clone().unwrap_or(all),
                schema: Arc::clone(&scan.projected_schema),
            });
            match scan.fetch {
                Some(fetch) => Scan::Limit { input: Arc::new(table), skip: 0, fetch: Some(fetch) },
                None => table,
            }
        }
        LogicalPlan::Filter(filter) => {
            Scan::Filter { input: below(&filter.input)?, predicates: split_conjunction_owned(filter.predicate.clone()) }
        }
        LogicalPlan::Projection(projection) => Scan::Project {
            input: below(&projection.input)?,
            exprs: projection.expr.clone(),
            schema: Arc::clone(&projection.schema),
        },
        LogicalPlan::SubqueryAlias(alias) => {
            Scan::Alias { input: below(&alias.input)?, schema: Arc::clone(&alias.schema) }
        }
        LogicalPlan::Join(join) => Scan::Join(ScanJoin {
            left: below(&join.left)?,
            right: below(&join.right)?,
            join_type: join.join_type,
            on: join.on.clone(),
            condition: join.filter.clone(),
            null_equality: join.null_equality,
            null_aware: join.null_aware,
            schema: Arc::clone(&join.schema),
        }),
        LogicalPlan::Aggregate(aggregate) => Scan::Aggregate(ScanAggregate {
            input: below(&aggregate.input)?,
            group: aggregate.group_expr.clone(),
            aggregates: aggregate.aggr_expr.clone(),
            schema: Arc::clone(&aggregate.schema),
        }),
        LogicalPlan::Window(window) => Scan::Window {
            input: below(&window.input)?,
            windows: window.window_expr.clone(),
            schema: Arc::clone(&window.schema),
        },
        LogicalPlan::Sort(sort) => {
            Scan::Sort { input: below(&sort.input)?, keys: sort.expr.clone(), fetch: sort.fetch }
        }
        LogicalPlan::Limit(limit) => match (limit.get_skip_type(), limit.get_fetch_type()) {
            (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) => {
                Scan::Limit { input: below(&limit.input)?, skip, fetch }
            }
            _ => return Err("a computed limit".to_owned()),
        },
        LogicalPlan::Union(union) => Scan::Union {
            inputs: union.inputs.iter().map(below).collect::<Result<_, _>>()?,
            schema: Arc::clone(&union.schema),
        },
        other => return Err(format!("no tree for {}", other.display())),
    })
}

/// Offers every operator of a tree from the bottom up, as the engine does; the reasons where one is refused.
pub(crate) fn accepts(connector: &dyn Connector, scan: &Scan) -> Result<(), Vec<String>> {
    scan.inputs().into_iter().try_for_each(|input| accepts(connector, input))?;
    let offer = connector.offer(scan);
    assert_eq!(offer.parts.len(), scan.part_count(), "an answer for each part of {scan}");
    if offer.is_exact() { Ok(()) } else { Err(offer.reasons()) }
}
