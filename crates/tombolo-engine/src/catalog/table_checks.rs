use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;
use tombolo_connector::{Error, Result, TableDescription, TableRef};
use tracing::Instrument;

use super::source::Source;

/// Asks the sources of a statement whether its tables are still as they were described, beside its planning: the answers are
/// there when they are needed, and nothing waits for a round trip.
#[derive(Debug, Default)]
pub(crate) struct TableChecks(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// The tables that were asked for, by their source's name and their own.
    tables: BTreeSet<(String, TableRef)>,
    /// Dropping it gives the questions up.
    running: JoinSet<Result<()>>,
}

impl TableChecks {
    /// Begins to ask for those tables that were not asked for yet. What a native query gives was described for this statement.
    pub(crate) fn begin<'a>(&self, tables: impl Iterator<Item = (&'a Arc<Source>, &'a Arc<TableDescription>)>) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_sources: BTreeMap<&str, (&Arc<Source>, Vec<Arc<TableDescription>>)> = BTreeMap::new();
        for (source, description) in tables {
            let key = (source.name().to_owned(), description.table.clone());
            if !description.table.is_query() && asked.tables.insert(key) {
                of_sources.entry(source.name()).or_insert_with(|| (source, Vec::new())).1.push(Arc::clone(description));
            }
        }
        for (source, descriptions) in of_sources.into_values() {
            let source = Arc::clone(source);
            let check = async move { source.connector().await?.check_tables(&descriptions).await };
            asked.running.spawn(check.in_current_span());
        }
    }

    /// Waits for all answers.
    ///
    /// # Errors
    /// [`SchemaChanged`](tombolo_connector::ErrorCode::SchemaChanged), with the source's name, and what a source says that cannot be
    /// asked.
    pub(crate) async fn end(&self) -> Result<()> {
        let mut running = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).running);
        while let Some(answer) = running.join_next().await {
            answer.map_err(|error| {
                Error::internal("a question to a source broke off").with_detail(error.to_string())
            })??;
        }
        Ok(())
    }
}
