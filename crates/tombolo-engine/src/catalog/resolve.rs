use std::sync::Arc;
use std::time::Duration;

use tombolo_connector::{Error, ErrorCode, Result, TableRef, nearest_name};

use super::{Catalog, Source};

/// How long a source may take to help with a name that it may not even have.
const SUGGESTION_TIME: Duration = Duration::from_secs(2);

/// One part of a dotted name. Without quotes it matches whatever its case; in quotes it matches exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamePart {
    /// The text without its quotes.
    pub text: String,
    /// Whether it was quoted.
    pub quoted: bool,
}

impl NamePart {
    /// A part without quotes.
    pub fn unquoted(text: impl Into<String>) -> Self {
        Self { text: text.into(), quoted: false }
    }

    /// Whether the part names this.
    pub fn matches(&self, name: &str) -> bool {
        if self.quoted { self.text == name } else { self.text.to_lowercase() == name.to_lowercase() }
    }

    /// The one of `names` that the part names: the exact one, else the only one that differs by case alone.
    fn pick<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Result<Option<&'a str>> {
        if let Some(exact) = names.clone().find(|name| *name == self.text) {
            return Ok(Some(exact));
        }
        let mut matching = names.filter(|name| self.matches(name));
        match (matching.next(), matching.next()) {
            (Some(one), Some(two)) => {
                Err(Error::new(ErrorCode::AmbiguousName, format!("`{}` fits both `{one}` and `{two}`", self.text))
                    .with_hint(format!("Put the one that you mean in double quotes: \"{one}\".")))
            }
            (one, _) => Ok(one),
        }
    }
}

/// A table that a name was found to mean.
#[derive(Debug, Clone)]
pub struct ResolvedTable {
    /// The source that has it.
    pub source: Arc<Source>,
    /// Its exact names there.
    pub table: TableRef,
}

/// One place of a search path: a source, or one schema of it.
#[derive(Debug, Clone)]
pub struct SearchPlace {
    source: Arc<Source>,
    schema: Option<NamePart>,
}

impl Catalog {
    /// The place that a dotted name of a search path means: `source` or `source.schema`.
    ///
    /// # Errors
    /// [`ErrorCode::SourceNotFound`] with the nearest name; [`ErrorCode::SyntaxError`] for a name of more parts.
    pub fn search_place(&self, name: &[NamePart]) -> Result<SearchPlace> {
        let (source, schema) = match name {
            [source] => (source, None),
            [source, schema] => (source, Some(schema.clone())),
            _ => {
                return Err(Error::new(ErrorCode::SyntaxError, "a place of the search path has too many parts")
                    .with_hint("It is a source, or source.schema."));
            }
        };
        Ok(SearchPlace { source: Arc::clone(self.source(source)?), schema })
    }

    /// Finds the table that a dotted name means: `source.table`, `source.schema.table` or
    /// `source.database.schema.table`. With two parts the source's default schema is meant, else the only schema that has
    /// such a table.
    ///
    /// A name of one part is looked for in the places of `path`, and the first that has it is meant. So is a name of two parts
    /// whose first is no source, as `schema.table` in the sources that stand in `path` without a schema.
    ///
    /// # Errors
    /// [`ErrorCode::SourceNotFound`], [`ErrorCode::SchemaNotFound`], [`ErrorCode::TableNotFound`] with the nearest name;
    /// [`ErrorCode::AmbiguousName`]; and what the source says when it must be asked and cannot be. A place of `path` that
    /// cannot be asked is an error too: a table of a later place may be another one.
    pub async fn resolve_table(&self, name: &[NamePart], path: &[SearchPlace]) -> Result<ResolvedTable> {
        let (source, schema, table) = match name {
            [] => return Err(Error::internal("a table without a name")),
            [table] => return self.search(None, table, path).await,
            [schema, table] if !path.is_empty() && self.source(schema).is_err() => {
                return self.search(Some(schema), table, path).await;
            }
            [source, table] => (source, None, table),
            [source, schema, table] => (source, Some(schema.clone()), table),
            [source, database, schema, table] => {
                let text = format!("{}.{}", database.text, schema.text);
                (source, Some(NamePart { text, quoted: database.quoted || schema.quoted }), table)
            }
            [source, ..] => {
                return Err(Error::new(
                    ErrorCode::SyntaxError,
                    format!("a name of `{}` has too many parts", source.text),
                )
                .with_hint("A table is source.table, source.schema.table or source.database.schema.table."));
            }
        };
        let source = Arc::clone(self.source(source)?);
        if schema.as_ref().is_some_and(|schema| schema.quoted && schema.text.is_empty()) {
            return Ok(ResolvedTable { source, table: TableRef::query(&table.text) });
        }
        for fresh in [false, true] {
            // What is remembered serves first; the source is asked again before anything is said not to exist.
            if let Some(found) = self.find(&source, schema.as_ref(), table, fresh).await? {
                return Ok(ResolvedTable { source, table: found });
            }
        }
        Err(not_found(&source, schema.as_ref(), table).await?)
    }

    /// Finds a table that was named without a source.
    async fn search(&self, schema: Option<&NamePart>, table: &NamePart, path: &[SearchPlace]) -> Result<ResolvedTable> {
        for fresh in [false, true] {
            for place in path {
                let schema = match (schema, &place.schema) {
                    (Some(_), Some(_)) => continue,
                    (schema, within) => schema.or(within.as_ref()),
                };
                if let Some(found) = self.find(&place.source, schema, table, fresh).await? {
                    return Ok(ResolvedTable { source: Arc::clone(&place.source), table: found });
                }
            }
        }
        match schema {
            // It may as well have been meant for a source.
            Some(source) => Err(self.source(source).err().unwrap_or_else(|| Error::internal("a source came up"))),
            None => Err(self.missing_source(table).await),
        }
    }

    async fn find(
        &self,
        source: &Arc<Source>,
        schema: Option<&NamePart>,
        table: &NamePart,
        fresh: bool,
    ) -> Result<Option<TableRef>> {
        let schemas = source.schemas().await?;
        let wanted: Vec<&str> = match schema {
            Some(schema) => schema.pick(schemas.iter().map(String::as_str))?.into_iter().collect(),
            None => schemas.iter().map(String::as_str).collect(),
        };
        let mut elsewhere: Vec<TableRef> = Vec::new();
        for (index, schema) in wanted.iter().enumerate() {
            let tables = source.tables(schema, fresh).await?;
            if let Some(found) = table.pick(tables.iter().map(|table| table.table.as_str()))? {
                let found = TableRef::new(*schema, found);
                if index == 0 {
                    return Ok(Some(found));
                }
                elsewhere.push(found);
            }
        }
        if let [one, two, ..] = elsewhere.as_slice() {
            let message = format!("`{}.{}` fits both {one} and {two}", source.name(), table.text);
            return Err(Error::new(ErrorCode::AmbiguousName, message).with_hint("Write the schema before the table."));
        }
        Ok(elsewhere.pop())
    }

    /// A name of one part says no source; what is already known of the sources may tell which one was meant.
    async fn missing_source(&self, table: &NamePart) -> Error {
        let mut fitting = Vec::new();
        for source in self.sources() {
            let tables = async {
                let mut tables = Vec::new();
                for schema in source.schemas().await? {
                    tables.extend(source.tables(&schema, false).await?);
                }
                Ok::<_, Error>(tables)
            };
            // A source that is slow to say so would only delay the error.
            let Ok(Ok(tables)) = tokio::time::timeout(SUGGESTION_TIME, tables).await else { continue };
            let named = tables.into_iter().filter(|known| table.matches(&known.table));
            fitting.extend(named.map(|known| format!("{}.{}", source.name(), known.table)));
        }
        let error = Error::new(ErrorCode::TableNotFound, format!("table `{}` has no source in its name", table.text));
        if fitting.is_empty() {
            error.with_hint("Write it as source.table; `tombolo sources` lists the sources.")
        } else {
            error.with_hint(format!("Did you mean `{}`?", fitting.join("` or `")))
        }
    }
}

async fn not_found(source: &Source, schema: Option<&NamePart>, table: &NamePart) -> Result<Error> {
    let schemas = source.schemas().await?;
    if let Some(schema) = schema
        && !schemas.iter().any(|known| schema.matches(known))
    {
        let error = Error::new(
            ErrorCode::SchemaNotFound,
            format!("source `{}` has no schema `{}`", source.name(), schema.text),
        );
        return Ok(match nearest_name(&schema.text, schemas.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
            None => error.with_hint(format!("It has: {}.", schemas.join(", "))),
        });
    }
    let mut known = Vec::new();
    for schema in &schemas {
        known.extend(source.tables(schema, false).await?.into_iter().map(|table| table.table));
    }
    let error =
        Error::new(ErrorCode::TableNotFound, format!("source `{}` has no table `{}`", source.name(), table.text));
    let differs_by_case = known.iter().find(|known| known.eq_ignore_ascii_case(&table.text));
    Ok(
        match differs_by_case
            .map(String::as_str)
            .or_else(|| nearest_name(&table.text, known.iter().map(String::as_str)))
        {
            Some(near) => error.with_hint(format!("Did you mean `{}.{near}`?", source.name())),
            None if known.is_empty() => error.with_hint("It has no tables."),
            None => error.with_hint(format!("`tombolo describe {}` lists its {} tables.", source.name(), known.len())),
        },
    )
}
