//! How the conditions of a filter are put to each batch of rows.
//!
//! DataFusion takes conditions one after the other, and where few rows are left it copies these and puts the next condition to them
//! alone. For a comparison of numbers the copying takes far longer than the comparison.
//!
//! What the operators above know of the rows, such as that a column has one value, DataFusion finds in the conditions as they were
//! planned. It asks for it whenever a plan is made anew, so [`FilterAtOnceExec`] goes on answering by those.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::kernels::boolean::and_kleene;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::guards::{EachOperator, Rewritten};

/// Puts the comparisons of numbers in a filter first, and takes all of them at once.
pub(super) const RULE: EachOperator = EachOperator { name: "cheap_conditions_first", rewrite };

fn rewrite(plan: Arc<dyn ExecutionPlan>) -> Rewritten {
    let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
    Ok(match FilterAtOnceExec::of(filter)? {
        Some(at_once) => Transformed::yes(Arc::new(at_once)),
        None => Transformed::no(plan),
    })
}

/// The conditions in the order in which they are taken; `None` where DataFusion's is as good.
fn in_order(filter: &FilterExec) -> Option<Arc<dyn PhysicalExpr>> {
    let schema = filter.input().schema();
    let (cheap, others): (Vec<_>, Vec<_>) =
        split_conjunction(filter.predicate()).into_iter().cloned().partition(|condition| is_cheap(condition, &schema));
    if cheap.len() < 2 {
        return None;
    }
    let all: Arc<dyn PhysicalExpr> = Arc::new(AllOf(cheap));
    Some(others.into_iter().fold(all, |before, next| Arc::new(BinaryExpr::new(before, Operator::And, next)) as _))
}

/// A filter that takes its conditions in another order than it was planned with.
#[derive(Debug)]
pub(crate) struct FilterAtOnceExec {
    planned: FilterExec,
    run: FilterExec,
}

impl FilterAtOnceExec {
    fn of(filter: &FilterExec) -> Result<Option<Self>> {
        let Some(predicate) = in_order(filter) else { return Ok(None) };
        let run = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
        Ok(Some(Self { planned: filter.clone(), run }))
    }

    /// The filter that is run.
    pub(crate) fn filter(&self) -> &FilterExec {
        &self.run
    }
}

impl DisplayAs for FilterAtOnceExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.run.fmt_as(kind, f)
    }
}

impl ExecutionPlan for FilterAtOnceExec {
    fn name(&self) -> &'static str {
        "FilterAtOnceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.planned.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.planned.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.planned.apply_expressions(f)
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.planned.maintains_input_order()
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("{} takes one input", self.name());
        };
        let planned = FilterExecBuilder::from(&self.planned).with_input(Arc::clone(&input)).build()?;
        let run = FilterExecBuilder::from(&self.run).with_input(input).build()?;
        Ok(Arc::new(Self { planned, run }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.run.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.run.metrics()
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.planned.child_stats_requests(partition)
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        self.planned.statistics_from_inputs(inputs, args)
    }

    fn fetch(&self) -> Option<usize> {
        self.run.fetch()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        self.planned.cardinality_effect()
    }
}

/// Whether it compares a column of numbers, or of what is stored like them, with a constant. That cannot fail either.
fn is_cheap(condition: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let Some(comparison) = condition.downcast_ref::<BinaryExpr>() else { return false };
    let is_column = |side: &Arc<dyn PhysicalExpr>| side.is::<Column>();
    let is_constant = |side: &Arc<dyn PhysicalExpr>| side.is::<Literal>();
    let (left, right) = (comparison.left(), comparison.right());
    let is_number = left.data_type(schema).is_ok_and(|data_type| data_type.is_primitive());
    let compares = matches!(
        comparison.op(),
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    );
    compares && is_number && (is_column(left) && is_constant(right) || is_constant(left) && is_column(right))
}

/// True where all of its conditions are, false where one is false, else null.
#[derive(Debug)]
struct AllOf(Vec<Arc<dyn PhysicalExpr>>);

impl PartialEq for AllOf {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for AllOf {}

impl Hash for AllOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for AllOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.0.iter().enumerate() {
            write!(f, "{}{condition}", if at == 0 { "" } else { " AND " })?;
        }
        Ok(())
    }
}

impl PhysicalExpr for AllOf {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.iter().try_fold(false, |is_nullable, condition| Ok(is_nullable || condition.nullable(schema)?))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let mut all: Option<BooleanArray> = None;
        for condition in &self.0 {
            let next = condition.evaluate(batch)?.into_array(batch.num_rows())?;
            let next = as_boolean_array(&next)?;
            all = Some(match all {
                None => next.clone(),
                Some(before) => and_kleene(&before, next)?,
            });
        }
        let all = all.unwrap_or_else(|| BooleanArray::from(vec![true; batch.num_rows()]));
        Ok(ColumnarValue::Array(Arc::new(all)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.0.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self(children)))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, condition) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " AND " })?;
            condition.fmt_sql(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{binary, col, lit};
    use datafusion::physical_plan::test::TestMemoryExec;

    use super::*;

    fn comparison(
        name: &str,
        op: Operator,
        value: impl datafusion::logical_expr::Literal,
        schema: &Schema,
    ) -> Arc<dyn PhysicalExpr> {
        binary(col(name, schema).unwrap(), op, lit(value), schema).unwrap()
    }

    #[test]
    fn numbers_are_compared_first_and_nulls_are_what_they_were() {
        let field = |name, data_type| Field::new(name, data_type, true);
        let schema = Arc::new(Schema::new(vec![
            field("a", DataType::Int64),
            field("b", DataType::Int64),
            field("t", DataType::Utf8),
        ]));
        let values = [None, Some(1), Some(9)];
        let pairs = values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b)));
        let (a, b): (Vec<_>, Vec<_>) = pairs.unzip();
        let texts = StringArray::from(vec!["x"; a.len()]);
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![Arc::new(Int64Array::from(a)), Arc::new(Int64Array::from(b)), Arc::new(texts)],
        )
        .unwrap();
        let text = comparison("t", Operator::Eq, "x", &schema);
        let conditions = [comparison("a", Operator::Gt, 5_i64, &schema), comparison("b", Operator::Gt, 5_i64, &schema)];
        let theirs = binary(
            Arc::clone(&conditions[0]),
            Operator::And,
            binary(Arc::clone(&text), Operator::And, Arc::clone(&conditions[1]), &schema).unwrap(),
            &schema,
        )
        .unwrap();
        let input = TestMemoryExec::try_new_exec(&[vec![batch.clone()]], Arc::clone(&schema), None).unwrap();
        let filter: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(Arc::clone(&theirs), input).unwrap());
        let ours = rewrite(filter).unwrap();
        assert!(ours.transformed);
        let ours = ours.data.downcast_ref::<FilterAtOnceExec>().unwrap().filter().predicate().clone();
        assert_eq!(ours.to_string(), "a@0 > 5 AND b@1 > 5 AND t@2 = x");
        let value =
            |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch).unwrap().into_array(9).unwrap().as_boolean().clone();
        assert_eq!(value(&ours), value(&theirs));
        // A null beside a null, a false and a true.
        let both = AllOf(conditions.to_vec()).evaluate(&batch).unwrap().into_array(9).unwrap();
        let wanted = [None, Some(false), None, Some(false), Some(false), Some(false), None, Some(false), Some(true)];
        assert_eq!(both.as_boolean(), &BooleanArray::from(wanted.to_vec()));
    }
}
