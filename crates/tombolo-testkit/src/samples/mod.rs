//! Whole databases as people have them, described once: a film rental and a music shop.
//!
//! A [`Sample`] says of each table what it has: columns with comments, keys, foreign keys, indexes, rows. It is printed as a
//! server's own statements ([`Sample::statements`]), it says what the server's catalog must then tell
//! ([`Sample::description`], [`first_difference`]), and it gives the rows to an engine that has all of them to itself
//! ([`Sample::add_to`]). Names and rows are our own; rows are made by a seed, and keys that refer find their row.

mod batches;
mod catalog;
mod kinds;
mod music;
mod print;
mod rentals;
mod value;
mod words;

pub use self::catalog::{Place, first_difference, lines};
pub use self::kinds::{Kind, Server};
pub use self::music::music_shop;
pub use self::rentals::film_rental;
pub use self::value::Value;

/// A whole database.
#[derive(Debug, Clone)]
pub struct Sample {
    /// A word for it.
    pub name: &'static str,
    /// The tables, in the order in which they are loaded.
    pub tables: Vec<Table>,
    /// The views over them.
    pub views: Vec<View>,
}

/// A stored table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What is said of it.
    pub comment: Option<&'static str>,
    /// The columns.
    pub columns: Vec<Column>,
    /// The columns of the primary key.
    pub primary_key: Vec<&'static str>,
    /// Further unique keys, each with its name.
    pub unique_keys: Vec<(&'static str, Vec<&'static str>)>,
    /// Indexes that are not unique, each with its name.
    pub indexes: Vec<(&'static str, Vec<&'static str>)>,
    /// Keys that refer to tables of the sample.
    pub foreign_keys: Vec<Reference>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub is_nullable: bool,
    /// Whether its text is compared byte by byte, whatever the database does.
    pub is_by_bytes: bool,
    /// What is said of it.
    pub comment: Option<&'static str>,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Its name.
    pub name: &'static str,
    /// The columns that refer.
    pub columns: Vec<&'static str>,
    /// The table that is referred to.
    pub table: &'static str,
    /// Its columns.
    pub referenced: Vec<&'static str>,
}

/// A view.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What is said of it, where a server lets views have comments.
    pub comment: Option<&'static str>,
    /// The columns as PostgreSQL has them, where all may be null.
    pub on_postgres: Vec<Column>,
    /// The columns as MariaDB has them.
    pub on_mysql: Vec<Column>,
    /// The query, in which `@` stands before each table's name.
    pub query: &'static str,
}

impl Sample {
    /// The table of a name.
    pub fn table(&self, name: &str) -> &Table {
        self.tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("no table `{name}`"))
    }

    /// The names of all tables and views.
    pub fn names(&self) -> Vec<&'static str> {
        self.tables.iter().map(|table| table.name).chain(self.views.iter().map(|view| view.name)).collect()
    }

    /// A query that names tables as `@name` or `@"Name"`, with what `place` says before each name. It is asked with the name
    /// without quotes.
    pub fn placed(query: &str, place: impl Fn(&str) -> String) -> String {
        let mut parts = query.split('@');
        let mut placed = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let name = match part.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap_or_default(),
                None => part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default(),
            };
            placed.push_str(&place(name));
            placed.push_str(part);
        }
        placed
    }
}

impl Table {
    fn new(name: &'static str, columns: Vec<Column>, primary_key: &[&'static str]) -> Self {
        Self {
            name,
            comment: None,
            columns,
            primary_key: primary_key.to_vec(),
            unique_keys: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn says(mut self, comment: &'static str) -> Self {
        self.comment = Some(comment);
        self
    }

    fn unique(mut self, name: &'static str, columns: &[&'static str]) -> Self {
        self.unique_keys.push((name, columns.to_vec()));
        self
    }

    fn index(mut self, name: &'static str, columns: &[&'static str]) -> Self {
        self.indexes.push((name, columns.to_vec()));
        self
    }

    fn refers(
        mut self,
        name: &'static str,
        columns: &[&'static str],
        table: &'static str,
        referenced: &[&'static str],
    ) -> Self {
        let (columns, referenced) = (columns.to_vec(), referenced.to_vec());
        self.foreign_keys.push(Reference { name, columns, table, referenced });
        self
    }

    fn rows(mut self, rows: Vec<Vec<Value>>) -> Self {
        assert!(rows.iter().all(|row| row.len() == self.columns.len()), "a row of {} has other columns", self.name);
        self.rows = rows;
        self
    }
}

/// A column that is never null.
fn given(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_nullable: false, is_by_bytes: false, comment: None }
}

/// A column that may be null.
fn maybe(name: &'static str, kind: Kind) -> Column {
    Column { is_nullable: true, ..given(name, kind) }
}

impl Column {
    fn says(self, comment: &'static str) -> Self {
        Self { comment: Some(comment), ..self }
    }

    fn by_bytes(self) -> Self {
        Self { is_by_bytes: true, ..self }
    }
}
