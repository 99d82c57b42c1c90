use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion_common::{DFSchemaRef, JoinType, NullEquality};
use datafusion_expr::{Expr, SortExpr};

use crate::{ColumnDescription, TableDescription, TableRef};

/// A tree of relational operators over tables of one source: what a connector is offered, and what it runs as one native
/// sub-query.
///
/// Expressions are DataFusion's, already typed and coerced; a column in an expression names a field of the schema of the
/// operator's input (for a join, of its inputs side by side), with its qualifier. The rows, their order where there is a
/// sort, and the types of the tree are those that DataFusion would give for the same operators.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scan {
    /// A table, with the columns that are read from it.
    Table(ScanTable),
    /// The rows for which all of the predicates are true.
    Filter {
        /// What is filtered.
        input: Arc<Scan>,
        /// The conjuncts.
        predicates: Vec<Expr>,
    },
    /// One column for each expression.
    Project {
        /// What is computed from.
        input: Arc<Scan>,
        /// The expressions, aliased where their name is not their own.
        exprs: Vec<Expr>,
        /// The names and types that come out.
        schema: DFSchemaRef,
    },
    /// The input under another qualifier.
    Alias {
        /// What is renamed.
        input: Arc<Scan>,
        /// The same columns with the new qualifier.
        schema: DFSchemaRef,
    },
    /// A join of two trees over the same source.
    Join(ScanJoin),
    /// Groups, and one row for each. Without group expressions there is exactly one row.
    Aggregate(ScanAggregate),
    /// The input's rows, each with what functions make of the rows around it.
    Window {
        /// Whose rows they are.
        input: Arc<Scan>,
        /// The window functions, whose columns follow the input's.
        windows: Vec<Expr>,
        /// The columns that come out.
        schema: DFSchemaRef,
    },
    /// The input in order.
    Sort {
        /// What is sorted.
        input: Arc<Scan>,
        /// The keys, first the most significant; each says its direction and where nulls go.
        keys: Vec<SortExpr>,
        /// Only so many of the first rows.
        fetch: Option<usize>,
    },
    /// Some of the rows, in the input's order.
    Limit {
        /// What is limited.
        input: Arc<Scan>,
        /// Rows that are passed over.
        skip: usize,
        /// The most rows that follow; `None` is all.
        fetch: Option<usize>,
    },
    /// The rows of all inputs one after another, duplicates kept (UNION ALL).
    Union {
        /// Trees with the same number and types of columns.
        inputs: Vec<Arc<Scan>>,
        /// The names and types that come out.
        schema: DFSchemaRef,
    },
}

/// A table in a [`Scan`].
#[derive(Debug, Clone)]
pub struct ScanTable {
    /// The table as it was described.
    pub description: Arc<TableDescription>,
    /// The columns that are read, as positions in the description.
    pub columns: Vec<usize>,
    /// Those columns, qualified as the statement names them.
    pub schema: DFSchemaRef,
}

/// A join in a [`Scan`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScanJoin {
    /// The left side.
    pub left: Arc<Scan>,
    /// The right side.
    pub right: Arc<Scan>,
    /// Which rows come out.
    pub join_type: JoinType,
    /// Pairs of a left and a right expression that must be equal.
    pub on: Vec<(Expr, Expr)>,
    /// A further condition for a pair of rows to match.
    pub condition: Option<Expr>,
    /// Whether null equals null in `on`.
    pub null_equality: NullEquality,
    /// Whether a left anti join follows NOT IN: a null on the right empties the answer.
    pub null_aware: bool,
    /// The columns that come out.
    pub schema: DFSchemaRef,
}

/// A grouping in a [`Scan`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScanAggregate {
    /// What is grouped.
    pub input: Arc<Scan>,
    /// The group expressions.
    pub group: Vec<Expr>,
    /// The aggregates, after the group expressions in the output.
    pub aggregates: Vec<Expr>,
    /// The columns that come out.
    pub schema: DFSchemaRef,
}

impl Scan {
    /// The columns that come out.
    pub fn schema(&self) -> &DFSchemaRef {
        match self {
            Self::Table(table) => &table.schema,
            Self::Filter { input, .. } | Self::Sort { input, .. } | Self::Limit { input, .. } => input.schema(),
            Self::Project { schema, .. }
            | Self::Alias { schema, .. }
            | Self::Window { schema, .. }
            | Self::Union { schema, .. } => schema,
            Self::Join(join) => &join.schema,
            Self::Aggregate(aggregate) => &aggregate.schema,
        }
    }

    /// The trees below this operator.
    pub fn inputs(&self) -> Vec<&Scan> {
        match self {
            Self::Table(_) => Vec::new(),
            Self::Filter { input, .. }
            | Self::Sort { input, .. }
            | Self::Limit { input, .. }
            | Self::Project { input, .. }
            | Self::Window { input, .. }
            | Self::Alias { input, .. } => vec![input],
            Self::Join(join) => vec![&join.left, &join.right],
            Self::Aggregate(aggregate) => vec![&aggregate.input],
            Self::Union { inputs, .. } => inputs.iter().map(AsRef::as_ref).collect(),
        }
    }

    /// Whether an operator of the tree is such a one.
    pub fn any(&self, test: &dyn Fn(&Scan) -> bool) -> bool {
        test(self) || self.inputs().into_iter().any(|input| input.any(test))
    }

    /// All tables of the tree, from left to right.
    pub fn tables(&self) -> Vec<&ScanTable> {
        match self {
            Self::Table(table) => vec![table],
            _ => self.inputs().into_iter().flat_map(Scan::tables).collect(),
        }
    }

    /// The table of a tree that only filters, computes and names, so that each of its rows comes of one of the table's.
    pub fn plain_table(&self) -> Option<&ScanTable> {
        match self {
            Self::Table(table) => Some(table),
            Self::Filter { input, .. } | Self::Project { input, .. } | Self::Alias { input, .. } => input.plain_table(),
            _ => None,
        }
    }

    /// The stored column that an output column is, unchanged, and its table; `None` where it is computed or of several inputs.
    pub fn column_origin(&self, at: usize) -> Option<(&ScanTable, &ColumnDescription)> {
        match self {
            Self::Table(table) => Some((table, table.description.columns.get(*table.columns.get(at)?)?)),
            Self::Filter { input, .. }
            | Self::Sort { input, .. }
            | Self::Limit { input, .. }
            | Self::Alias { input, .. } => input.column_origin(at),
            Self::Project { input, exprs, .. } => input.column_origin(input.position(exprs.get(at)?)?),
            Self::Window { input, .. } if at < input.schema().fields().len() => input.column_origin(at),
            Self::Aggregate(aggregate) => {
                aggregate.input.column_origin(aggregate.input.position(aggregate.group.get(at)?)?)
            }
            Self::Join(join) => {
                let left = join.left.schema().fields().len();
                match join.join_type {
                    JoinType::RightSemi | JoinType::RightAnti => join.right.column_origin(at),
                    _ if at < left => join.left.column_origin(at),
                    JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                        join.right.column_origin(at - left)
                    }
                    _ => None,
                }
            }
            Self::Union { .. } | Self::Window { .. } => None,
        }
    }

    /// Where in the output an expression is a bare column of it.
    fn position(&self, expr: &Expr) -> Option<usize> {
        match expr {
            Expr::Column(column) => self.schema().maybe_index_of_column(column),
            Expr::Alias(alias) => self.position(&alias.expr),
            _ => None,
        }
    }

    /// The number of parts that an offer of this operator has; see [`crate::ScanOffer`].
    pub fn part_count(&self) -> usize {
        match self {
            Self::Filter { predicates, .. } => predicates.len(),
            Self::Project { exprs, .. } => exprs.len(),
            Self::Aggregate(aggregate) => (aggregate.group.len() + aggregate.aggregates.len()).max(1),
            Self::Window { windows, .. } => windows.len(),
            Self::Sort { keys, .. } => keys.len(),
            Self::Join(join) => (join.on.len() + usize::from(join.condition.is_some())).max(1),
            Self::Table(_) | Self::Alias { .. } | Self::Limit { .. } | Self::Union { .. } => 1,
        }
    }

    /// The operator's name, as `explain` uses it.
    pub fn operator(&self) -> &'static str {
        match self {
            Self::Table(_) => "scan",
            Self::Filter { .. } => "filter",
            Self::Project { .. } => "projection",
            Self::Alias { .. } => "alias",
            Self::Join(_) => "join",
            Self::Aggregate(_) => "aggregate",
            Self::Window { .. } => "window",
            Self::Sort { .. } => "sort",
            Self::Limit { .. } => "limit",
            Self::Union { .. } => "union",
        }
    }
}

impl ScanTable {
    /// The table by its source's names.
    pub fn table(&self) -> &TableRef {
        &self.description.table
    }
}

impl PartialEq for ScanTable {
    fn eq(&self, other: &Self) -> bool {
        self.description.table == other.description.table
            && self.columns == other.columns
            && self.schema == other.schema
    }
}

impl Eq for ScanTable {}

impl std::hash::Hash for ScanTable {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.description.table.hash(state);
        self.columns.hash(state);
    }
}

impl fmt::Display for Scan {
    /// Prints the tree one operator a line, indented by depth.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(items: &[T]) -> String {
            items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        fn node(scan: &Scan, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:width$}{}", "", scan.operator(), width = depth * 2)?;
            match scan {
                Scan::Table(table) => {
                    let columns: Vec<&str> = table.schema.fields().iter().map(|field| field.name().as_str()).collect();
                    write!(f, " {} [{}]", table.table(), columns.join(", "))?;
                }
                Scan::Filter { predicates, .. } => write!(f, " {}", list(predicates))?,
                Scan::Project { exprs, .. } => write!(f, " {}", list(exprs))?,
                Scan::Join(join) => {
                    let on: Vec<String> = join.on.iter().map(|(l, r)| format!("{l} = {r}")).collect();
                    write!(f, " {} on {}", join.join_type, on.join(" and "))?;
                    if let Some(condition) = &join.condition {
                        write!(f, " if {condition}")?;
                    }
                }
                Scan::Aggregate(aggregate) => {
                    write!(f, " [{}] by [{}]", list(&aggregate.aggregates), list(&aggregate.group))?;
                }
                Scan::Window { windows, .. } => write!(f, " {}", list(windows))?,
                Scan::Sort { keys, fetch, .. } => {
                    write!(f, " {}", list(keys))?;
                    if let Some(fetch) = fetch {
                        write!(f, " first {fetch}")?;
                    }
                }
                Scan::Limit { skip, fetch, .. } => write!(f, " skip {skip} fetch {fetch:?}")?,
                Scan::Alias { .. } | Scan::Union { .. } => {}
            }
            writeln!(f)?;
            scan.inputs().into_iter().try_for_each(|input| node(input, depth + 1, f))
        }
        node(self, 0, f)
    }
}

/// Distinct keys that arrived at run time: the scan answers only rows whose key columns equal one of them.
#[derive(Debug, Clone)]
pub struct KeyBatch {
    /// The key columns, as positions in the scan's output.
    pub columns: Vec<usize>,
    /// One column for each of `columns`, of its type; one row for each key, no key twice.
    pub keys: RecordBatch,
}
