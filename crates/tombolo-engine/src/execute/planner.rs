use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use tombolo_connector::QueryContext;

use super::budget::Budgets;
use super::scan_exec::SourceScanExec;
use super::shared::inputs;
use crate::pushdown::SourceScan;

/// Turns each sub-query of the logical plan into an operator, and remembers it for progress and receipt.
#[derive(Debug)]
pub struct SourceScanPlanner {
    context: QueryContext,
    budgets: Budgets,
    tells_values: bool,
    planned: Mutex<BTreeMap<usize, Arc<SourceScanExec>>>,
}

impl SourceScanPlanner {
    /// Makes a planner for one query.
    pub fn new(context: QueryContext) -> Self {
        Self { context, budgets: Budgets::default(), tells_values: true, planned: Mutex::default() }
    }

    /// The same, whose operators do not tell which values their columns have.
    pub fn without_values(self) -> Self {
        Self { tells_values: false, ..self }
    }

    /// The operators that were made, by the sub-query's number, as they are in the plan that runs: in an order where that was chosen.
    /// Later rewrites of the physical plan share their counters.
    pub fn planned(&self, plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<SourceScanExec>> {
        let mut in_order = Vec::new();
        collect_ordered(plan, &mut in_order);
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let chosen = planned.values().map(|scan| match scan.sorted() {
            Some(sorted) if in_order.contains(&scan.scan().id) => Arc::clone(sorted),
            _ => Arc::clone(scan),
        });
        chosen.collect()
    }
}

#[async_trait]
impl ExtensionPlanner for SourceScanPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        _: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(scan) = node.as_any().downcast_ref::<SourceScan>() else { return Ok(None) };
        let connector = scan.source.connector().await?;
        let mut planned = connector
            .plan_scan(&scan.scan, &self.context)
            .await
            .map_err(|error| error.with_source_name(scan.source.name()))?;
        planned.statistics = scan.source.corrected(&scan.scan, planned.statistics);
        let mut operator = SourceScanExec::try_new(scan.clone(), planned, self.context.clone(), self.budgets.of(scan))?;
        if let Some(sorted) = scan.in_order() {
            let context = QueryContext { reads_first_rows: true, ..self.context.clone() };
            let planned = connector.plan_scan(&sorted.scan, &context).await;
            operator =
                operator.with_sorted(sorted, planned.map_err(|error| error.with_source_name(scan.source.name()))?)?;
        }
        if !self.tells_values {
            operator = operator.without_values();
        }
        let operator = Arc::new(operator);
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).insert(scan.id, Arc::clone(&operator));
        Ok(Some(operator))
    }
}

/// The numbers of sub-queries that are read in an order.
fn collect_ordered(plan: &Arc<dyn ExecutionPlan>, found: &mut Vec<usize>) {
    if let Some(scan) = plan.downcast_ref::<SourceScanExec>()
        && !scan.scan().order.is_empty()
    {
        found.push(scan.scan().id);
    }
    inputs(plan).into_iter().for_each(|input| collect_ordered(input, found));
}
