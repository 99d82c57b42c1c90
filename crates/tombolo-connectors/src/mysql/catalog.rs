mod statistics;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Field;
use serde::{Deserialize, Serialize};
use tombolo_connector::{
    Collation, ColumnDescription, Error, ErrorCode, Fingerprint, ForeignKey, Index, Result, RowCount, TableDescription,
    TableKind, TableRef, TableStatistics, TextFormat, nearest_name,
};

use super::client::{Client, Row};
use super::config::Config;
use super::types::{AS_CONVERTED, AS_DATE_OR_NULL, AS_TEXT, AS_UNSIGNED, RemoteType, carried};
use crate::sql::{changed, is_text, string_literal};

/// What the server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) product: &'static str,
    pub(super) version: String,
    /// Whether several connections can be told to read one snapshot, or why not.
    pub(super) shares_snapshots: std::result::Result<(), &'static str>,
}

impl Server {
    /// Whether it has window functions: MySQL since version 8, MariaDB since 10.2.
    pub(super) fn has_windows(&self) -> bool {
        self.version() >= if self.product == "MariaDB" { (10, 2) } else { (8, 0) }
    }

    fn version(&self) -> (u32, u32) {
        let mut numbers = self.version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

/// What must be known of a table to compare in the server, and to tell whether it is as it was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct TableProfile {
    /// A mark of the columns' names and types; another where they changed.
    pub(super) mark: String,
    pub(super) columns: Vec<ColumnProfile>,
    /// What keeps the table; none for what is no table.
    #[serde(default)]
    pub(super) engine: Option<String>,
    /// The bytes of its rows.
    #[serde(default)]
    pub(super) data_bytes: u64,
    /// What it is kept in the order of, where that begins with an integer.
    #[serde(default)]
    pub(super) clustered: Option<RangeKey>,
}

/// An index by ranges of which a table may be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RangeKey {
    pub(super) index: String,
    /// Its first column, an integer that is never null.
    pub(super) column: String,
}

/// What must be known of a column.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ColumnProfile {
    /// The name of its form; empty for its type's own.
    pub(super) form: String,
    /// How its text is compared, the character set first.
    pub(super) collation: Option<String>,
    /// Whether it is an ENUM or a SET.
    pub(super) is_label: bool,
    /// The most bytes of its text in UTF-8, or of its bytes.
    pub(super) max_bytes: Option<u64>,
}

impl TableProfile {
    pub(super) fn of(description: &TableDescription) -> Option<Arc<Self>> {
        description.fingerprint.as_ref()?.read()
    }
}

/// Reads what the server says of itself.
pub(super) async fn server(client: &Arc<Client>) -> Result<Server> {
    // To MySQL the variables, which it has not, are a comment.
    let rows = client.query("SELECT version() /*M!100200 , @@log_bin, @@binlog_optimize_thread_scheduling */").await?;
    let row = rows.first().ok_or_else(|| Error::internal("the server says nothing of itself"))?;
    let version = text(row, 0);
    let is_mariadb = version.contains("MariaDB");
    // `10.11.19-MariaDB-0+deb12u1-log` says twice what it is, and then how it was built.
    let version = version.split("-MariaDB").next().unwrap_or_default().trim_start_matches("5.5.5-").to_owned();
    let product = if is_mariadb { "MariaDB" } else { "MySQL" };
    let shares_snapshots = match (number(row, 1), number(row, 2)) {
        (Some(1), Some(1)) => Ok(()),
        (Some(1), _) => {
            Err("the server makes groups of commits visible one by one (`binlog_optimize_thread_scheduling` is off)")
        }
        _ if is_mariadb => Err("the server's binary log is off (`log_bin`), by which snapshots are known to be one"),
        _ => Err("MySQL does not let two connections read one snapshot without a lock"),
    };
    Ok(Server { product, version, shares_snapshots })
}

/// The databases that the user may look into, the connection's own first.
pub(super) async fn list_schemas(client: &Arc<Client>) -> Result<Vec<String>> {
    let rows = client
        .query(
            "SELECT s.schema_name FROM information_schema.schemata s \
             WHERE s.schema_name NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys') \
             ORDER BY coalesce(s.schema_name <> database(), 1), s.schema_name",
        )
        .await?;
    Ok(rows.iter().map(|row| text(row, 0)).collect())
}

/// The name of the index that is the primary key.
const PRIMARY: &str = "PRIMARY";

/// The variable that says how many bytes of InnoDB's tables the server keeps in its memory.
const POOL_BYTES: &str = "innodb_buffer_pool_size";

/// The kinds of relation that can be read; a sequence of MariaDB is none.
const READABLE: &str = "t.table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')";

pub(super) async fn list_tables(client: &Arc<Client>, schema: &str) -> Result<Vec<TableRef>> {
    let named = named("t.table_schema", schema)?;
    let sql = format!("SELECT t.table_name FROM information_schema.tables t WHERE {named} AND {READABLE}");
    let rows = client.query(&format!("{sql} ORDER BY t.table_name")).await?;
    if rows.is_empty() {
        let known = list_schemas(client).await?;
        if !known.iter().any(|name| name == schema) {
            let error = Error::new(ErrorCode::SchemaNotFound, format!("schema `{schema}` does not exist"));
            return Err(match nearest_name(schema, known.iter().map(String::as_str)) {
                Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
                None => error,
            });
        }
    }
    Ok(rows.iter().map(|row| TableRef::new(schema, text(row, 0))).collect())
}

/// The condition that a name in `information_schema` is exactly this one. Its own comparison there is blind to case, but is
/// the one by which the server opens only the tables that are asked for.
fn named(column: &str, name: &str) -> Result<String> {
    let literal = string_literal(name).map_err(|reason| Error::new(ErrorCode::TableNotFound, reason))?;
    Ok(format!("{column} = {literal} AND CAST({column} AS BINARY) = _binary{literal}"))
}

/// The condition that a row of `information_schema` is of this table.
fn of_table(relation: &str, table: &TableRef) -> Result<String> {
    let schema = named(&format!("{relation}.table_schema"), &table.schema)?;
    Ok(format!("{schema} AND {}", named(&format!("{relation}.table_name"), &table.table)?))
}

/// The query for the mark of a table: what its columns are called and of which types they are. MySQL 9.7 has no `md5`.
fn mark(table: &TableRef) -> Result<String> {
    Ok(format!(
        "SELECT 'mark', sha2(group_concat(concat_ws(' ', c.column_name, c.column_type, c.is_nullable, c.collation_name) \
         ORDER BY c.ordinal_position), 256) FROM information_schema.columns c WHERE {} HAVING count(*) > 0",
        of_table("c", table)?
    ))
}

/// The query for what keeps a table.
pub(super) fn engine_query(table: &TableRef) -> Result<String> {
    Ok(format!("SELECT t.engine FROM information_schema.tables t WHERE {}", of_table("t", table)?))
}

/// Makes sure that tables are still as they were described.
pub(super) async fn check_tables(client: &Arc<Client>, tables: &[Arc<TableDescription>]) -> Result<()> {
    let queries = tables.iter().map(|table| mark(&table.table)).collect::<Result<Vec<_>>>()?;
    let rows = client.query(&queries.join("; ")).await?;
    let known = tables.iter().map(|table| TableProfile::of(table).map(|profile| profile.mark.clone()));
    if known.eq(rows.iter().map(|row| Some(text(row, 1)))) { Ok(()) } else { Err(changed(tables)) }
}

pub(super) async fn describe_table(
    client: &Arc<Client>,
    table: &TableRef,
    server: &Server,
    config: &Config,
) -> Result<TableDescription> {
    // One request for all: each row begins with a word that says what it is of.
    let mut queries = vec![
        mark(table)?,
        format!(
            "SELECT 'table', t.table_type, t.table_rows, t.data_length + t.index_length, t.table_comment, \
             t.engine, t.data_length \
             FROM information_schema.tables t WHERE {} AND {READABLE}",
            of_table("t", table)?
        ),
        format!(
            "SELECT 'column', c.column_name, c.data_type, c.column_type, c.is_nullable, c.numeric_precision, \
             c.numeric_scale, c.character_set_name, c.collation_name, c.character_maximum_length, c.column_comment \
             FROM information_schema.columns c WHERE {} ORDER BY c.ordinal_position",
            of_table("c", table)?
        ),
        // A part of a functional key has no column, and one of a prefix has a part of it alone.
        format!(
            "SELECT 'index', s.index_name, s.non_unique, s.column_name, s.sub_part, s.cardinality, s.seq_in_index \
             FROM information_schema.statistics s WHERE {} \
             ORDER BY s.index_name <> 'PRIMARY', s.index_name, s.seq_in_index",
            of_table("s", table)?
        ),
        format!(
            "SELECT 'foreign', k.constraint_name, k.referenced_table_schema, k.referenced_table_name, k.column_name, \
             k.referenced_column_name FROM information_schema.key_column_usage k \
             WHERE {} AND k.referenced_table_name IS NOT NULL ORDER BY k.constraint_name, k.ordinal_position",
            of_table("k", table)?
        ),
    ];
    queries.push(format!("SHOW VARIABLES LIKE '{POOL_BYTES}'"));
    queries.extend(statistics::query(table, server)?);
    let rows = client.query(&queries.join("; ")).await?;
    let of = |kind: &'static str| rows.iter().filter(move |row| row.first().and_then(Option::as_deref) == Some(kind));
    let (Some(head), Some(marked)) = (of("table").next(), of("mark").next()) else {
        let known = list_tables(client, &table.schema).await?;
        return Err(Error::table_not_found(table, &known));
    };
    let mut profile = TableProfile {
        mark: text(marked, 1),
        engine: head.get(5).cloned().flatten(),
        data_bytes: number(head, 6).unwrap_or_default(),
        ..TableProfile::default()
    };
    let mut columns = Vec::new();
    for row in of("column") {
        let (column, known) = column(row, table, config);
        columns.push(column);
        profile.columns.push(known);
    }
    let is_view = text(head, 1) == "VIEW";
    let mut description =
        TableDescription::new(table.clone(), if is_view { TableKind::View } else { TableKind::Table }, columns);
    let pool = of(POOL_BYTES).next().and_then(|pool| number(pool, 1));
    let pool = pool.filter(|_| profile.engine.as_deref() == Some("InnoDB"));
    description.statistics = TableStatistics {
        rows: number(head, 2).filter(|_| !is_view).map_or(RowCount::Unknown, RowCount::Estimated),
        bytes: number(head, 3),
        cached: pool.zip(number(head, 3)).map(|(pool, bytes)| (pool as f64 / bytes.max(1) as f64).min(1.0)),
        columns: BTreeMap::default(),
    };
    // What a view has for a comment is that it is one.
    description.comment = head.get(4).cloned().flatten().filter(|comment| !comment.is_empty() && !is_view);
    add_indexes(&mut description, of("index"));
    add_foreign_keys(&mut description, of("foreign"));
    statistics::add(client, server, &of("statistics").collect::<Vec<_>>(), &mut description).await?;
    profile.clustered = clustered_key(&description, &profile.columns);
    description.fingerprint = Some(Fingerprint::try_new(&profile)?);
    Ok(description)
}

/// Describes what a query gives.
pub(super) async fn describe_query(
    client: &Arc<Client>,
    query: &TableRef,
    config: &Config,
) -> Result<TableDescription> {
    let definitions = client.describe(&query.table).await.map_err(|error| match error.code() {
        ErrorCode::SourceFailed | ErrorCode::SchemaChanged => {
            let detail = error.detail().unwrap_or_default().to_owned();
            Error::new(ErrorCode::SyntaxError, format!("MySQL does not take the query: {}", error.message()))
                .with_detail(detail)
                .with_source_name(client.name())
        }
        _ => error,
    })?;
    if definitions.is_empty() {
        return Err(Error::new(ErrorCode::SyntaxError, "the query gives no rows")
            .with_hint("Give a SELECT or a WITH query.")
            .with_source_name(client.name()));
    }
    let mut profile = TableProfile::default();
    let mut columns = Vec::new();
    for definition in &definitions {
        let remote = RemoteType::of(definition);
        let (data_type, form) = carried(&remote, config);
        let is_string = is_text(&data_type) || data_type == arrow::datatypes::DataType::Binary;
        profile.columns.push(ColumnProfile {
            form: form.0.to_owned(),
            max_bytes: (is_string && form != AS_TEXT).then_some(u64::from(definition.length)),
            ..ColumnProfile::default()
        });
        columns.push(ColumnDescription::new(Arc::new(Field::new(&definition.name, data_type, true)), remote.full));
    }
    let mut description = TableDescription::new(query.clone(), TableKind::Query, columns);
    description.fingerprint = Some(Fingerprint::try_new(&profile)?);
    Ok(description)
}

fn column(row: &Row, table: &TableRef, config: &Config) -> (ColumnDescription, ColumnProfile) {
    let (name, full) = (text(row, 1), text(row, 3));
    let remote = RemoteType {
        name: text(row, 2).to_lowercase(),
        full: full.to_lowercase(),
        precision: number(row, 5).and_then(|precision| u8::try_from(precision).ok()),
        scale: number(row, 6).and_then(|scale| i8::try_from(scale).ok()),
        character_set: row.get(7).cloned().flatten(),
    };
    let (data_type, form) = if config.is_text(&table.schema, &table.table, &name) {
        (arrow::datatypes::DataType::Utf8, AS_TEXT)
    } else {
        carried(&remote, config)
    };
    let collation = row.get(8).cloned().flatten().filter(|_| is_text(&data_type));
    // Some collations of MariaDB are told without their character set.
    let collation = collation
        .zip(remote.character_set.clone())
        .map(|(collation, set)| if collation.starts_with(&set) { collation } else { format!("{set} {collation}") });
    let is_string = is_text(&data_type) && form != AS_TEXT;
    let length = number(row, 9).filter(|_| form != AS_TEXT);
    let known = ColumnProfile {
        form: form.0.to_owned(),
        collation: collation.clone().filter(|_| form != AS_CONVERTED),
        is_label: matches!(remote.name.as_str(), "enum" | "set"),
        // A character has up to four bytes in UTF-8.
        max_bytes: if is_string { length.map(|length| length.saturating_mul(4)) } else { length },
    };
    let is_nullable = text(row, 4) != "NO" || form == AS_DATE_OR_NULL;
    let mut description = ColumnDescription::new(Arc::new(Field::new(name, data_type, is_nullable)), full);
    description.collation = collation.map_or(Collation::Binary, Collation::Other);
    description.text_format = match remote.name.as_str() {
        _ if !is_text(description.field.data_type()) => TextFormat::Plain,
        "uuid" => TextFormat::Uuid,
        "char" => TextFormat::Padded,
        _ => TextFormat::Plain,
    };
    description.comment = row.get(10).cloned().flatten().filter(|comment| !comment.is_empty());
    (description, known)
}

fn add_indexes<'a>(description: &mut TableDescription, rows: impl Iterator<Item = &'a Row>) {
    let mut indexes: Vec<(Index, bool)> = Vec::new();
    for row in rows {
        let (name, column) = (text(row, 1), row.get(3).cloned().flatten());
        let is_whole = column.is_some() && row.get(4).cloned().flatten().is_none();
        if number(row, 6) == Some(1) {
            if let (Some(column), Some(distinct), true) = (&column, number(row, 5), is_whole) {
                description.statistics.columns.entry(column.clone()).or_default().distinct = Some(distinct);
            }
            let unique = number(row, 2) == Some(0);
            indexes.push((Index { name, columns: Vec::new(), unique, condition: None }, true));
        }
        if let Some((index, all_whole)) = indexes.last_mut() {
            index.columns.push(column.unwrap_or_else(|| "an expression".to_owned()));
            *all_whole &= is_whole;
        }
    }
    for (index, all_whole) in indexes {
        if index.name == PRIMARY && all_whole {
            description.primary_key.clone_from(&index.columns);
        } else if index.unique && all_whole {
            description.unique_keys.push(index.columns.clone());
        }
        description.indexes.push(index);
    }
}

/// What InnoDB keeps the rows in the order of: the primary key, otherwise the first unique key without a null. Which of several is
/// the first is not told.
fn clustered_key(description: &TableDescription, profiles: &[ColumnProfile]) -> Option<RangeKey> {
    let is_never_null = |index: &&Index| {
        let is_given = |name: &String| description.column(name).is_some_and(|column| !column.field.is_nullable());
        description.unique_keys.contains(&index.columns) && index.columns.iter().all(is_given)
    };
    let index = match description.indexes.iter().find(|index| index.name == PRIMARY) {
        Some(primary) => primary,
        None => {
            let mut keys = description.indexes.iter().filter(is_never_null);
            keys.next().filter(|_| keys.next().is_none())?
        }
    };
    range_key(index, description, profiles)
}

/// An index that has all of these columns, so that the server reads it in the place of the rows: one of InnoDB's has the primary key's
/// columns beside its own ("Clustered and Secondary Indexes" in MySQL's manual). Of several, that of the fewest columns.
pub(super) fn covering_key(
    description: &TableDescription,
    profile: &TableProfile,
    columns: &[usize],
) -> Option<RangeKey> {
    // Of text an index may have the begin alone.
    let is_whole = |at: &usize| {
        description.columns.get(*at).is_some_and(|column| {
            let is_long = is_text(column.field.data_type()) || column.field.data_type().is_binary();
            !is_long || description.primary_key.contains(column.field.name())
        })
    };
    if !columns.iter().all(is_whole) {
        return None;
    }
    let keys = description
        .covering_indexes(columns)
        .filter_map(|index| Some((index.columns.len(), range_key(index, description, &profile.columns)?)));
    keys.min_by_key(|(width, _)| *width).map(|(_, key)| key)
}

/// An index that begins with an integer that is never null.
fn range_key(index: &Index, description: &TableDescription, profiles: &[ColumnProfile]) -> Option<RangeKey> {
    let name = index.columns.first()?;
    let at = description.columns.iter().position(|column| column.field.name() == name)?;
    let (found, profile) = (description.columns.get(at)?, profiles.get(at)?);
    let is_unsigned = profile.form == AS_UNSIGNED.0;
    let is_integer = is_unsigned || (profile.form.is_empty() && found.field.data_type().is_integer());
    let is_key = is_integer && !found.field.is_nullable();
    is_key.then(|| RangeKey { index: index.name.clone(), column: name.clone() })
}

fn add_foreign_keys<'a>(description: &mut TableDescription, rows: impl Iterator<Item = &'a Row>) {
    let mut last = None;
    for row in rows {
        let name = text(row, 1);
        if last.as_ref() != Some(&name) {
            let references = TableRef::new(text(row, 2), text(row, 3));
            description.foreign_keys.push(ForeignKey {
                references,
                columns: Vec::new(),
                referenced_columns: Vec::new(),
            });
            last = Some(name);
        }
        if let Some(key) = description.foreign_keys.last_mut() {
            key.columns.push(text(row, 4));
            key.referenced_columns.push(text(row, 5));
        }
    }
}

fn text(row: &Row, at: usize) -> String {
    row.get(at).cloned().flatten().unwrap_or_default()
}

fn number(row: &Row, at: usize) -> Option<u64> {
    row.get(at)?.as_ref()?.parse().ok()
}
