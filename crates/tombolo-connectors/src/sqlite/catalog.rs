pub(super) mod profile;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use rusqlite::OptionalExtension;
use rusqlite::types::ValueRef;
use tombolo_connector::{
    Collation, ColumnDescription, ColumnStatistics, Error, ErrorCode, Fingerprint, ForeignKey, Index, Result, RowCount,
    TableDescription, TableKind, TableRef, TableStatistics,
};

use self::profile::{AS_TEXT, ColumnProfile, Inspected, Inspector, TableProfile};
use super::SCHEMA;
use super::client::{Client, Lease};
use super::config::{Config, VerifyTypes};
use super::types::{Affinity, candidates};

/// The largest file whose tables are read to learn their values' types, under `verify_types = "auto"`.
const VERIFY_AUTO_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How often a description is tried again when the file changes under it.
const SNAPSHOT_ATTEMPTS: usize = 5;

pub(super) fn check_schema(schema: &str) -> Result<()> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(Error::new(ErrorCode::SchemaNotFound, format!("a SQLite file has no schema `{schema}`"))
        .with_hint("Its tables are in the schema `main`."))
}

pub(super) fn list_tables(lease: &Lease<'_>) -> Result<Vec<TableRef>> {
    let sql = "SELECT l.name FROM pragma_table_list AS l WHERE l.schema = 'main' \
               AND l.type IN ('table', 'view', 'virtual') AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY l.name";
    rows(lease, sql, [], |row| Ok(TableRef::new(SCHEMA, row.get::<_, String>(0)?)))
}

pub(super) fn describe_table(lease: &Lease<'_>, table: &TableRef, config: &Config) -> Result<TableDescription> {
    let ((mut description, columns), mark) = in_snapshot(lease, |mark| Ok((describe(lease, table, config)?, mark)))?;
    let profile = TableProfile { mark, columns };
    description.fingerprint = Some(Fingerprint::try_new(&profile)?);
    Ok(description)
}

/// Runs work in one snapshot of the file and tells it the mark of that snapshot. Where others write too fast to know the
/// mark, it is empty, which is no file's.
pub(super) fn in_snapshot<T>(lease: &Lease<'_>, work: impl FnOnce(String) -> Result<T>) -> Result<T> {
    let mut mark = String::new();
    for attempt in 1..=SNAPSHOT_ATTEMPTS {
        let before = Client::mark(lease)?;
        // A transaction sees the file as it is at its first read, not at BEGIN.
        lease.execute_batch("BEGIN").map_err(|error| lease.error(error))?;
        Client::check(lease)?;
        if Client::mark(lease)? == before {
            mark = before;
            break;
        }
        if attempt < SNAPSHOT_ATTEMPTS {
            lease.execute_batch("ROLLBACK").map_err(|error| lease.error(error))?;
        }
    }
    let result = work(mark);
    if !lease.is_autocommit() {
        lease.execute_batch("ROLLBACK").map_err(|error| lease.error(error))?;
    }
    result
}

/// What SQLite says of one column.
struct DeclaredColumn {
    name: String,
    declared: String,
    not_null: bool,
    /// Its place in the primary key, from 1; 0 where it is in none.
    key: i64,
}

struct DeclaredTable {
    kind: TableKind,
    without_rowid: bool,
    strict: bool,
    columns: Vec<DeclaredColumn>,
}

impl DeclaredTable {
    fn primary_key(&self) -> Vec<String> {
        let mut key: Vec<&DeclaredColumn> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        key.into_iter().map(|column| column.name.clone()).collect()
    }

    fn is_nullable(&self, column: &DeclaredColumn, is_rowid: bool) -> bool {
        !(column.not_null || is_rowid || (self.without_rowid && column.key > 0))
    }
}

type Described = (TableDescription, Vec<ColumnProfile>);

fn describe(lease: &Lease<'_>, table: &TableRef, config: &Config) -> Result<Described> {
    let declared = declaration(lease, table)?;
    let primary_key = declared.primary_key();
    let file_bytes = Client::size(lease)?;
    let verify = match config.verify_types {
        VerifyTypes::Always => true,
        VerifyTypes::Never => false,
        VerifyTypes::Auto => file_bytes <= VERIFY_AUTO_MAX_BYTES,
    };
    let encoding: String =
        lease.query_row("PRAGMA encoding", [], |row| row.get(0)).map_err(|error| lease.error(error))?;
    let inspected = if verify { Some(inspect(lease, table, &declared, config)?) } else { None };
    let rowid_key = rowid_key(lease, table, &declared)?;
    let mut statistics = TableStatistics::default();
    let (mut columns, mut profiles) = (Vec::new(), Vec::new());
    for (at, column) in declared.columns.iter().enumerate() {
        let is_rowid = rowid_key.as_ref() == Some(&column.name);
        let found = inspected.as_ref().and_then(|(_, found)| found.get(at));
        let (data_type, uniform, mut profile) = if config.is_text(&table.table, &column.name) {
            let doubt = format!("column `{}` is carried as text by `columns_as_text`", column.name);
            let profile =
                ColumnProfile { doubt: Some(doubt), form: Some(AS_TEXT.0.to_owned()), ..ColumnProfile::default() };
            (DataType::Utf8, false, profile)
        } else if let Some(found) = found {
            (found.data_type.clone(), found.uniform, found.profile.clone())
        } else {
            let first = candidates(&column.declared).into_iter().next().unwrap_or(DataType::Utf8);
            let kept_by_sqlite = is_rowid || (declared.strict && is_strict_type(&column.declared));
            (first, kept_by_sqlite, ColumnProfile::default())
        };
        if !uniform && profile.doubt.is_none() {
            profile.doubt = Some(doubt_of(column, profile.verified));
        }
        if data_type == DataType::Utf8 && encoding != "UTF-8" {
            // BINARY compares the stored bytes, which for UTF-16 are in another order than those of UTF-8.
            profile.doubt = Some(format!("the file's text is in {encoding}, which SQLite sorts differently"));
        }
        let nullable = declared.is_nullable(column, is_rowid);
        let field = Arc::new(Field::new(&column.name, data_type, nullable));
        columns.push(ColumnDescription {
            collation: collation(lease, table, &column.name, declared.kind),
            uniform: profile.doubt.is_none(),
            ..ColumnDescription::new(field, column.declared.clone())
        });
        profiles.push(profile);
        if let (Some((rows, _)), Some(found)) = (&inspected, found) {
            let share = |part: u64| if *rows == 0 { 0.0 } else { part as f64 / *rows as f64 };
            let known = ColumnStatistics {
                distinct: is_rowid.then_some(*rows),
                null_fraction: Some(share(found.nulls)),
                width: Some(share(found.bytes)),
                ..ColumnStatistics::default()
            };
            statistics.columns.insert(column.name.clone(), known);
            *statistics.bytes.get_or_insert(0) += found.bytes;
        }
    }
    let mut description = TableDescription::new(table.clone(), declared.kind, columns);
    if declared.kind == TableKind::Table {
        let indexes = indexes(lease, table)?;
        statistics.rows = match &inspected {
            Some((rows, _)) => RowCount::Exact(*rows),
            None => estimated_rows(lease, table, rowid_key.is_some())?,
        };
        distinct_counts(lease, table, &indexes, &mut statistics)?;
        description.unique_keys = unique_keys(&indexes, &declared);
        description.indexes = indexes;
        description.foreign_keys = foreign_keys(lease, table)?;
        description.primary_key = primary_key;
    } else if let Some((rows, _)) = &inspected {
        statistics.rows = RowCount::Exact(*rows);
    }
    description.statistics = statistics;
    Ok((description, profiles))
}

/// The column that is another name of the row id, if one is: it is declared INTEGER, alone in the primary key, and needs no
/// index. `INTEGER PRIMARY KEY DESC` has an index, and may hold NULL (<https://www.sqlite.org/lang_createtable.html#rowid>).
fn rowid_key(lease: &Lease<'_>, table: &TableRef, declared: &DeclaredTable) -> Result<Option<String>> {
    let mut key = declared.columns.iter().filter(|column| column.key > 0);
    let (Some(only), None) = (key.next(), key.next()) else { return Ok(None) };
    if declared.without_rowid || !only.declared.eq_ignore_ascii_case("INTEGER") {
        return Ok(None);
    }
    let sql = "SELECT count(*) = 0 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'";
    let is_rowid: bool = lease.query_row(sql, [&table.table], |row| row.get(0)).map_err(|error| lease.error(error))?;
    Ok(is_rowid.then(|| only.name.clone()))
}

/// The unique keys beside the primary one.
fn unique_keys(indexes: &[Index], declared: &DeclaredTable) -> Vec<Vec<String>> {
    let primary_key = declared.primary_key();
    let is_column = |name: &String| declared.columns.iter().any(|column| &column.name == name);
    indexes
        .iter()
        .filter(|index| index.unique && index.condition.is_none() && index.columns != primary_key)
        .filter(|index| index.columns.iter().all(is_column))
        .map(|index| index.columns.clone())
        .collect()
}

/// Whether the schema still says of a table what a plan may rely on: columns, collations and keys.
fn same_shape(lease: &Lease<'_>, description: &TableDescription, declared: &DeclaredTable) -> Result<bool> {
    let table = &description.table;
    let rowid_key = rowid_key(lease, table, declared)?;
    let same_columns = declared.columns.len() == description.columns.len()
        && declared.columns.iter().zip(&description.columns).all(|(declared_column, known)| {
            let name = &declared_column.name;
            name == known.field.name()
                && declared_column.declared == known.remote_type
                && declared.is_nullable(declared_column, rowid_key.as_ref() == Some(name)) == known.field.is_nullable()
                && collation(lease, table, name, declared.kind) == known.collation
        });
    if !same_columns || declared.kind != description.kind {
        return Ok(false);
    }
    if declared.kind != TableKind::Table {
        return Ok(true);
    }
    let unique = unique_keys(&indexes(lease, table)?, declared);
    let still_unique = description.unique_keys.iter().all(|key| unique.contains(key));
    Ok(declared.primary_key() == description.primary_key && still_unique)
}

fn is_strict_type(declared: &str) -> bool {
    ["INT", "INTEGER", "REAL", "TEXT", "BLOB"].iter().any(|known| declared.eq_ignore_ascii_case(known))
}

fn doubt_of(column: &DeclaredColumn, verified: bool) -> String {
    let name = &column.name;
    if verified {
        let declared = if column.declared.is_empty() { "one type" } else { &column.declared };
        return format!("column `{name}` holds values that are not {declared} in one stored form");
    }
    format!("the values of column `{name}` were not verified (set `verify_types = \"always\"`)")
}

fn declaration(lease: &Lease<'_>, table: &TableRef) -> Result<DeclaredTable> {
    let listed = lease
        .query_row(
            "SELECT type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1",
            [&table.table],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?, row.get::<_, bool>(2)?)),
        )
        .optional()
        .map_err(|error| lease.error(error))?;
    let Some((kind, without_rowid, strict)) = listed else {
        return Err(Error::table_not_found(table, &list_tables(lease)?));
    };
    // Hidden columns (1) are a virtual table's arguments; generated ones (2 and 3) are read like any other.
    let columns = rows(
        lease,
        "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1 ORDER BY cid",
        [&table.table],
        |row| {
            Ok(DeclaredColumn {
                name: row.get(0)?,
                declared: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
                not_null: row.get(2)?,
                key: row.get(3)?,
            })
        },
    )?;
    let kind = if kind == "view" { TableKind::View } else { TableKind::Table };
    Ok(DeclaredTable { kind, without_rowid, strict, columns })
}

/// Reads every value of the table once.
fn inspect(
    lease: &Lease<'_>,
    table: &TableRef,
    declared: &DeclaredTable,
    config: &Config,
) -> Result<(u64, Vec<Inspected>)> {
    let affinities: Vec<Affinity> = declared.columns.iter().map(|column| Affinity::of(&column.declared)).collect();
    let mut inspectors: Vec<Inspector> = declared
        .columns
        .iter()
        .map(|column| {
            let as_text = config.is_text(&table.table, &column.name);
            Inspector::new(if as_text { vec![DataType::Utf8] } else { candidates(&column.declared) })
        })
        .collect();
    let count = read_values(lease, table, &declared.columns, |at, value| {
        if let Some(inspector) = inspectors.get_mut(at) {
            inspector.inspect(value);
        }
    })?;
    let found = inspectors.into_iter().zip(affinities).map(|(inspector, affinity)| inspector.finish(affinity));
    Ok((count, found.collect()))
}

fn read_values(
    lease: &Lease<'_>,
    table: &TableRef,
    columns: &[DeclaredColumn],
    mut each: impl FnMut(usize, ValueRef<'_>),
) -> Result<u64> {
    let list: Vec<String> = columns.iter().map(|column| format!("t.{}", quoted(&column.name))).collect();
    let list = if list.is_empty() { "1".to_owned() } else { list.join(", ") };
    // A bare quoted name that is no column would be read as a string; behind an alias it is an error.
    let sql = format!("SELECT {list} FROM main.{} AS t", quoted(&table.table));
    let mut statement = lease.prepare(&sql).map_err(|error| lease.error(error))?;
    let mut values = statement.query([]).map_err(|error| lease.error(error))?;
    let mut count = 0;
    while let Some(row) = values.next().map_err(|error| lease.error(error))? {
        count += 1;
        for at in 0..columns.len() {
            each(at, row.get_ref(at).map_err(|error| lease.error(error))?);
        }
    }
    Ok(count)
}

/// Reads the values of a table again, and says whether what is known of them still holds: types, forms and bounds.
pub(super) fn still_holds(lease: &Lease<'_>, description: &TableDescription, known: &TableProfile) -> Result<bool> {
    let declared = declaration(lease, &description.table)?;
    if known.columns.len() != description.columns.len() || !same_shape(lease, description, &declared)? {
        return Ok(false);
    }
    if !known.columns.iter().any(|column| column.verified) {
        return Ok(true);
    }
    let mut inspectors: Vec<Inspector> =
        description.columns.iter().map(|column| Inspector::new(vec![column.field.data_type().clone()])).collect();
    read_values(lease, &description.table, &declared.columns, |at, value| {
        if let Some(inspector) = inspectors.get_mut(at) {
            inspector.inspect(value);
        }
    })?;
    let found = inspectors.into_iter().zip(&declared.columns);
    Ok(found.zip(&known.columns).all(|((inspector, column), known)| {
        let now = inspector.finish(Affinity::of(&column.declared));
        let bound = |profile: &ColumnProfile| profile.magnitude.unwrap_or(f64::INFINITY);
        // Where there was no value there was no form, and literals were printed in another than the one there is now.
        let form = now.profile.form.is_none() || now.profile.form == known.form;
        // Nothing was concluded from the values of a column that was in doubt or not read.
        !known.verified
            || known.doubt.is_some()
            || (now.uniform && form && now.profile.nul_free >= known.nul_free && bound(&now.profile) <= bound(known))
    }))
}

fn collation(lease: &Lease<'_>, table: &TableRef, column: &str, kind: TableKind) -> Collation {
    if kind == TableKind::View {
        return Collation::Other("that of the view".to_owned());
    }
    match lease.column_metadata(Some(SCHEMA), table.table.as_str(), column) {
        Ok((_, Some(name), ..)) if name.to_bytes().eq_ignore_ascii_case(b"BINARY") => Collation::Binary,
        Ok((_, Some(name), ..)) => Collation::Other(name.to_string_lossy().into_owned()),
        _ => Collation::Other("unknown".to_owned()),
    }
}

fn indexes(lease: &Lease<'_>, table: &TableRef) -> Result<Vec<Index>> {
    let listed = rows(
        lease,
        "SELECT l.name, l.\"unique\", s.sql FROM pragma_index_list(?1, 'main') AS l \
         LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name ORDER BY l.seq DESC",
        [&table.table],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?, row.get::<_, Option<String>>(2)?)),
    )?;
    let mut indexes = Vec::with_capacity(listed.len());
    for (name, unique, sql) in listed {
        let columns = rows(
            lease,
            "SELECT name FROM pragma_index_xinfo(?1, 'main') WHERE key = 1 ORDER BY seqno",
            [&name],
            |row| row.get::<_, Option<String>>(0),
        )?;
        let columns = columns.into_iter().map(|name| name.unwrap_or_else(|| "(expression)".to_owned())).collect();
        let condition = sql.as_deref().and_then(partial_condition);
        indexes.push(Index { name, columns, unique, condition });
    }
    Ok(indexes)
}

/// The condition of a partial index, from the statement that made it: what follows its last WHERE outside parentheses.
fn partial_condition(sql: &str) -> Option<String> {
    let upper = sql.to_ascii_uppercase();
    let (mut depth, mut found) = (0_i32, None);
    for (at, c) in upper.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            'W' if depth == 0 && upper[at..].starts_with("WHERE") => {
                let before = upper[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
                if before && found.is_none() && at > 0 && upper[..at].contains(')') {
                    found = sql.get(at + 5..).map(|rest| rest.trim().to_owned());
                }
            }
            _ => {}
        }
    }
    found
}

fn foreign_keys(lease: &Lease<'_>, table: &TableRef) -> Result<Vec<ForeignKey>> {
    let parts = rows(
        lease,
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1, 'main') ORDER BY id, seq",
        [&table.table],
        |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, Option<String>>(3)?,
            ))
        },
    )?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    for (id, parent, from, to) in parts {
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let key = ForeignKey {
                columns: Vec::new(),
                references: TableRef::new(SCHEMA, parent.clone()),
                referenced_columns: Vec::new(),
            };
            keys.push((id, key));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(from);
            key.referenced_columns.extend(to);
        }
    }
    // A key that names no columns of the other table means its primary key.
    for (_, key) in &mut keys {
        if key.referenced_columns.len() != key.columns.len() {
            key.referenced_columns = rows(
                lease,
                "SELECT name FROM pragma_table_info(?1, 'main') WHERE pk > 0 ORDER BY pk",
                [&key.references.table],
                |row| row.get(0),
            )?;
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

/// What `ANALYZE` left, or the largest row id.
fn estimated_rows(lease: &Lease<'_>, table: &TableRef, has_rowid: bool) -> Result<RowCount> {
    let analyzed = stat1(lease, table)?.into_iter().filter_map(|(_, numbers)| numbers.first().copied()).max();
    if let Some(count) = analyzed {
        return Ok(RowCount::Estimated(count));
    }
    if !has_rowid {
        return Ok(RowCount::Unknown);
    }
    let sql = format!("SELECT max(rowid) FROM main.{}", quoted(&table.table));
    let largest: Option<i64> = lease.query_row(&sql, [], |row| row.get(0)).map_err(|error| lease.error(error))?;
    Ok(RowCount::Estimated(largest.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0)))
}

/// Distinct values of columns that lead an index, from its mean number of rows with an equal first column.
fn distinct_counts(
    lease: &Lease<'_>,
    table: &TableRef,
    indexes: &[Index],
    statistics: &mut TableStatistics,
) -> Result<()> {
    for (name, numbers) in stat1(lease, table)? {
        let Some(index) = indexes.iter().find(|index| Some(&index.name) == name.as_ref()) else { continue };
        let (Some(column), [rows, equal, ..]) = (index.columns.first(), numbers.as_slice()) else { continue };
        if index.condition.is_none() && *equal > 0 {
            statistics.columns.entry(column.clone()).or_default().distinct = Some(rows.div_ceil(*equal));
        }
    }
    Ok(())
}

/// What `ANALYZE` left of each index of the table: rows, then the mean rows for each prefix of its columns.
fn stat1(lease: &Lease<'_>, table: &TableRef) -> Result<Vec<(Option<String>, Vec<u64>)>> {
    let exists: bool = lease
        .query_row("SELECT count(*) > 0 FROM sqlite_schema WHERE name = 'sqlite_stat1'", [], |row| row.get(0))
        .map_err(|error| lease.error(error))?;
    if !exists {
        return Ok(Vec::new());
    }
    rows(lease, "SELECT idx, stat FROM sqlite_stat1 WHERE tbl = ?1", [&table.table], |row| {
        let numbers: Option<String> = row.get(1)?;
        let numbers = numbers.unwrap_or_default();
        Ok((row.get(0)?, numbers.split(' ').map_while(|number| number.parse().ok()).collect()))
    })
}

fn rows<T>(
    lease: &Lease<'_>,
    sql: &str,
    parameters: impl rusqlite::Params,
    row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let read = || lease.prepare(sql)?.query_map(parameters, row)?.collect::<rusqlite::Result<Vec<T>>>();
    read().map_err(|error| lease.error(error))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
