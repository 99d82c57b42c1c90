//! Parts of a plan that stand in it more than once, made once.
//!
//! What a `WITH` names is put in wherever it is read, so that conditions reach the sources; what is the same in several places after
//! that is found here. Its rows are then also the same in all of them, however its tables change meanwhile.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion, TreeNodeRewriter};
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, Projection, Sort, SortExpr, UserDefinedLogicalNodeCore};
use tombolo_connector::Scan;

use super::expressions::is_movable;
use super::node::SourceScan;

/// A leaf of the logical plan: rows that are made once and read in several places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Shared {
    /// Its number in the plan, from 1.
    pub id: usize,
    /// What makes the rows.
    pub plan: Arc<LogicalPlan>,
}

impl Shared {
    /// The shared rows that a node reads, if it does.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        let LogicalPlan::Extension(extension) = plan else { return None };
        extension.node.as_any().downcast_ref()
    }

    fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }
}

impl UserDefinedLogicalNodeCore for Shared {
    fn name(&self) -> &'static str {
        "Shared"
    }

    // What makes the rows is none of its inputs: it would be planned once for each place.
    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        self.plan.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared: #{}", self.id)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if exprs.is_empty() && inputs.is_empty() { Ok(self.clone()) } else { internal_err!("shared rows are a leaf") }
    }
}

/// What makes the shared rows of a plan, each before what reads it.
///
/// # Errors
/// None of its own.
pub fn shared_parts(plan: &LogicalPlan) -> Result<Vec<Shared>> {
    let mut parts: Vec<Shared> = Vec::new();
    collect_parts(plan, &mut parts)?;
    Ok(parts)
}

fn collect_parts(plan: &LogicalPlan, parts: &mut Vec<Shared>) -> Result<()> {
    plan.apply_with_subqueries(|plan| {
        if let Some(shared) = Shared::of(plan)
            && parts.iter().all(|part| part.id != shared.id)
        {
            collect_parts(&shared.plan, parts)?;
            parts.push(shared.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Rewrites a plan from the leaves up, and once what is in it in several places: what makes shared rows, and sub-selects that are
/// equal, which stay so and are run once.
///
/// # Errors
/// What the rewriting says.
pub fn transform_up_with_shared(
    plan: LogicalPlan,
    rewrite: &mut dyn FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
) -> Result<LogicalPlan> {
    Ok(plan.rewrite(&mut Rewriting { rewrite, done: HashMap::new() })?.data)
}

struct Rewriting<'a> {
    rewrite: &'a mut dyn FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
    done: HashMap<LogicalPlan, LogicalPlan>,
}

impl Rewriting<'_> {
    fn once(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        if let Some(done) = self.done.get(plan) {
            return Ok(done.clone());
        }
        let done = plan.clone().rewrite(self)?.data;
        self.done.insert(plan.clone(), done.clone());
        Ok(done)
    }
}

impl TreeNodeRewriter for Rewriting<'_> {
    type Node = LogicalPlan;

    fn f_down(&mut self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        plan.map_subqueries(|subquery| self.once(&subquery).map(Transformed::yes))
    }

    fn f_up(&mut self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let Some(Shared { id, plan: input }) = Shared::of(&plan) else { return (self.rewrite)(plan) };
        let input = Arc::new(self.once(input)?);
        Ok(Transformed::yes(Shared { id: *id, plan: input }.into_plan()))
    }
}

/// The plan in which what stands in it more than once is made once, where there is anything of the kind.
pub(super) fn share(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let plan = plan.clone().transform_up_with_subqueries(unnamed)?.data;
    let mut sharing = Sharing::default();
    sharing.count(&plan)?;
    if sharing.places.values().all(|times| *times < 2) {
        return Ok(None);
    }
    sharing.rewritten(plan).map(Some)
}

#[derive(Default)]
struct Sharing {
    /// How often each part that can be shared stands in the plan: what is inside of such a part counts once, however often that
    /// does.
    places: HashMap<LogicalPlan, usize>,
    made: HashMap<LogicalPlan, Shared>,
}

impl Sharing {
    fn count(&mut self, plan: &LogicalPlan) -> Result<()> {
        if gathers(plan) && can_be_shared(plan)? {
            let times = self.places.entry(plan.clone()).or_default();
            *times += 1;
            if *times > 1 {
                return Ok(());
            }
        }
        plan.inputs().into_iter().try_for_each(|input| self.count(input))?;
        plan.apply_subqueries(|subquery| self.count(subquery).map(|()| TreeNodeRecursion::Continue))?;
        Ok(())
    }

    fn rewritten(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if self.places.get(&plan).is_none_or(|times| *times < 2) {
            return self.inside(plan);
        }
        if let Some(shared) = self.made.get(&plan) {
            return Ok(shared.clone().into_plan());
        }
        let inside = Arc::new(self.inside(plan.clone())?);
        let shared = Shared { id: self.made.len() + 1, plan: inside };
        self.made.insert(plan, shared.clone());
        Ok(shared.into_plan())
    }

    fn inside(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = plan.map_children(|input| self.rewritten(input).map(Transformed::yes))?.data;
        Ok(plan.map_subqueries(|subquery| self.rewritten(subquery).map(Transformed::yes))?.data)
    }
}

/// Takes the names that a sub-query gives its columns, and their choice, out of it: two of them may be alike but for these.
fn unnamed(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let node = SourceScan::of(&plan).filter(|node| is_gathered(&node.scan));
    let Some((below, exprs)) = node.and_then(below_names) else { return Ok(Transformed::no(plan)) };
    let schema = Arc::clone(plan.schema());
    let named = exprs.into_iter().zip(schema.iter());
    let named = named.map(|(expr, (qualifier, field))| expr.alias_qualified(qualifier.cloned(), field.name()));
    let input = Arc::new(unnamed(below.into_plan())?.data);
    let projection = Projection::try_new_with_schema(named.collect(), input, schema)?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// What is below the operator at the top of a sub-query, where that names or chooses columns alone, and those columns.
fn below_names(node: &SourceScan) -> Option<(SourceScan, Vec<Expr>)> {
    let (input, columns): (_, Vec<usize>) = match node.scan.as_ref() {
        Scan::Alias { input, schema } => (input, (0..schema.fields().len()).collect()),
        Scan::Project { input, exprs, .. } => {
            let at = |expr: &Expr| input.schema().maybe_index_of_column(expr.clone().unalias().try_as_col()?);
            (input, exprs.iter().map(at).collect::<Option<_>>()?)
        }
        _ => return None,
    };
    let named = |at: usize| Some(Expr::Column(input.schema().columns().get(at)?.clone()));
    let outer = node.scan.schema();
    let mapped = |key: &SortExpr| {
        let at = outer.maybe_index_of_column(key.expr.try_as_col()?)?;
        Some(SortExpr { expr: named(*columns.get(at)?)?, ..key.clone() })
    };
    let order = node.order.iter().map(mapped).collect::<Option<_>>()?;
    let exprs = columns.iter().map(|at| named(*at)).collect::<Option<_>>()?;
    Some((SourceScan { scan: Arc::clone(input), order, sorted: None, ..node.clone() }, exprs))
}

/// Whether fewer rows come out of a part of a plan than are read for it, as a rule, so that keeping them costs less than reading
/// again.
fn gathers(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Sort(Sort { fetch: Some(_), .. }) => true,
        _ => SourceScan::of(plan).is_some_and(|scan| is_gathered(&scan.scan)),
    }
}

fn is_gathered(scan: &Scan) -> bool {
    match scan {
        Scan::Aggregate(_) | Scan::Limit { .. } | Scan::Sort { fetch: Some(_), .. } => true,
        Scan::Project { input, .. } | Scan::Filter { input, .. } | Scan::Alias { input, .. } => is_gathered(input),
        _ => false,
    }
}

/// Whether a part reads a source, and gives the same rows wherever it stands.
fn can_be_shared(plan: &LogicalPlan) -> Result<bool> {
    let (mut reads, mut is_fixed) = (false, true);
    plan.apply(|plan| {
        reads |= SourceScan::of(plan).is_some();
        is_fixed &= plan.expressions().iter().all(|expr| is_movable(expr) && !expr.contains_outer());
        Ok(if is_fixed { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(reads && is_fixed)
}
