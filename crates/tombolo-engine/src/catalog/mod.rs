//! Names → tables with keys, indexes and statistics. Every fact has an age.
//!
//! Only the tables that a statement names are described. A source is connected when something of it is first needed, and a
//! source that is down breaks nothing but the queries that name it.

mod cache;
pub(crate) mod guardrails;
mod observed;
mod resolve;
mod source;
mod table;
mod table_checks;

use std::path::PathBuf;
use std::sync::Arc;

use tombolo_connector::{Error, ErrorCode, Registry, Result, nearest_name};

use crate::settings::Settings;

pub use guardrails::{Guardrails, ScanLimits, TableGuardrails};
pub(crate) use observed::{HereCost, WholeRead, has_work, is_work};
pub use resolve::{NamePart, ResolvedTable, SearchPlace};
pub use source::{Source, SourceConfig};
pub use table::SourceTable;
pub(crate) use table_checks::TableChecks;

/// All configured sources.
#[derive(Debug)]
pub struct Catalog {
    sources: Vec<Arc<Source>>,
}

impl Catalog {
    /// Makes a catalog of configured sources. Reaches none of them.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for an unknown kind, a wrong option, or two sources of one name.
    pub fn try_new(
        registry: &Registry,
        configs: Vec<SourceConfig>,
        state_dir: Option<PathBuf>,
        settings: &Settings,
    ) -> Result<Self> {
        let mut sources: Vec<Arc<Source>> = Vec::with_capacity(configs.len());
        for config in configs {
            if let Some(other) = sources.iter().find(|source| source.name().eq_ignore_ascii_case(&config.name)) {
                return Err(Error::new(
                    ErrorCode::ConfigInvalid,
                    format!("sources `{}` and `{}` have the same name", other.name(), config.name),
                )
                .with_hint("Names differ by more than case: rename one of them."));
            }
            let cache = state_dir.as_ref().map(|folder| folder.join("catalog"));
            sources.push(Arc::new(Source::try_new(registry, config, cache, settings)?));
        }
        Ok(Self { sources })
    }

    /// All sources in the order of the config.
    pub fn sources(&self) -> &[Arc<Source>] {
        &self.sources
    }

    /// The source of this name, by the rules of [`resolve`](ResolvedTable).
    ///
    /// # Errors
    /// [`ErrorCode::SourceNotFound`] with the nearest name.
    pub fn source(&self, name: &NamePart) -> Result<&Arc<Source>> {
        self.sources.iter().find(|source| name.matches(source.name())).ok_or_else(|| {
            let names = self.sources.iter().map(|source| source.name());
            let error = Error::new(ErrorCode::SourceNotFound, format!("no source is called `{}`", name.text));
            if self.sources.is_empty() {
                return error.with_hint("No source is configured: add one with `tombolo connect URL --name NAME`.");
            }
            match nearest_name(&name.text, names.clone()) {
                Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
                None => error.with_hint(format!("Known sources: {}.", names.collect::<Vec<_>>().join(", "))),
            }
        })
    }
}

#[cfg(test)]
mod tests;
