use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ScalarValue, TableReference, resources_err};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, Optimizer, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use tombolo_engine::guards;

/// What its operators may take. A query that needs more is no test of ours.
const MOST_MEMORY: usize = 4 << 30;
/// An answer is kept whole, so it may not have more bytes. Products of small tables can have any number of rows.
const MOST_ANSWER_BYTES: usize = 1 << 30;
/// What is said of a larger one.
pub(crate) const TOO_LARGE: &str = "the answer is larger than is kept";

/// Plain DataFusion but for the order of floats, whose schemas are named like the sources of a lab, so that it takes the same statements.
#[derive(Clone)]
pub struct Reference(SessionContext);

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reference")
    }
}

impl Reference {
    /// Makes one without tables.
    #[expect(clippy::new_without_default, reason = "as for a lab")]
    pub fn new() -> Self {
        // These rules mix up columns of one name across a join, see docs/adr/0006-no-physical-filter-push-down.md.
        let mut physical = PhysicalOptimizer::new().rules;
        physical.retain(|rule| !rule.name().starts_with("FilterPushdown"));
        Self::with_rules(Optimizer::new().rules, physical)
    }

    /// Makes one without tables, kept from the defects that are known (docs/dev/datafusion.md) by the engine's own rules, so that
    /// what is found by comparing with it is something new. That these rules are right is SQLite's to say.
    pub fn careful() -> Self {
        let mut physical = guards::physical_rules();
        physical.push(Arc::new(WholeSortRule));
        let reference = Self::with_rules(guards::logical_rules(), physical);
        reference.0.add_analyzer_rule(Arc::new(guards::InListRule));
        reference.0.add_analyzer_rule(Arc::new(guards::CorrelatedNamesRule));
        reference.0.add_analyzer_rule(Arc::new(MinusOfBitsRule));
        reference
    }

    fn with_rules(
        mut logical: Vec<Arc<dyn OptimizerRule + Send + Sync>>,
        physical: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
    ) -> Self {
        logical.push(Arc::new(FloatsRule));
        let mut config = SessionConfig::new().with_target_partitions(2);
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        // As deep as Tombolo reads: where it is less, `NOT (…)` is taken for a function.
        config.options_mut().set("datafusion.sql_parser.recursion_limit", "200").unwrap();
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(MOST_MEMORY, 1.0).build_arc().unwrap();
        let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
        let state = state.with_optimizer_rules(logical).with_physical_optimizer_rules(physical);
        Self(SessionContext::new_with_state(state.build()))
    }

    /// Adds a table of batches.
    pub fn memory(&self, source: &str, table: &str, batches: Vec<RecordBatch>) {
        let schema = batches.first().expect("a table takes its columns from its first batch").schema();
        let provider = MemTable::try_new(schema, vec![batches]).unwrap();
        self.0.register_table(self.named(source, table), Arc::new(provider)).unwrap();
    }

    /// Adds a Parquet file as a table.
    pub async fn parquet(&self, source: &str, table: &str, path: &Path) {
        let options = ParquetReadOptions::default();
        self.0.register_parquet(self.named(source, table), path.to_str().unwrap(), options).await.unwrap();
    }

    fn named(&self, source: &str, table: &str) -> TableReference {
        let catalog = self.0.catalog("datafusion").unwrap();
        if catalog.schema(source).is_none() {
            catalog.register_schema(source, Arc::new(MemorySchemaProvider::new())).unwrap();
        }
        TableReference::partial(source, table)
    }

    /// Asks a query.
    ///
    /// # Errors
    /// What DataFusion says.
    pub async fn ask(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        match Self::ask_over(&self.0, sql).await {
            Err(error) if guards::is_out_of_order(&error) => {
                let one_stream = guards::careful_order(&self.0.state());
                Self::ask_over(&SessionContext::new_with_state(one_stream), sql).await
            }
            other => other,
        }
    }

    async fn ask_over(context: &SessionContext, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let frame = context.sql(sql).await?;
        // Types are final only when they were brought together, as those of the branches of a CASE are.
        let schema = Arc::clone(frame.clone().into_optimized_plan()?.schema().inner());
        let (mut stream, mut batches, mut bytes) = (frame.execute_stream().await?, Vec::new(), 0);
        while let Some(batch) = stream.next().await.transpose()? {
            bytes += batch.get_array_memory_size();
            if bytes > MOST_ANSWER_BYTES {
                return resources_err!("{TOO_LARGE}");
            }
            batches.push(batch);
        }
        Ok((schema, batches))
    }
}

/// Takes the minus before a bitwise operator from zero: DataFusion hands it on to both sides, as if it were a negation of bits.
#[derive(Debug)]
struct MinusOfBitsRule;

impl AnalyzerRule for MinusOfBitsRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            plan.map_expressions(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::Negative(inner) if is_bitwise(&inner) => {
                        let zero = lit(ScalarValue::new_zero(&inner.get_type(&schema)?)?);
                        Ok(Transformed::yes(zero - *inner))
                    }
                    other => Ok(Transformed::no(other)),
                })
            })
        });
        Ok(plan?.data)
    }

    fn name(&self) -> &'static str {
        "MinusOfBitsRule"
    }
}

/// Has floats be told apart and compared as they are in sources, after DataFusion's rules as in the engine.
#[derive(Debug)]
struct FloatsRule;

impl OptimizerRule for FloatsRule {
    fn name(&self) -> &'static str {
        "FloatsRule"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        guards::floats(plan, |_| false)
    }
}

fn is_bitwise(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::BinaryExpr(BinaryExpr { op: Operator::BitwiseAnd | Operator::BitwiseOr | Operator::BitwiseXor, .. })
    )
}

/// Sorts all rows of a stream where only the first are wanted. DataFusion's shortcut for these drops rows by what other streams
/// have seen, also where their order is not that of the whole.
#[derive(Debug)]
struct WholeSortRule;

impl PhysicalOptimizerRule for WholeSortRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|plan| {
            let Some(sort) = plan.downcast_ref::<SortExec>() else { return Ok(Transformed::no(plan)) };
            let (Some(fetch), true) = (sort.fetch(), sort.preserve_partitioning()) else {
                return Ok(Transformed::no(plan));
            };
            let limited = LocalLimitExec::new(Arc::new(sort.with_fetch(None)), fetch);
            Ok(Transformed::yes(Arc::new(limited) as Arc<dyn ExecutionPlan>))
        });
        Ok(plan?.data)
    }

    fn name(&self) -> &'static str {
        "WholeSortRule"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rows of a query over nothing, as plain DataFusion computes them: the short way to a fixture's batches.
pub async fn rows(sql: &str) -> Vec<RecordBatch> {
    let (schema, batches) = Reference::new().ask(sql).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
    if batches.is_empty() { vec![RecordBatch::new_empty(schema)] } else { batches }
}
