use clap::Args;
use tombolo_connector::Result;

use super::{App, shown_path, working_folder};
use crate::config::ConfigEditor;
use crate::output;

/// Remove a source from the config; the source itself is not touched
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tombolo disconnect shop")]
pub(crate) struct DisconnectArgs {
    /// The source's name
    name: String,
}

impl DisconnectArgs {
    pub(crate) fn run(&self, app: &App) -> Result<u8> {
        let path = app.config_path_to_write()?;
        let mut editor = ConfigEditor::open(&path)?;
        if !editor.remove_source(&self.name)? {
            // A config that can be read says which names are near.
            app.config()?.source(&self.name)?;
        }
        editor.save()?;
        let folder = working_folder()?;
        output::complain(&format!("disconnected {}; removed from {}", self.name, shown_path(&path, &folder)));
        Ok(0)
    }
}
