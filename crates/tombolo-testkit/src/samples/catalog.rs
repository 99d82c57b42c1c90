use std::sync::Arc;

use tombolo_connector::{
    Collation, ColumnDescription, ColumnStatistics, ForeignKey, Index, RowCount, TableDescription, TableKind, TableRef,
    TableStatistics, TextFormat,
};

use super::batches::field;
use super::kinds::{Kind, Server};
use super::{Column, Sample, Table, Value};

/// Where a sample was loaded, as far as its catalog depends on it.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// The kind of server.
    pub server: Server,
    /// The schema of the tables.
    pub schema: &'a str,
    /// How text is compared that says nothing of its own; none where that is by bytes.
    pub collation: Option<&'a str>,
    /// The collation of text that is compared by bytes, as the catalog names it.
    pub bytewise: &'a str,
}

impl Sample {
    /// What the catalog must tell of a table or view.
    pub fn description(&self, name: &str, place: &Place<'_>) -> TableDescription {
        let table = TableRef::new(place.schema, name);
        if let Some(view) = self.views.iter().find(|view| view.name == name) {
            let columns = view.columns(place.server).iter().map(|column| described(column, place));
            let mut description = TableDescription::new(table, TableKind::View, columns.collect());
            description.comment = view.comment.filter(|_| place.server == Server::Postgres).map(str::to_owned);
            return description;
        }
        let known = self.table(name);
        let columns = known.columns.iter().map(|column| described(column, place)).collect();
        let mut description = TableDescription::new(table, TableKind::Table, columns);
        description.primary_key = owned(&known.primary_key);
        description.unique_keys = known.unique_keys.iter().map(|(_, columns)| owned(columns)).collect();
        let foreign = known.foreign_keys.iter().map(|key| ForeignKey {
            columns: owned(&key.columns),
            references: TableRef::new(place.schema, key.table),
            referenced_columns: owned(&key.referenced),
        });
        description.foreign_keys = foreign.collect();
        description.indexes = indexes(known, place.server);
        description.statistics = statistics(known, place.server);
        description.comment = known.comment.map(str::to_owned);
        description
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn described(column: &Column, place: &Place<'_>) -> ColumnDescription {
    let field = Arc::new(field(column, place.server));
    let mut description = ColumnDescription::new(field, column.kind.declared(place.server));
    let collation = if column.is_by_bytes { Some(place.bytewise) } else { place.collation };
    let collation = collation.filter(|_| column.kind.has_collation(place.server));
    description.collation = collation.map_or(Collation::Binary, |name| Collation::Other(name.to_owned()));
    if matches!(column.kind, Kind::Char(_)) {
        description.text_format = TextFormat::Padded;
    }
    description.comment = column.comment.map(str::to_owned);
    description
}

/// The indexes: the primary key's and the unique keys' among them.
fn indexes(table: &Table, server: Server) -> Vec<Index> {
    let index = |name: &str, columns: &[&str], unique| Index {
        name: name.to_owned(),
        columns: owned(columns),
        unique,
        condition: None,
    };
    let primary = match server {
        Server::Postgres => format!("{}_pkey", table.name),
        Server::Mysql => "PRIMARY".to_owned(),
    };
    let mut indexes = vec![index(&primary, &table.primary_key, true)];
    indexes.extend(table.unique_keys.iter().map(|(name, columns)| index(name, columns, true)));
    indexes.extend(table.indexes.iter().map(|(name, columns)| index(name, columns, false)));
    // InnoDB makes an index for columns that refer, where none begins with them.
    for key in table.foreign_keys.iter().filter(|_| server == Server::Mysql) {
        if !indexes.iter().any(|index| index.columns.iter().take(key.columns.len()).eq(&key.columns)) {
            indexes.push(index(key.name, &key.columns, false));
        }
    }
    indexes
}

fn statistics(table: &Table, server: Server) -> TableStatistics {
    let rows = table.rows.len();
    let null_fraction = |at: usize| {
        let nulls = table.rows.iter().filter(|row| row[at] == Value::Null).count();
        // MySQL tells nothing of nulls, and PostgreSQL nothing of a table without rows.
        (server == Server::Postgres && rows > 0).then(|| nulls as f64 / rows as f64)
    };
    let column = |(at, column): (usize, &Column)| {
        let known = ColumnStatistics { null_fraction: null_fraction(at), ..ColumnStatistics::default() };
        (column.name.to_owned(), known)
    };
    TableStatistics {
        rows: RowCount::Estimated(rows as u64),
        bytes: None,
        cached: None,
        columns: table.columns.iter().enumerate().map(column).collect(),
    }
}

/// Everything that a description says, a line for each fact. What has no order in a catalog is sorted. The widths for display
/// of MySQL's integers, times, bytes and what is known of values other than nulls are left out.
pub fn lines(description: &TableDescription) -> Vec<String> {
    // Named one by one, so that what is added to a description is thought of here.
    let TableDescription {
        table,
        kind,
        columns,
        primary_key,
        unique_keys,
        foreign_keys,
        indexes,
        statistics,
        comment,
        read_at: _,
        fingerprint: _,
    } = description;
    let mut lines = vec![format!("{kind} {table}"), format!("comment {comment:?}")];
    for column in columns {
        let ColumnDescription { field, remote_type, collation, text_format, uniform, comment } = column;
        let nulls = statistics.columns.get(field.name()).and_then(|known| known.null_fraction);
        lines.push(format!(
            "column {:?}: {} {}, {}, {collation:?}, {text_format:?}, {}, nulls {}, comment {comment:?}",
            field.name(),
            field.data_type(),
            if field.is_nullable() { "or null" } else { "not null" },
            without_width(remote_type),
            if *uniform { "of its type" } else { "of any type" },
            nulls.map_or("?".to_owned(), |nulls| format!("{nulls:.3}")),
        ));
    }
    lines.push(format!("primary key {primary_key:?}"));
    let mut sorted = |facts: Vec<String>| {
        let mut facts = facts;
        facts.sort();
        lines.extend(facts);
    };
    sorted(unique_keys.iter().map(|key| format!("unique key {key:?}")).collect());
    let foreign = foreign_keys
        .iter()
        .map(|key| format!("foreign key {:?} to {} {:?}", key.columns, key.references, key.referenced_columns));
    sorted(foreign.collect());
    let index = |index: &Index| {
        let Index { name, columns, unique, condition } = index;
        let unique = if *unique { "unique index" } else { "index" };
        format!("{unique} {name:?} of {columns:?}, condition {condition:?}")
    };
    sorted(indexes.iter().map(index).collect());
    lines.push(format!("rows {:?}", statistics.rows));
    lines
}

/// `int(11)` as `int`, which newer servers say.
fn without_width(remote_type: &str) -> String {
    let Some((name, (width, rest))) =
        remote_type.split_once('(').and_then(|(name, rest)| Some((name, rest.split_once(')')?)))
    else {
        return remote_type.to_owned();
    };
    let is_number = matches!(name, "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year");
    let is_flag = name == "tinyint" && width == "1";
    if is_number && !is_flag { format!("{name}{rest}") } else { remote_type.to_owned() }
}

/// The first fact in which what was told differs from what is wanted, as text.
pub fn first_difference(told: &TableDescription, wanted: &TableDescription) -> Option<String> {
    let (told, wanted) = (lines(told), lines(wanted));
    let table = &wanted[0];
    let at = (0..told.len().max(wanted.len())).find(|&at| told.get(at) != wanted.get(at))?;
    Some(match (told.get(at), wanted.get(at)) {
        (Some(told), Some(wanted)) => format!("{table}: told\n  {told}\nin place of\n  {wanted}"),
        (Some(told), None) => format!("{table}: told besides\n  {told}"),
        (None, wanted) => format!("{table}: not told\n  {}", wanted.map_or("", String::as_str)),
    })
}
