use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterPhysicalExpr, InListExpr, lit};
use datafusion::physical_expr::utils::conjunction_opt;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use tokio::sync::OnceCell;
use tombolo_connector::KeyBatch;

use super::counted_stream::Dress;
use super::key_range::{KeyRange, least_and_greatest};
use super::keys::{KeyChoice, KeyOutcome, KeySupply};

/// The most keys that a row is looked up among; of more, only the least and the greatest are compared.
const MOST_LISTED: usize = 65_536;

/// Keys that the rows of DataFusion's own readers are compared with as they are read. A reader of files that keep the least and
/// the greatest value of their parts passes over the parts that have none.
#[derive(Debug, Clone)]
pub(super) struct KeyFilter {
    supply: Arc<dyn KeySupply>,
    /// True until the keys are known.
    predicate: Arc<DynamicFilterPhysicalExpr>,
}

impl KeyFilter {
    /// The filter, and the plan with it.
    pub(super) fn over(
        plan: Arc<dyn ExecutionPlan>,
        supply: Arc<dyn KeySupply>,
        columns: &[usize],
        config: &ConfigOptions,
    ) -> Result<(Self, Arc<dyn ExecutionPlan>)> {
        let schema = plan.schema();
        let columns = columns.iter().map(|at| column(&schema, *at)).collect();
        let predicate = Arc::new(DynamicFilterPhysicalExpr::new(columns, lit(true)));
        let plan = Arc::new(FilterExec::try_new(Arc::clone(&predicate) as _, plan)?);
        // The reader is told too. Nothing but the readers of one source is below, and no join.
        let plan = FilterPushdown::new().optimize(plan, config)?;
        Ok((Self { supply, predicate }, plan))
    }

    async fn fill(&self, schema: &Schema) -> Result<()> {
        match self.supply.choose().await? {
            KeyChoice::ReadAll { reason } => self.supply.settle(KeyOutcome::ReadAll(reason)),
            KeyChoice::Batches { batches, .. } => {
                self.predicate.update(predicate(&batches, schema)?)?;
                self.supply.settle(KeyOutcome::Sent(1));
            }
            KeyChoice::Ranges { ranges, reason, .. } => {
                let within = ranges
                    .into_iter()
                    .map(|KeyRange { at, least, greatest }| within(&column(schema, at), least, greatest));
                self.predicate.update(conjunction_opt(within).unwrap_or_else(|| lit(true)))?;
                self.supply.settle(KeyOutcome::Ranges(reason));
            }
        }
        Ok(())
    }
}

/// One partition of a plan, once its filters know their keys.
pub(super) fn read(
    plan: &Arc<dyn ExecutionPlan>,
    filters: &[KeyFilter],
    filled: &Arc<OnceCell<()>>,
    dress: &Dress,
    partition: usize,
    task: Arc<TaskContext>,
) -> SendableRecordBatchStream {
    let (plan, filters, filled, dress) = (Arc::clone(plan), filters.to_vec(), Arc::clone(filled), dress.clone());
    let schema = Arc::clone(&dress.schema);
    let opened = async move {
        let fill = || async {
            for filter in &filters {
                filter.fill(&plan.schema()).await?;
            }
            Ok::<_, DataFusionError>(())
        };
        filled.get_or_try_init(fill).await?;
        let rows = plan.execute(partition, task).map_err(|error| dress.named(error))?;
        Ok::<_, DataFusionError>(dress.around(rows, None, partition))
    };
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(opened).try_flatten()))
}

/// What is true of each row that has one of the keys, and of few others.
fn predicate(batches: &[KeyBatch], schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let keys = batches.iter().flat_map(|batch| batch.columns.iter().zip(batch.keys.columns()));
    let all = keys.map(|(at, keys)| compared(column(schema, *at), keys, schema)).collect::<Result<Vec<_>>>()?;
    // Without a key no row can match.
    Ok(conjunction_opt(all).unwrap_or_else(|| lit(false)))
}

fn compared(column: Arc<dyn PhysicalExpr>, keys: &ArrayRef, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let Some([least, greatest]) = least_and_greatest(keys)? else { return Ok(lit(false)) };
    let range = within(&column, Some(least), Some(greatest));
    if keys.len() > MOST_LISTED {
        return Ok(range);
    }
    let listed = InListExpr::try_new_from_array(Arc::clone(&column), Arc::clone(keys), false, schema)?;
    Ok(Arc::new(BinaryExpr::new(range, Operator::And, Arc::new(listed))))
}

/// What is true of values from the least to the greatest.
fn within(
    column: &Arc<dyn PhysicalExpr>,
    least: Option<ScalarValue>,
    greatest: Option<ScalarValue>,
) -> Arc<dyn PhysicalExpr> {
    let bound = |op, value| Arc::new(BinaryExpr::new(Arc::clone(column), op, lit(value))) as Arc<dyn PhysicalExpr>;
    let least = least.map(|least| bound(Operator::GtEq, least));
    let greatest = greatest.map(|greatest| bound(Operator::LtEq, greatest));
    conjunction_opt(least.into_iter().chain(greatest)).unwrap_or_else(|| lit(true))
}

fn column(schema: &Schema, at: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(schema.field(at).name(), at))
}
