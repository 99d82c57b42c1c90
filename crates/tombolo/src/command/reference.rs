use clap::{Args, ValueEnum};
use tombolo_connector::Result;

use super::App;
use crate::config::reference;
use crate::output;

/// Print a page of the reference, as `docs/reference` holds it
#[derive(Debug, Args)]
pub(crate) struct ReferenceArgs {
    /// The page
    page: Page,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Page {
    /// `docs/reference/config.md`
    Config,
    /// `docs/reference/errors.md`
    Errors,
}

impl ReferenceArgs {
    pub(crate) fn run(&self, app: &App) -> Result<u8> {
        output::write_stdout(&match self.page {
            Page::Config => reference::config_page(&app.registry),
            Page::Errors => reference::errors_page(),
        })?;
        Ok(0)
    }
}
