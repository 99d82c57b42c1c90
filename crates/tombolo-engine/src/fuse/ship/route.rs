use std::sync::Arc;

use datafusion::common::{JoinType, Result};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::JoinOnRef;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr, replace_children_if_necessary};

use super::convert::{Step, made_of};
use super::exec::CollectKeysExec;
use crate::cost::{ROW_GROUPED, ROW_PROBED, ROW_SORTED};
use crate::execute::SourceScanExec;
use crate::fuse::EitherExec;
use crate::fuse::count_exec::{JoinCountExec, Reduced};
use crate::plan::UnorderedExec;

/// A column of an operator's output that is compared with a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// Its position in the output.
    pub(super) at: usize,
    /// The key, as the position among those of the join.
    pub(super) key: usize,
    /// What is done with the column above, until it is compared; the last step first.
    pub(super) steps: Vec<Step>,
}

type Plan = Arc<dyn ExecutionPlan>;

/// What to do at a scan that a route leads to: its replacement, or none where it takes no keys.
pub(super) type Visit<'a> = dyn FnMut(&SourceScanExec, &[Wanted], &Path) -> Result<Option<Plan>> + 'a;

/// What is on the way from a join to a scan.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// The join counters, which no longer see every row.
    pub(super) reduced: Vec<Reduced>,
    /// What is done with each row of the scan, in milliseconds, by operators that group, sort or join.
    pub(super) work: f64,
}

/// Follows columns from the output of a plan down to the scans that they come from.
///
/// A scan may drop every row whose column is none of the keys, if the operators on the way let it: each must put out the same
/// rows with these keys whether or not it was given rows with other keys (or with null). Filters, projections, unions and groups
/// by the column do. So do joins for a column of either side, whatever their type; and for a column that the join compares with
/// one of its other side, the other side may drop too. A limit does not, nor does a window.
pub(super) struct Route<'a> {
    visit: &'a mut Visit<'a>,
    path: Path,
}

impl<'a> Route<'a> {
    pub(super) fn new(visit: &'a mut Visit<'a>) -> Self {
        Self { visit, path: Path::default() }
    }

    /// The plan with its scans replaced; `None` where none was.
    pub(super) fn follow(&mut self, plan: &Plan, wanted: &[Wanted]) -> Result<Option<Plan>> {
        let columns = plan.schema().fields().len();
        let wanted: Vec<Wanted> = wanted.iter().filter(|wanted| wanted.at < columns).cloned().collect();
        let wanted = wanted.as_slice();
        if wanted.is_empty() {
            return Ok(None);
        }
        if let Some(scan) = plan.downcast_ref::<SourceScanExec>() {
            return (self.visit)(scan, wanted, &self.path);
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let below = wanted.iter().filter_map(|wanted| {
                let (at, steps) = made_of(&projection.expr().get(wanted.at)?.expr)?;
                Some(Wanted { at, key: wanted.key, steps: [wanted.steps.as_slice(), &steps].concat() })
            });
            let below: Vec<Wanted> = below.collect();
            return self.inputs(plan, |_| &below);
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            if filter.fetch().is_some() {
                return Ok(None);
            }
            let projection = filter.projection().as_deref();
            let below = mapped(wanted, |at| projection.map_or(Some(at), |columns| columns.get(at).copied()));
            return self.inputs(plan, |_| &below);
        }
        if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
            let groups = aggregate.group_expr();
            if groups.has_grouping_set() || aggregate.limit_options().is_some() {
                return Ok(None);
            }
            let below = mapped(wanted, |at| column(&groups.expr().get(at)?.0));
            let is_of_rows = matches!(aggregate.mode().input_mode(), AggregateInputMode::Raw);
            return self.working(if is_of_rows { ROW_GROUPED } else { 0.0 }, |route| route.inputs(plan, |_| &below));
        }
        if let Some(counter) = plan.downcast_ref::<JoinCountExec>() {
            let before = self.path.reduced.len();
            self.path.reduced.extend(counter.work().reduced());
            let followed = self.inputs(plan, |_| wanted);
            self.path.reduced.truncate(before);
            return followed;
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let projection = join.projection.as_deref();
            let wanted = mapped(wanted, |at| projection.map_or(Some(at), |columns| columns.get(at).copied()));
            let (join_type, null_aware) = (*join.join_type(), join.null_aware);
            return self.working(ROW_PROBED, |route| route.join(plan, join_type, null_aware, join.on(), &wanted));
        }
        if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
            return self.working(ROW_SORTED, |route| route.join(plan, join.join_type(), false, join.on(), wanted));
        }
        let passes = plan.is::<CollectKeysExec>()
            || plan.is::<UnionExec>()
            || plan.is::<EitherExec>()
            || plan.is::<CooperativeExec>()
            || plan.is::<UnorderedExec>()
            || ((plan.is::<SortExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<RepartitionExec>())
                && plan.fetch().is_none());
        let work = if plan.is::<SortExec>() { ROW_SORTED } else { 0.0 };
        if passes { self.working(work, |route| route.inputs(plan, |_| wanted)) } else { Ok(None) }
    }

    /// Goes on below an operator that does so much with each row.
    fn working<T>(&mut self, work: f64, below: impl FnOnce(&mut Self) -> T) -> T {
        self.path.work += work;
        let done = below(self);
        self.path.work -= work;
        done
    }

    /// Goes on in every input, for the columns that are wanted of it.
    fn inputs<'w>(&mut self, plan: &Plan, wanted: impl Fn(usize) -> &'w [Wanted]) -> Result<Option<Plan>> {
        let mut is_changed = false;
        let mut children = Vec::new();
        for (at, child) in plan.children().into_iter().enumerate() {
            let replaced = self.follow(child, wanted(at))?;
            is_changed |= replaced.is_some();
            children.push(replaced.unwrap_or_else(|| Arc::clone(child)));
        }
        if is_changed { replace_children_if_necessary(Arc::clone(plan), children).map(Some) } else { Ok(None) }
    }

    fn join(
        &mut self,
        plan: &Plan,
        join_type: JoinType,
        null_aware: bool,
        on: JoinOnRef<'_>,
        wanted: &[Wanted],
    ) -> Result<Option<Plan>> {
        let [left, _] = plan
            .children()
            .try_into()
            .map_err(|_| datafusion::common::internal_datafusion_err!("a join has two inputs"))?;
        let width = left.schema().fields().len();
        let mut sides: [Vec<Wanted>; 2] = Default::default();
        for wanted in wanted {
            let (side, at) = match join_type {
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark if wanted.at < width => (0, wanted.at),
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => continue,
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (1, wanted.at),
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full if wanted.at < width => {
                    (0, wanted.at)
                }
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => (1, wanted.at - width),
            };
            sides[side].push(Wanted { at, ..wanted.clone() });
            // A null on the other side of NOT IN empties the answer, so that side must be whole.
            if null_aware {
                continue;
            }
            for (left, right) in on {
                let pair = [column(left), column(right)];
                if pair[side] == Some(at)
                    && let Some(partner) = pair[1 - side]
                    && left.data_type(&plan.children()[0].schema())? == right.data_type(&plan.children()[1].schema())?
                {
                    sides[1 - side].push(Wanted { at: partner, ..wanted.clone() });
                }
            }
        }
        self.inputs(plan, |side| sides.get(side).map(Vec::as_slice).unwrap_or_default())
    }
}

fn mapped(wanted: &[Wanted], below: impl Fn(usize) -> Option<usize>) -> Vec<Wanted> {
    wanted.iter().filter_map(|wanted| Some(Wanted { at: below(wanted.at)?, ..wanted.clone() })).collect()
}

/// The position of the column that an expression is.
pub(super) fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}
