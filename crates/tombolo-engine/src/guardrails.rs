//! The façade's care for guardrails: what the config names is looked for, and a sorted answer without a limit is kept in bounds.
//! The rules about predicates are held against the cut plan by [`pushdown`](crate::pushdown), those about what is read by
//! [`check`] before and by [`execute`](crate::execute) while it runs.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{FetchType, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use tombolo_connector::{Error, Result};

use crate::catalog::guardrails::{grouped, refused};
use crate::catalog::{Source, SourceTable};
use crate::check;
use crate::error::from_datafusion;
use crate::execute::RowGuardExec;

/// Looks for the tables that the guardrails of a plan's sources name.
///
/// # Errors
/// [`ConfigInvalid`](tombolo_connector::ErrorCode::ConfigInvalid) for one that is not there.
pub(crate) async fn check_names(plan: &LogicalPlan) -> Result<()> {
    let mut sources: Vec<Arc<Source>> = Vec::new();
    plan.apply_with_subqueries(|plan| {
        if let Some(table) = table(plan)
            && !sources.iter().any(|known| Arc::ptr_eq(known, table.source()))
        {
            sources.push(Arc::clone(table.source()));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    for source in sources {
        source.check_guardrails().await?;
    }
    Ok(())
}

fn table(plan: &LogicalPlan) -> Option<&SourceTable> {
    let LogicalPlan::TableScan(scan) = plan else { return None };
    SourceTable::of(scan)
}

/// The most rows of an answer that is sorted without a limit.
#[derive(Debug, Clone)]
pub(crate) struct SortLimit {
    most: u64,
    source: String,
    key: String,
}

impl SortLimit {
    /// The least that a table below says, where the answer of an optimised plan is sorted without a limit.
    pub(crate) fn of(plan: &LogicalPlan) -> Result<Option<Self>> {
        let Some(sorted) = sorted(plan) else { return Ok(None) };
        let mut least: Option<Self> = None;
        sorted
            .apply_with_subqueries(|plan| {
                if let Some(limit) = table(plan).and_then(Self::of_table)
                    && least.as_ref().is_none_or(|least| limit.most < least.most)
                {
                    least = Some(limit);
                }
                Ok(TreeNodeRecursion::Continue)
            })
            .map_err(from_datafusion)?;
        Ok(least)
    }

    fn of_table(table: &SourceTable) -> Option<Self> {
        let source = table.source().name().to_owned();
        let rules = table.source().guardrails().of(&table.description().table);
        let most = rules.max_unlimited_sort_rows()?;
        let key = rules.key(&source, "max_unlimited_sort_rows", |own| own.max_unlimited_sort_rows.is_some());
        Some(Self { most, source, key })
    }

    /// Refuses a plan that is sure to sort more rows; of any other, guards those that it sorts.
    ///
    /// # Errors
    /// [`GuardrailRefused`](tombolo_connector::ErrorCode::GuardrailRefused).
    pub(crate) fn guard(self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(rows) = check::sorted_rows(&plan).filter(|rows| rows.least > self.most) {
            return Err(self.refused(&format!("about {}", grouped(rows.about))));
        }
        let most = self.most;
        let more = format!("more than {}", grouped(most));
        RowGuardExec::below_sort(plan, most, &(Arc::new(move || self.refused(&more)) as _)).map_err(from_datafusion)
    }

    fn refused(&self, rows: &str) -> Error {
        refused(&self.source, format!("the answer would be {rows} rows in order, without a LIMIT"))
            .with_detail(format!("`{}` is {}", self.key, grouped(self.most)))
            .with_hint("Add a LIMIT after ORDER BY, filter or aggregate to fewer rows, or leave ORDER BY away.")
    }
}

/// The plan, if it is sorted and no limit cuts it.
fn sorted(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) => sort.fetch.is_none().then_some(plan),
        LogicalPlan::Projection(projection) => sorted(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => sorted(&alias.input),
        LogicalPlan::Limit(limit) if matches!(limit.get_fetch_type(), Ok(FetchType::Literal(None))) => {
            sorted(&limit.input)
        }
        _ => None,
    }
}
