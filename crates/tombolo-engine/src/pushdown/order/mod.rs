//! The order of joins, by the cost of what they move and of the work that they make.
//!
//! Inner joins, and the left, semi and anti joins among them, are taken apart into what they join and the conditions between
//! (`graph.rs`). Each relation is measured by what its source says of it (`relation.rs`), the cheapest order is looked for
//! (`search.rs`), and the joins are put together again (`build.rs`) if it is cheaper than the order of the statement.

mod build;
mod graph;
mod relation;
mod search;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;

use super::walk::Walk;
use crate::settings::{JoinOrder, KeyShipping, Settings};
use build::Build;
use graph::Graph;
use search::Search;

/// What the order of the statement is left for: less can be a fault of the estimates.
const WORTH: f64 = 0.8;

/// Puts the joins of an optimised plan into the order that is expected to cost least.
pub(super) fn order_joins(plan: LogicalPlan, settings: &Settings, session: &SessionState) -> Result<LogicalPlan> {
    let ordered = Order { walk: Walk::new(settings), keys: settings.key_shipping, order: settings.join_order }
        .visit(plan, false)?;
    if !ordered.transformed {
        return Ok(ordered.data);
    }
    // Columns that a join needed below another may not be needed there any more.
    let is_wanted = |name: &str| matches!(name, "dependencies" | "optimize_projections");
    let rules = session.optimizers().iter().filter(|rule| is_wanted(rule.name())).cloned().collect();
    Optimizer::with_rules(rules).optimize(ordered.data, session, |_, _| {})
}

struct Order {
    walk: Walk,
    keys: KeyShipping,
    order: JoinOrder,
}

impl Order {
    /// `is_named`: what is above takes columns by their names, whatever their positions.
    fn visit(&self, plan: LogicalPlan, is_named: bool) -> Result<Transformed<LogicalPlan>> {
        if let Some(graph) = Graph::of(&plan) {
            return self.ordered(plan, graph, is_named);
        }
        let is_named = matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
        let plan = plan.map_children(|child| self.visit(child, is_named))?;
        plan.transform_data(|plan| plan.map_subqueries(|subquery| self.visit(subquery, false)))
    }

    fn ordered(&self, plan: LogicalPlan, mut graph: Graph, is_named: bool) -> Result<Transformed<LogicalPlan>> {
        let mut is_changed = false;
        for relation in &mut graph.relations {
            let visited = self.visit(relation.plan.as_ref().clone(), false)?;
            is_changed |= visited.transformed;
            relation.plan = Arc::new(visited.data);
        }
        let search = Search::new(&graph, &self.walk, self.keys, self.order)?;
        let tree = search.better(WORTH);
        if tree.is_none() && !is_changed {
            return Ok(Transformed::no(plan));
        }
        let tree = tree.unwrap_or_else(|| graph.tree.clone());
        Build::new(graph).plan(&tree, plan.schema(), is_named).map(Transformed::yes)
    }
}
