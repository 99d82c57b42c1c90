use std::path::PathBuf;

use clap::Args;
use tombolo_connector::Result;

use super::App;
use crate::config::Config;
use crate::{demo, output};

/// Make a small shop in embedded sources, and take a tour of queries over it
///
/// It needs no server and no network. The folder stays there to play with, its sources connected in its tombolo.toml.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tombolo demo\n  tombolo demo --dir try-it --no-tour")]
pub(crate) struct DemoArgs {
    /// The folder to make the shop in
    #[arg(long, value_name = "FOLDER", default_value = "tombolo-demo")]
    dir: PathBuf,
    /// Make the shop, and run no queries
    #[arg(long)]
    no_tour: bool,
}

impl DemoArgs {
    pub(crate) async fn run(&self, app: &App) -> Result<u8> {
        demo::generate(&self.dir)?;
        let file = self.dir.join(demo::CONFIG_FILE);
        if self.no_tour {
            output::complain(&format!("made {}; `cd {}` and ask", file.display(), self.dir.display()));
            return Ok(0);
        }
        // The demo's own config, whatever other one there is: the tour asks the sources that were just made.
        let config = Config::load(Some(file), &app.registry)?;
        let engine = app.engine(&config)?;
        demo::run(&engine, &self.dir, app.stdout, &mut std::io::stdout()).await?;
        Ok(0)
    }
}
