use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tombolo_connector::{Collation, ErrorCode, Result, ResultExt, RowCount, TableDescription};
use tombolo_engine::Engine;

use super::connect::write_tables;
use super::{App, ListFormat};
use crate::output;
use crate::render::{Align, Grid, Style, Terminal, number};

/// How many tables of a source are described at once.
const AT_ONCE: usize = 4;

/// Show the tables of a source, or the columns, keys and indexes of a table
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tombolo describe shop
  tombolo describe shop.customers
  tombolo describe shop.customers --refresh --format json")]
pub(crate) struct DescribeArgs {
    /// SOURCE or SOURCE.TABLE, as a statement would name it
    #[arg(value_name = "SOURCE[.TABLE]")]
    name: String,
    /// The form of the answer
    #[arg(long, value_enum, default_value = "table", value_name = "FORMAT")]
    format: ListFormat,
    /// Ask the source again, rather than the cached catalog
    #[arg(long)]
    refresh: bool,
}

/// A table of a source, described as far as it can be read.
pub(crate) struct TableLine {
    /// Its name below its source.
    pub(crate) name: String,
    pub(crate) description: Result<Arc<TableDescription>>,
}

impl DescribeArgs {
    pub(crate) async fn run(self, app: &App) -> Result<u8> {
        let config = app.config()?;
        let engine = app.engine(&config)?;
        let unquoted = self.name.trim_matches(['"', '[', ']']);
        let source = config.sources.iter().find(|source| source.name.eq_ignore_ascii_case(unquoted));
        if let Some(source) = source {
            if self.refresh {
                engine.refresh(&source.name).await?;
            }
            describe_source(app, &engine, &source.name, self.format).await?;
        } else if self.name.contains('.') {
            if self.refresh {
                let (source, _) = engine.describe_table(&self.name).await?;
                engine.refresh(&source).await?;
            }
            let (source, description) = engine.describe_table(&self.name).await?;
            match self.format {
                ListFormat::Json => write_json(&table_json(&source, &description))?,
                ListFormat::Table => {
                    output::with_stdout(|out| write_table(out, &source, &description, app.stdout))?;
                }
            }
        } else {
            // There is no such source: the error names the nearest.
            config.source(unquoted)?;
        }
        Ok(0)
    }
}

/// Shows the tables of a source.
pub(crate) async fn describe_source(app: &App, engine: &Engine, source: &str, format: ListFormat) -> Result<()> {
    let tables = list_tables(engine, source).await?;
    match format {
        ListFormat::Table => write_tables(app, &tables),
        ListFormat::Json => {
            let tables: Vec<Value> = tables
                .iter()
                .map(|table| match &table.description {
                    Ok(description) => table_json(source, description),
                    Err(error) => json!({ "source": source, "name": table.name, "error": error.message() }),
                })
                .collect();
            write_json(&json!(tables))
        }
    }
}

/// All tables of a source, described. A table that cannot be read does not hide the others.
pub(crate) async fn list_tables(engine: &Engine, source: &str) -> Result<Vec<TableLine>> {
    let schemas = engine.list_schemas(source).await?;
    let tables = engine.list_tables(source).await?;
    stream::iter(tables.into_iter().map(|table| {
        let first = schemas.first().is_some_and(|schema| *schema == table.schema);
        let name = if first { table.table.clone() } else { format!("{}.{}", table.schema, table.table) };
        async move {
            let description = engine.describe_table(&sql_name(&[source, &table.schema, &table.table])).await;
            Ok(TableLine { name, description: description.map(|(_, description)| description) })
        }
    }))
    .buffered(AT_ONCE)
    .try_collect()
    .await
}

/// A name as a statement writes it: quoted where it must be.
pub(crate) fn sql_name(parts: &[&str]) -> String {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let parts = parts.iter().map(|part| match plain(part) {
        true => (*part).to_owned(),
        false => format!("\"{}\"", part.replace('"', "\"\"")),
    });
    parts.collect::<Vec<_>>().join(".")
}

/// A row count as a list shows it: `1,200`, `~1,200` where it is estimated, blank where it is not known.
pub(crate) fn row_count(rows: RowCount) -> String {
    match rows {
        RowCount::Exact(rows) => number::count(rows),
        RowCount::Estimated(rows) => format!("~{}", number::count(rows)),
        RowCount::Unknown => String::new(),
    }
}

/// Shows one table: its columns, keys, indexes, size, and the age of all this.
pub(crate) fn write_table(
    out: &mut dyn Write,
    source: &str,
    table: &TableDescription,
    terminal: Terminal,
) -> io::Result<()> {
    let name = format!("{source}.{}", table.table);
    let mut facts = vec![table.kind.to_string()];
    if let Some(rows) = table.statistics.rows.value() {
        let about = if matches!(table.statistics.rows, RowCount::Estimated(_)) { "about " } else { "" };
        facts.push(format!("{about}{}", number::rows(rows)));
    }
    facts.extend(table.statistics.bytes.map(number::bytes));
    let age = (chrono::Utc::now() - table.read_at).to_std().unwrap_or_default();
    facts.push(format!("read {} ago", number::milliseconds(age.as_secs_f64() * 1000.0)));
    writeln!(out, "{}  {}", terminal.paint(Style::Name, &crate::render::text::escape(&name)), facts.join(", "))?;
    if let Some(comment) = &table.comment {
        writeln!(out, "{}", crate::render::text::escape(comment))?;
    }
    columns_grid(table).write(out, terminal)?;
    let mut line = |label: &str, text: String| writeln!(out, "{label:<14}{}", crate::render::text::escape(&text));
    if !table.primary_key.is_empty() {
        line("primary key", table.primary_key.join(", "))?;
    }
    for key in &table.unique_keys {
        line("unique", key.join(", "))?;
    }
    for key in &table.foreign_keys {
        let (columns, referenced) = (key.columns.join(", "), key.referenced_columns.join(", "));
        line("foreign key", format!("{columns} -> {} ({referenced})", key.references))?;
    }
    for index in &table.indexes {
        let unique = if index.unique { "unique " } else { "" };
        let condition = index.condition.as_ref().map(|condition| format!(" where {condition}")).unwrap_or_default();
        line("index", format!("{unique}{} ({}){condition}", index.name, index.columns.join(", ")))?;
    }
    Ok(())
}

fn columns_grid(table: &TableDescription) -> Grid {
    let commented = table.columns.iter().any(|column| column.comment.is_some());
    let headers = ["column", "type", "in the source", "null", "notes"];
    let mut grid =
        Grid::new(headers.map(|header| (header, Align::Left)).into_iter().take(if commented || has_notes(table) {
            5
        } else {
            4
        }));
    for column in &table.columns {
        let null = if column.field.is_nullable() { "yes" } else { "no" };
        grid.row([
            column.field.name().clone(),
            column.field.data_type().to_string(),
            column.remote_type.clone(),
            null.to_owned(),
            notes(column),
        ]);
    }
    grid
}

fn has_notes(table: &TableDescription) -> bool {
    table.columns.iter().any(|column| !notes(column).is_empty())
}

fn notes(column: &tombolo_connector::ColumnDescription) -> String {
    let mut notes = Vec::new();
    if let Collation::Other(name) = &column.collation {
        notes.push(format!("collation {name}"));
    }
    if !column.uniform {
        notes.push("may hold values of other types".to_owned());
    }
    notes.extend(column.comment.clone());
    notes.join("; ")
}

fn table_json(source: &str, table: &TableDescription) -> Value {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.field.name(),
                "type": column.field.data_type().to_string(),
                "remote_type": column.remote_type,
                "nullable": column.field.is_nullable(),
                "collation": column.collation,
                "uniform": column.uniform,
                "comment": column.comment,
            })
        })
        .collect();
    json!({
        "source": source,
        "schema": table.table.schema,
        "table": table.table.table,
        "kind": table.kind,
        "rows": table.statistics.rows.value(),
        "rows_exact": matches!(table.statistics.rows, RowCount::Exact(_)),
        "bytes": table.statistics.bytes,
        "columns": columns,
        "primary_key": table.primary_key,
        "unique_keys": table.unique_keys,
        "foreign_keys": table.foreign_keys,
        "indexes": table.indexes,
        "comment": table.comment,
        "read_at": table.read_at,
    })
}

/// Prints a value as JSON that people can read too.
pub(crate) fn write_json(value: &Value) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).or_error(ErrorCode::Internal, || "the answer is no JSON".to_owned())?;
    output::write_stdout(&format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_sql_needs_it() {
        assert_eq!(sql_name(&["shop", "order_lines2"]), "shop.order_lines2");
        assert_eq!(sql_name(&["users-db", "Users", "a\"b"]), "\"users-db\".\"Users\".\"a\"\"b\"");
    }
}
