use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DFSchemaRef, JoinType, Result, internal_err};
use datafusion::logical_expr::logical_plan::builder::build_join_schema;
use datafusion::logical_expr::{Expr, Extension, Join, LogicalPlan, UserDefinedLogicalNodeCore};

use super::tally::{JoinTally, Which};
use crate::plan::join_texts;
use crate::pushdown::{Shared, SourceScan, transform_up_with_shared};

/// One join that runs here, and its counts.
#[derive(Debug)]
pub struct CountedJoin {
    /// Its number in the plan, from 1.
    pub id: usize,
    /// Which rows come out of it.
    pub join_type: JoinType,
    /// Whether an anti join follows NOT IN, so that a null on its right keeps rows from coming out without a match.
    pub null_aware: bool,
    /// The condition as text.
    pub condition: String,
    /// The tables on its left side, as `source.table`.
    pub left_tables: Vec<String>,
    /// The tables on its right side.
    pub right_tables: Vec<String>,
    /// What it has seen so far.
    pub tally: JoinTally,
    /// The side that is looked up for each part of the other, where that is done: its rows may come several times.
    pub looked_up: OnceLock<Which>,
    /// The ways in which it could be done, the chosen one first and the others by what they are expected to cost.
    pub strategies: OnceLock<Vec<JoinStrategy>>,
}

/// A way to do a join.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinStrategy {
    /// Such as `key shipping from customers.id`.
    pub name: String,
    /// How long it is expected to take to read both sides in this way, in milliseconds.
    pub read_ms: f64,
}

/// Numbers the rows that enter one side of a join, in a column of its own where the join puts that side's rows out.
#[derive(Debug, Clone)]
pub(super) struct RowIds {
    pub(super) input: LogicalPlan,
    pub(super) join: Arc<CountedJoin>,
    pub(super) which: Which,
    pub(super) with_column: bool,
    pub(super) schema: DFSchemaRef,
}

/// Counts what comes out of a join; the columns of row numbers end here.
#[derive(Debug, Clone)]
pub(super) struct JoinCount {
    pub(super) input: LogicalPlan,
    pub(super) join: Arc<CountedJoin>,
    /// The positions of both sides' row numbers, where there are any.
    pub(super) ids: Option<(usize, usize)>,
    pub(super) schema: DFSchemaRef,
}

/// Puts counters around every join of a plan that is cut into sub-queries.
///
/// Gives the new plan and its joins. The counters see every row that enters and leaves a join; they change no row.
pub fn count_joins(plan: LogicalPlan) -> Result<(LogicalPlan, Vec<Arc<CountedJoin>>)> {
    let mut joins = Vec::new();
    let plan = transform_up_with_shared(plan, &mut |plan| match plan {
        LogicalPlan::Join(join) => {
            let (plan, counted) = counted(join, joins.len() + 1)?;
            joins.push(counted);
            Ok(Transformed::yes(plan))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok((plan, joins))
}

fn counted(join: Join, id: usize) -> Result<(LogicalPlan, Arc<CountedJoin>)> {
    let counted = Arc::new(CountedJoin {
        id,
        join_type: join.join_type,
        null_aware: join.null_aware,
        condition: join_texts(&join.on, join.filter.as_ref()).join(" AND "),
        left_tables: tables_of(&join.left),
        right_tables: tables_of(&join.right),
        tally: JoinTally::default(),
        looked_up: OnceLock::new(),
        strategies: OnceLock::new(),
    });
    let pairs = matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
    let side = |input: Arc<LogicalPlan>, which| row_ids(Arc::unwrap_or_clone(input), &counted, which, pairs);
    let (left, right) = (side(join.left, Which::Left)?, side(join.right, Which::Right)?);
    let schema = build_join_schema(left.schema(), right.schema(), &join.join_type)?;
    let ids = pairs.then(|| (left.schema().fields().len() - 1, schema.fields().len() - 1));
    let counted_schema = Arc::clone(&join.schema);
    let input =
        LogicalPlan::Join(Join { left: Arc::new(left), right: Arc::new(right), schema: Arc::new(schema), ..join });
    let node = JoinCount { input, join: Arc::clone(&counted), ids, schema: counted_schema };
    Ok((LogicalPlan::Extension(Extension { node: Arc::new(node) }), counted))
}

fn row_ids(input: LogicalPlan, join: &Arc<CountedJoin>, which: Which, with_column: bool) -> Result<LogicalPlan> {
    let mut schema = Arc::clone(input.schema());
    if with_column {
        let side = if which == Which::Left { "left" } else { "right" };
        let id = Arc::new(Field::new(format!("__{side}_row_of_join_{}", join.id), DataType::UInt64, false));
        let fields = schema.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
        let fields = fields.chain([(None, id)]).collect();
        schema = Arc::new(DFSchema::new_with_metadata(fields, schema.metadata().clone())?);
    }
    let node = RowIds { input, join: Arc::clone(join), which, with_column, schema };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The tables below a plan, as `source.table`, each once.
fn tables_of(plan: &LogicalPlan) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    let mut nodes = vec![plan];
    while let Some(node) = nodes.pop() {
        if let Some(scan) = SourceScan::of(node) {
            for table in scan.scan.tables() {
                let table = table.table();
                let name = if table.is_query() { table.to_string() } else { table.table.clone() };
                let name = format!("{}.{name}", scan.source.name());
                if !tables.contains(&name) {
                    tables.push(name);
                }
            }
        }
        nodes.extend(Shared::of(node).map(|shared| shared.plan.as_ref()));
        nodes.extend(node.inputs().into_iter().rev());
    }
    tables
}

macro_rules! counting_node {
    ($node:ident, $name:literal, $text:literal) => {
        impl PartialEq for $node {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.join, &other.join) && self.schema == other.schema && self.input == other.input
            }
        }

        impl Eq for $node {}

        impl Hash for $node {
            fn hash<H: Hasher>(&self, state: &mut H) {
                (self.join.id, $name).hash(state);
                self.input.hash(state);
            }
        }

        impl PartialOrd for $node {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                self.join.id.partial_cmp(&other.join.id)
            }
        }

        impl UserDefinedLogicalNodeCore for $node {
            fn name(&self) -> &'static str {
                $name
            }

            fn inputs(&self) -> Vec<&LogicalPlan> {
                vec![&self.input]
            }

            fn schema(&self) -> &DFSchemaRef {
                &self.schema
            }

            fn expressions(&self) -> Vec<Expr> {
                Vec::new()
            }

            fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $text, self.join.id)
            }

            fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
                match inputs.pop() {
                    Some(input) if inputs.is_empty() => Ok(Self { input, ..self.clone() }),
                    _ => internal_err!("{} takes one input", $name),
                }
            }
        }
    };
}

counting_node!(RowIds, "RowIds", "RowIds: join #{}");
counting_node!(JoinCount, "JoinCount", "JoinCount: join #{}");
