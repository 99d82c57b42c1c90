use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Fingerprint;

/// A table by the names that its source uses, or a query in the source's own language that is read like one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableRef {
    /// The schema, or `database.schema` where a source has both; empty for a query.
    pub schema: String,
    /// The table's own name, or the query's text.
    pub table: String,
}

impl TableRef {
    /// Names a table.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }

    /// What a query in the source's own language gives. Only sources whose capabilities say so are asked to describe one.
    pub fn query(text: impl Into<String>) -> Self {
        Self { schema: String::new(), table: text.into() }
    }

    /// Whether it is a query in the source's own language.
    pub fn is_query(&self) -> bool {
        self.schema.is_empty()
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_query() {
            return f.write_str("query(…)");
        }
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// Everything the engine knows of one table. Every fact in it is as old as `read_at`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableDescription {
    /// The names that the source uses.
    pub table: TableRef,
    /// What the table is in its source.
    pub kind: TableKind,
    /// The columns in the source's order.
    pub columns: Vec<ColumnDescription>,
    /// The columns of the primary key; empty where there is none.
    pub primary_key: Vec<String>,
    /// Further unique keys.
    pub unique_keys: Vec<Vec<String>>,
    /// Foreign keys to tables of the same source.
    pub foreign_keys: Vec<ForeignKey>,
    /// Indexes, the primary key's among them where it has one.
    pub indexes: Vec<Index>,
    /// Sizes and distributions.
    pub statistics: TableStatistics,
    /// The comment that the source keeps.
    pub comment: Option<String>,
    /// When this was read from the source.
    pub read_at: DateTime<Utc>,
    /// What the connector must know to tell whether the description still holds, and to scan; only it reads this.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

impl TableDescription {
    /// A table of these columns, with nothing else known.
    pub fn new(table: TableRef, kind: TableKind, columns: Vec<ColumnDescription>) -> Self {
        Self {
            table,
            kind,
            columns,
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            statistics: TableStatistics::default(),
            comment: None,
            read_at: Utc::now(),
            fingerprint: None,
        }
    }

    /// Whether these columns hold all of a key that no two rows share.
    pub fn has_key_among(&self, holds: impl Fn(&str) -> bool) -> bool {
        let is_held = |key: &Vec<String>| !key.is_empty() && key.iter().all(|name| holds(name));
        let unique_indexes = self.indexes.iter().filter(|index| index.unique && index.condition.is_none());
        is_held(&self.primary_key)
            || self.unique_keys.iter().any(is_held)
            || unique_indexes.map(|index| &index.columns).any(is_held)
    }

    /// Whether an index or a key begins with these columns, in this order.
    pub fn leads_index(&self, columns: &[&str]) -> bool {
        let leads = |index: &[String]| index.iter().take(columns.len()).eq(columns);
        let whole = self.indexes.iter().filter(|index| index.condition.is_none());
        leads(&self.primary_key)
            || self.unique_keys.iter().any(|key| leads(key))
            || whole.map(|index| &index.columns).any(|columns| leads(columns))
    }

    /// The indexes, other than that of the primary key, that have all columns at these positions among their own and those of the primary
    /// key. InnoDB's have both ("Clustered and Secondary Indexes" in MySQL's manual).
    pub fn covering_indexes(&self, columns: &[usize]) -> impl Iterator<Item = &Index> {
        let names: Option<Vec<&str>> =
            columns.iter().map(|at| Some(self.columns.get(*at)?.field.name().as_str())).collect();
        let is_named = |names: &[String], name: &str| names.iter().any(|other| other == name);
        let has_all = move |index: &&Index| {
            let has = |name: &&str| is_named(&index.columns, name) || is_named(&self.primary_key, name);
            names.as_ref().is_some_and(|names| names.iter().all(has))
        };
        self.indexes
            .iter()
            .filter(|index| index.columns != self.primary_key && index.condition.is_none())
            .filter(has_all)
    }

    /// How many values a column has, where that is known: as many as there are rows where no two share one.
    pub fn distinct(&self, column: &str) -> Option<f64> {
        let rows = self.statistics.rows.value().filter(|_| self.has_key_among(|name| name == column));
        let known = || self.statistics.columns.get(column).and_then(|column| column.distinct);
        rows.or_else(known).map(|distinct| distinct as f64)
    }

    /// The columns as an Arrow schema.
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>()))
    }

    /// The column of exactly this name.
    pub fn column(&self, name: &str) -> Option<&ColumnDescription> {
        self.columns.iter().find(|column| column.field.name() == name)
    }
}

/// What a table is in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// A stored table.
    Table,
    /// A view.
    View,
    /// A file, or a folder or glob of files.
    Files,
    /// A query in the source's own language.
    Query,
}

impl fmt::Display for TableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Files => "files",
            Self::Query => "query",
        })
    }
}

/// One column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnDescription {
    /// Name, Arrow type and nullability, as the engine sees them.
    pub field: FieldRef,
    /// The type as the source writes it.
    pub remote_type: String,
    /// How the source compares this column's text.
    pub collation: Collation,
    /// What the column's text is in its source.
    #[serde(default)]
    pub text_format: TextFormat,
    /// False when the source may hold values here that are not of the column's type, so that comparing them in the source
    /// could differ from comparing them here. Reading such a value is an error that names it.
    pub uniform: bool,
    /// The comment that the source keeps.
    pub comment: Option<String>,
}

impl ColumnDescription {
    /// A column whose text compares byte by byte and whose values all have its type.
    pub fn new(field: FieldRef, remote_type: impl Into<String>) -> Self {
        Self {
            field,
            remote_type: remote_type.into(),
            collation: Collation::Binary,
            text_format: TextFormat::Plain,
            uniform: true,
            comment: None,
        }
    }
}

/// How a source compares the text of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collation {
    /// Byte by byte, as the engine does.
    Binary,
    /// By a rule of this name, which the engine does not share.
    Other(String),
}

impl Collation {
    /// Whether texts are equal that differ in case alone, as the collation's name says: SQLite's `NOCASE`, MySQL's
    /// `utf8mb4_0900_ai_ci`, SQL Server's `Latin1_General_CI_AS`.
    pub fn ignores_case(&self) -> bool {
        match self {
            Self::Binary => false,
            Self::Other(name) => {
                name.eq_ignore_ascii_case("NOCASE")
                    || name.split(['_', ' ']).any(|part| part.eq_ignore_ascii_case("ci"))
            }
        }
    }
}

/// What text is in its source, where not any text can be in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextFormat {
    /// Any text.
    #[default]
    Plain,
    /// UUIDs, of which each comes as 36 characters with small letters.
    Uuid,
    /// Text that is filled up with blanks, as in CHAR(n), and comes without them.
    Padded,
}

/// A foreign key to a table of the same source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table that is referred to.
    pub references: TableRef,
    /// Its columns, in the order of `columns`.
    pub referenced_columns: Vec<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The index's name.
    pub name: String,
    /// The indexed columns in order; an expression stands as its text.
    pub columns: Vec<String>,
    /// Whether it admits a key once only.
    pub unique: bool,
    /// The condition of a partial index.
    pub condition: Option<String>,
}

/// Sizes and distributions, as far as the source knows them cheaply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableStatistics {
    /// How many rows there are.
    pub rows: RowCount,
    /// How many bytes the source stores.
    pub bytes: Option<u64>,
    /// The share of these bytes that the source has room for in its own memory, 0 to 1, where it tells.
    #[serde(default)]
    pub cached: Option<f64>,
    /// Per column, by name.
    pub columns: std::collections::BTreeMap<String, ColumnStatistics>,
}

/// A row count and how it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowCount {
    /// Counted.
    Exact(u64),
    /// Estimated by the source or from its size.
    Estimated(u64),
    /// Not known.
    #[default]
    Unknown,
}

impl RowCount {
    /// The number, however it is known.
    pub fn value(self) -> Option<u64> {
        match self {
            Self::Exact(rows) | Self::Estimated(rows) => Some(rows),
            Self::Unknown => None,
        }
    }
}

/// What is known of one column's values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// Distinct values, estimated.
    pub distinct: Option<u64>,
    /// The share of nulls, 0 to 1.
    pub null_fraction: Option<f64>,
    /// Mean width in bytes.
    pub width: Option<f64>,
    /// The values that are there most often, each with its share of the rows, 0 to 1; as text, as the source writes them.
    #[serde(default)]
    pub common: Vec<(String, f64)>,
    /// Values in order, between each two of which there are as many rows, the common values left out; as text.
    #[serde(default)]
    pub bounds: Vec<String>,
}
