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
use crate::pushdown::SourceScan;

/// Turns each sub-query of the logical plan into an operator, and remembers it for progress and receipt.
#[derive(Debug)]
pub struct SourceScanPlanner {
    context: QueryContext,
    budgets: Budgets,
    planned: Mutex<BTreeMap<usize, Arc<SourceScanExec>>>,
}

impl SourceScanPlanner {
    /// Makes a planner for one query.
    pub fn new(context: QueryContext) -> Self {
        Self { context, budgets: Budgets::default(), planned: Mutex::default() }
    }

    /// The operators that were made, by the sub-query's number. Later rewrites of the physical plan share their counters.
    pub fn planned(&self) -> Vec<Arc<SourceScanExec>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
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
        let operator =
            Arc::new(SourceScanExec::try_new(scan.clone(), planned, self.context.clone(), self.budgets.of(scan))?);
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).insert(scan.id, Arc::clone(&operator));
        Ok(Some(operator))
    }
}
