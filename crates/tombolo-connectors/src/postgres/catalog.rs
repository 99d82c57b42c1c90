use std::sync::Arc;

use arrow::datatypes::Field;
use serde::{Deserialize, Serialize};
use tombolo_connector::{
    Collation, ColumnDescription, ColumnStatistics, Error, ErrorCode, Fingerprint, ForeignKey, Index, Result, RowCount,
    TableDescription, TableKind, TableRef, TableStatistics, TextFormat, nearest_name,
};

use super::client::{Client, Row};
use super::config::Config;
use super::types::{AS_CHAR, AS_TEXT, AS_UUID, RemoteType, carried};
use crate::sql::{changed, string_literal};

/// What the server says of itself and of the database.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) version: String,
    pub(super) database: String,
    /// Whether the database's own collation compares byte by byte.
    pub(super) default_is_bytes: bool,
    /// What that collation is called.
    pub(super) collation: String,
    /// Why text is not compared in the server at all.
    pub(super) doubt: Option<String>,
    /// The longest that it lets a statement of this user run, in milliseconds; none where it sets no limit.
    pub(super) limit_ms: Option<u64>,
}

/// What must be known of a table to compare in the server, and to tell whether it is as it was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct TableProfile {
    /// A mark of the columns' names and types; another where they changed.
    pub(super) mark: String,
    pub(super) columns: Vec<ColumnProfile>,
    /// The pages of a table that is stored in pages, and can be read by ranges of them; none for others.
    pub(super) pages: Option<u64>,
    /// The bytes of a page.
    pub(super) page_bytes: u64,
}

/// What must be known of a column.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ColumnProfile {
    /// The name of its form; empty for its type's own.
    pub(super) form: String,
    /// How its text is compared, where not by the database's own collation that compares byte by byte.
    pub(super) collation: Option<String>,
    /// Why it is not compared in the server.
    pub(super) doubt: Option<String>,
}

impl TableProfile {
    pub(super) fn of(description: &TableDescription) -> Option<Arc<Self>> {
        description.fingerprint.as_ref()?.read()
    }

    /// The relation's number in the server's catalog, with which the mark begins.
    pub(super) fn oid(&self) -> Option<u32> {
        self.mark.split(':').next()?.parse().ok()
    }
}

/// Reads what the server says of itself.
pub(super) async fn server(client: &Arc<Client>) -> Result<Server> {
    // The provider of the collation is a column since version 15.
    let rows = client
        .query(
            "SELECT current_setting('server_version'), d.datname, pg_encoding_to_char(d.encoding), d.datcollate, \
             coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), \
             (SELECT s.setting FROM pg_settings s WHERE s.name = 'statement_timeout'), \
             coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') FROM pg_database d WHERE d.datname = current_database()",
        )
        .await?;
    let row = rows.first().ok_or_else(|| Error::internal("the server says nothing of its database"))?;
    let (encoding, collation, provider) = (text(row, 2), text(row, 3), text(row, 4));
    Ok(Server {
        version: text(row, 0),
        database: text(row, 1),
        default_is_bytes: match provider.as_str() {
            // The built-in provider compares code points, whatever its locale.
            "b" => true,
            "c" => matches!(collation.as_str(), "C" | "POSIX"),
            _ => false,
        },
        // Of ICU there is a locale, which version 17 calls otherwise, and of the system's library a name.
        collation: match row.get(6).cloned().flatten().filter(|_| provider == "i") {
            Some(locale) => format!("{locale} of ICU"),
            None => collation,
        },
        doubt: (encoding != "UTF8").then(|| format!("the database keeps text in {encoding}, whose order is another")),
        limit_ms: number(row, 5).and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0),
    })
}

/// The schemas that the user may look into, `public` first.
pub(super) async fn list_schemas(client: &Arc<Client>) -> Result<Vec<String>> {
    let rows = client
        .query(
            "SELECT n.nspname FROM pg_namespace n WHERE n.nspname NOT LIKE 'pg\\_%' \
             AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE') \
             ORDER BY n.nspname <> 'public', n.nspname",
        )
        .await?;
    Ok(rows.iter().map(|row| text(row, 0)).collect())
}

/// Letters of a common value or a bound that are kept: they serve estimates alone.
const STATISTIC_LETTERS: usize = 64;

/// The kinds of relation that can be read: tables, partitioned and foreign ones, views and materialised ones.
const READABLE: &str = "('r', 'p', 'f', 'v', 'm')";

pub(super) async fn list_tables(client: &Arc<Client>, schema: &str) -> Result<Vec<TableRef>> {
    // A partition is part of the table that it belongs to.
    let rows = client
        .query(&format!(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} \
             AND c.relkind IN {READABLE} AND NOT c.relispartition ORDER BY c.relname",
            literal(schema)?
        ))
        .await?;
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

/// The part of a query that makes the mark of a relation `c`: what its columns are called and of which types they are.
const MARK: &str = "(SELECT c.oid || ':' || coalesce(md5(string_agg(a.attnum || ' ' || a.attname || ' ' || a.atttypid || ' ' || \
                    a.atttypmod || ' ' || a.attcollation || ' ' || a.attnotnull, ',' ORDER BY a.attnum)), '') \
                    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";

/// Makes sure that tables are still as they were described.
pub(super) async fn check_tables(client: &Arc<Client>, tables: &[Arc<TableDescription>]) -> Result<()> {
    let mut statements = Vec::with_capacity(tables.len());
    for table in tables {
        let (schema, name) = (literal(&table.table.schema)?, literal(&table.table.table)?);
        statements.push(format!(
            "SELECT {MARK} FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {schema} AND c.relname = {name}"
        ));
    }
    let rows = client.query(&statements.join("; ")).await?;
    let known = tables.iter().map(|table| TableProfile::of(table).map(|profile| profile.mark.clone()));
    if known.eq(rows.iter().map(|row| Some(text(row, 0)))) { Ok(()) } else { Err(changed(tables)) }
}

pub(super) async fn describe_table(
    client: &Arc<Client>,
    table: &TableRef,
    server: &Server,
    config: &Config,
) -> Result<TableDescription> {
    let (schema, name) = (literal(&table.schema)?, literal(&table.table)?);
    let relation = format!(
        "(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                            WHERE n.nspname = {schema} AND c.relname = {name} AND c.relkind IN {READABLE})"
    );
    // A partitioned table has no rows of its own. One partition of which nothing is known makes all unknown.
    let of_partitions = "(SELECT CASE WHEN bool_and(l.reltuples >= 0) THEN sum(l.reltuples)::int8 ELSE -1 END \
                         FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid WHERE t.isleaf)";
    let size_of_partitions =
        "(SELECT sum(pg_total_relation_size(t.relid))::int8 FROM pg_partition_tree(c.oid) t WHERE t.isleaf)";
    // One request for all: each row begins with a word that says what it is of.
    let queries = [
        format!(
            "SELECT 'table', c.relkind, CASE WHEN c.relkind = 'p' THEN {of_partitions} ELSE c.reltuples::int8 END, c.relpages, \
             obj_description(c.oid, 'pg_class'), {MARK}, \
             CASE WHEN c.relkind = 'p' THEN {size_of_partitions} ELSE pg_total_relation_size(c.oid) END, \
             current_setting('block_size'), \
             CASE WHEN c.relkind IN ('r', 'm') AND current_setting('server_version_num')::int >= 140000 \
             THEN pg_relation_size(c.oid) / current_setting('block_size')::int8 END \
             FROM pg_class c WHERE c.oid = {relation}"
        ),
        format!(
            "SELECT 'column', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, b.oid, b.modifier, b.typname, \
             CASE WHEN b.typcategory = 'A' AND b.typlen = -1 THEN b.typelem END, \
             CASE WHEN co.collname IS NULL THEN NULL WHEN a.attcollation = 100 THEN 'default' ELSE co.collname END, \
             col_description(a.attrelid, a.attnum), s.n_distinct, s.null_frac, s.avg_width, \
             (SELECT json_agg(left(v, {STATISTIC_LETTERS})) FROM unnest(s.most_common_vals::text::text[]) v), \
             to_json(s.most_common_freqs), \
             (SELECT json_agg(left(v, {STATISTIC_LETTERS})) FROM unnest(s.histogram_bounds::text::text[]) v) \
             FROM pg_attribute a \
             CROSS JOIN LATERAL (WITH RECURSIVE base AS ( \
             SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typlen, t.typelem, a.atttypmod AS modifier \
             FROM pg_type t WHERE t.oid = a.atttypid \
             UNION ALL SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typlen, t.typelem, \
             CASE WHEN base.modifier >= 0 THEN base.modifier ELSE d.typtypmod END \
             FROM base JOIN pg_type d ON d.oid = base.oid JOIN pg_type t ON t.oid = base.typbasetype \
             WHERE base.typtype = 'd') SELECT * FROM base WHERE typtype <> 'd') b \
             LEFT JOIN pg_collation co ON co.oid = a.attcollation \
             LEFT JOIN pg_stats s ON s.schemaname = {schema} AND s.tablename = {name} AND s.attname = a.attname \
             AND s.inherited = (SELECT p.relkind = 'p' FROM pg_class p WHERE p.oid = a.attrelid) \
             WHERE a.attrelid = {relation} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ),
        format!(
            "SELECT 'index', i.relname, x.indisunique, x.indisprimary, pg_get_expr(x.indpred, x.indrelid), \
             (SELECT json_agg(pg_get_indexdef(x.indexrelid, k, true) ORDER BY k) FROM generate_series(1, x.indnkeyatts) k), \
             (SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(number, at) \
             LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number WHERE k.at <= x.indnkeyatts) \
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = {relation} AND x.indisvalid \
             ORDER BY NOT x.indisprimary, i.relname"
        ),
        format!(
            "SELECT 'foreign', rn.nspname, r.relname, \
             (SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(f.conkey) WITH ORDINALITY k(number, at) \
             JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number), \
             (SELECT json_agg(a.attname ORDER BY k.at) FROM unnest(f.confkey) WITH ORDINALITY k(number, at) \
             JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number) \
             FROM pg_constraint f JOIN pg_class r ON r.oid = f.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace \
             WHERE f.conrelid = {relation} AND f.contype = 'f' ORDER BY f.conname"
        ),
    ];
    let rows = client.query(&queries.join("; ")).await?;
    let of = |kind: &'static str| rows.iter().filter(move |row| row.first().and_then(Option::as_deref) == Some(kind));
    let Some(head) = of("table").next() else {
        let known = list_tables(client, &table.schema).await?;
        return Err(Error::table_not_found(table, &known));
    };
    let mut profile = TableProfile {
        mark: text(head, 5),
        columns: Vec::new(),
        // Ranges of pages are read without reading the others since version 14.
        pages: number(head, 8).and_then(|pages| u64::try_from(pages).ok()),
        page_bytes: number(head, 7).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(8192),
    };
    let mut columns = Vec::new();
    let mut statistics = TableStatistics {
        // -1 says that the table was never looked at.
        rows: number(head, 2).and_then(|rows| u64::try_from(rows).ok()).map_or(RowCount::Unknown, RowCount::Estimated),
        bytes: number(head, 6).and_then(|bytes| u64::try_from(bytes).ok()),
        // What does not fit into its own memory is in that of its machine, from which it comes quickly.
        cached: None,
        columns: Default::default(),
    };
    let is_view = matches!(text(head, 1).as_str(), "v");
    if is_view {
        statistics.rows = RowCount::Unknown;
    }
    for row in of("column") {
        let (column, statistic) = column(row, table, statistics.rows.value(), server, config, &mut profile)?;
        statistics.columns.insert(column.field.name().clone(), statistic);
        columns.push(column);
    }
    let kind = if is_view { TableKind::View } else { TableKind::Table };
    let mut description = TableDescription::new(table.clone(), kind, columns);
    description.statistics = statistics;
    description.comment = head.get(4).cloned().flatten();
    for row in of("index") {
        let (is_unique, is_primary) = (is_true(row, 2), is_true(row, 3));
        let condition = row.get(4).cloned().flatten();
        let plain: Vec<Option<String>> = list(row, 6)?;
        // An index over an expression has no column in its place.
        let keys: Option<Vec<String>> = plain.into_iter().collect();
        match &keys {
            Some(keys) if is_primary => description.primary_key = keys.clone(),
            Some(keys) if is_unique && condition.is_none() => description.unique_keys.push(keys.clone()),
            _ => {}
        }
        let columns = match keys {
            Some(keys) => keys,
            None => list(row, 5)?,
        };
        description.indexes.push(Index { name: text(row, 1), columns, unique: is_unique, condition });
    }
    for row in of("foreign") {
        description.foreign_keys.push(ForeignKey {
            references: TableRef::new(text(row, 1), text(row, 2)),
            columns: list(row, 3)?,
            referenced_columns: list(row, 4)?,
        });
    }
    description.fingerprint = Some(Fingerprint::try_new(&profile)?);
    Ok(description)
}

/// Describes what a query gives. Its text is compared here: which collation a computed text has, only the server knows.
pub(super) async fn describe_query(
    client: &Arc<Client>,
    query: &TableRef,
    config: &Config,
) -> Result<TableDescription> {
    let columns = client.describe(&query.table).await.map_err(|error| match error.code() {
        ErrorCode::SourceFailed | ErrorCode::SchemaChanged => {
            let detail = error.detail().unwrap_or_default().to_owned();
            Error::new(ErrorCode::SyntaxError, format!("PostgreSQL does not take the query: {}", error.message()))
                .with_detail(detail)
                .with_source_name(client.name())
        }
        _ => error,
    })?;
    if columns.is_empty() {
        return Err(Error::new(ErrorCode::SyntaxError, "the query gives no rows")
            .with_hint("Give a SELECT, a VALUES list or a WITH query.")
            .with_source_name(client.name()));
    }
    let numbered: Vec<String> =
        columns.iter().enumerate().map(|(at, column)| format!("({at}, {}, {})", column.oid, column.modifier)).collect();
    let rows = client
        .query(&format!(
            "SELECT t.typname, CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem END, \
             format_type(t.oid, c.modifier) FROM (VALUES {}) c(at, oid, modifier) \
             JOIN pg_type t ON t.oid = c.oid::oid ORDER BY c.at",
            numbered.join(", ")
        ))
        .await?;
    let mut profile = TableProfile::default();
    let mut described = Vec::new();
    for (column, row) in columns.iter().zip(&rows) {
        let element = number(row, 1).and_then(|oid| u32::try_from(oid).ok());
        let remote = RemoteType { oid: column.oid, modifier: column.modifier, name: text(row, 0), element };
        let (data_type, form) = carried(&remote, config.numeric_scale);
        let doubt =
            crate::sql::is_text(&data_type).then(|| "the collation of a native query's text is not known".to_owned());
        profile.columns.push(ColumnProfile { form: form.0.to_owned(), collation: None, doubt });
        described.push(ColumnDescription::new(Arc::new(Field::new(&column.name, data_type, true)), text(row, 2)));
    }
    let mut description = TableDescription::new(query.clone(), TableKind::Query, described);
    description.fingerprint = Some(Fingerprint::try_new(&profile)?);
    Ok(description)
}

fn column(
    row: &Row,
    table: &TableRef,
    rows: Option<u64>,
    server: &Server,
    config: &Config,
    profile: &mut TableProfile,
) -> Result<(ColumnDescription, ColumnStatistics)> {
    let (name, remote_type) = (text(row, 1), text(row, 2));
    let remote = RemoteType {
        oid: number(row, 4).and_then(|oid| u32::try_from(oid).ok()).unwrap_or_default(),
        modifier: number(row, 5).and_then(|modifier| i32::try_from(modifier).ok()).unwrap_or(-1),
        name: text(row, 6),
        element: number(row, 7).and_then(|oid| u32::try_from(oid).ok()),
    };
    let (data_type, form) = if config.is_text(&table.schema, &table.table, &name) {
        (arrow::datatypes::DataType::Utf8, AS_TEXT)
    } else {
        carried(&remote, config.numeric_scale)
    };
    let collation = row.get(8).cloned().flatten().filter(|name| name != "default" || !server.default_is_bytes);
    let is_text = crate::sql::is_text(&data_type);
    profile.columns.push(ColumnProfile {
        form: form.0.to_owned(),
        collation: collation.clone(),
        doubt: server.doubt.clone().filter(|_| is_text),
    });
    let mut description = ColumnDescription::new(Arc::new(Field::new(name, data_type, !is_true(row, 3))), remote_type);
    let named = |name: String| if name == "default" { server.collation.clone() } else { name };
    description.collation =
        collation.filter(|_| is_text).map_or(Collation::Binary, |name| Collation::Other(named(name)));
    description.text_format = match form {
        AS_UUID => TextFormat::Uuid,
        AS_CHAR => TextFormat::Padded,
        _ => TextFormat::Plain,
    };
    description.comment = row.get(9).cloned().flatten();
    let distinct = decimal(row, 10).and_then(|distinct| match (distinct < 0.0, rows) {
        // Below zero it is a share of the rows.
        (true, Some(rows)) => Some((-distinct * rows as f64).round() as u64),
        (true, None) => None,
        (false, _) => (distinct > 0.0).then_some(distinct as u64),
    });
    let shares: Vec<f64> = list(row, 14)?;
    let statistic = ColumnStatistics {
        distinct,
        null_fraction: decimal(row, 11),
        width: decimal(row, 12),
        common: list(row, 13)?.into_iter().zip(shares).collect(),
        bounds: list(row, 15)?,
    };
    Ok((description, statistic))
}

pub(super) fn literal(text: &str) -> Result<String> {
    string_literal(text).map_err(|reason| Error::new(ErrorCode::TableNotFound, reason))
}

fn text(row: &Row, at: usize) -> String {
    row.get(at).cloned().flatten().unwrap_or_default()
}

fn number(row: &Row, at: usize) -> Option<i64> {
    row.get(at)?.as_ref()?.parse().ok()
}

fn decimal(row: &Row, at: usize) -> Option<f64> {
    row.get(at)?.as_ref()?.parse().ok()
}

fn is_true(row: &Row, at: usize) -> bool {
    matches!(row.get(at), Some(Some(value)) if value == "t")
}

fn list<T: serde::de::DeserializeOwned>(row: &Row, at: usize) -> Result<Vec<T>> {
    let Some(Some(text)) = row.get(at) else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|error| Error::internal("the server's list cannot be read").with_cause(error))
}
