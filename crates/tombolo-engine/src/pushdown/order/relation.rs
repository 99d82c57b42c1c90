use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};
use tombolo_connector::{Answer, Connector, KeySupport, RowCount, Scan};

use super::graph::Relation;
use crate::catalog::Source;
use crate::cost::{KeyTarget, Looks, Speed, UNKNOWN_ROWS, is_in_order_of, looks};
use crate::plan::{BaseColumn, base_column, estimated_rows, is_of_one_table};
use crate::pushdown::SourceScan;
use crate::pushdown::candidate::Candidate;
use crate::pushdown::walk::{Walk, Walked};

/// What is known of one relation of a join.
pub(super) struct Measure {
    plan: Arc<LogicalPlan>,
    /// Rows that come out of it.
    pub(super) rows: f64,
    /// The sub-query that reads it, where it is read by one.
    pub(super) read: Option<Read>,
    /// The same as its source has accepted it, where that is all of it.
    pub(super) candidate: Option<Candidate>,
    /// What its source says of keys, by column: it is asked once.
    targets: RefCell<HashMap<Column, Option<Asked>>>,
    distincts: RefCell<HashMap<Column, Option<f64>>>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    target: KeyTarget,
    /// How many values the column has.
    distinct: Option<f64>,
}

/// A sub-query as it is expected to be.
pub(super) struct Read {
    connector: Arc<dyn Connector>,
    scan: Arc<Scan>,
    /// Rows that come from the source, of so many bytes each where that is known.
    pub(super) rows: f64,
    pub(super) row_bytes: Option<f64>,
    /// What the source has to look at.
    pub(super) looks: Looks,
    /// How fast the source answers.
    pub(super) speed: Speed,
}

impl Measure {
    pub(super) fn of(relation: &Relation, walk: &Walk) -> Result<Self> {
        let plan = Arc::clone(&relation.plan);
        let (read, candidate) = match walk.visit(plan.as_ref().clone())? {
            Walked::There(candidate) => {
                let Candidate { source, connector, scan, .. } = candidate.as_ref();
                let read = Read::of(source, Arc::clone(connector), Arc::clone(scan));
                (Some(read), Some(*candidate))
            }
            Walked::Here(plan) => (below(&plan), None),
        };
        let rows = match &read {
            Some(read) if candidate.is_some() => Some(read.rows),
            read => estimated_rows(&plan).map(|rows| read.as_ref().map_or(rows, |read| rows.min(read.rows))),
        };
        Ok(Self {
            plan,
            rows: rows.unwrap_or(UNKNOWN_ROWS).max(1.0),
            read,
            candidate,
            targets: RefCell::default(),
            distincts: RefCell::default(),
        })
    }

    fn base(&self, column: &Column) -> Option<BaseColumn> {
        base_column(&self.plan, column)
    }

    /// Distinct values that a column has before any condition, where that is known.
    pub(super) fn distinct(&self, column: &Column) -> Option<f64> {
        let mut distincts = self.distincts.borrow_mut();
        *distincts.entry(column.clone()).or_insert_with(|| self.counted(column))
    }

    fn counted(&self, column: &Column) -> Option<f64> {
        if is_only_group(&self.plan, column) {
            return Some(self.rows);
        }
        self.base(column)?.distinct()
    }

    /// The rows of the table of which these columns hold a unique key, before any condition.
    pub(super) fn unique_rows(&self, columns: &[&Column]) -> Option<f64> {
        if !is_of_one_table(&self.plan) {
            return None;
        }
        let bases: Vec<BaseColumn> = columns.iter().filter_map(|column| self.base(column)).collect();
        let table = &bases.first()?.table;
        let rows = table.description().statistics.rows.value().map(|rows| (rows as f64).max(1.0));
        rows.filter(|_| table.has_unique_key_among(&bases))
    }

    /// What it takes to read it by keys of one of its columns, where its source takes them. `partners` is how many values its
    /// partners have.
    pub(super) fn by_keys(&self, column: &Column, partners: Option<f64>, batch_keys: usize) -> Option<KeyTarget> {
        let mut targets = self.targets.borrow_mut();
        let known = targets.entry(column.clone()).or_insert_with(|| self.target(column, batch_keys));
        let Asked { mut target, distinct } = (*known)?;
        target.distinct = distinct.or(partners).unwrap_or(target.looks.rows / 10.0).max(1.0);
        Some(target)
    }

    fn target(&self, column: &Column, batch_keys: usize) -> Option<Asked> {
        let read = self.read.as_ref()?;
        let KeySupport::Exact { max_keys } = read.connector.capabilities().keys else { return None };
        let at = read.scan.schema().maybe_index_of_column(column)?;
        if matches!(read.connector.offer_keys(&read.scan, &[at]), Answer::Refused(_)) {
            return None;
        }
        let base = self.base(column);
        let is_indexed = base.as_ref().is_some_and(|base| base.table.description().leads_index(&[base.name.as_str()]));
        let target = KeyTarget {
            looks: read.looks,
            rows: read.rows,
            row_bytes: read.row_bytes,
            is_grouped: read.scan.any(&|scan| matches!(scan, Scan::Aggregate(_))),
            is_indexed,
            is_in_order: base.is_some_and(|base| is_in_order_of(base.table.description(), &base.name)),
            distinct: 1.0,
            request_keys: max_keys.min(batch_keys).max(1),
            speed: read.speed,
            spared: None,
        };
        Some(Asked { target, distinct: self.distinct(column) })
    }

    /// Whether both are read from one source.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let sources = (&self.candidate, &other.candidate);
        matches!(sources, (Some(one), Some(other)) if Arc::ptr_eq(&one.source, &other.source))
    }
}

impl Read {
    fn of(source: &Source, connector: Arc<dyn Connector>, scan: Arc<Scan>) -> Self {
        let statistics = source.estimate(connector.as_ref(), &scan);
        let looks = looks(source, &scan);
        let rows = match statistics.rows {
            RowCount::Unknown => looks.rows,
            known => known.value().map_or(looks.rows, |rows| rows as f64),
        };
        let row_bytes = statistics.bytes.filter(|_| rows > 0.0).map(|bytes| bytes as f64 / rows);
        Self { connector, scan, rows, row_bytes, looks, speed: source.speed() }
    }

    pub(super) fn takes_keys(&self) -> bool {
        self.connector.capabilities().keys != KeySupport::None
    }
}

/// The sub-query that a plan reads, where nothing but conditions and names is above it.
fn below(plan: &LogicalPlan) -> Option<Read> {
    match plan {
        LogicalPlan::Extension(_) => {
            let scan = SourceScan::of(plan)?;
            let connector = scan.source.connector_if_connected()?;
            Some(Read::of(&scan.source, Arc::clone(connector), Arc::clone(&scan.scan)))
        }
        LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            below(plan.inputs().first()?)
        }
        _ => None,
    }
}

/// Whether a plan has one row for each value of a column.
fn is_only_group(plan: &LogicalPlan, column: &Column) -> bool {
    let Some(at) = plan.schema().maybe_index_of_column(column) else { return false };
    let below =
        |input: &LogicalPlan, at: usize| is_only_group(input, &Column::from(input.schema().qualified_field(at)));
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            at == 0 && aggregate.group_expr.len() == 1 && !matches!(aggregate.group_expr[0], Expr::GroupingSet(_))
        }
        LogicalPlan::SubqueryAlias(alias) => below(&alias.input, at),
        LogicalPlan::Filter(filter) => below(&filter.input, at),
        LogicalPlan::Projection(projection) => match projection.expr.get(at).map(|expr| expr.clone().unalias()) {
            Some(Expr::Column(column)) => is_only_group(&projection.input, &column),
            _ => false,
        },
        _ => false,
    }
}
