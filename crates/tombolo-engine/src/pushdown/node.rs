use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, SortExpr, UserDefinedLogicalNodeCore};
use tombolo_connector::Scan;

use crate::catalog::Source;

/// A leaf of the logical plan: one native sub-query of one source.
#[derive(Debug, Clone)]
pub struct SourceScan {
    /// Its number in the plan, from 1, from left to right.
    pub id: usize,
    /// The source that runs it.
    pub source: Arc<Source>,
    /// What the source was asked and accepted.
    pub scan: Arc<Scan>,
    /// The order in which the rows come, by columns of the scan's schema; empty where none is promised.
    pub order: Vec<SortExpr>,
    /// The same rows in an order in which they may be wanted, by columns of the scan's schema, where the source sorts so.
    pub sorted: Option<Sorted>,
    /// What the source was not given.
    pub not_pushed: Vec<NotPushedPart>,
    /// The work that is done here since the source was seen to be slow at it, by its hash.
    pub instead_of: Option<String>,
}

/// A sub-query with a sort.
#[derive(Debug, Clone)]
pub struct Sorted {
    /// What the source was asked and accepted.
    pub scan: Arc<Scan>,
    /// The order in which the rows come.
    pub order: Vec<SortExpr>,
}

impl SourceScan {
    /// The sub-query that a node is, if it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        let LogicalPlan::Extension(extension) = plan else { return None };
        extension.node.as_any().downcast_ref()
    }

    /// The leaf of a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The sub-query that gives the same rows in the order in which they may be wanted.
    pub fn in_order(&self) -> Option<Self> {
        let Sorted { scan, order } = self.sorted.clone()?;
        Some(Self { scan, order, sorted: None, ..self.clone() })
    }
}

/// A part of the plan above a sub-query that its source was not given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NotPushedPart {
    /// The operator's name.
    pub operator: &'static str,
    /// The part as text.
    pub part: String,
    /// Why the source was not given it; `None` where the source uses it to read less and it is checked again here.
    pub reason: Option<String>,
}

impl PartialEq for SourceScan {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.source, &other.source) && self.scan == other.scan
    }
}

impl Eq for SourceScan {}

impl Hash for SourceScan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.source.name().hash(state);
        self.scan.hash(state);
    }
}

impl PartialOrd for SourceScan {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.id, self.source.name()).partial_cmp(&(other.id, other.source.name()))
    }
}

impl UserDefinedLogicalNodeCore for SourceScan {
    fn name(&self) -> &'static str {
        "SourceScan"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        self.scan.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SourceScan: #{} {} {}",
            self.id,
            self.source.name(),
            self.scan.to_string().trim_end().replace('\n', " / ")
        )
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if exprs.is_empty() && inputs.is_empty() { Ok(self.clone()) } else { internal_err!("a source scan is a leaf") }
    }
}
